"""The simulator's films are real: they play, they speak, and what they show follows what they say."""

import wave
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from app.simulator.film import film
from app.simulator.filming import FilmError, FilmRequest
from app.simulator.pictures import Scene
from app.simulator.speech import speak
from tests.simulator.watching import PORTRAIT, SCRIPT, SMALL, make, picture, tone, watch


@pytest.fixture(scope="module")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A film of the portrait saying the script."""
    path = tmp_path_factory.mktemp("films") / "spoken.mp4"
    film(FilmRequest(width=320, height=180, photo=PORTRAIT, script=SCRIPT), path)
    return path


def test_a_film_is_h264_and_aac_in_the_asked_size(spoken: Path) -> None:
    watched = watch(spoken)
    assert watched.codecs == ("h264", "aac")
    assert watched.pixels == "yuv420p"
    assert watched.size == (320, 180)


def test_a_film_can_be_played_before_all_of_it_is_loaded(spoken: Path) -> None:
    data = spoken.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")


def test_a_film_is_as_long_as_its_speech(tmp_path: Path) -> None:
    made = film(replace(SMALL, script=SCRIPT), tmp_path / "film.mp4")
    watched = watch(tmp_path / "film.mp4")
    assert made.duration == pytest.approx(speak(SCRIPT).duration, abs=0.15)
    assert len(watched.frames) == made.frames == round(made.duration * 25)
    assert len(watched.sound) / watched.rate == pytest.approx(made.duration, abs=0.1)


def test_the_voice_is_heard_and_pauses_between_sentences(spoken: Path) -> None:
    loudness = watch(spoken).loudness
    assert np.max(loudness) > 0.05
    assert watch(spoken).longest_silence > 0.2


def test_the_meter_opens_with_the_voice(tmp_path: Path) -> None:
    request = FilmRequest(width=320, height=180, photo=picture(tmp_path, "#202020"), script=SCRIPT)
    watched = make(tmp_path, request)
    left, top, right, bottom = Scene(request, [], []).meter
    middle = (left + right) // 2
    shown = np.array([frame[top:bottom, middle - 2 : middle + 3].mean() for frame in watched.frames])
    heard = watched.loudness[: len(shown)]
    assert np.corrcoef(shown[: len(heard)], heard)[0, 1] > 0.7
    assert shown[np.argmax(heard)] > 2 * shown[np.argmin(heard)]


def test_the_photo_moves_and_moves_more_when_motion_is_asked_for() -> None:
    def motion(prompt: str | None, expressiveness: str | None = None) -> float:
        request = replace(SMALL, photo=PORTRAIT, motion_prompt=prompt, expressiveness=expressiveness)
        scene = Scene(request, [0.0] * 60, [])
        first, last = (scene.draw(index).to_ndarray()[:100].astype(float) for index in (0, 33))
        return float(np.mean(np.abs(first - last)))

    assert 0.5 < motion(None) < motion("waves a hand")
    assert motion(None) < motion(None, "high")


@pytest.mark.parametrize("size", [(320, 180), (180, 320), (180, 180)])
def test_the_photo_is_shown_upright_in_the_middle_of_every_aspect(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    photo = picture(tmp_path, "#2040e0", (300, 400))
    watched = make(tmp_path, replace(SMALL, width=size[0], height=size[1], photo=photo))
    assert watched.size == size
    middle = watched.frames[0][size[1] // 2 - 10, size[0] // 2]
    assert middle == pytest.approx((0x20, 0x40, 0xE0), abs=10)


@pytest.mark.parametrize("size", [(320, 180), (180, 320), (180, 180)])
def test_a_background_colour_is_seen_in_the_corner(tmp_path: Path, size: tuple[int, int]) -> None:
    watched = make(
        tmp_path, replace(SMALL, width=size[0], height=size[1], photo=PORTRAIT, background="#1e6b52")
    )
    assert watched.frames[10][4, 4] == pytest.approx((0x1E, 0x6B, 0x52), abs=8)


def test_a_background_picture_is_seen_in_the_corner(tmp_path: Path) -> None:
    watched = make(tmp_path, replace(SMALL, photo=PORTRAIT, background=picture(tmp_path, "#c04020")))
    assert watched.frames[10][4, 4] == pytest.approx((0xC0, 0x40, 0x20), abs=8)


def test_a_removed_background_gives_way_to_the_asked_one(tmp_path: Path) -> None:
    square = replace(SMALL, width=180, photo=picture(tmp_path, "#c04020"), background="#1e6b52")
    frame = make(tmp_path, replace(square, remove_background=True)).frames[10]
    assert frame[4, 4] == pytest.approx((0x1E, 0x6B, 0x52), abs=8)
    assert frame[80, 90] == pytest.approx((0xC0, 0x40, 0x20), abs=10)


def test_a_removed_background_is_neutral_where_none_is_asked_for(tmp_path: Path) -> None:
    request = replace(SMALL, width=180, photo=picture(tmp_path, "#c04020"), remove_background=True)
    corner = make(tmp_path, request).frames[10][4, 4].astype(int)
    assert min(corner) > 190
    assert max(corner) - min(corner) < 25


def test_captions_show_unless_they_are_not_wanted(tmp_path: Path) -> None:
    dark = replace(SMALL, photo=picture(tmp_path, "#202020"), script=SCRIPT)
    with_words = make(tmp_path, dark).frames[10][158:]
    without = make(tmp_path, replace(dark, caption=False)).frames[10][158:]
    assert np.max(with_words) > 180 > np.max(without)


@pytest.mark.parametrize(
    "script",
    [
        "你好，世界。今天天气很好。",
        "Привет, мир!",
        "こんにちは世界",
        "مرحبا بالعالم",
        "สวัสดี",
        "Ça va à la fête, señor Müller? Straße!",
        "Hello 😀 world 🎉👩‍👩‍👧",
        "a" * 120,
        "5 < 6 & 7 > 3 \x00\x01 \ud800",
        "<speak><p>Hello</p></speak>",
    ],
)
def test_any_script_is_filmed_and_heard(tmp_path: Path, script: str) -> None:
    watched = make(tmp_path, replace(SMALL, width=160, height=90, script=script))
    assert np.max(watched.loudness) > 0.02


@pytest.mark.parametrize("script", [None, "", "  \n ", "[[fail: rendering_failed]]", "😀", "<speak></speak>"])
def test_a_script_that_says_nothing_is_a_second_of_silence(tmp_path: Path, script: str | None) -> None:
    watched = make(tmp_path, replace(SMALL, width=160, height=90, script=script))
    assert len(watched.frames) == 25
    assert np.max(watched.loudness) < 0.003


def test_an_audio_file_is_spoken_instead_of_the_script(tmp_path: Path) -> None:
    watched = make(tmp_path, replace(SMALL, script=SCRIPT, audio=tone(tmp_path / "tone.wav", 1.6)))
    assert len(watched.frames) == 40
    assert np.min(watched.loudness[3:38]) > 0.15


def test_a_recording_is_at_most_ten_minutes_long(tmp_path: Path) -> None:
    with wave.open(str(tmp_path / "long.wav"), "wb") as file:
        file.setparams((1, 1, 44_100, 0, "NONE", ""))  # the film's own rate: nothing to convert
        file.writeframes(bytes(601 * 44_100))
    with pytest.raises(FilmError, match="longer than 600 s"):
        film(replace(SMALL, script=None, audio=tmp_path / "long.wav"), tmp_path / "film.mp4")


def test_sides_are_made_even(tmp_path: Path) -> None:
    assert make(tmp_path, replace(SMALL, width=161, height=91)).size == (160, 90)


@pytest.mark.parametrize("fault", ["photo", "audio", "background"])
def test_a_broken_file_is_an_error_and_leaves_nothing_behind(tmp_path: Path, fault: str) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"\x89PNG\r\n\x1a\n and nothing more")
    with pytest.raises(FilmError):
        film(replace(SMALL, **dict[str, Any]({fault: broken})), tmp_path / "film.mp4")
    assert list(tmp_path.iterdir()) == [broken]


def test_a_playlist_opens_no_other_file(tmp_path: Path) -> None:
    tone(tmp_path / "tone.wav", 1.0)
    playlist = tmp_path / "list.mp3"
    playlist.write_text("ffconcat version 1.0\nfile tone.wav\n")
    with pytest.raises(FilmError, match="decoded"):
        film(replace(SMALL, audio=playlist), tmp_path / "film.mp4")


def test_a_picture_is_no_audio(tmp_path: Path) -> None:
    with pytest.raises(FilmError, match="audio"):
        film(replace(SMALL, audio=PORTRAIT), tmp_path / "film.mp4")


@pytest.mark.parametrize(
    "change",
    [{"width": 8}, {"height": 9000}, {"fps": 0}, {"background": "#nothex"}, {"background": Path("/none")}],
)
def test_what_cannot_be_filmed_is_named(tmp_path: Path, change: dict[str, Any]) -> None:
    with pytest.raises(FilmError) as raised:
        film(replace(SMALL, **change), tmp_path / "film.mp4")
    assert next(iter(change)) in str(raised.value) or "none" in str(raised.value)


def test_a_film_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FilmError, match="written"):
        film(SMALL, tmp_path / "missing" / "film.mp4")


def test_scenes_follow_each_other_in_one_film(tmp_path: Path) -> None:
    """A silent picture, somebody who speaks, and a clip that is there already, on its own sound."""
    clip = tmp_path / "clip.mp4"
    film(replace(SMALL, photo=picture(tmp_path, "#208040"), audio=tone(tmp_path / "tone.wav", 1.2)), clip)
    still = replace(SMALL, script=None, seconds=0.8, photo=picture(tmp_path, "#c04020"))
    speaking = replace(SMALL, photo=picture(tmp_path, "#2040e0"))
    watched = make(tmp_path, replace(still, then=(speaking, replace(SMALL, script=None, clip=clip))))
    middles = [tuple(int(part) for part in frame[70, 160]) for frame in watched.frames]
    assert middles[5] == pytest.approx((0xC0, 0x40, 0x20), abs=12)
    assert middles[25] == pytest.approx((0x20, 0x40, 0xE0), abs=12)
    assert middles[-10] == pytest.approx((0x20, 0x80, 0x40), abs=16)
    assert len(watched.sound) / watched.rate == pytest.approx(len(watched.frames) / 25, abs=0.1)
    assert np.max(watched.loudness[2:16]) < 0.01 < np.min(watched.loudness[-20:-5])


def test_the_camera_of_a_cinematic_film_moves_about() -> None:
    def travelled(camera: bool) -> float:
        scene = Scene(replace(SMALL, photo=PORTRAIT, camera=camera), [], [])
        first, last = (scene.draw(index).to_ndarray()[:180].astype(float) for index in (0, 50))
        return float(np.mean(np.abs(first - last)))

    assert travelled(camera=True) > 2 * travelled(camera=False)


def test_a_transparent_film_shows_the_person_and_nothing_around(tmp_path: Path) -> None:
    request = replace(SMALL, photo=picture(tmp_path, "#c04020"), transparent=True, script=None, seconds=0.4)
    film(request, tmp_path / "film.webm")
    with av.open(str(tmp_path / "film.webm")) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.metadata.get("alpha_mode")) == ("vp9", "1")
        codec = av.CodecContext.create("libvpx-vp9", "r")  # the other decoder knows no alpha
        frames = [frame for packet in container.demux(stream) for frame in codec.decode(packet)]
    alpha = [np.frombuffer(bytes(frame.planes[3]), np.uint8).reshape(180, -1)[:, :320] for frame in frames]
    assert len(alpha) == 10
    assert alpha[5][90, 160] > 250
    assert alpha[5][4, 4] < 5
