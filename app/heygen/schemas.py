"""What HeyGen answers, read with patience: its API grows, so only an id is ever required.

A field that is missing, null or of the wrong type reads as None, an unknown status word as "running".
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Self

from app.heygen.fields import (
    Unreadable,
    instant_of,
    list_of,
    number_of,
    object_of,
    required_text,
    text_of,
    whole_of,
)


@dataclass(frozen=True, slots=True)
class Account:
    """The account behind the key; `balance` is the wallet's, None where HeyGen bills another way."""

    username: str
    email: str | None
    first_name: str | None
    last_name: str | None
    balance: float | None
    simulated: bool
    raw: Mapping[str, Any]

    @classmethod
    def of(cls, data: Mapping[str, Any], *, simulated: bool) -> Self:
        """Raises Unreadable when there is no username."""
        return cls(
            username=required_text(data, "username"),
            email=text_of(data, "email"),
            first_name=text_of(data, "first_name"),
            last_name=text_of(data, "last_name"),
            balance=number_of(object_of(data, "wallet"), "remaining_balance"),
            simulated=simulated,
            raw=data,
        )


@dataclass(frozen=True, slots=True)
class Created:
    """What a create made: a video's id, or a look's with its group."""

    id: str
    group_id: str | None
    status: str | None
    raw: Mapping[str, Any]

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Self:
        """Raises Unreadable when there is no id; HeyGen allows itself a null `avatar_item`."""
        if "video_id" in data:
            return cls(required_text(data, "video_id"), None, text_of(data, "status"), data)
        look, group = object_of(data, "avatar_item"), object_of(data, "avatar_group")
        return cls(
            required_text(look, "id"),
            text_of(look, "group_id") or text_of(group, "id"),
            text_of(look, "status"),
            data,
        )


@dataclass(frozen=True, slots=True)
class Video:
    """One video; `status` is HeyGen's own word and `duration` is in seconds. Its links expire: never store them."""

    id: str
    title: str | None
    status: str
    video_url: str | None
    captioned_video_url: str | None
    subtitle_url: str | None
    thumbnail_url: str | None
    gif_url: str | None
    duration: float | None
    failure_code: str | None
    failure_message: str | None
    created_at: datetime | None
    completed_at: datetime | None
    raw: Mapping[str, Any]

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Self:
        """Raises Unreadable when there is no id."""
        error = object_of(data, "error")
        return cls(
            id=required_text(data, "id"),
            title=text_of(data, "title"),
            status=text_of(data, "status") or "",
            video_url=text_of(data, "video_url"),
            captioned_video_url=text_of(data, "captioned_video_url"),
            subtitle_url=text_of(data, "subtitle_url"),
            thumbnail_url=text_of(data, "thumbnail_url"),
            gif_url=text_of(data, "gif_url"),
            duration=number_of(data, "duration"),
            failure_code=text_of(data, "failure_code") or text_of(error, "code"),
            failure_message=text_of(data, "failure_message") or text_of(error, "message"),
            created_at=instant_of(data, "created_at"),
            completed_at=instant_of(data, "completed_at"),
            raw=data,
        )


