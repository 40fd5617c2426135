"""Drawn stand-ins for pictures of people: public looks, what a prompt describes, whom footage shows."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from functools import lru_cache

from PIL import Image, ImageDraw

SIZE = (720, 1280)
SKINS = ("#f1d3b3", "#e8c4a0", "#c99a6c", "#8d5a3b", "#5f3b26")


@dataclass(frozen=True)
class Style:
    """What may differ; `hair` None draws none."""

    size: tuple[int, int]
    background: str
    skin: str = "#e8c4a0"
    clothes: str = "#2f3a4a"
    hair: str | None = None


def style_of(text: str) -> Style:
    """Another look for another text, the same for the same."""
    digest = hashlib.sha256(text.encode()).digest()
    background, clothes, hair = (f"#{digest[at : at + 3].hex()}" for at in (0, 3, 6))
    return Style(SIZE, background, SKINS[digest[9] % len(SKINS)], clothes, hair)


@lru_cache(maxsize=32)
def draw(style: Style) -> bytes:
    """A portrait, PNG."""
    width, height = style.size
    picture = Image.new("RGB", style.size, style.background)
    pen = ImageDraw.Draw(picture)
    middle, unit = width // 2, min(width, height) // 8
    top = height // 2 - 2 * unit
    pen.ellipse((middle - 3 * unit, top + 3 * unit, middle + 3 * unit, top + 10 * unit), fill=style.clothes)
    head = (middle - 3 * unit // 2, top - unit, middle + 3 * unit // 2, top + 3 * unit)
    pen.ellipse(head, fill=style.skin)
    if style.hair is not None:
        pen.chord(head, 190, 350, fill=style.hair)
    for side in (-1, 1):
        eye = middle + side * unit // 2
        pen.ellipse((eye - unit // 8, top + unit // 2, eye + unit // 8, top + 3 * unit // 4), fill="#26303d")
    pen.ellipse((middle - unit // 2, top + 7 * unit // 4, middle + unit // 2, top + 2 * unit), fill="#a8504c")
    content = io.BytesIO()
    picture.save(content, "PNG", compress_level=1)
    return content.getvalue()
