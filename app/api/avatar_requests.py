"""`/v3/avatars`: from HeyGen's wire bodies to what the routes need."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from app.api.file_inputs import ImageInput, VideoInput
from app.api.requests import (
    CallbackUrl,
    Identifier,
    LookOptions,
    Name,
    WireModel,
    broken,
    validate,
    without_nulls,
)
from app.errors import InvalidParameter


def _plain(text: str) -> str:
    if re.search(r"[<>]", text):
        raise broken("must not contain < or >.")
    return text


class Wanted(WireModel):
    """What every wish for a look has: it joins an existing group, or begins a new one."""

    name: Name
    avatar_group_id: Identifier | None = None
    test: bool = False
    greenroom: LookOptions = LookOptions()


class PhotoAvatar(Wanted):
    """A photo that shall become a look."""

    type: Literal["photo"]
    file: ImageInput


class TwinAvatar(Wanted):
    """Footage of a person that shall become their digital twin."""

    type: Literal["digital_twin"]
    file: VideoInput


class PromptAvatar(Wanted):
    """Words that shall become a look, with pictures and an avatar for it to resemble."""

    type: Literal["prompt"]
    prompt: Annotated[str, Field(min_length=1, max_length=1_000)]
    reference_images: Annotated[list[ImageInput], Field(max_length=3)] = Field(default_factory=list)
    avatar_id: Identifier | None = None


AvatarRequest = PhotoAvatar | TwinAvatar | PromptAvatar
KINDS: Mapping[str, type[PhotoAvatar] | type[TwinAvatar] | type[PromptAvatar]] = {
    "photo": PhotoAvatar,
    "prompt": PromptAvatar,
    "digital_twin": TwinAvatar,
}
OLDER_NAMES = {"video": "digital_twin"}


class LookChange(WireModel):
    """`PATCH /v3/avatars/looks/{id}`."""

    name: Name


class ConsentRequest(WireModel):
    """`POST /v3/avatars/{group}/consent`; nothing in it is required."""

    reroute_url: CallbackUrl | None = None
    consent_text: (
        Annotated[
            str,
            Field(max_length=1_000, json_schema_extra={"pattern": "^[^<>]*$"}),
            AfterValidator(_plain),
        ]
        | None
    ) = None
    consent_video: VideoInput | None = None


def parse_avatar(body: Mapping[str, Any], *, allow_private: bool = False) -> AvatarRequest:
    """The request in `body`; an explicit null counts as omitted. Raises InvalidParameter."""
    wire = without_nulls(body)
    kind = wire.get("type")
    if kind is None:
        raise InvalidParameter("'type' is required.", param="type")
    kind = OLDER_NAMES.get(kind, kind) if isinstance(kind, str) else ""
    if kind not in KINDS:
        raise InvalidParameter(
            f"'type' must be one of {', '.join(repr(known) for known in KINDS)}.", param="type"
        )
    if "file" in KINDS[kind].model_fields and "file" not in wire:
        # HeyGen's words, and its name for the field.
        raise InvalidParameter("At least one file source is required: provide 'file'.", param="files")
    return validate(KINDS[kind], wire | {"type": kind}, allow_private=allow_private)


def parse_change(body: Mapping[str, Any]) -> LookChange:
    """The new name in `body`. Raises InvalidParameter."""
    return validate(LookChange, without_nulls(body))


def parse_consent(body: Mapping[str, Any], *, allow_private: bool = False) -> ConsentRequest:
    """The request in `body`. Raises InvalidParameter."""
    return validate(ConsentRequest, without_nulls(body), allow_private=allow_private)
