"""A script said by eSpeak NG, or an audio file decoded; when each word is said, and how loud each frame is."""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from numpy.typing import NDArray

from app.simulator import espeak
from app.simulator.espeak import Samples
from app.simulator.filming import FilmError

Levels = NDArray[np.float64]

# A simulated film of more than half an hour helps nobody and takes memory.
LONGEST = 1800.0
LONGEST_RECORDING = 600.0  # HeyGen's own limit
# A playlist would have the decoder open other files and addresses, named by whoever sent it.
ONLY = {"format_whitelist": "wav,mp3,mov,mp4,matroska,webm,ogg,flac,aac,aiff", "protocol_whitelist": "file"}
PAUSE_DEFAULT, PAUSE_LONGEST = 0.5, 10.0

# The first word of a letter's Unicode name → the language its script most likely stands for.
LANGUAGES = {
    "ARABIC": "ar",
    "BENGALI": "bn",
    "CJK": "cmn",
    "CYRILLIC": "ru",
    "DEVANAGARI": "hi",
    "GREEK": "el",
    "GUJARATI": "gu",
    "HANGUL": "ko",
    "HEBREW": "he",
    "HIRAGANA": "ja",
    "KATAKANA": "ja",
    "TAMIL": "ta",
    "TELUGU": "te",
    "THAI": "th",
}
# Codes that callers use and eSpeak does not.
ALIASES = {"zh": "cmn", "no": "nb", "fil": "en-us", "en": "en-us", "zh-hk": "yue"}

_PIECES = re.compile(r"(<break\b[^<>]*>)", re.IGNORECASE)
_BREAK_TIME = re.compile(r"""time\s*=\s*["']?\s*(\d{1,6}(?:\.\d{1,6})?)\s*(ms|s)""", re.IGNORECASE)
_MAGIC = re.compile(r"\[\[.*?\]\]", re.DOTALL)
_MARKUP = re.compile(r"</?[a-zA-Z][^<>]*>")


@dataclass(frozen=True)
class Word:
    """A word of the script and the second at which it is begun."""

    text: str
    at: float


@dataclass(frozen=True)
class Speech:
    """Mono sound, and the words in it (none for an audio file)."""

    samples: Samples
    rate: int
    words: tuple[Word, ...] = ()

    @property
    def duration(self) -> float:
        """Seconds."""
        return len(self.samples) / self.rate


def speak(script: str, speed: float = 1.0, pitch: float = 0.0, locale: str | None = None) -> Speech:
    """Say the script; simulator tags such as `[[fail: x]]` and markup are not said, `<break>` is a pause.

    Raises FilmError where eSpeak does not work.
    """
    engine = espeak.engine()
    parts: list[Samples] = []
    words: list[Word] = []
    spoken = 0
    with engine.lock:
        engine.use(_voices(script, locale), speed, pitch)
        for piece in _pieces(script):
            if isinstance(piece, float):
                part = np.zeros(int(piece * engine.rate), np.int16)
            else:
                part, starts = engine.say(piece)
                words += [
                    Word(text, at + spoken / engine.rate)
                    for text, at in _words(piece, starts, len(part) / engine.rate)
                ]
            parts.append(part)
            spoken += len(part)
            if spoken > LONGEST * engine.rate:
                raise FilmError(f"the speech is longer than {LONGEST:.0f} s")
    return Speech(np.concatenate([*parts, np.zeros(0, np.int16)]), engine.rate, tuple(words))


def listen(path: Path, rate: int = 44100, longest: float = LONGEST) -> Speech:
    """The first audio track of a file, as mono. Raises FilmError where there is none, or more than `longest` seconds."""
    parts: list[Samples] = []
    resampler = AudioResampler(format="s16", layout="mono", rate=rate)
    length = 0
    try:
        with av.open(str(path), options=ONLY) as container:
            if not container.streams.audio:
                raise FilmError("the audio file has no audio track")
            for frame in _frames(container.decode(container.streams.audio[0]), resampler):
                samples = frame.to_ndarray().reshape(-1).astype(np.int16, copy=False)
                parts.append(samples)
                length += len(samples)
                if length > longest * rate:
                    raise FilmError(f"the audio is longer than {longest:.0f} s")
    except (OSError, ValueError, av.FFmpegError) as error:
        raise FilmError(f"the audio file cannot be decoded: {error}") from error
    if not length:
        raise FilmError("the audio file is empty")
    return Speech(np.concatenate(parts), rate)


