"""The bodies of what makes and uses voices."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field

from app.api.file_inputs import InlineAsset, StoredAsset, UrlAsset, usual_type
from app.api.requests import Between, Identifier, Integer, WireModel, broken, validate, without_nulls

_Wire = TypeVar("_Wire", bound=WireModel)


def _spoken(text: str) -> str:
    if not text.strip():
        raise broken("must not be blank.")
    return text


Word = Annotated[str, Field(min_length=1, max_length=100)]


class VoiceDesign(WireModel):
    """A description to find, or make, up to three voices by; other seeds give other ones."""

    prompt: Annotated[str, Field(min_length=1, max_length=1_000), AfterValidator(_spoken)]
    gender: Word | None = None
    locale: Word | None = None
    seed: Annotated[Integer, Field(ge=0)] | None = None


class InlineRecording(InlineAsset):
    media_type: Annotated[
        Literal["audio/mpeg", "audio/wav", "video/mp4", "video/webm"], BeforeValidator(usual_type)
    ]


class VoiceClone(WireModel):
    """A recording to make a voice of."""

    audio: Annotated[UrlAsset | StoredAsset | InlineRecording, Field(discriminator="type")]
    voice_name: Annotated[str, Field(min_length=1, max_length=100), AfterValidator(_spoken)]
    language: Word | None = None
    remove_background_noise: bool | None = None


class Speech(WireModel):
    """A text to be spoken; HeyGen counts characters, which are code points here."""

    text: Annotated[str, Field(min_length=1, max_length=5_000), AfterValidator(_spoken)]
    voice_id: Identifier
    input_type: Word | None = None
    speed: Annotated[float, Between(0.5, 2)] | None = None
    language: Word | None = None
    locale: Word | None = None


def parse(
    model: type[_Wire],
    body: Mapping[str, Any],
    forward_fields: frozenset[str],
    *,
    allow_private: bool = False,
) -> tuple[_Wire, dict[str, Any]]:
    """The request in `body`, and HeyGen's own body; `forward_fields` are passed on unread. Raises InvalidParameter."""
    wire = without_nulls(body)
    forwarded = {
        key: value for key, value in wire.items() if key in forward_fields and key not in model.model_fields
    }
    known = {key: value for key, value in wire.items() if key not in forwarded}
    return validate(model, known, allow_private=allow_private), wire
