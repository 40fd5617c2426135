"""What the bodies of videos are made of: speech, voice, background, caption, engine, watermark, and what all share."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from app.api.file_inputs import FileAddress, ImageInput
from app.api.requests import Between, CallbackUrl, Identifier, Title, VideoOptions, WireModel, broken

SPEECH_SOURCES = ("script", "audio_url", "audio_asset_id")


def _spoken(script: str) -> str:
    # Characters of no width count as blank too: a silent film would be paid for.
    if not any(character.isprintable() and not character.isspace() for character in script):
        raise broken("must not be blank.")
    return script


def _color(text: str) -> str:
    if not re.fullmatch(r"#[0-9A-Fa-f]{6}", text):
        raise broken("must be a color of the form #rrggbb.")
    return text


def _scale(number: float) -> float:
    if not 0 < number <= 2:
        raise broken("must be greater than 0 and at most 2.")
    return number


Share = Annotated[float, Between(0, 1)]
Color = Annotated[str, AfterValidator(_color), Field(json_schema_extra={"pattern": "^#[0-9A-Fa-f]{6}$"})]
# The lengths of motion prompt and folder are our own bounds, as those of titles and ids.
MotionPrompt = Annotated[str, Field(max_length=5_000)]
FolderId = Annotated[str, Field(max_length=255)]  # empty is the root folder


class ElevenLabsSettings(WireModel):
    engine_type: Literal["elevenlabs"]
    model: Literal["eleven_multilingual_v2", "eleven_turbo_v2_5", "eleven_flash_v2_5", "eleven_v3"] | None = (
        None
    )
    stability: Share | None = None
    similarity_boost: Share | None = None
    style: Share | None = None
    use_speaker_boost: bool | None = None


class FishSettings(WireModel):
    engine_type: Literal["fish"]
    model: Literal["s1", "s2-pro"] | None = None
    stability: Share | None = None
    similarity: Share | None = None


class StarfishSettings(WireModel):
    engine_type: Literal["starfish"]


class VoiceSettings(WireModel):
    """`pitch` is in semitones."""

    speed: Annotated[float, Between(0.5, 1.5)] | None = None
    pitch: Annotated[float, Between(-50, 50)] | None = None
    volume: Share | None = None
    locale: Identifier | None = None
    engine_settings: (
        Annotated[ElevenLabsSettings | FishSettings | StarfishSettings, Field(discriminator="engine_type")]
        | None
    ) = None


class ColorBackground(WireModel):
    type: Literal["color"]
    value: Color


class ImageBackground(WireModel):
    type: Literal["image"]
    url: FileAddress | None = None
    asset_id: Identifier | None = None


class Caption(WireModel):
    """A subtitle file; a `style` burns it into the picture too."""

    file_format: Literal["srt"] | None = None
    style: Literal["default"] | None = None


class Engine(WireModel):
    type: Literal["avatar_iii", "avatar_iv", "avatar_v"]
    reference_look_id: Identifier | None = None


class Placement(WireModel):
    position: Literal["top_left", "top_right", "bottom_left", "bottom_right"] | None = None
    offset_x: Annotated[float, Between(-1, 1)] | None = None
    offset_y: Annotated[float, Between(-1, 1)] | None = None


class Watermark(WireModel):
    image: ImageInput
    scale: (
        Annotated[
            float, AfterValidator(_scale), Field(json_schema_extra={"exclusiveMinimum": 0, "maximum": 2})
        ]
        | None
    ) = None
    opacity: Share | None = None
    placement: Placement | None = None


class Speech(WireModel):
    """What is said, and by which voice."""

    # HeyGen counts characters, which are code points here.
    script: Annotated[str, Field(min_length=1, max_length=5_000), AfterValidator(_spoken)] | None = None
    voice_id: Identifier | None = None
    audio_url: FileAddress | None = None
    audio_asset_id: Identifier | None = None
    voice_settings: VoiceSettings | None = None

    @property
    def sources(self) -> int:
        """How many there are; one is right for whoever speaks."""
        return sum(getattr(self, key) is not None for key in SPEECH_SOURCES)


class Shared(WireModel):
    """What every type of video takes."""

    title: Title | None = None
    folder_id: FolderId | None = None
    test: bool = False
    greenroom: VideoOptions = VideoOptions()


class Framed(Shared):
    """What every type but `cinematic_avatar` takes."""

    resolution: Literal["4k", "1080p", "720p"] | None = None
    aspect_ratio: Literal["16:9", "9:16", "4:5", "5:4", "1:1", "auto"] | None = None
    caption: Caption | None = None
    watermark: Watermark | None = None
    brand_glossary_id: Identifier | None = None
    callback_url: CallbackUrl | None = None
    callback_id: Annotated[str, Field(max_length=1_000)] | None = None
