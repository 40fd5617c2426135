"""`POST /v3/videos`: from HeyGen's wire body to what the route stores and the worker sends.

Fields, values and bounds are those of HeyGen's reference; the models below are the one list of known keys.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, Field

from app.api.requests import (
    AssetInput,
    Between,
    CallbackUrl,
    Identifier,
    InlineAsset,
    StoredAsset,
    Title,
    VideoOptions,
    WebAddress,
    WireModel,
    broken,
    validate,
    without_nulls,
)
from app.errors import Fault, InvalidParameter

# Never sent on as the caller wrote them: the worker adds a title and callback fields of its own.
KEPT_BACK = frozenset({"title", "callback_url", "callback_id", "test", "enable_caption", "greenroom"})
VISUAL_SOURCES = ("avatar_id", "image_url", "image_asset_id")
SPEECH_SOURCES = ("script", "audio_url", "audio_asset_id")

Picture = TypeVar("Picture", StoredAsset, InlineAsset)


@dataclass(frozen=True, slots=True)
class VideoRequest:
    """One video as asked for.

    `upstream` is HeyGen's body without title and callback fields. `assets` are the asset ids in it, `inline` the
    pictures taken out of it, both by dotted path ("image", "background.asset_id", …): an inline picture becomes an
    asset before it can be sent.
    """

    type: Literal["avatar", "image"]
    upstream: dict[str, Any]
    title: str | None
    callback_url: str | None
    callback_id: str | None
    test: bool
    greenroom: VideoOptions
    avatar_id: str | None
    image: AssetInput | None
    script: str | None
    voice_id: str | None
    assets: tuple[tuple[str, str], ...]
    inline: tuple[tuple[str, InlineAsset], ...] = field(repr=False)


def parse_video(body: Mapping[str, Any], *, forward_fields: frozenset[str] = frozenset()) -> VideoRequest:
    """The request in `body`; `forward_fields` are unknown keys to pass on verbatim. Raises InvalidParameter."""
    known = AvatarVideo.model_fields.keys() | ImageVideo.model_fields.keys() | set(VISUAL_SOURCES)
    forwarded = {key: value for key, value in body.items() if key in forward_fields and key not in known}
    wire, renamed = _modern(
        without_nulls({key: value for key, value in body.items() if key not in forwarded})
    )
    is_avatar = wire["type"] == "avatar"
    video = validate(AvatarVideo, wire) if is_avatar else validate(ImageVideo, wire, renamed)
    faults = list(_conflicts(video))
    if faults:
        raise InvalidParameter.of(faults)
    inline = tuple(_pictures(video, InlineAsset))
    return VideoRequest(
        type=video.type,
        upstream=_upstream(wire, video, inline) | forwarded,
        title=video.title,
        callback_url=video.callback_url,
        callback_id=video.callback_id,
        test=video.test,
        greenroom=video.greenroom,
        avatar_id=video.avatar_id if isinstance(video, AvatarVideo) else None,
        image=video.image if isinstance(video, ImageVideo) else None,
        script=video.script,
        voice_id=video.voice_id,
        assets=tuple(_assets(video)),
        inline=inline,
    )


# --- the wire ------------------------------------------------------------------------------------------------------


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
    value: Annotated[str, AfterValidator(_color), Field(json_schema_extra={"pattern": "^#[0-9A-Fa-f]{6}$"})]


class ImageBackground(WireModel):
    type: Literal["image"]
    url: WebAddress | None = None
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
    image: AssetInput
    scale: (
        Annotated[
            float, AfterValidator(_scale), Field(json_schema_extra={"exclusiveMinimum": 0, "maximum": 2})
        ]
        | None
    ) = None
    opacity: Share | None = None
    placement: Placement | None = None


class SpokenVideo(WireModel):
    """What both types of video share. The lengths of title, ids and motion prompt are our own bounds."""

    title: Title | None = None
    # HeyGen counts characters, which are code points here.
    script: Annotated[str, Field(min_length=1, max_length=5_000), AfterValidator(_spoken)] | None = None
    voice_id: Identifier | None = None
    audio_url: WebAddress | None = None
    audio_asset_id: Identifier | None = None
    voice_settings: VoiceSettings | None = None
    resolution: Literal["4k", "1080p", "720p"] | None = None
    aspect_ratio: Literal["16:9", "9:16", "4:5", "5:4", "1:1", "auto"] | None = None
    fit: Literal["contain", "cover"] | None = None
    background: Annotated[ColorBackground | ImageBackground, Field(discriminator="type")] | None = None
    remove_background: bool | None = None
    output_format: Literal["mp4", "webm"] | None = None
    caption: Caption | None = None
    enable_caption: bool = False
    motion_prompt: Annotated[str, Field(max_length=5_000)] | None = None
    expressiveness: Literal["high", "medium", "low"] | None = None
    watermark: Watermark | None = None
    folder_id: Annotated[str, Field(max_length=255)] | None = None  # empty is the root folder
    callback_url: CallbackUrl | None = None
    callback_id: Annotated[str, Field(max_length=1_000)] | None = None
    test: bool = False
    greenroom: VideoOptions = VideoOptions()


class AvatarVideo(SpokenVideo):
    type: Literal["avatar"]
    avatar_id: Identifier
    engine: Engine | None = None


class ImageVideo(SpokenVideo):
    type: Literal["image"]
    image: AssetInput


# --- rules ---------------------------------------------------------------------------------------------------------


def _modern(wire: dict[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """The body under its true type, and the caller's names of what moved.

    Older clients name a picture by keys of their own under the type `avatar`, which makes it an image video.
    """
    kind = wire.get("type")
    if kind not in ("avatar", "image"):
        rule = "is required" if kind is None else "names a type that Greenroom does not serve"
        raise InvalidParameter(f"'type' {rule}: it must be 'avatar' or 'image'.", param="type")
    sources = [key for key in VISUAL_SOURCES if key in wire]
    if kind == "image" or sources == ["avatar_id"]:
        return wire, {}
    if len(sources) != 1:
        raise InvalidParameter(
            "Exactly one visual source required: avatar_id, image_url, or image_asset_id.", param="avatar_id"
        )
    old = sources[0]
    source = old.removeprefix("image_")
    rest = {key: value for key, value in wire.items() if key != old}
    return rest | {"type": "image", "image": {"type": source, source: wire[old]}}, {f"image.{source}": old}


def _conflicts(video: AvatarVideo | ImageVideo) -> Iterator[Fault]:
    """What no field can say alone."""
    if sum(getattr(video, key) is not None for key in SPEECH_SOURCES) != 1:
        yield Fault("Exactly one of 'script', 'audio_url' or 'audio_asset_id' must be provided.", "script")
    # A look may have a voice of its own, a picture has none.
    if isinstance(video, ImageVideo) and video.script is not None and video.voice_id is None:
        yield Fault("'voice_id' is required with 'script'.", "voice_id")
    if isinstance(video.background, ImageBackground) and not (video.background.url is None) ^ (
        video.background.asset_id is None
    ):
        yield Fault(
            "Exactly one of 'background.url' or 'background.asset_id' must be provided.", "background"
        )
    if video.output_format == "webm" and video.background is not None:
        yield Fault("'background' cannot be used with the output format 'webm'.", "background")
    if isinstance(video, AvatarVideo):
        yield from _engine_conflicts(video)
    yield from _voice_conflicts(video.voice_settings)


def _engine_conflicts(video: AvatarVideo) -> Iterator[Fault]:
    engine = video.engine.type if video.engine else "avatar_iv"
    if video.expressiveness is not None and engine != "avatar_iv":
        yield Fault(f"'expressiveness' cannot be used with the engine '{engine}'.", "expressiveness")
    if video.motion_prompt is not None and engine == "avatar_iii":
        yield Fault(f"'motion_prompt' cannot be used with the engine '{engine}'.", "motion_prompt")
    if video.engine and video.engine.reference_look_id is not None and engine != "avatar_v":
        path = "engine.reference_look_id"
        yield Fault(f"'{path}' cannot be used with the engine '{engine}'.", path)


def _voice_conflicts(voice: VoiceSettings | None) -> Iterator[Fault]:
    settings = voice.engine_settings if voice else None
    if not isinstance(settings, ElevenLabsSettings) or settings.model != "eleven_v3":
        return
    if settings.stability not in {None, 0, 0.5, 1}:
        path = "voice_settings.engine_settings.stability"
        yield Fault(f"'{path}' must be 0, 0.5 or 1 with the model 'eleven_v3'.", path)


def _assets(video: AvatarVideo | ImageVideo) -> Iterator[tuple[str, str]]:
    for path, picture in _pictures(video, StoredAsset):
        yield f"{path}.asset_id", picture.asset_id
    if isinstance(video.background, ImageBackground) and video.background.asset_id is not None:
        yield "background.asset_id", video.background.asset_id
    if video.audio_asset_id is not None:
        yield "audio_asset_id", video.audio_asset_id


def _pictures(video: AvatarVideo | ImageVideo, kind: type[Picture]) -> Iterator[tuple[str, Picture]]:
    if isinstance(video, ImageVideo) and isinstance(video.image, kind):
        yield "image", video.image
    if video.watermark is not None and isinstance(video.watermark.image, kind):
        yield "watermark.image", video.watermark.image


def _upstream(
    wire: dict[str, Any], video: AvatarVideo | ImageVideo, inline: tuple[tuple[str, InlineAsset], ...]
) -> dict[str, Any]:
    """The caller's own words, for the models change no value; HeyGen may know more of them than we do."""
    body = {key: value for key, value in wire.items() if key not in KEPT_BACK}
    if video.enable_caption:
        body.setdefault("caption", {"file_format": "srt"})
    for path, _ in inline:
        parent, _, key = path.rpartition(".")
        del (body[parent] if parent else body)[key]
    return body
