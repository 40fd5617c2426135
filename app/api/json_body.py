"""JSON bodies: read strictly, compared by meaning. Bytes in, values out; only `read_json` touches the network."""

from __future__ import annotations

import asyncio
import hashlib
import json
import math
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NoReturn, TypeVar

from starlette.requests import Request

from app.errors import InvalidParameter

MAX_DEPTH = 32
MAX_VALUES = 250_000  # a batch of 1,000 large videos has a tenth of it
LARGE = 1_000_000  # bytes, which take some 20 ms
MAX_DIGITS = 4_300  # Python's own bound for turning text into an integer

# One after the other: each takes a second, and several times its size in memory.
_FOR_LARGE_BODIES = ThreadPoolExecutor(1, "large-body")

T = TypeVar("T")

# Strings as a whole, so that what is inside them is not counted. Possessive: no backtracking, whatever the input.
_TOKENS = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|[\[\]{},]', re.DOTALL)
_SUSPICIOUS_ESCAPE = re.compile(r"\\u(?:0000|d[89a-f])", re.IGNORECASE)
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


async def read_json(request: Request) -> dict[str, Any]:
    """The request's JSON object; its size is bounded by the middleware.

    Raises InvalidParameter for anything else.
    """
    return await read_as(request, lambda body: body)


async def read_as(request: Request, reckon: Callable[[dict[str, Any]], T]) -> T:
    """What comes of the request's JSON object; while a large one is worked on, other requests are answered.

    Raises InvalidParameter, and what `reckon` raises.
    """
    raw, content_type = bytearray(), request.headers.get("content-type")
    async for piece in request.stream():  # not `body`, which the request would keep
        raw += piece

    def work() -> T:
        body = parse_json_object(raw, content_type)
        raw.clear()
        return reckon(body)

    if len(raw) < LARGE:
        return work()
    return await asyncio.get_running_loop().run_in_executor(_FOR_LARGE_BODIES, work)


def parse_json_object(raw: bytes | bytearray, content_type: str | None) -> dict[str, Any]:
    """A JSON object of plain, storable values: finite numbers, no NUL, no half of a surrogate pair.

    Of a key that comes twice the last counts, as HeyGen's own client has it. Raises InvalidParameter.
    """
    _check_content_type(content_type)
    text = _decode(raw)
    _check_shape(text)
    try:
        value = json.loads(text, parse_constant=_refuse_constant, parse_float=_finite, parse_int=_integer)
    except json.JSONDecodeError as error:
        raise InvalidParameter(
            f"The body must be valid JSON: {error.msg} at line {error.lineno}, column {error.colno}."
        ) from None
    if not isinstance(value, dict):
        raise InvalidParameter("The body must be a JSON object.")
    if _SUSPICIOUS_ESCAPE.search(text):  # only an escape can bring them in: the text itself is strict UTF-8
        _check_strings(value)
    return value


def canonical(value: Any) -> bytes:
    """The same bytes for the same meaning: keys sorted, nulls dropped from objects, 1.0 as 1, digests of long strings."""
    return json.dumps(_plain(value), sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str) and len(value) > LARGE:
        # To write a file's base64 out again takes seconds in which nobody is answered. No other string begins like this.
        return f"\0{hashlib.sha256(value.encode()).hexdigest()}"
    return value


def _check_content_type(content_type: str | None) -> None:
    kind = (content_type or "").partition(";")[0].strip().lower()
    if kind != "application/json" and not re.fullmatch(r"application/[a-z0-9.-]+\+json", kind):
        raise InvalidParameter("'Content-Type' must be application/json.", param="Content-Type")


def _decode(raw: bytes | bytearray) -> str:
    if raw.startswith(b"\xef\xbb\xbf"):
        raise InvalidParameter("The body must not start with a byte-order mark.")
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise InvalidParameter(f"The body must be UTF-8: byte {error.start} is not.") from None


def _check_shape(text: str) -> None:
    """Bound depth and number of values before the parser builds anything."""
    opening = text.count("[") + text.count("{")
    if opening <= MAX_DEPTH and text.count(",") <= MAX_VALUES:
        return
    depth = values = 0
    for token in _TOKENS.finditer(text):
        mark = token.group()
        if mark in {"[", "{"}:
            depth += 1
        elif mark in {"]", "}"}:
            depth -= 1
        elif mark == ",":
            values += 1
        if depth > MAX_DEPTH:
            raise InvalidParameter(f"The body must be nested at most {MAX_DEPTH} levels deep.")
        if values > MAX_VALUES:
            raise InvalidParameter(f"The body must have at most {MAX_VALUES} values.")


def _check_strings(body: dict[str, Any]) -> None:
    pending: list[tuple[str, Any]] = [("", body)]
    while pending:
        path, value = pending.pop()
        if isinstance(value, dict):
            for key in value:
                _check_string(key, path, "A key of this object")
            pending.extend((f"{path}.{key}" if path else key, item) for key, item in value.items())
        elif isinstance(value, list):
            pending.extend((f"{path}.{index}", item) for index, item in enumerate(value))
        elif isinstance(value, str):
            _check_string(value, path, f"'{path}'")


def _check_string(text: str, path: str, name: str) -> None:
    found = _UNSTORABLE.search(text)
    if found is None:
        return
    what = "the character U+0000" if found.group() == "\x00" else "half of a surrogate pair"
    raise InvalidParameter(f"{name} must not contain {what}.", param=path or None)


def _refuse_constant(name: str) -> NoReturn:
    raise InvalidParameter(f"The body must be valid JSON: {name} is no JSON number.")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise InvalidParameter("The body must not have a number beyond the range of a double.")
    return number


def _integer(text: str) -> int:
    if len(text) > MAX_DIGITS:
        raise InvalidParameter(f"The body must not have an integer of more than {MAX_DIGITS} digits.")
    return int(text)
