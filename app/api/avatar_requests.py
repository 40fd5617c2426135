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
from app.errors import Fault, InvalidParameter


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
    wire["type"] = kind
    if "file" in KINDS[kind].model_fields and "file" not in wire:
        raise _without_file(KINDS[kind], wire)
    return validate(KINDS[kind], wire, allow_private=allow_private)


def _without_file(model: type[WireModel], wire: Mapping[str, Any]) -> InvalidParameter:
    """What is said of a body without `file`: HeyGen's words and its name for the field, and all else that is wrong."""
    message = "At least one file source is required: provide 'file'."
    try:
        validate(model, wire)
    except InvalidParameter as error:
        others = tuple(fault for fault in error.errors if fault.path != "file")
        errors = (Fault(message, "file"), *others) if others else ()
        return InvalidParameter(message, param="files", errors=errors)
    raise AssertionError("a file is required")


def parse_change(body: Mapping[str, Any]) -> LookChange:
    """The new name in `body`. Raises InvalidParameter."""
    return validate(LookChange, without_nulls(body))


def parse_consent(body: Mapping[str, Any], *, allow_private: bool = False) -> ConsentRequest:
    """The request in `body`. Raises InvalidParameter."""
    return validate(ConsentRequest, without_nulls(body), allow_private=allow_private)
