"""How answers leave: HeyGen's envelopes around data, pages and errors, and the cursors between pages."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, NamedTuple

from pydantic import WithJsonSchema
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from app.errors import ApiError, InvalidParameter, envelope

# A limit arrives as text: what is wrong with it is told in HeyGen's words, not in the framework's.
Limit50 = Annotated[str | None, WithJsonSchema({"type": "integer", "minimum": 1, "maximum": 50})]
Limit100 = Annotated[str | None, WithJsonSchema({"type": "integer", "minimum": 1, "maximum": 100})]

Ids = Annotated[list[str] | None, WithJsonSchema({"type": "array", "items": {"type": "string"}})]
SEVERAL = frozenset({"asset_ids", "batch_ids", "video_ids"})
"""The query parameters that may come several times."""

_SIGNATURE = 16  # bytes of the HMAC that a cursor carries


class Cursor(NamedTuple):
    """Where the next page of a list begins: in which phase of it, after which item."""

    phase: str
    last_id: str


def data(value: Any, *, status: int = 200, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """One thing: `{"data": …}`."""
    return JSONResponse({"data": value}, status, headers=headers)


def data_bytes(value: Any) -> bytes:
    """The body of `data`, for an answer that is kept to be given again."""
    return bytes(JSONResponse({"data": value}).body)


def page(items: Sequence[Any], next_token: str | None) -> JSONResponse:
    """A page of a list: the cursor stands beside `data`, as HeyGen has it."""
    return JSONResponse({"data": list(items), "has_more": next_token is not None, "next_token": next_token})


def read_limit(text: str | None, *, default: int, most: int) -> int:
    """The query parameter `limit`; raises InvalidParameter in HeyGen's words."""
    if text is None:
        return default
    if text.isascii() and text.isdigit() and len(text) <= 9 and 1 <= int(text) <= most:
        return int(text)
    raise InvalidParameter(f"'limit' must be between 1 and {most}.", param="limit")


def sign_cursor(keys: Sequence[bytes], phase: str, last_id: str, *, scope: str = "") -> str:
    """An opaque, signed cursor; `keys` are newest first. `scope` says whose list it belongs to and stays outside."""
    content = json.dumps([phase, last_id], separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(_sign(keys[0], scope, content) + content).decode().rstrip("=")


def read_cursor(keys: Sequence[bytes], token: str, *, scope: str = "") -> Cursor:
    """What `sign_cursor` put into the token, with any of the keys and the same scope.

    Raises InvalidParameter for anything else, a cursor of another caller or another list too.
    """
    try:
        raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except ValueError:
        raw = b""
    signature, content = raw[:_SIGNATURE], raw[_SIGNATURE:]
    if not any(hmac.compare_digest(signature, _sign(key, scope, content)) for key in keys):
        raise InvalidParameter("'token' must be the next_token of an earlier page.", param="token")
    return Cursor(*json.loads(content))


def read_ids(given: Sequence[str] | None) -> list[str]:
    """Those of a query parameter that may come several times, with commas inside; each once."""
    return list(dict.fromkeys(one for some in given or () for one in some.split(",") if one))


def error_answer(error: ApiError, scope: Scope) -> JSONResponse:
    """The answer for `error`, with the id that the middleware gave this request."""
    request_id = scope.get("state", {}).get("request_id")
    return JSONResponse(envelope(error, request_id), error.status, headers=error.headers)


async def answer_error(error: ApiError, scope: Scope, receive: Receive, send: Send) -> None:
    """Send that answer from a place that has no framework around it."""
    await error_answer(error, scope)(scope, receive, send)


def _sign(key: bytes, scope: str, content: bytes) -> bytes:
    # Scope and content are told apart by the length of the scope's digest.
    return hmac.digest(key, hashlib.sha256(scope.encode()).digest() + content, "sha256")[:_SIGNATURE]
