"""Calls that HeyGen is paid for while the caller waits: no job stands for them, so nothing is repeated by itself.

A caller's `Idempotency-Key` is bound to the first success, as that of every create. While a call is under way a row
holds its key, so that no other request, of any process, makes it as well. The row outlives a call of which nobody
knows whether it was paid for: HeyGen honours no keys here, so the caller's is used up.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any

import structlog
from sqlalchemy import delete, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col
from starlette.responses import Response
from uuid_utils.compat import uuid7

from app import governor
from app.api import idempotency
from app.api.idempotency import Once
from app.context import Context
from app.database import DatabaseAway
from app.errors import (
    ApiError,
    Conflict,
    Forbidden,
    InsufficientCredit,
    InvalidParameter,
    NotFound,
    NotReady,
    OutcomeUnknown,
    PayloadTooLarge,
    Unavailable,
)
from app.heygen.errors import AccountBlocked, HeyGenError, Missing, NoAnswer, NotSent, RateLimited, Refused
from app.heygen.errors import NotReady as StillMaking
from app.models import Account, CallUnderWay
from app.tenancy import Caller

log = structlog.get_logger(__name__)

BEFORE_A_CALL = timedelta(minutes=12)
"""Longer than an upload and what else comes before the call itself."""
LONGEST_WAIT = 30  # seconds a caller is told to wait; HeyGen's client cuts a longer wait
RETRY_SECONDS = 5


@dataclass
class Attempt:
    """One call that is paid for, and the key that HeyGen is given with it.

    `unsettled` while it may have been paid for with nothing to show for it here.
    """

    key: str
    unsettled: bool = False

    async def pay(self, request: Awaitable[Mapping[str, Any]]) -> Mapping[str, Any]:
        """Send the request that costs money: only a clear refusal tells that it cost none."""
        self.unsettled = True
        try:
            return await request
        except (NotSent, Refused):
            self.unsettled = False
            raise


Call = Callable[[Attempt], Awaitable[Mapping[str, Any]]]
"""Makes the call, and answers what HeyGen answered."""

Keep = Callable[[Mapping[str, Any], AsyncSession], Awaitable[tuple[str, bytes]]]
"""Keeps what has to be kept of it in a transaction; answers an id and the body of the answer."""

_REFUSALS: Mapping[int, type[ApiError]] = {
    400: InvalidParameter,
    402: InsufficientCredit,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    413: PayloadTooLarge,
}


async def pay_once(
    ctx: Context, caller: Caller, once: Once, body_hash: str, call: Call, keep: Keep
) -> Response:
    """Make a call, once for each key of the caller, and answer; raises Unavailable while the account is shut."""
    replayed = await once.replay(ctx, caller, body_hash)
    if replayed is not None:
        return replayed
    attempt = Attempt(_key(caller, once, body_hash))
    async with _alone(ctx, caller, once, attempt):
        await ctx.failpoint("paid.held")
        # Whoever was under way a moment ago may have come to its end.
        replayed = await once.replay(ctx, caller, body_hash)
        if replayed is not None:
            return replayed
        await _check_open(ctx, caller)
        try:
            with paying():
                found = await call(attempt)
            await ctx.failpoint("paid.called")
            answer = await idempotency.create(ctx, caller, once, body_hash, partial(keep, found))
        except DatabaseAway as error:
            if not attempt.unsettled:
                raise
            log.warning("paid_answer_not_kept", operation=once.operation, reason=str(error))
            raise _unknown("HeyGen's answer could not be kept") from error
        attempt.unsettled = False
        return answer


def gone_after(ctx: Context) -> timedelta:
    """Longer than any call takes with what comes before it: whoever has not answered by then has died."""
    return BEFORE_A_CALL + ctx.pace.create_timeout


@contextmanager
def paying() -> Iterator[None]:
    """Turn HeyGen's failures into ours. What is wrong with the account is none of the caller's doing: a 503."""
    try:
        yield
    except (AccountBlocked, RateLimited) as error:
        raise _unavailable(error.retry_after) from error
    except StillMaking as error:
        raise NotReady(error.message or "HeyGen is not ready for this.", retry_after=RETRY_SECONDS) from error
    except Refused as error:
        kind = _REFUSALS.get(error.http_status)
        if kind is None:
            raise _unavailable() from error
        code = error.code if not isinstance(error, Missing) or error.code != "not_found" else None
        raise kind(error.message or "HeyGen refuses this.", code=code, param=error.param) from error
    except NoAnswer as error:
        raise _unknown("HeyGen gave no clear answer") from error
    except HeyGenError as error:
        raise _unavailable() from error


@asynccontextmanager
async def _alone(ctx: Context, caller: Caller, once: Once, attempt: Attempt) -> AsyncIterator[None]:
    """Hold the caller's key; raises Conflict, retryable while another request does, and for good once one was lost."""
    if once.key is None:
        yield
        return
    held = {"tenant_id": caller.tenant_id, "operation": once.operation, "key": once.key}
    now = ctx.clock.now()
    until = now + gone_after(ctx)
    insert = sqlite.insert if ctx.database.is_sqlite else postgresql.insert
    taken = insert(CallUnderWay).values(**held, until=until).on_conflict_do_nothing()
    async with ctx.database.begin() as session:
        mine = await session.scalar(taken.returning(col(CallUnderWay.key)))
        found = await session.get(CallUnderWay, tuple(held.values())) if mine is None else None
    if found is not None and found.until <= now:
        raise Conflict(
            "HeyGen never said what became of the request with this Idempotency-Key: it may be done, and billed."
            " A request with a new key is made, and billed, anew.",
            code="outcome_unknown",
            param="Idempotency-Key",
        )
    if mine is None:
        raise _under_way()
    try:
        yield
    finally:
        lost = update(CallUnderWay).values(until=ctx.clock.now())
        end = lost if attempt.unsettled else delete(CallUnderWay)
        # A row that cannot be written now is one of a process that died.
        with suppress(DatabaseAway):
            async with ctx.database.begin() as session:
                await session.execute(end.filter_by(**held, until=until))


async def _check_open(ctx: Context, caller: Caller) -> None:
    """The gate is asked with each call; a pause stops what is paid, and reads go on."""
    async with ctx.database.begin() as session:
        now = ctx.clock.now()
        until = governor.shut_until(await session.get_one(Account, caller.account_id), now)
    if until is not None:
        raise _unavailable(until - now)


def _key(caller: Caller, once: Once, body_hash: str) -> str:
    """HeyGen's key: the same for a repeat of the caller's, another for every other request.

    HeyGen answers a key as it did before, whatever the body says: what bound no key of the caller's may be changed.
    """
    named = f"{caller.tenant_id}\n{once.operation}\n{once.key or uuid7().hex}\n{body_hash}"
    return hashlib.sha256(named.encode()).hexdigest()


def _unknown(cause: str) -> OutcomeUnknown:
    return OutcomeUnknown(
        f"{cause}: it may have done this, and billed it. Only a request with a new Idempotency-Key, or with none, asks"
        " HeyGen again, and that one is billed, too."
    )


def _under_way() -> ApiError:
    return NotReady(
        "A request with this Idempotency-Key is in progress.",
        code="request_in_progress",
        param="Idempotency-Key",
        retry_after=RETRY_SECONDS,
    )


def _unavailable(wait: timedelta | None = None) -> Unavailable:
    seconds = math.ceil(wait.total_seconds()) if wait is not None else RETRY_SECONDS
    return Unavailable("HeyGen cannot be asked now.", retry_after=min(max(seconds, 1), LONGEST_WAIT))
