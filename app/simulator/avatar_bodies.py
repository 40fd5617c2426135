"""Request bodies of `/v3/avatars` as HeyGen's schemas have them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from app.simulator.bodies import ADDRESS, PLAIN, AssetInput, Body, Text


class PhotoAvatar(Body):
    """`POST /v3/avatars` with `type: photo`."""

    type: Literal["photo"]
    name: Text
    file: AssetInput
    avatar_group_id: Text | None = None


class TwinAvatar(Body):
    """`POST /v3/avatars` with `type: digital_twin`."""

    type: Literal["digital_twin"]
    name: Text
    file: AssetInput
    avatar_group_id: Text | None = None


class PromptAvatar(Body):
    """`POST /v3/avatars` with `type: prompt`."""

    type: Literal["prompt"]
    name: Text
    prompt: Annotated[str, StringConstraints(min_length=1, max_length=1000)]
    reference_images: Annotated[list[AssetInput], Field(max_length=3)] | None = None
    avatar_group_id: Text | None = None
    avatar_id: Text | None = None


AvatarBody = PhotoAvatar | TwinAvatar | PromptAvatar
KINDS: dict[str, type[PhotoAvatar] | type[TwinAvatar] | type[PromptAvatar]] = {
    "photo": PhotoAvatar,
    "digital_twin": TwinAvatar,
    "prompt": PromptAvatar,
}


class LookPatch(Body):
    """`PATCH /v3/avatars/looks/{id}`."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=255)]


class ConsentRequest(Body):
    """`POST /v3/avatars/{group_id}/consent`."""

    reroute_url: Annotated[str, StringConstraints(pattern=ADDRESS)] | None = None
    consent_text: Annotated[str, StringConstraints(max_length=1000, pattern=PLAIN)] | None = None
    consent_video: AssetInput | None = None
