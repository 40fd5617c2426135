"""Files as answers: whole or one range of them, from our storage or streamed through from HeyGen's host."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import NamedTuple

import httpx
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from app.api.video_answers import matches
from app.context import Context
from app.errors import ApiError, NotFound, Unavailable
from app.remote_files import FileUnavailable, open_file, pieces

_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})", re.ASCII)
GONE = frozenset({401, 403, 404, 410})
"""What a host answers to a fresh link of a file that it no longer has."""


class RangeNotSatisfiable(ApiError):
    """The file has no such part."""

    status = 416
    default_code = "invalid_parameter"


class Range(NamedTuple):
    """A part of a file: from `start` up to, not including, `end`."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Described:
    """What the headers say of a file."""

    media_type: str
    filename: str
    etag: str

    def headers(self) -> dict[str, str]:
        """Those of every answer with this file."""
        return {
            "Content-Type": self.media_type,
            "Content-Disposition": f'inline; filename="{self.filename}"',
            "ETag": self.etag,
            "Accept-Ranges": "bytes",
            "Cache-Control": "private, max-age=3600",
            "X-Content-Type-Options": "nosniff",
        }


Describe = Callable[[str | None], Described]
"""A file's description, given the type that its host or our table tells of it."""


def parse_range(header: str | None, size: int) -> Range | None:
    """The one range asked for; None for the whole file, which several or unreadable ones get too.

    Raises RangeNotSatisfiable (RFC 9110 §14.1.2, §15.5.17).
    """
    found = _RANGE.fullmatch(header.replace(" ", "").lower()) if header else None
    if found is None or found.groups() == ("", ""):
        return None
    first, last = found.groups()
    if first:
        start, end = int(first), min(int(last) + 1, size) if last else size
        if last and int(last) < int(first):
            return None
    else:
        start, end = max(size - int(last), 0), size
    if start >= size:
        raise RangeNotSatisfiable(
            f"The file has {size} bytes.", param="Range", headers={"Content-Range": f"bytes */{size}"}
        )
    return Range(start, end)


async def from_storage(ctx: Context, request: Request, key: str, file: Described) -> Response | None:
    """The stored file, or the part asked for; None where the storage does not have it."""
    size = await ctx.storage.size(key)
    if size is None:
        return None
    headers = file.headers()
    if matches(request.headers.get("if-none-match", ""), file.etag):
        return Response(status_code=304, headers=headers)
    wanted = parse_range(_range_header(request, file), size)
    part = wanted or Range(0, size)
    headers["Content-Length"] = str(part.end - part.start)
    if wanted is not None:
        headers["Content-Range"] = f"bytes {part.start}-{part.end - 1}/{size}"
    status = 200 if wanted is None else 206
    if request.method == "HEAD":
        return Response(status_code=status, headers=headers)
    return StreamingResponse(ctx.storage.read(key, part.start, part.end), status, headers)


async def from_heygen(ctx: Context, request: Request, url: str, describe: Describe) -> Response:
    """The file at one of HeyGen's links, as it comes; raises NotFound where it is gone, and Unavailable."""
    asked = _range_header(request, describe(None))
    stack = AsyncExitStack()
    try:
        # One range only, so that the host's answer cannot be of several parts.
        headers = {"Range": asked} if asked and _RANGE.fullmatch(asked) else None
        upstream = await stack.enter_async_context(open_file(ctx.files, url, headers))
    except FileUnavailable as error:
        if error.http_status in GONE:
            raise gone() from error
        if error.http_status == RangeNotSatisfiable.status:
            raise RangeNotSatisfiable("The file has no such part.", param="Range") from error
        raise Unavailable("HeyGen's file host does not answer now.", retry_after=5) from error
    answer_headers = describe(upstream.headers.get("content-type")).headers() | _told(upstream)
    if request.method == "HEAD":
        await stack.aclose()
        return Response(status_code=upstream.status_code, headers=answer_headers)
    return _Through(upstream, stack, answer_headers)


def gone() -> NotFound:
    """Neither we nor HeyGen have the file."""
    return NotFound("This file is not available.", code="asset_not_available")


class _Through(StreamingResponse):
    """Gives the connection back however the answer ends, before its first byte too."""

    def __init__(self, upstream: httpx.Response, stack: AsyncExitStack, headers: Mapping[str, str]) -> None:
        super().__init__(pieces(upstream), upstream.status_code, headers)
        self._stack = stack

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self._stack.aclose()


def _told(upstream: httpx.Response) -> dict[str, str]:
    """What the host says of the bytes it sends; its name and its cookies are not passed on."""
    passed_on = ("Content-Length", "Content-Range", "Content-Encoding")
    return {name: upstream.headers[name] for name in passed_on if name in upstream.headers}


def _range_header(request: Request, file: Described) -> str | None:
    """The range, unless it was meant for another version of the file (RFC 9110 §13.1.5)."""
    if request.headers.get("if-range", file.etag) != file.etag:
        return None
    return request.headers.get("range")
