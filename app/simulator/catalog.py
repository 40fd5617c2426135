"""The public looks and voices of the simulated account."""

from __future__ import annotations

from dataclasses import dataclass


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
TWIN_ENGINES = ("avatar_iii", "avatar_iv", "avatar_v")

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
        engines=TWIN_ENGINES,
        size=(1920, 1080),
        color="#7d6bb5",
    ),
)


def find_voice(voice_id: str) -> Voice | None:
    """The voice of this id."""
    return next((voice for voice in VOICES if voice.voice_id == voice_id), None)
