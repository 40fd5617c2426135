"""What a HeyGen that moves on may answer: fields and codes that nobody knows yet, and a farewell in the headers."""

from __future__ import annotations

import json
from typing import Any

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.simulator.errors import Refused
from app.simulator.world import World

FAREWELL = {"Deprecation": "@1798761600", "Sunset": "Fri, 31 Dec 2027 23:59:59 GMT"}


class Novelties:
    """ASGI middleware: changes the answers of API calls that the scenarios strike."""

    def __init__(self, app: ASGIApp, world: World) -> None:
        self._app = app
        self._world = world

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        if scope["type"] != "http" or not path.startswith("/v3/"):
            await self._app(scope, receive, send)
            return
        faults, facts = self._world.faults, {"method": scope["method"], "path": path}
        if faults.strike("deprecated", **facts):
            send = _with_farewell(send)
        if refusal := faults.strike("unknown_code", **facts):
            refused = Refused(int(refusal["status"]), refusal["code"], "Something new forbids this.")
            await refused.response()(scope, receive, send)
            return
        if extra := faults.strike("unknown_field", **facts):
            await self._app(scope, receive, _Widened(send, extra["field"]))
        else:
            await self._app(scope, receive, send)


class _Widened:
    """Adds a field to whatever `data` holds."""

    def __init__(self, send: Send, name: str) -> None:
        self._send = send
        self._name = name
        self._start: Message = {}
        self._body = bytearray()

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._start = message
            return
        self._body += message.get("body", b"")
        if message.get("more_body"):
            return
        content = self._widened(bytes(self._body))
        MutableHeaders(scope=self._start)["content-length"] = str(len(content))
        await self._send(self._start)
        await self._send({"type": "http.response.body", "body": content})

    def _widened(self, content: bytes) -> bytes:
        try:
            answer: Any = json.loads(content)
        except ValueError:
            return content
        data = answer.get("data") if isinstance(answer, dict) else None
        for item in data if isinstance(data, list) else [data]:
            if isinstance(item, dict):
                item[self._name] = {"since": 2027}
        return json.dumps(answer).encode()


def _with_farewell(send: Send) -> Send:
    async def told(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).update(FAREWELL)
        await send(message)

    return told
