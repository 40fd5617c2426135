"""`POST /v3/avatars`: from HeyGen's wire body to what the route needs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from app.api.requests import (
    AssetInput,
    Identifier,
    LookOptions,
    Name,
    WireModel,
    validate,
    without_nulls,
)
from app.errors import InvalidParameter


class AvatarRequest(WireModel):
    """A photo that shall become a look, in an existing group or a new one."""

    type: Literal["photo"]
    name: Name
    file: AssetInput
    avatar_group_id: Identifier | None = None
    test: bool = False
    greenroom: LookOptions = LookOptions()


def parse_avatar(body: Mapping[str, Any]) -> AvatarRequest:
    """The request in `body`; an explicit null counts as omitted. Raises InvalidParameter."""
    wire = without_nulls(body)
    if wire.get("type") not in (None, "photo"):
        raise InvalidParameter("'type' must be 'photo': Greenroom makes photo avatars only.", param="type")
    return validate(AvatarRequest, wire)
