"""Values of HeyGen's answers, read with patience: one that is missing, null or of the wrong type reads as None."""

import json
import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


class Unreadable(ValueError):
    """An answer lacks what nothing can be done without."""


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


def required_text(data: Mapping[str, Any], name: str) -> str:
    """A text that nothing can be done without; raises Unreadable."""
    text = text_of(data, name)
    if text is None:
        raise Unreadable(f"{name} is missing")
    return text


def text_of(data: Mapping[str, Any], name: str) -> str | None:
    """A text, or a small whole number as one (codes of v1 are numbers); empty means none."""
    value = data.get(name)
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**18:
        return str(value)
    return value if isinstance(value, str) and value else None


def number_of(data: Mapping[str, Any], name: str) -> float | None:
    """A finite number, or a text of one."""
    value = data.get(name)
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def whole_of(data: Mapping[str, Any], name: str) -> int | None:
    """A number without its fraction."""
    number = number_of(data, name)
    return int(number) if number is not None else None


def instant_of(data: Mapping[str, Any], name: str) -> datetime | None:
    """Unix seconds, as v3 gives them, or an ISO 8601 text, as v2 did."""
    seconds = number_of(data, name)
    try:
        if seconds is not None:
            return datetime.fromtimestamp(seconds, UTC)
        at = datetime.fromisoformat(text_of(data, name) or "")
        return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
    except (ValueError, OverflowError, OSError):
        return None


def object_of(data: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """An object; none reads as an empty one."""
    value = data.get(name)
    return value if isinstance(value, Mapping) else {}


def list_of(value: object) -> list[Any]:
    """A list; what is none reads as an empty one."""
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