@dataclass(frozen=True, slots=True)
class Look:
    """One appearance of an avatar; `status` is None for public looks, which are always ready."""

    id: str
    name: str | None
    status: str | None
    error_code: str | None
    error_message: str | None
    group_id: str | None
    preview_image_url: str | None
    preview_video_url: str | None
    width: int | None
    height: int | None
    default_voice_id: str | None
    supported_api_engines: tuple[str, ...]
    raw: Mapping[str, Any]

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Self:
        """Raises Unreadable when there is no id."""
        error = object_of(data, "error")
        engines = data.get("supported_api_engines")
        return cls(
            id=required_text(data, "id"),
            name=text_of(data, "name"),
            status=text_of(data, "status"),
            error_code=text_of(error, "code"),
            error_message=text_of(error, "message"),
            group_id=text_of(data, "group_id"),
            preview_image_url=text_of(data, "preview_image_url"),
            preview_video_url=text_of(data, "preview_video_url"),
            width=whole_of(data, "image_width"),
            height=whole_of(data, "image_height"),
            default_voice_id=text_of(data, "default_voice_id"),
            supported_api_engines=tuple(item for item in list_of(engines) if isinstance(item, str)),
            raw=data,
        )


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a list; `next_token` is None on the last. Items may be shared with other readers: never change one."""

    items: tuple[Mapping[str, Any], ...]
    next_token: str | None

    @classmethod
    def of(cls, payload: Mapping[str, Any]) -> Self:
        """Raises Unreadable when `data` is no list: an unreadable page must never pass for an empty one."""
        items = payload.get("data")
        if not isinstance(items, list):
            raise Unreadable("data is no list")
        more = payload.get("has_more") is not False
        return cls(
            items=tuple(item for item in items if isinstance(item, Mapping)),
            next_token=text_of(payload, "next_token") if more else None,
        )


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A webhook endpoint; `events` None is every event, `secret` is told only by the create."""

    id: str
    url: str | None
    events: tuple[str, ...] | None
    status: str | None
    secret: str | None = field(repr=False)

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Self:
        """Raises Unreadable when there is no id."""
        events = data.get("events")
        return cls(
            id=required_text(data, "endpoint_id"),
            url=text_of(data, "url"),
            events=tuple(it for it in events if isinstance(it, str)) if isinstance(events, list) else None,
            status=text_of(data, "status"),
            secret=text_of(data, "secret"),
        )


VideoState = Literal["running", "completed", "failed", "gone"]
LookState = Literal["running", "ready", "failed"]


def video_state(status: str | None) -> VideoState:
    """What a video's status word means; a word we do not know means it is still running."""
    match (status or "").strip().lower():
        case "completed":
            return "completed"
        case "failed":
            return "failed"
        case "not_found":  # only in the bulk answer
            return "gone"
        case _:
            return "running"


def look_state(look: Look) -> LookState:
    """Whether a look can be used; a word we do not know, and a consent still owed, mean not yet."""
    match (look.status or "completed").strip().lower():
        case "completed":
            return "ready"
        case "failed":
            return "failed"
        case _:
            return "running"


def owes_consent(look: Look) -> bool:
    """Whether HeyGen makes nothing of a digital twin before whoever it shows has consented."""
    return (look.status or "").strip().lower() == "pending_consent"


def entries(payload: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """What a bulk answer tells of each thing; raises Unreadable when it holds no list."""
    data = payload.get("data")
    if isinstance(
        data, Mapping
    ):  # no page shows this answer whole, so a list inside an object is understood too
        data = next((value for value in data.values() if isinstance(value, list)), None)
    if not isinstance(data, list):
        raise Unreadable("data holds no list")
    return [entry for entry in data if isinstance(entry, Mapping)]


def statuses(payload: Mapping[str, Any]) -> dict[str, str]:
    """Video id → status word of a bulk answer; raises Unreadable when it holds no list."""
    return {
        video_id: text_of(entry, "status") or ""
        for entry in entries(payload)
        if (video_id := text_of(entry, "video_id") or text_of(entry, "id"))
    }


def asset_id(data: Mapping[str, Any]) -> str:
    """The id of an uploaded asset; raises Unreadable when there is none."""
    return required_text(data, "asset_id")


def is_private_voice(voice: Mapping[str, Any]) -> bool:
    """Whether HeyGen tells that a voice is private: one that is read singly has no type, and only clones have a status.

    Of a designed voice that is read singly it does not tell.
    """
    return bool(voice.get("status")) or voice.get("type") == "private"


def cloned_voice(data: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a clone is answered, its id under HeyGen's name for it; raises Unreadable where there is none."""
    return {**data, "voice_clone_id": text_of(data, "voice_clone_id") or required_text(data, "voice_id")}


def speech(data: Mapping[str, Any]) -> Mapping[str, Any]:
    """What speech is answered; raises Unreadable where there is no link to it."""
    required_text(data, "audio_url")
    return data
