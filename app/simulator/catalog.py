"""The public looks and voices of the simulated account."""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import cache

from PIL import Image, ImageDraw


@dataclass(frozen=True)
class Voice:
    """A public voice; ids are fixed so that examples can name them."""

    voice_id: str
    name: str
    language: str
    gender: str
    locale: str


@dataclass(frozen=True)
class PublicLook:
    """A look that every account sees, in a group of its own."""

    id: str
    group_id: str
    name: str
    avatar_type: str
    gender: str
    default_voice_id: str
    engines: tuple[str, ...]
    size: tuple[int, int]
    color: str


VOICES = tuple(
    Voice(voice_id, name, language, gender, locale)
    for voice_id, name, language, gender, locale in (
        ("5e1a0000000000000000000000000001", "Ada", "English", "female", "en-US"),
        ("5e1a0000000000000000000000000002", "Bruno", "English", "male", "en-GB"),
        ("5e1a0000000000000000000000000003", "Clara", "German", "female", "de-DE"),
        ("5e1a0000000000000000000000000004", "Diego", "Spanish", "male", "es-ES"),
        ("5e1a0000000000000000000000000005", "Elise", "French", "female", "fr-FR"),
        ("5e1a0000000000000000000000000006", "Fabio", "Italian", "male", "it-IT"),
        ("5e1a0000000000000000000000000007", "Gabi", "Portuguese", "female", "pt-BR"),
        ("5e1a0000000000000000000000000008", "Hana", "Polish", "female", "pl-PL"),
    )
)

PHOTO_ENGINES = ("avatar_iv", "avatar_iii")

LOOKS = (
    PublicLook(
        id="100c0000000000000000000000000001",
        group_id="96009000000000000000000000000001",
        name="Mira",
        avatar_type="photo_avatar",
        gender="female",
        default_voice_id=VOICES[0].voice_id,
        engines=PHOTO_ENGINES,
        size=(720, 1280),
        color="#6b8fb5",
    ),
    PublicLook(
        id="100c0000000000000000000000000002",
        group_id="96009000000000000000000000000002",
        name="Noel",
        avatar_type="photo_avatar",
        gender="male",
        default_voice_id=VOICES[1].voice_id,
        engines=PHOTO_ENGINES,
        size=(1080, 1080),
        color="#b58a6b",
    ),
    PublicLook(
        id="100c0000000000000000000000000003",
        group_id="96009000000000000000000000000003",
        name="Olga in the studio",
        avatar_type="studio_avatar",
        gender="female",
        default_voice_id=VOICES[0].voice_id,
        engines=("avatar_iii", "avatar_iv", "avatar_v"),
        size=(1920, 1080),
        color="#7d6bb5",
    ),
)


def find_voice(voice_id: str) -> Voice | None:
    """The voice of this id."""
    return next((voice for voice in VOICES if voice.voice_id == voice_id), None)


@cache
def portrait(look: PublicLook) -> bytes:
    """A drawn stand-in for the picture of a public look, PNG."""
    width, height = look.size
    picture = Image.new("RGB", look.size, look.color)
    pen = ImageDraw.Draw(picture)
    middle, unit = width // 2, min(width, height) // 8
    top = height // 2 - 2 * unit
    pen.ellipse((middle - 3 * unit, top + 3 * unit, middle + 3 * unit, top + 10 * unit), fill="#2f3a4a")
    pen.ellipse((middle - 3 * unit // 2, top - unit, middle + 3 * unit // 2, top + 3 * unit), fill="#e8c4a0")
    for side in (-1, 1):
        eye = middle + side * unit // 2
        pen.ellipse((eye - unit // 8, top + unit // 2, eye + unit // 8, top + 3 * unit // 4), fill="#26303d")
    pen.ellipse((middle - unit // 2, top + 7 * unit // 4, middle + unit // 2, top + 2 * unit), fill="#a8504c")
    content = io.BytesIO()
    picture.save(content, "PNG", compress_level=1)
    return content.getvalue()
