"""What goes wrong, where, and how: faults at the service's failpoints and on its wires."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

import httpx
from starlette.datastructures import State
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from app.api.app import create_api
from app.context import Context
from tests.services import TLS

FAULTS = ("crash", "error", "delay", "cancel", "lost", "doubled")


class Crash(BaseException):
    """The process ends here; whoever catches it throws every object away."""


class Injected(Exception):
    """Something that nobody foresaw."""


@dataclass(frozen=True)
class Shot:
    """One fault, at the n-th time that a point is reached."""

    point: str
    fault: str = "crash"
    nth: int = 1


@dataclass
class Armed:
    """A failpoint that fires its shots one after the other."""

    shots: Sequence[Shot]
    strike: Callable[[Shot], Awaitable[None]]
    reached: Counter[str] = field(default_factory=Counter)
    fired: int = 0
    _waited: int = 0

    async def __call__(self, name: str) -> None:
        self.reached[name] += 1
        if self.fired == len(self.shots) or self.shots[self.fired].point != name:
            return
        shot = self.shots[self.fired]
        self._waited += 1
        if self._waited == shot.nth:
            self.fired, self._waited = self.fired + 1, 0
            await self.strike(shot)

    @property
    def left(self) -> list[str]:
        """The points that were not reached (often enough)."""
        return [shot.point for shot in self.shots[self.fired :]]


@dataclass
class Wire:
    """The next exchange is lost on its way back, or is made twice; one exchange uses it up."""

    fault: str | None = None  # lost | doubled

    def take(self, *faults: str) -> str | None:
        """The fault of this exchange, where it is one of these."""
        if self.fault not in faults:
            return None
        fault, self.fault = self.fault, None
        return fault


UNKEYED = {"/v3/voices/speech"}
"""HeyGen honours no key there: nobody could tell a request that came twice from two."""


class FaultyTransport(httpx.AsyncHTTPTransport):
    """The wire to HeyGen."""

    def __init__(self, wire: Wire) -> None:
        super().__init__(verify=TLS)
        self._wire = wire

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        # A stream is read once: what cannot be repeated is not doubled.
        repeatable = isinstance(request.stream, httpx.ByteStream) and request.url.path not in UNKEYED
        fault = self._wire.take("lost", *(("doubled",) if repeatable else ()))
        answer = await super().handle_async_request(request)
        if fault is None:
            return answer
        await answer.aread()
        await answer.aclose()
        if fault == "lost":
            raise httpx.ReadError("the answer is lost", request=request)
        return await super().handle_async_request(request)


class Front:
    """Where callers and HeyGen reach whichever process is alive; a dead one, or a fault in it, is a 502."""

    def __init__(self, wire: Wire) -> None:
        self.alive = False
        self._app = create_api()
        self._wire = wire

    def serve(self, context: Context) -> None:
        """A new process: nothing of the one before is left in the application but its routes."""
        self._app.state = State({"context": context})
        self.alive = True

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        body = await Request(scope, receive).body()
        fault = self._wire.take("lost", "doubled")
        answer = await self._exchange(scope, body)
        if fault == "doubled":
            answer = await self._exchange(scope, body)
        if fault == "lost" or answer is None:
            await Response(status_code=502)(scope, receive, send)
            return
        for message in answer:
            await send(message)

    async def _exchange(self, scope: Scope, body: bytes) -> list[Message] | None:
        if not self.alive:
            return None
        answer: list[Message] = []
        requests: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive() -> Message:
            return requests.pop() if requests else {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            answer.append(message)

        try:
            await self._app(dict(scope), receive, send)
        except BaseException as error:
            if is_in(error, Crash):
                self.alive = False
            elif not injected(error):
                raise
            return None
        return answer


def is_in(error: BaseException, kind: type[BaseException]) -> bool:
    """Whether it is one of these, or a group that holds one."""
    if isinstance(error, BaseExceptionGroup):
        return any(is_in(inner, kind) for inner in error.exceptions)
    return isinstance(error, kind)


def injected(error: BaseException) -> bool:
    """Whether it is one of our faults, and nothing that the code under test did wrong."""
    return any(is_in(error, kind) for kind in (Crash, Injected, asyncio.CancelledError))