def levels(speech: Speech, fps: int, frames: int) -> Levels:
    """How loud each frame is, 0 to 1, relative to the loud parts of this very speech."""
    edges = [number * speech.rate // fps for number in range(frames + 1)]
    sounds = (speech.samples[start:end].astype(np.float64) for start, end in pairwise(edges))
    loudness = np.array([np.sqrt(np.mean(np.square(sound))) if len(sound) else 0.0 for sound in sounds])
    # The floor keeps the noise of a silent file from being stretched to full height.
    reference = max(float(np.quantile(loudness, 0.95)), 300.0)
    relative: Levels = np.minimum(loudness / reference, 1.0)
    return relative


def _frames(decoded: Iterator[AudioFrame], resampler: AudioResampler) -> Iterator[AudioFrame]:
    for frame in decoded:
        yield from resampler.resample(frame)
    yield from resampler.resample(None)


def _pieces(script: str) -> Iterator[str | float]:
    """What to say, and the pauses between it in seconds."""
    for piece in _PIECES.split(_MAGIC.sub(" ", script)):
        if _PIECES.fullmatch(piece):
            yield _pause(piece)
        elif text := _plain(piece):
            yield text


def _pause(tag: str) -> float:
    match = _BREAK_TIME.search(tag)
    if match is None:
        return PAUSE_DEFAULT
    seconds = float(match[1]) / (1000 if match[2].lower() == "ms" else 1)
    return min(seconds, PAUSE_LONGEST)


def _plain(text: str) -> str:
    """The text without tags, emoji and control characters, its blanks single; empty where no letter is left."""
    said = "".join(
        letter if unicodedata.category(letter) not in {"So", "Cs", "Cf", "Cn", "Co", "Cc"} else " "
        for letter in _MARKUP.sub(" ", text)
    )
    return " ".join(said.split()) if any(letter.isalnum() for letter in said) else ""


def _words(text: str, starts: list[tuple[int, float]], length: float) -> Iterator[tuple[str, float]]:
    """The words as written, each with its second, from eSpeak's (character, second) pairs."""
    # eSpeak announces scripts without blanks late: what stands first is begun first.
    starts = [(character, second) for character, second in starts if character > 0]
    known = [(0, 0.0), *starts, (len(text), length)]
    index = 0
    for match in re.finditer(r"\S+", text):
        while index < len(starts) and known[index + 1][0] <= match.start():
            index += 1
        (character, second), (next_character, next_second) = known[index], known[index + 1]
        # Between two announced words (eSpeak joins some, and has none for scripts without blanks): by characters.
        share = (match.start() - character) / max(1, next_character - character)
        yield match[0], second + min(1.0, max(0.0, share)) * (next_second - second)


def _voices(script: str, locale: str | None) -> list[str]:
    """eSpeak's voice names to try in turn."""
    if locale:
        code = locale.strip().lower().replace("_", "-")
        primary = code.split("-")[0]
        return [ALIASES.get(code, code), ALIASES.get(primary, primary), "en-us"]
    letters = [letter for letter in script if letter.isalpha() and not letter.isascii()][:200]
    scripts = [unicodedata.name(letter, "?").split()[0] for letter in letters]
    foreign = [LANGUAGES[name] for name in scripts if name in LANGUAGES]
    if len(foreign) * 2 < sum(letter.isalpha() for letter in script[:400]):
        return ["en-us"]
    # Japanese mixes kana with characters it shares with Chinese.
    likeliest = "ja" if "ja" in foreign else max(sorted(set(foreign)), key=foreign.count, default="en-us")
    return [likeliest, "en-us"]
