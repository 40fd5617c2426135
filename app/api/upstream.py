"""Reads that are passed through to HeyGen: whose connection, what a failure means to the caller, what is not shown."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

from app.context import Connection, Context
from app.errors import (
    ApiError,
    Conflict,
    Forbidden,
    InsufficientCredit,
    InvalidParameter,
    NotFound,
    Unavailable,
)
from app.heygen.errors import AccountBlocked, HeyGenError, Missing, RateLimited, Refused
from app.heygen.titles import without_token
from app.tenancy import Caller

RETRY_SECONDS = 5
LOOK_UP_WITHIN = 2.0  # seconds
MOST_LOOK_UPS = (
    40  # reads of HeyGen for one request, of each kind of thing; the worker finds out about the rest
)

_T = TypeVar("_T")

_KINDS: Mapping[int, type[ApiError]] = {
    kind.status: kind for kind in (InvalidParameter, InsufficientCredit, Forbidden, Conflict)
}
_CODE = re.compile(r"[a-z][a-z0-9_]*")


def connection_of(ctx: Context, caller: Caller) -> Connection:
    """The way to the caller's HeyGen account; raises Unavailable where this process has no key for it."""
    connection = ctx.connections.get(caller.account_id)
    if connection is None:
        raise Unavailable("The HeyGen account is not connected now.", retry_after=RETRY_SECONDS)
    return connection


async def ask(read: Awaitable[_T]) -> _T | None:
    """What HeyGen says; None where it cannot be asked now, which is no reason to refuse a job. Raises Missing."""
    try:
        async with asyncio.timeout(LOOK_UP_WITHIN):
            return await read
    except Missing:
        raise
    except (HeyGenError, TimeoutError):
        return None


@contextmanager
def reading(missing: NotFound | None = None) -> Iterator[None]:
    """Turn HeyGen's failures into ours; `missing` is what a 404 means.

    Whatever is wrong between us and HeyGen, our key or our quota included, is none of the caller's doing: a 503.
    """
    try:
        yield
    except Missing as error:
        raise missing or _unavailable() from error
    except Refused as error:
        if error.http_status == InvalidParameter.status:
            raise InvalidParameter(error.message or "HeyGen refuses this.", param=error.param) from error
        raise _unavailable() from error
    except HeyGenError as error:
        raise _unavailable() from error


@contextmanager
def acting(missing: NotFound) -> Iterator[None]:
    """The same for what a caller has HeyGen do: HeyGen's own refusal, code and all, is the caller's answer."""
    try:
        yield
    except Missing as error:
        raise missing from error
    except (AccountBlocked, RateLimited) as error:
        raise _unavailable() from error
    except Refused as error:
        raise _as_told(error) from error
    except HeyGenError as error:
        raise _unavailable() from error


def shown(item: Mapping[str, Any]) -> dict[str, Any]:
    """HeyGen's object as it is, but for the token that we put into names."""
    name = item.get("name")
    return {**item, "name": without_token(name)} if isinstance(name, str) else dict(item)


def _as_told(error: Refused) -> ApiError:
    kind = _KINDS.get(error.http_status)
    if kind is None:
        return _unavailable()
    code = error.code if _CODE.fullmatch(error.code) else None
    return kind(error.message or "HeyGen refuses this.", code=code, param=error.param)


def _unavailable() -> Unavailable:
    return Unavailable("HeyGen cannot be asked now.", retry_after=RETRY_SECONDS)
