"""Files at the hosts that HeyGen's links lead to: read with care, for a link is only a string that somebody sent."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import aiohttp
import httpx

from app.webhooks.destination import BadDestination, GuardedClient, check_url

FIRST_BYTE_WITHIN = 10.0
IDLE_WITHIN = 30.0  # between two pieces of a file, in seconds


class FileUnavailable(Exception):
    """The file did not come; `http_status` is None where there was no answer at all."""

    def __init__(self, reason: str, http_status: int | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.http_status = http_status


@asynccontextmanager
async def open_file(
    client: GuardedClient, url: str, headers: Mapping[str, str] | None = None
) -> AsyncIterator[httpx.Response]:
    """An answer of 200 or 206, still to be read; raises FileUnavailable, also while it is read."""
    try:
        check_url(url, allow_private=client.allow_private)
        async with (
            asyncio.timeout(IDLE_WITHIN) as limit,
            client.stream("GET", url, headers=headers) as response,
        ):
            if response.status_code not in {200, 206}:
                raise FileUnavailable(f"http_{response.status_code}", response.status_code)
            limit.reschedule(None)
            yield response
    except BadDestination as error:
        raise FileUnavailable(error.reason) from error
    except TimeoutError as error:
        raise FileUnavailable("timeout") from error
    except (httpx.HTTPError, httpx.InvalidURL, aiohttp.ClientError, OSError) as error:
        raise FileUnavailable("unreachable") from error


async def pieces(response: httpx.Response) -> AsyncIterator[bytes]:
    """The body, piece by piece; a host that stalls between two of them raises TimeoutError."""
    stream = response.aiter_raw(65_536)
    while True:
        async with asyncio.timeout(IDLE_WITHIN):
            piece = await anext(stream, None)
        if piece is None:
            return
        yield piece


async def first_byte(client: GuardedClient, url: str) -> bool:
    """Whether the link gives at least one byte within ten seconds."""
    try:
        async with (
            asyncio.timeout(FIRST_BYTE_WITHIN),
            open_file(client, url, {"Range": "bytes=0-0"}) as response,
        ):
            return bool(await anext(response.aiter_raw(1), b""))
    except (FileUnavailable, TimeoutError):
        return False
