"""How many bytes a request may bring, in its headers and in its body, and how slowly; counted as they arrive.

The server in front of us limits nothing, and a length that a client declares proves nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.answers import answer_error
from app.errors import ApiError, HeadTooLarge, InvalidParameter, PayloadTooLarge, RateLimited, TooSlow

KB = 1024
MB = 1024 * KB

DEFAULT_LIMIT = 256 * KB
INLINE = 135 * MB  # 100 MB of files in base64, and room for the rest
# A path that ends in a slash stands for everything below it, a star for an id.
LIMITS: Mapping[str, int] = {
    "/v3/videos": INLINE,
    "/v3/estimates": 2 * MB,
    "/v3/videos/batches": 16 * MB,
    "/v3/avatars": INLINE,
    "/v3/avatars/*/consent": INLINE,
    "/v3/assets": 101 * MB,  # 100 MB of video, and room for the multipart form around it
    "/v3/assets/*/upload": 101 * MB,
    "/v3/voices/clone": INLINE,
    "/callbacks/": 64 * KB,
}

# All bodies but these are held in memory while they are worked on: beyond a megabyte each they have so much together.
STREAMED = ("/v3/assets", "/v3/assets/*/upload")
SMALL = MB
ROOM = 2 * INLINE
RETRY_SECONDS = 5

MOST_HEADERS = 100
HEAD_LIMIT = 32 * KB

# A client may make us wait for so long in all. What arrives gives it back, a second for each kilobyte: a slow line may
# take hours for a video, a line that stands still or sends a byte now and then may not.
PATIENCE_SECONDS = 30.0
SLOWEST = 1 * KB  # bytes a second

# A client that is cut off while it still writes sees a reset, not the answer: so read on for a while. Many write all of
# a film that is far too large before they read a word.
DRAIN_BYTES = 1024 * MB
DRAIN_SECONDS = 30.0


class BodyLimits:
    """ASGI middleware: refuses what is too large, too slow or encoded, so that the client sees why."""

    def __init__(
        self,
        app: ASGIApp,
        limits: Mapping[str, int] = LIMITS,
        drain_bytes: int = DRAIN_BYTES,
        drain_seconds: float = DRAIN_SECONDS,
        patience_seconds: float = PATIENCE_SECONDS,
        room: int = ROOM,
    ) -> None:
        self.app = app
        self.limits = limits
        self.drain_bytes = drain_bytes
        self.drain_seconds = drain_seconds
        self.patience_seconds = patience_seconds
        self.room = _Room(room)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        limit = limit_of(scope["path"], self.limits)
        headers = Headers(scope=scope)
        streamed = any(scope["path"] == pattern or _fits(scope["path"], pattern) for pattern in STREAMED)
        meter = _Meter(limit, self.patience_seconds, None if streamed else self.room, receive, send)
        try:
            refusal = _refusal(headers, limit) or await self._serve(scope, meter)
        finally:
            meter.leave()
        if refusal is None:
            return
        # A client that expects a word from us first has not begun to write; one that is too slow has been waited for.
        slow = isinstance(refusal, TooSlow)
        if not meter.finished and not slow and headers.get("expect", "").lower() != "100-continue":
            await self._drain(receive)
        refusal.headers["Connection"] = "close"
        await answer_error(refusal, scope, receive, send)

    async def _serve(self, scope: Scope, meter: _Meter) -> ApiError | None:
        try:
            await self.app(scope, meter.receive, meter.send)
        except Exception:
            if meter.refused is None or meter.answered:
                raise
        return None if meter.answered else meter.refused

    async def _drain(self, receive: Receive) -> None:
        left = self.drain_bytes
        with suppress(TimeoutError):
            async with asyncio.timeout(self.drain_seconds):
                while left > 0:
                    message = await receive()
                    if not message.get("more_body"):
                        return
                    left -= len(message["body"])


def limit_of(path: str, limits: Mapping[str, int] = LIMITS) -> int:
    """The limit in bytes of one path."""
    if path in limits:
        return limits[path]
    fitting = (limit for pattern, limit in limits.items() if _fits(path, pattern))
    return next(fitting, DEFAULT_LIMIT)


def _fits(path: str, pattern: str) -> bool:
    before, star, after = pattern.partition("*")
    if star:
        return path.startswith(before) and path.endswith(after) and "/" not in path[len(before) : -len(after)]
    return pattern.endswith("/") and path.startswith(pattern)


@dataclass
class _Room:
    """The bytes that may still be held in memory."""

    left: int


class _Meter:
    """Counts one request's body, and keeps back what the application says to a body cut short."""

    def __init__(self, limit: int, patience: float, room: _Room | None, receive: Receive, send: Send) -> None:
        self.refused: ApiError | None = None
        self.answered = False
        self.finished = False  # the whole body has arrived: another read would wait for the client to hang up
        self._left = limit
        self._limit = limit
        self._room = room
        self._held = 0
        self._patience = self._most_patience = patience
        self._receive = receive
        self._send = send

    async def receive(self) -> Message:
        if self.refused is not None:
            raise self.refused
        # Whoever waits after the body, or after the answer has begun, waits for the client to hang up.
        over = self.finished or self.answered
        message = await (self._receive() if over else self._receive_in_time())
        self.finished = not message.get("more_body")
        self._left -= len(message.get("body", b""))
        if self._left < 0:
            self.refused = _too_large(self._limit)
            raise self.refused
        self._hold(self._limit - self._left - SMALL)
        return message

    def leave(self) -> None:
        """Give back the room: the request is over."""
        if self._room is not None:
            self._room.left += self._held

    def _hold(self, size: int) -> None:
        if self._room is None or size <= self._held:
            return
        self._room.left -= size - self._held
        self._held = size
        if self._room.left < 0:
            self.refused = RateLimited(
                "Too many large requests are being read at once. Large files go to POST /v3/assets.",
                retry_after=RETRY_SECONDS,
            )
            raise self.refused

    async def _receive_in_time(self) -> Message:
        loop = asyncio.get_running_loop()
        asked = loop.time()
        try:
            async with asyncio.timeout(self._patience):
                message = await self._receive()
        except TimeoutError:
            self.refused = TooSlow()
            raise self.refused from None
        earned = len(message.get("body", b"")) / SLOWEST
        self._patience = min(self._most_patience, self._patience - (loop.time() - asked) + earned)
        return message

    async def send(self, message: Message) -> None:
        # The framework may have turned our exception into an answer of its own.
        if self.refused is None or self.answered:
            self.answered = True
            await self._send(message)


def _refusal(headers: Headers, limit: int) -> ApiError | None:
    if len(headers) > MOST_HEADERS or sum(len(name) + len(value) for name, value in headers.raw) > HEAD_LIMIT:
        return HeadTooLarge()
    if "transfer-encoding" in headers and "content-length" in headers:
        # A proxy in front of us may believe the other one, and take the rest of this body for a request.
        return InvalidParameter(
            "'Content-Length' must be absent where 'Transfer-Encoding' is sent.", param="Content-Length"
        )
    # A few compressed kilobytes may become gigabytes.
    if headers.get("content-encoding", "identity").strip().lower() != "identity":
        return InvalidParameter(
            "'Content-Encoding' must be absent: send the body as it is.", param="Content-Encoding"
        )
    declared = headers.get("content-length", "")
    if declared.isascii() and declared.isdigit() and int(declared[:20]) > limit:
        return _too_large(limit)
    return None


def _too_large(limit: int) -> PayloadTooLarge:
    size = f"{limit // MB} MB" if limit >= MB else f"{limit // KB} kB" if limit >= KB else f"{limit} bytes"
    return PayloadTooLarge(
        f"The request body must be at most {size} on this path. Large files go to POST /v3/assets."
    )
