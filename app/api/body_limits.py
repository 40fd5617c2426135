"""How many bytes a request may bring, counted as they arrive.

The server in front of us limits nothing, and a length that a client declares proves nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.answers import answer_error
from app.errors import ApiError, InvalidParameter, PayloadTooLarge

KB = 1024
MB = 1024 * KB

DEFAULT_LIMIT = 256 * KB
# A path that ends in a slash stands for everything below it.
LIMITS: Mapping[str, int] = {
    "/v3/videos": 2 * MB,
    "/v3/estimates": 2 * MB,
    "/v3/videos/batches": 16 * MB,
    "/v3/avatars": 45 * MB,  # 32 MB of photo in base64, and room for the rest
    "/v3/assets": 101 * MB,  # 100 MB of video, and room for the multipart form around it
    "/callbacks/": 64 * KB,
}

# A client that is cut off while it still writes sees a reset, not the answer: so read on for a while.
DRAIN_BYTES = 64 * MB
DRAIN_SECONDS = 10.0


class BodyLimits:
    """ASGI middleware: refuses bodies that are too large or encoded, so that the client sees why."""

    def __init__(
        self,
        app: ASGIApp,
        limits: Mapping[str, int] = LIMITS,
        drain_bytes: int = DRAIN_BYTES,
        drain_seconds: float = DRAIN_SECONDS,
    ) -> None:
        self.app = app
        self.limits = limits
        self.drain_bytes = drain_bytes
        self.drain_seconds = drain_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        limit = limit_of(scope["path"], self.limits)
        headers = Headers(scope=scope)
        meter = _Meter(limit, receive, send)
        refusal = _refusal(headers, limit) or await self._serve(scope, meter)
        if refusal is None:
            return
        # A client that expects a word from us first has not begun to write.
        if not meter.finished and headers.get("expect", "").lower() != "100-continue":
            await self._drain(receive)
        refusal.headers["Connection"] = "close"
        await answer_error(refusal, scope, receive, send)

    async def _serve(self, scope: Scope, meter: _Meter) -> ApiError | None:
        try:
            await self.app(scope, meter.receive, meter.send)
        except Exception:
            if meter.exceeded is None or meter.answered:
                raise
        return None if meter.answered else meter.exceeded

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
    below = (limit for prefix, limit in limits.items() if prefix.endswith("/") and path.startswith(prefix))
    return next(below, DEFAULT_LIMIT)


class _Meter:
    """Counts one request's body, and keeps back what the application says to a body cut short."""

    def __init__(self, limit: int, receive: Receive, send: Send) -> None:
        self.exceeded: PayloadTooLarge | None = None
        self.answered = False
        self.finished = False  # the whole body has arrived: another read would wait for the client to hang up
        self._left = limit
        self._limit = limit
        self._receive = receive
        self._send = send

    async def receive(self) -> Message:
        if self.exceeded is not None:
            raise self.exceeded
        message = await self._receive()
        self.finished = not message.get("more_body")
        self._left -= len(message.get("body", b""))
        if self._left < 0:
            self.exceeded = _too_large(self._limit)
            raise self.exceeded
        return message

    async def send(self, message: Message) -> None:
        # The framework may have turned our exception into an answer of its own.
        if self.exceeded is None or self.answered:
            self.answered = True
            await self._send(message)


def _refusal(headers: Headers, limit: int) -> ApiError | None:
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
