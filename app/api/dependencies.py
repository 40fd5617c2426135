"""What a route is given: the parts of the service, and the caller behind the key, within its rate limits."""

from __future__ import annotations

import hashlib
import math
import re
import time
from collections import OrderedDict
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated

import structlog
from fastapi import Depends, Request
from limits import RateLimitItem, RateLimitItemPerSecond
from limits.aio.strategies import FixedWindowRateLimiter
from limits.errors import StorageError
from limits.storage import storage_from_string
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.context import Context, Terms
from app.errors import RateLimited, Unauthorized
from app.proof import CHALLENGE, PROOF, PURPOSE, prove
from app.tenancy import Caller, authenticate

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

KEY_FRESH = timedelta(seconds=5)
"""How long a key may still work after it was revoked."""
KNOWN_CALLERS = 10_000

# HeyGen's client cuts a longer wait on creates, and on reads loses the answer over it: no window is longer.
CREATE_WINDOW = 30
READ_WINDOW = 10

_BEARER = re.compile(r"bearer +(\S+)", re.IGNORECASE)


def get_context(request: Request) -> Context:
    """The parts of the running service."""
    context: Context = request.app.state.context
    return context


ContextDep = Annotated[Context, Depends(get_context)]


async def get_caller(request: Request, context: ContextDep) -> Caller:
    """The tenant whose key came along; raises Unauthorized, and RateLimited before anything is done."""
    gate = _gate(request)
    caller = await gate.identify(context, _key_of(request))
    await gate.count(caller, request)
    return caller


CallerDep = Annotated[Caller, Depends(get_caller)]


async def prove_identity(request: Request, context: ContextDep) -> None:
    """Tell who we are, beside the answer, to whoever asks for it as `greenroom doctor` does."""
    challenge = request.headers.get(CHALLENGE)
    proof = prove(context.secrets.signing_keys(PURPOSE), challenge) if challenge else None
    if proof is not None:
        _tell(request, {PROOF: proof})


class Gate:
    """What one process remembers of its callers: whose a key is, for 5 seconds, and how often they came."""

    def __init__(self, terms: Terms) -> None:
        self._known: OrderedDict[bytes, tuple[Caller, float]] = OrderedDict()
        storage = storage_from_string("async+memory://", wrap_exceptions=True)
        self._limiter = FixedWindowRateLimiter(storage)
        self._creates = _per_window(terms.creates_a_minute, CREATE_WINDOW)
        self._reads = _per_window(terms.reads_a_minute, READ_WINDOW)

    async def identify(self, context: Context, key: str | None) -> Caller:
        """Whose key this is; raises Unauthorized."""
        if key is None:
            raise Unauthorized
        name, elapsed = hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest(), context.clock.elapsed()
        known = self._known.get(name)
        if known is not None and elapsed - known[1] < KEY_FRESH.total_seconds():
            return known[0]
        async with context.database.begin() as session:
            caller = await authenticate(session, key, context.clock.now())
        if caller is None:
            self._known.pop(name, None)
            raise Unauthorized
        self._known[name] = (caller, elapsed)
        if len(self._known) > KNOWN_CALLERS:
            self._known.popitem(last=False)
        return caller

    async def count(self, caller: Caller, request: Request) -> None:
        """Count the request against its key's limit; raises RateLimited beyond it."""
        kind, limit = ("create", self._creates) if request.method == "POST" else ("read", self._reads)
        try:
            allowed = await self._limiter.hit(limit, kind, caller.key_id)
            resets_at, remaining = await self._limiter.get_window_stats(limit, kind, caller.key_id)
        except StorageError:
            # Limits protect the service: they must not be what stops it.
            log.warning("rate_limits_unavailable")
            return
        wait = min(max(math.ceil(resets_at - time.time()), 1), limit.get_expiry())
        headers = {
            "RateLimit-Limit": str(limit.amount),
            "RateLimit-Remaining": str(remaining),
            "RateLimit-Reset": str(wait),
        }
        _tell(request, headers)
        if not allowed:
            raise RateLimited(
                "Too many requests. Retry after the duration specified in the Retry-After header.",
                retry_after=wait,
            )


class AnswerHeaders:
    """ASGI middleware: puts the headers that a dependency left for this request on its answer, errors included."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(scope.get("state", {}).get("answer_headers", {}))
            await send(message)

        await self.app(scope, receive, send_with_headers)


def _tell(request: Request, headers: Mapping[str, str]) -> None:
    """Leave headers for the answer."""
    request.scope.setdefault("state", {}).setdefault("answer_headers", {}).update(headers)


def _gate(request: Request) -> Gate:
    state = request.app.state
    if not hasattr(state, "gate"):  # the context may come later than the application, with its lifespan
        state.gate = Gate(get_context(request).terms)
    gate: Gate = state.gate
    return gate


def _key_of(request: Request) -> str | None:
    """The one key of the request, in either of HeyGen's headers; two different ones count as none."""
    keys = set(request.headers.getlist("x-api-key"))
    for header in request.headers.getlist("authorization"):
        # Another scheme belongs to a proxy in front of us.
        if header.lower().startswith("bearer"):
            found = _BEARER.fullmatch(header)
            keys.add(found[1] if found else "")
    return keys.pop() if len(keys) == 1 else None


def _per_window(a_minute: int, seconds: int) -> RateLimitItem:
    return RateLimitItemPerSecond(max(1, math.ceil(a_minute * seconds / 60)), seconds)
