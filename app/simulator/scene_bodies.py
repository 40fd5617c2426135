"""Request bodies of the types `cinematic_avatar` and `studio`, and of batches; as strict as the others."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from app.simulator.bodies import (
    AssetInput,
    Body,
    Caption,
    Engine,
    Share,
    Text,
    VoiceSettings,
    Watermark,
    between,
    one_of,
)

VOICES = ("script", "audio_url", "audio_asset_id")


def _whole(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _absolute(url: str) -> str:
    if not url.startswith(("http://", "https://")):
        raise PydanticCustomError("between", "must be an absolute URL.")
    return url


class Cinematic(Body):
    """`POST /v3/videos` with `type: cinematic_avatar`; nobody is called back about it."""

    type: Literal["cinematic_avatar"]
    prompt: Annotated[str, StringConstraints(min_length=1, max_length=10_000)]
    avatar_id: Annotated[list[Text], Field(min_length=1, max_length=3)]
    references: Annotated[list[AssetInput], Field(max_length=12)] | None = None
    duration: Annotated[int, BeforeValidator(_whole), between(4, 15)] | None = None
    auto_duration: bool | None = None
    enhance_prompt: bool | None = None
    resolution: Literal["720p", "1080p"] | None = None
    aspect_ratio: Literal["16:9", "9:16", "1:1"] | None = None
    title: str | None = None
    folder_id: str | None = None

    @model_validator(mode="after")
    def _one_length(self) -> Self:
        if self.auto_duration and self.duration is not None:
            one_of("duration", "'duration' is not for 'auto_duration'.")
        return self


class Spoken(Body):
    """A voice in a scene."""

    script: Annotated[str, StringConstraints(min_length=1, max_length=5000)] | None = None
    voice_id: Text | None = None
    audio_url: Text | None = None
    audio_asset_id: Text | None = None
    voice_settings: VoiceSettings | None = None

    def voices(self) -> int:
        """How many there are."""
        return sum(getattr(self, name) is not None for name in VOICES)


class SceneColor(Body):
    """What stands behind an avatar."""

    type: Literal["color"]
    color: Annotated[str, StringConstraints(pattern=r"^#[0-9a-fA-F]{6}$")]


class Actor(Spoken):
    """The avatar of a scene."""

    type: Literal["avatar"]
    avatar_id: Text
    engine: Engine | None = None
    motion_prompt: str | None = None
    expressiveness: Literal["high", "medium", "low"] | None = None
    background: SceneColor | None = None

    @model_validator(mode="after")
    def _one_voice(self) -> Self:
        if self.voices() != 1:
            one_of("script", "Exactly one of 'script', 'audio_url' or 'audio_asset_id' is required.")
        return self


class ActorScene(Body):
    """An avatar that speaks."""

    type: Literal["avatar_video"]
    input: Actor


class ImageScene(Spoken):
    """A still picture."""

    type: Literal["image"]
    source: AssetInput
    duration: Annotated[float, between(1e-9, 300)] | None = None

    @model_validator(mode="after")
    def _length_or_voice(self) -> Self:
        if self.voices() + (self.duration is not None) != 1:
            one_of("duration", "Exactly one of 'duration' and a voice is required.")
        if self.script is not None and self.voice_id is None:
            one_of("voice_id", "'voice_id' is required with 'script'.")
        return self


class Playback(Body):
    """How a clip plays."""

    mode: Literal["freeze", "loop", "fit_to_scene"] | None = None
    volume: Share | None = None
    mute: bool | None = None


class ClipScene(Spoken):
    """A video that is there already."""

    type: Literal["video"]
    source: AssetInput
    playback: Playback | None = None

    @model_validator(mode="after")
    def _one_voice_at_most(self) -> Self:
        if self.voices() > 1:
            one_of("script", "At most one of 'script', 'audio_url' or 'audio_asset_id' is allowed.")
        if self.script is not None and self.voice_id is None:
            one_of("voice_id", "'voice_id' is required with 'script'.")
        return self


class Studio(Body):
    """`POST /v3/videos` with `type: studio`."""

    type: Literal["studio"]
    scenes: Annotated[
        list[Annotated[ActorScene | ImageScene | ClipScene, Field(discriminator="type")]],
        Field(min_length=1, max_length=50),
    ]
    title: str | None = None
    folder_id: str | None = None
    brand_glossary_id: str | None = None
    resolution: Literal["4k", "1080p", "720p"] | None = None
    aspect_ratio: Literal["16:9", "9:16", "4:5", "5:4", "1:1", "auto"] | None = None
    caption: Caption | None = None
    watermark: Watermark | None = None
    callback_url: Annotated[str, AfterValidator(_absolute)] | None = None
    callback_id: str | None = None


class BatchBody(Body):
    """`POST /v3/videos/batches`; each video is read by itself."""

    videos: Annotated[list[dict[str, Any]], Field(min_length=1, max_length=100)]
    title: str | None = None
    folder_id: str | None = None
    callback_url: Annotated[str, AfterValidator(_absolute)] | None = None
