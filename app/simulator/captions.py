"""Captions: the words being said, in chunks of one line, each drawn once."""

import contextlib
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache

from PIL import Image, ImageDraw, ImageFont

from app.simulator.filming import FilmError
from app.simulator.speech import Word

SENTENCE_ENDS = (".", "!", "?", "…", ":", "。", "！", "？")
LONGEST_LINE = 44  # characters; a longer line is not read at a glance
STAYS = 2.5  # seconds after its last word was begun, unless the next caption comes first

# The bundled font knows little but ASCII; these are found on most machines and asked only where it is not enough.
WIDER_FONTS = ("DejaVuSans.ttf", "NotoSans-Regular.ttf", "Arial.ttf")
PLAIN = str.maketrans(
    {"ß": "ss", "ø": "o", "Ø": "O", "ł": "l", "Ł": "L", "–": "-", "—": "-", "æ": "ae", "œ": "oe"}
)


@dataclass(frozen=True)
class Caption:
    """One line of text, shown from second `start` until second `end`."""

    text: str
    start: float
    end: float


def captions(words: Iterable[Word], longest: int = LONGEST_LINE) -> list[Caption]:
    """The words in lines of at most `longest` characters, no line across the end of a sentence."""
    lines = [line for sentence in _sentences(words) for line in _lines(sentence, longest)]
    followers = [*(line[0].at for line in lines[1:]), float("inf")]
    return [
        Caption(" ".join(word.text for word in line), line[0].at, min(following, line[-1].at + STAYS))
        for line, following in zip(lines, followers, strict=False)  # of no line there is no end
    ]


def _sentences(words: Iterable[Word]) -> Iterator[list[Word]]:
    sentence: list[Word] = []
    for word in words:
        sentence.append(word)
        if word.text.endswith(SENTENCE_ENDS):
            yield sentence
            sentence = []
    if sentence:
        yield sentence


def _lines(sentence: list[Word], longest: int) -> Iterator[list[Word]]:
    """Lines of about equal length, so that no single word is left for the last."""
    length = sum(len(word.text) + 1 for word in sentence)
    fair = length / -(-length // longest)
    line: list[Word] = []
    used = 0
    for word in sentence:
        if line and (used + len(word.text) > longest or used >= fair):
            yield line
            line, used = [], 0
        line.append(word)
        used += len(word.text) + 1
    yield line


def draw(text: str, size: int, widest: int) -> Image.Image | None:
    """The text as a mask no wider than `widest` pixels, smaller or cut where it must be; None where nothing shows."""
    text, font = _readable(text, size)
    if not text:
        return None
    if font.getlength(text) > widest:
        text, font = _readable(text, max(8, round(size * 0.75)))
    while font.getlength(text) > widest and len(text) > 2:
        text = text[:-2].rstrip() + "…" if _covers(font, "…") else text[:-1]
    # As high as the font, not as the letters: one line then stands where the other did.
    ascent, descent = font.getmetrics()
    left, _, right, _ = (round(edge) for edge in font.getbbox(text, anchor="ls"))
    mask = Image.new("L", (max(1, right - left + 2), ascent + descent))
    ImageDraw.Draw(mask).text((1 - left, ascent), text, fill=255, font=font, anchor="ls")
    return mask


def _readable(text: str, size: int) -> tuple[str, ImageFont.FreeTypeFont]:
    """The text in the first font that has all of its letters, or what is left of it in the bundled font."""
    fonts = _fonts(size)
    for font in fonts:
        if _covers(font, text):
            return text, font
    plain = unicodedata.normalize("NFKD", text.translate(PLAIN))
    kept = "".join(letter for letter in plain if _covers(fonts[0], letter))
    return " ".join(kept.split()) if any(letter.isalnum() for letter in kept) else "", fonts[0]


@cache
def _fonts(size: int) -> tuple[ImageFont.FreeTypeFont, ...]:
    bundled = ImageFont.load_default(size)
    if not isinstance(bundled, ImageFont.FreeTypeFont):
        raise FilmError("this Pillow was built without FreeType and cannot draw captions")
    return bundled, *_installed(size)


def _installed(size: int) -> Iterator[ImageFont.FreeTypeFont]:
    for name in WIDER_FONTS:
        with contextlib.suppress(OSError):
            yield ImageFont.truetype(name, size)


def _covers(font: ImageFont.FreeTypeFont, text: str) -> bool:
    return all(letter.isspace() or _has(font, letter) for letter in text)


@cache
def _has(font: ImageFont.FreeTypeFont, letter: str) -> bool:
    """Whether the letter has a shape of its own, not the box that stands for what is missing."""
    shape, missing = font.getmask(letter), font.getmask("\uffff")
    return (shape.size, bytes(shape)) != (missing.size, bytes(missing))
