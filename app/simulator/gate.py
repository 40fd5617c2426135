"""What every request passes first: the log, the keys, and faults of the whole service."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from fastapi import Request
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.simulator.answers import Call, key_of
from app.simulator.errors import Dropped, Refused, rate_limited, unauthorized
from app.simulator.world import World

BODY_LIMIT = 64 << 20
CREATES = {"/v3/videos": "video", "/v3/videos/batches": "video", "/v3/avatars": "look"}
TRANSPORT = "transport"
"""Where the server leaves the connection's transport in the request's state, so that it can be cut."""


class Gate:
    """ASGI middleware around everything but the control plane."""

    def __init__(self, app: ASGIApp, world: World) -> None:
        self._app = app
        self._world = world

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        if scope["type"] != "http" or path == "/simulator" or path.startswith("/simulator/"):
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        try:
            content = await _content(request)
        except ClientDisconnect:
            return  # it never was a whole request
        seq = self._arrived(request, content or b"")

        async def noted(message: Message) -> None:
            if message["type"] == "http.response.start":
                wait = Headers(raw=message["headers"]).get("Retry-After")
                self._world.record.answered(seq, message["status"], wait)
            await send(message)

        try:
            self._check(request, content)
            await self._app(scope, _once(content or b"", receive), noted)
        except Refused as refusal:
            await refusal.response()(scope, receive, noted)
        except Dropped:
            await _cut(scope, receive)

    def _arrived(self, request: Request, content: bytes) -> int:
        world = self._world
        world.called_as = world.options.base_url or str(request.base_url).rstrip("/")
        path, query = request.scope["raw_path"].decode(), request.scope["query_string"].decode("latin-1")
        sha = hashlib.sha256(content).hexdigest()
        now = world.now()
        request.state.received = (content, sha, now)
        return world.record.arrived(
            request.method,
            f"{path}?{query}" if query else path,
            key=request.headers.get("Idempotency-Key"),
            sha=sha,
            file=path.startswith("/files/"),
            at=now,
        )

    def _check(self, request: Request, content: bytes | None) -> None:
        path = request.scope["path"]  # request.url would believe the Host header
        if path.startswith("/files/"):
            return
        faults, facts = self._world.faults, {"method": request.method, "path": path}
        if outage := faults.strike("outage", **facts):
            if outage["drop"]:
                raise Dropped
            raise Refused(503, "service_unavailable", "Service unavailable.", html=True)
        if faults.strike("unauthorized", **facts) or not self._opens(request):
            raise unauthorized()
        if content is None:
            raise Refused(413, "payload_too_large", "The request body is too large.")
        # Creates are limited later, where their title and script are known.
        is_create = request.method == "POST" and path in CREATES
        if not is_create and (limit := faults.strike("rate_limited", **facts)):
            raise rate_limited(limit["seconds"])

    def _opens(self, request: Request) -> bool:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        key = request.headers.get("x-api-key") or (token.strip() if scheme.lower() == "bearer" else "")
        keys = self._world.options.api_keys
        return bool(key) if keys is None else key in keys


def call_of(request: Request, world: World) -> Call:
    """What the gate found out about a request. Raises Refused (400) for an ill-formed key."""
    content, sha, now = request.state.received
    return Call(
        method=request.method,
        path=request.scope["path"],
        key=key_of(request),
        sha=sha,
        now=now,
        base_url=world.called_as,
        content=content,
        kind=CREATES.get(request.scope["path"], ""),
    )


async def _content(request: Request) -> bytes | None:
    """The whole body, so that it can be logged; None, and drained, where it is too large."""
    content: bytearray | None = bytearray()
    async for part in request.stream():
        if content is not None:
            content += part
            if len(content) > BODY_LIMIT:
                content = None
    return None if content is None else bytes(content)


def _once(content: bytes, receive: Receive) -> Receive:
    """Give the body again that was already read."""
    parts: Iterator[Message] = iter([{"type": "http.request", "body": content, "more_body": False}])

    async def again() -> Message:
        return next(parts, None) or await receive()

    return again


async def _cut(scope: Scope, receive: Receive) -> None:
    transport = scope.get("state", {}).get(TRANSPORT)
    if transport is None:
        raise ConnectionResetError("the simulator drops this connection")
    transport.abort()
    while (await receive())["type"] != "http.disconnect":
        pass  # the server must have noticed before this returns, or it would answer 500
