"""What is said, when, and what is shown of it."""

from dataclasses import replace

import numpy as np
import pytest

from app.simulator.captions import captions, draw
from app.simulator.speech import Word, levels, speak
from tests.simulator.watching import SCRIPT


def test_english_is_spoken_at_the_rate_that_costs_are_estimated_by() -> None:
    assert 13 < len(SCRIPT) / speak(SCRIPT).duration < 16


def test_a_longer_script_takes_longer_and_a_faster_voice_less() -> None:
    usual = speak(SCRIPT).duration
    assert speak(f"{SCRIPT} {SCRIPT}").duration > 1.8 * usual
    assert speak(SCRIPT, speed=1.5).duration < 0.8 * usual
    assert speak(SCRIPT, speed=0.5).duration > 1.5 * usual


def test_a_higher_pitch_sounds_higher() -> None:
    def height(pitch: float) -> float:
        """Hertz: the shift, among those of voices, at which most moments are most like themselves."""
        speech = speak(SCRIPT, pitch=pitch)
        samples, moment = speech.samples.astype(float), speech.rate // 20
        shifts = range(speech.rate // 400, speech.rate // 60)
        found = []
        for at in range(0, len(samples) - 2 * moment, 4 * moment):
            now = samples[at : at + moment]
            found.append(shifts[int(np.argmax([now @ samples[at + by : at + by + moment] for by in shifts]))])
        return speech.rate / float(np.median(found))

    # eSpeak says no text twice alike: only the ends lie further apart than its takes do.
    assert height(-50) < 0.9 * height(50)


def test_the_locale_chooses_the_voice() -> None:
    durations = {speak("Die Nation", locale=locale).duration for locale in ("en-US", "de-DE", "fr-FR")}
    assert len(durations) == 3


def test_an_unknown_locale_is_spoken_all_the_same() -> None:
    assert speak("Hello.", locale="xx-YY").duration > 0.2


def test_levels_of_a_silent_sound_are_low() -> None:
    speech = replace(speak("Hello."), samples=np.ones(22050, np.int16))
    assert np.max(levels(speech, 25, 25)) < 0.05


def test_a_caption_stands_while_its_words_are_said() -> None:
    said = [Word("One", 0.0), Word("two.", 0.5), Word("Three", 1.2), Word("four.", 9.0)]
    lines = captions(said)
    assert [(line.text, line.start) for line in lines] == [("One two.", 0.0), ("Three four.", 1.2)]
    assert lines[0].end == 1.2
    assert lines[1].end > 9.0


def test_a_long_sentence_is_split_evenly() -> None:
    said = [Word("word", number / 2) for number in range(10)]
    assert [len(line.text) for line in captions(said, longest=44)] == [24, 24]


def test_a_line_is_drawn_no_wider_than_it_may_be() -> None:
    for text in ("Hello", "Donaudampfschifffahrtsgesellschaft", "Müller, señor, ça va?", "w" * 500):
        mask = draw(text, 24, widest=200)
        assert mask is not None
        assert mask.width <= 203
        assert mask.getextrema()[1] == 255


def test_a_line_of_which_no_letter_can_be_drawn_is_not_shown() -> None:
    assert draw("你好，世界。", 24, widest=200) is None
    assert draw("", 24, widest=200) is None


def test_a_magic_tag_is_not_spoken() -> None:
    assert [word.text for word in speak('Hello [[fail: <break time="9s"/> x]] there.').words] == [
        "Hello",
        "there.",
    ]


@pytest.mark.parametrize(
    ("tag", "pause"),
    [
        ('<break time="1s"/>', 1.0),
        ("<break time='1500ms' />", 1.5),
        ("<BREAK/>", 0.5),
        ('<break time="99s">', 10),
    ],
)
def test_a_break_is_a_pause(tag: str, pause: float) -> None:
    speech = speak(f"Hello {tag} there.")
    assert [word.text for word in speech.words] == ["Hello", "there."]
    apart = speak("Hello").duration + speak("there.").duration
    assert speech.duration - apart == pytest.approx(pause, abs=0.2)
