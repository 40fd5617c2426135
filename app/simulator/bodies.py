"""Request bodies as HeyGen's schemas have them: strict, unknown keys refused, null means omitted."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal, NoReturn, Self, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    StringConstraints,
    ValidationError,
    model_validator,
)
from pydantic_core import ErrorDetails, PydanticCustomError

from app.simulator.errors import Refused, invalid

T = TypeVar("T", bound=BaseModel)


def parse(content: bytes) -> dict[str, Any]:
    """The JSON object in a request. Raises Refused (400)."""
    try:
        data = json.loads(content, parse_constant=_no_constant)
        json.dumps(data, ensure_ascii=False).encode()  # half a surrogate pair cannot be stored
    except (ValueError, RecursionError):
        raise invalid(None, "The request body must be valid JSON.") from None
    if not isinstance(data, dict):
        raise invalid(None, "The request body must be a JSON object.")
    return data


def read(model: type[T], data: Mapping[str, Any]) -> T:
    """The body as this model. Raises Refused (400) that names the first field at fault."""
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise _refusal(error.errors(include_url=False)[0]) from None


def one_of(param: str, message: str) -> NoReturn:
    """Report a rule about several fields at one of them; for use inside a model."""
    raise PydanticCustomError("rule", "{message}", {"message": message, "param": param})


def between(low: float, high: float) -> AfterValidator:
    """A number in this range, ends included."""

    def check(value: float) -> float:
        if not low <= value <= high or math.isnan(value):
            raise PydanticCustomError(
                "between", "must be between {low} and {high}.", {"low": low, "high": high}
            )
        return value

    return AfterValidator(check)


Text = Annotated[str, StringConstraints(min_length=1)]
COLOR, ADDRESS, PLAIN = r"^#[0-9a-fA-F]{6}$", r"^https?://", r"^[^<>]*$"
_PATTERNS = {
    COLOR: "must be a color such as #1a2b3c.",
    ADDRESS: "must be an absolute URL.",
    PLAIN: "must not contain < or >.",
}
Share = Annotated[float, between(0, 1)]


class Body(BaseModel):
    """What every part of a request has in common."""

    model_config = ConfigDict(extra="forbid", strict=True)


class AssetInput(Body):
    """A file by link, by id, or in the body itself."""

    type: Literal["url", "asset_id", "base64"]
    url: Text | None = None
    asset_id: Text | None = None
    media_type: Text | None = None
    data: Text | None = None

    @model_validator(mode="after")
    def _fields_of_its_type(self) -> Self:
        wanted = {"url": {"url"}, "asset_id": {"asset_id"}, "base64": {"media_type", "data"}}[self.type]
        for name in ("url", "asset_id", "media_type", "data"):
            given = getattr(self, name) is not None
            if given and name not in wanted:
                one_of(name, f"'{name}' is not a known field of type '{self.type}'.")
            if not given and name in wanted:
                one_of(name, f"'{name}' is required.")
        return self


class EngineSettings(Body):
    """Settings of one speech engine."""

    engine_type: Literal["elevenlabs", "fish", "starfish"]
    model: str | None = None
    stability: Share | None = None
    similarity_boost: Share | None = None
    similarity: Share | None = None
    style: Share | None = None
    use_speaker_boost: bool | None = None

    @model_validator(mode="after")
    def _fields_of_its_engine(self) -> Self:
        known: dict[str, tuple[set[str], set[str]]] = {
            "elevenlabs": (
                {"eleven_multilingual_v2", "eleven_turbo_v2_5", "eleven_flash_v2_5", "eleven_v3"},
                {"stability", "similarity_boost", "style", "use_speaker_boost"},
            ),
            "fish": ({"s1", "s2-pro"}, {"stability", "similarity"}),
            "starfish": (set(), set()),
        }
        models, fields = known[self.engine_type]
        if self.model is not None and self.model not in models:
            one_of("model", f"'model' must be one of: {', '.join(sorted(models)) or 'none'}.")
        for name in type(self).model_fields.keys() - {"engine_type", "model"} - fields:
            if getattr(self, name) is not None:
                one_of(name, f"'{name}' is not a known field of engine '{self.engine_type}'.")
        if self.model == "eleven_v3" and self.stability not in {None, 0, 0.5, 1}:
            one_of("stability", "'stability' must be 0, 0.5 or 1 for 'eleven_v3'.")
        return self


class VoiceSettings(Body):
    """How the voice speaks."""

    speed: Annotated[float, between(0.5, 1.5)] | None = None
    pitch: Annotated[float, between(-50, 50)] | None = None
    volume: Share | None = None
    locale: Text | None = None
    engine_settings: EngineSettings | None = None


class Background(Body):
    """A colour or an image behind the person."""

    type: Literal["color", "image"]
    value: Annotated[str, StringConstraints(pattern=COLOR)] | None = None
    url: Text | None = None
    asset_id: Text | None = None

    @model_validator(mode="after")
    def _fields_of_its_type(self) -> Self:
        if self.type == "color" and self.value is None:
            one_of("value", "'value' is required.")
        if self.type == "color" and (self.url or self.asset_id):
            one_of("url" if self.url else "asset_id", "A color background takes only 'value'.")
        if self.type == "image" and self.value is not None:
            one_of("value", "'value' is not a known field of type 'image'.")
        if self.type == "image" and (self.url is None) == (self.asset_id is None):
            one_of("url", "Exactly one of 'url' or 'asset_id' is required.")
        return self


class Caption(Body):
    """Subtitles beside the video, and burned in where a style is named."""

    file_format: Literal["srt"] | None = None
    style: Literal["default"] | None = None


class Engine(Body):
    """Which generation of avatars renders."""

    type: Literal["avatar_iii", "avatar_iv", "avatar_v"]
    reference_look_id: Text | None = None

    @model_validator(mode="after")
    def _reference_only_for_v(self) -> Self:
        if self.reference_look_id is not None and self.type != "avatar_v":
            one_of("reference_look_id", "'reference_look_id' is only for 'avatar_v'.")
        return self


class Placement(Body):
    """Where a watermark sits."""

    position: Literal["top_left", "top_right", "bottom_left", "bottom_right"] | None = None
    offset_x: Annotated[float, between(-1, 1)] | None = None
    offset_y: Annotated[float, between(-1, 1)] | None = None


class Watermark(Body):
    """A picture over the video."""

    image: AssetInput
    scale: Annotated[float, between(1e-9, 2)] | None = None
    opacity: Share | None = None
    placement: Placement | None = None


class VideoBody(Body):
    """What the `avatar` and `image` kinds of a video share."""

    title: str | None = None
    script: Annotated[str, StringConstraints(min_length=1, max_length=5000)] | None = None
    voice_id: Text | None = None
    audio_url: Text | None = None
    audio_asset_id: Text | None = None
    voice_settings: VoiceSettings | None = None
    resolution: Literal["4k", "1080p", "720p"] | None = None
    aspect_ratio: Literal["16:9", "9:16", "4:5", "5:4", "1:1", "auto"] | None = None
    fit: Literal["contain", "cover"] | None = None
    background: Background | None = None
    remove_background: bool | None = None
    output_format: Literal["mp4", "webm"] | None = None
    caption: Caption | None = None
    motion_prompt: str | None = None
    expressiveness: Literal["high", "medium", "low"] | None = None
    watermark: Watermark | None = None
    callback_url: Text | None = None
    callback_id: str | None = None
    folder_id: str | None = None
    brand_glossary_id: str | None = None

    @model_validator(mode="after")
    def _one_voice_and_one_background(self) -> Self:
        if [self.script, self.audio_url, self.audio_asset_id].count(None) != 2:
            one_of("script", "Exactly one of 'script', 'audio_url' or 'audio_asset_id' is required.")
        if self.output_format == "webm" and self.background is not None:
            one_of("background", "'background' cannot be used with output_format 'webm'.")
        if self.callback_url is not None and not self.callback_url.startswith(("http://", "https://")):
            one_of("callback_url", "'callback_url' must be an absolute URL.")
        return self


class AvatarVideo(VideoBody):
    """`POST /v3/videos` with `type: avatar`."""

    type: Literal["avatar"]
    avatar_id: Text
    engine: Engine | None = None


class ImageVideo(VideoBody):
    """`POST /v3/videos` with `type: image`."""

    type: Literal["image"]
    image: AssetInput


def kind_of(data: Mapping[str, Any], kinds: Mapping[str, type[T]]) -> type[T]:
    """The model that the body's `type` names. Raises Refused (400)."""
    kind = data.get("type")
    if kind is None:
        raise invalid("type", "'type' is required.")
    if not isinstance(kind, str) or kind not in kinds:
        raise invalid("type", f"'type' must be one of: {', '.join(kinds)}.")
    return kinds[kind]


def _refusal(fault: ErrorDetails) -> Refused:
    context = fault.get("ctx", {})
    path = [str(part) for part in fault["loc"]]
    if fault["type"] == "rule":
        path.append(context["param"])
        return invalid(".".join(path), context["message"])
    param = ".".join(path)
    return invalid(param, f"'{param}' {_rule(fault['type'], context, fault['msg'])}")


def _rule(kind: str, context: Mapping[str, Any], message: str) -> str:
    match kind:
        case "missing":
            return "is required."
        case "extra_forbidden":
            return "is not a known field."
        case "literal_error":
            return f"must be one of: {context['expected'].replace(' or ', ', ')}."
        case "string_too_short":
            return "must not be empty."
        case "string_too_long":
            return f"must be at most {context['max_length']} characters."
        case "too_long":
            return f"must have at most {context['max_length']} items."
        case "string_pattern_mismatch":
            return _PATTERNS.get(context["pattern"], f"must match {context['pattern']}.")
        case "between":
            return message
        case _:
            return message.replace("Input should", "must") + "."


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)
