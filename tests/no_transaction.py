"""No network call is made while its task holds a transaction: whoever makes one is refused, and it is kept.

Nothing of ours is patched. Whoever builds a client, each call goes through one of two classes that are not ours, which
are wrapped here: httpx's own transport, and the connector of aiohttp, over which webhooks and files go.
"""

import functools
import os
import sys
import traceback
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import httpx

from app.database import transaction_open
from tests.processes import CALLED_IN_A_TRANSACTION

WAYS_OUT: tuple[tuple[type, str], ...] = (
    (httpx.AsyncHTTPTransport, "handle_async_request"),
    (aiohttp.BaseConnector, "connect"),  # for each request, also where a connection is kept
)
refused: list[str] = []
"""The addresses that were called so: the error alone might be taken for one of the network's, and survived."""


@functools.cache
def watch(*, fatal: bool = False) -> None:
    """See to it in this process and its forks; where it is `fatal`, the process ends with CALLED_IN_A_TRANSACTION."""
    for owner, name in WAYS_OUT:
        setattr(owner, name, _watched(getattr(owner, name), fatal=fatal))


def refuse(url: object, *, fatal: bool = False) -> None:
    """Raise AssertionError where this task holds a transaction."""
    if transaction_open.get():
        words = f"a transaction is open across a network call: {url}"
        if fatal:
            sys.stderr.write(f"{''.join(traceback.format_stack())}{words}\n")
            sys.stderr.flush()
            os._exit(CALLED_IN_A_TRANSACTION)
        refused.append(words)
        raise AssertionError(words)


def _watched(call: Callable[..., Awaitable[Any]], *, fatal: bool) -> Callable[..., Awaitable[Any]]:
    @functools.wraps(call)
    async def watched(self: Any, request: Any, *rest: Any, **options: Any) -> Any:
        refuse(request.url, fatal=fatal)
        return await call(self, request, *rest, **options)

    return watched
