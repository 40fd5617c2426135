"""What HeyGen answers, read with patience: its API grows, so only an id is ever required.

A field that is missing, null or of the wrong type reads as None, an unknown status word as "running".
"""

import json
import math
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, Self

# HeyGen states no length for titles and names. The token stands at the end, the first part to be lost if HeyGen
# cuts one, so we stay within what an ordinary text column holds.
TITLE_LIMIT = 255

_TOKEN = re.compile(r" ?\[gr:([0-9a-f]{32})\]\Z")
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


class Unreadable(ValueError):
    """An answer lacks what nothing can be done without."""


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
            username=_required(data, "username"),
            email=_text(data, "email"),
            first_name=_text(data, "first_name"),
            last_name=_text(data, "last_name"),
            balance=_number(_inner(data, "wallet"), "remaining_balance"),
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
            return cls(_required(data, "video_id"), None, _text(data, "status"), data)
        look, group = _inner(data, "avatar_item"), _inner(data, "avatar_group")
        return cls(
            _required(look, "id"), _text(look, "group_id") or _text(group, "id"), _text(look, "status"), data
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
        error = _inner(data, "error")
        return cls(
            id=_required(data, "id"),
            title=_text(data, "title"),
            status=_text(data, "status") or "",
            video_url=_text(data, "video_url"),
            captioned_video_url=_text(data, "captioned_video_url"),
            subtitle_url=_text(data, "subtitle_url"),
            thumbnail_url=_text(data, "thumbnail_url"),
            gif_url=_text(data, "gif_url"),
            duration=_number(data, "duration"),
            failure_code=_text(data, "failure_code") or _text(error, "code"),
            failure_message=_text(data, "failure_message") or _text(error, "message"),
            created_at=_instant(data, "created_at"),
            completed_at=_instant(data, "completed_at"),
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
        error = _inner(data, "error")
        engines = data.get("supported_api_engines")
        return cls(
            id=_required(data, "id"),
            name=_text(data, "name"),
            status=_text(data, "status"),
            error_code=_text(error, "code"),
            error_message=_text(error, "message"),
            group_id=_text(data, "group_id"),
            preview_image_url=_text(data, "preview_image_url"),
            preview_video_url=_text(data, "preview_video_url"),
            width=_whole(data, "image_width"),
            height=_whole(data, "image_height"),
            default_voice_id=_text(data, "default_voice_id"),
            supported_api_engines=tuple(item for item in _list(engines) if isinstance(item, str)),
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
            next_token=_text(payload, "next_token") if more else None,
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


def statuses(payload: Mapping[str, Any]) -> dict[str, str]:
    """Video id → status word of a bulk answer; raises Unreadable when it holds no list."""
    data = payload.get("data")
    if isinstance(
        data, Mapping
    ):  # no page shows this answer whole, so a list inside an object is understood too
        data = next((value for value in data.values() if isinstance(value, list)), None)
    if not isinstance(data, list):
        raise Unreadable("data holds no list")
    entries = [entry for entry in data if isinstance(entry, Mapping)]
    return {
        video_id: _text(entry, "status") or ""
        for entry in entries
        if (video_id := _text(entry, "video_id") or _text(entry, "id"))
    }


def asset_id(data: Mapping[str, Any]) -> str:
    """The id of an uploaded asset; raises Unreadable when there is none."""
    return _required(data, "asset_id")


def decode(body: bytes) -> Any:
    """The JSON value in `body`, safe to store and to send on; raises ValueError for anything else.

    NUL (PostgreSQL refuses it), half a surrogate pair (no UTF-8 for it: what is left when JavaScript cuts an emoji in
    two) become U+FFFD; NaN and infinities, which JSON does not know, become None.
    """
    try:
        value = json.loads(
            body.decode("utf-8-sig", "replace"), parse_float=_finite, parse_constant=lambda _: None
        )
        return _storable(value) if b"\\u" in body else value
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def with_token(title: str | None, token: str, limit: int = TITLE_LIMIT) -> str:
    """The title with our token at its end, the title cut so that all is at most `limit` code points.

    `token` is 32 lower-case hex digits; anything else raises ValueError, since it could never be found again.
    """
    if not re.fullmatch(r"[0-9a-f]{32}", token):
        raise ValueError("token: 32 lower-case hex digits are needed")
    mark = f"[gr:{token}]"
    return f"{_cut(title, limit - len(mark) - 1)} {mark}" if title else mark


def token_of(title: str | None) -> str | None:
    """The token at the end of a title or name, or None."""
    found = _TOKEN.search((title or "").rstrip())
    return found[1] if found else None


def without_token(title: str) -> str:
    """The title or name as its owner wrote it; one without a token stays as it is."""
    return _TOKEN.sub("", title.rstrip()) if token_of(title) else title


def _cut(text: str, length: int) -> str:
    """At most `length` code points, not ending within a joined character where the text goes on."""
    end = min(max(length, 0), len(text))
    while 0 < end < len(text) and (_joins(text[end]) or text[end - 1] == "\u200d"):
        end -= 1
    return text[:end]


def _joins(character: str) -> bool:
    return character == "\u200d" or unicodedata.category(character) in {"Mn", "Mc", "Me"}


def _required(data: Mapping[str, Any], name: str) -> str:
    text = _text(data, name)
    if text is None:
        raise Unreadable(f"{name} is missing")
    return text


def _text(data: Mapping[str, Any], name: str) -> str | None:
    """A text, or a small whole number as one (codes of v1 are numbers); empty means none."""
    value = data.get(name)
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**18:
        return str(value)
    return value if isinstance(value, str) and value else None


def _number(data: Mapping[str, Any], name: str) -> float | None:
    value = data.get(name)
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _whole(data: Mapping[str, Any], name: str) -> int | None:
    number = _number(data, name)
    return int(number) if number is not None else None


def _instant(data: Mapping[str, Any], name: str) -> datetime | None:
    """Unix seconds, as v3 gives them, or an ISO 8601 text, as v2 did."""
    seconds = _number(data, name)
    try:
        if seconds is not None:
            return datetime.fromtimestamp(seconds, UTC)
        at = datetime.fromisoformat(_text(data, name) or "")
        return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _inner(data: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = data.get(name)
    return value if isinstance(value, Mapping) else {}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _finite(text: str) -> float | None:
    number = float(text)
    return number if math.isfinite(number) else None


def _storable(value: Any) -> Any:
    match value:
        case str():
            return _UNSTORABLE.sub("\ufffd", value)
        case list():
            return [_storable(item) for item in value]
        case dict():
            return {_storable(name): _storable(item) for name, item in value.items()}
        case _:
            return value


def is_private_voice(voice: Mapping[str, Any]) -> bool:
    """Whether a voice is somebody's clone: one that is read singly has no type, and only clones have a status."""
    return bool(voice.get("status")) or voice.get("type") == "private"
