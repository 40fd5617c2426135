"""The guarded client for URLs that callers name: it reaches public hosts and nothing of ours.

`check_url` refuses by form. The client refuses by address, at the moment of dialling: whatever a name
resolved to before, or however an address is spelt, the socket to a denied address is never made.
"""

import asyncio
import re
import socket
import ssl
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta
from http.cookiejar import CookieJar, DefaultCookiePolicy
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import IO, Any, NamedTuple

import aiohttp
import httpx
from aiohttp.abc import AbstractResolver, ResolveResult
from httpx_aiohttp import AiohttpTransport

from app.webhooks.addresses import is_public

_URL = re.compile(
    r"(?i:(https?))://([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::([0-9]{1,5}))?(?=[/?#]|\Z)[!-\[\]-~]*"
)
_LABEL = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)")
_NUMBER = re.compile(r"[0-9]+|0[xX][0-9a-fA-F]*")
_LONGEST_URL = 2048
_PORTS = (443, 8443)
_INTERNAL_ZONES = (".localhost", ".local", ".localdomain", ".internal", ".home.arpa")

AddrInfo = tuple[Any, ...]  # (family, kind, protocol, name, (address, port, …)), as socket.getaddrinfo has it
Lookup = Callable[[str, int], list[AddrInfo]]


class BadDestination(ValueError):
    """The URL cannot be a destination; `reason` is bad_url or private_address."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


class DeniedAddress(OSError):
    """The name or literal leads to an address that callers may not reach through us."""


class RequestFailed(Exception):
    """There is no usable answer.

    `reason`: bad_url, private_address, dns, refused, unreachable, tls, timeout, disconnected or protocol;
    of a download also too_large, redirect or http_<status>. It never tells which address was tried.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class DeliveryFailed(RequestFailed):
    """Nobody answered the POST."""


class DownloadFailed(RequestFailed):
    """The file did not come."""


class Answer(NamedTuple):
    """What the receiver said, redirects included; `body` is its beginning, as sent."""

    status: int
    body: bytes
    duration: timedelta


class Downloaded(NamedTuple):
    """A file that came: `size` in bytes; `content_type` is only what the server claims."""

    size: int
    content_type: str | None


class GuardedClient(httpx.AsyncClient):
    """An HTTP client made by `guarded_client`, which knows what its URLs may be."""

    allow_private: bool = False


def check_url(url: str, *, allow_private: bool) -> None:
    """Raise BadDestination unless this is `https://name[:443|8443]/…`, at most 2,048 characters of plain ASCII.

    Where private destinations are allowed, http, every port and every address pass too.
    """
    if len(url) > _LONGEST_URL:
        raise BadDestination("bad_url", f"the URL is longer than {_LONGEST_URL:,} characters")
    # So narrow that every parser reads the same host from it: no user info, no backslash, blank or control
    # character, no escapes in the host, nothing beyond ASCII.
    found = _URL.fullmatch(url)
    if found is None:
        raise BadDestination("bad_url", "the URL is not of the form https://host/path in plain ASCII")
    scheme, host, port = found.groups()
    if scheme.lower() == "http" and not allow_private:
        raise BadDestination("bad_url", "the URL must begin with https://")
    if port is not None:
        _check_port(int(port), allow_private)
    _check_host(host, allow_private)


def guarded_client(
    *, allow_private: bool, lookup: Lookup | None = None, tls: ssl.SSLContext | None = None
) -> GuardedClient:
    """A client for `post` and `download`: no proxies, no redirects, no cookies, nothing decoded.

    `lookup` stands in for the system's name service, `tls` for the public certificate authorities.
    """
    client = GuardedClient(
        transport=_Transport(allow_private, lookup or _getaddrinfo, tls or httpx.create_ssl_context()),
        headers={"User-Agent": "Greenroom", "Accept-Encoding": "identity"},
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
        follow_redirects=False,
        trust_env=False,
        timeout=None,  # httpx counts per read; `post` and `download` have one deadline over everything
    )
    client.allow_private = allow_private
    return client


async def post(
    client: GuardedClient,
    url: str,
    headers: Mapping[str, str],
    body: bytes,
    *,
    timeout: float = 15,  # noqa: ASYNC109 (names, connection, TLS and body end together)
    keep: int = 65_536,
) -> Answer:
    """POST once and read the first `keep` bytes of the answer, all within `timeout` seconds.

    Any status is an answer, 3xx too. Raises DeliveryFailed.
    """
    started = time.monotonic()
    received = bytearray()
    within = timedelta(seconds=timeout)
    async with _exchange(
        client, DeliveryFailed, within, "POST", url, headers=headers, content=body
    ) as response:
        async for piece in response.aiter_raw():
            received += piece
            if len(received) >= keep:
                break
    return Answer(response.status_code, bytes(received[:keep]), timedelta(seconds=time.monotonic() - started))


async def download(
    client: GuardedClient,
    url: str,
    *,
    target: Path,
    limit: int,
    timeout: float = 10,  # noqa: ASYNC109 (names, connection, TLS and body end together)
) -> Downloaded:
    """GET a file of at most `limit` bytes into `target`, all within `timeout` seconds.

    Raises DownloadFailed, and leaves nothing at `target` then.
    """
    async with _exchange(client, DownloadFailed, timedelta(seconds=timeout), "GET", url) as response:
        if response.is_redirect:
            raise DownloadFailed("redirect")
        if response.status_code != 200:
            raise DownloadFailed(f"http_{response.status_code}")
        with _whole_or_gone(target) as file:
            size = await _save(response, file, limit)
    return Downloaded(size, response.headers.get("content-type"))


class _Transport(AiohttpTransport):
    """Sockets only to allowed addresses; name look-ups in threads of their own.

    A silent name server holds a thread for half a minute: it must not hold those that write our files.
    """

    def __init__(self, allow_private: bool, lookup: Lookup, tls: ssl.SSLContext) -> None:
        super().__init__(verify=tls, trust_env=False)
        self._resolver = _Resolver(allow_private, lookup)
        self._open_socket = _open_any if allow_private else _open_public

    def get_client(self) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(
            resolver=self._resolver,
            socket_factory=self._open_socket,
            ssl=self.ssl_context,
            limit=0,  # the worker says how many run at once
        )
        return aiohttp.ClientSession(
            connector=connector, cookie_jar=aiohttp.DummyCookieJar(), trust_env=False, auto_decompress=False
        )

    async def aclose(self) -> None:
        await super().aclose()
        await self._resolver.close()


class _Resolver(AbstractResolver):
    """Refuses a name as soon as one of its addresses is denied."""

    def __init__(self, allow_private: bool, lookup: Lookup) -> None:
        self._allow_private = allow_private
        self._lookup = lookup
        self._threads = ThreadPoolExecutor(32, thread_name_prefix="names")

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(self._threads, self._lookup, host, port)
        if not self._allow_private and not all(is_public(address[0]) for *_, address in found):
            raise DeniedAddress("the name leads to an address that is not public")
        return [
            ResolveResult(
                hostname=host,
                host=address[0],
                port=port,
                family=kind,
                proto=protocol,
                flags=socket.AI_NUMERICHOST,
            )
            for kind, _, protocol, _, address in found
            if family in (socket.AF_UNSPEC, kind)
        ]

    async def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


@asynccontextmanager
async def _exchange(
    client: GuardedClient,
    failure: type[RequestFailed],
    within: timedelta,
    method: str,
    url: str,
    **request: Any,
) -> AsyncIterator[httpx.Response]:
    """One response, still to be read; every fault until then and while reading becomes a named reason."""
    try:
        check_url(url, allow_private=client.allow_private)
        async with asyncio.timeout(within.total_seconds()), client.stream(method, url, **request) as response:
            yield response
    except BadDestination as error:
        raise failure(error.reason) from error
    except (TimeoutError, httpx.HTTPError, httpx.InvalidURL, aiohttp.ClientError, ValueError) as error:
        raise failure(_reason(error)) from error


@contextmanager
def _whole_or_gone(target: Path) -> Iterator[IO[bytes]]:
    try:
        with target.open("wb") as file:
            yield file
    except BaseException:
        target.unlink(missing_ok=True)
        raise


async def _save(response: httpx.Response, file: IO[bytes], limit: int) -> int:
    announced = response.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > limit:
        raise DownloadFailed("too_large")
    size = 0
    async for piece in response.aiter_raw():
        size += len(piece)
        if size > limit:
            raise DownloadFailed("too_large")
        file.write(piece)
    return size


# In this order: aiohttp's exceptions inherit from several of these.
_REASONS: tuple[tuple[str, type[BaseException] | tuple[type[BaseException], ...]], ...] = (
    ("private_address", DeniedAddress),
    ("dns", (socket.gaierror, aiohttp.ClientConnectorDNSError)),
    ("tls", ssl.SSLError),
    ("timeout", TimeoutError),
    ("refused", ConnectionRefusedError),
    ("unreachable", aiohttp.ClientConnectorError),
    ("bad_url", (httpx.InvalidURL, httpx.UnsupportedProtocol)),
    ("disconnected", (OSError, aiohttp.ServerDisconnectedError, aiohttp.ClientPayloadError)),
)


def _reason(error: BaseException) -> str:
    """The name of what went wrong: httpx's own class says too little, the causes below it tell."""
    causes = [error]
    while (cause := causes[-1].__cause__) is not None:
        causes.append(cause)
    for reason, kinds in _REASONS:
        if any(isinstance(cause, kinds) for cause in causes):
            return reason
    return "protocol"


def _open_public(address: AddrInfo) -> socket.socket:
    if not is_public(address[4][0]):
        raise DeniedAddress("not a public address")
    return _open_any(address)


def _open_any(address: AddrInfo) -> socket.socket:
    return socket.socket(*address[:3])


def _getaddrinfo(host: str, port: int) -> list[AddrInfo]:
    return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)


def _check_port(port: int, allow_private: bool) -> None:
    if port not in (range(1, 65_536) if allow_private else _PORTS):
        raise BadDestination("bad_url", f"port {port} is not allowed")


def _check_host(host: str, allow_private: bool) -> None:
    name = host.removesuffix(".").lower()
    labels = name.split(".")
    if name.startswith("["):
        _check_address(name[1:-1], IPv6Address, allow_private)
    elif _NUMBER.fullmatch(labels[-1]):  # 2130706433, 127.1 and 0x7f.1 are addresses to getaddrinfo
        _check_address(name, IPv4Address, allow_private)
    elif len(name) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise BadDestination("bad_url", "the host is not a valid name")
    elif not allow_private and (len(labels) == 1 or name.endswith(_INTERNAL_ZONES)):
        raise BadDestination("private_address", "the host is not a public name")


def _check_address(text: str, version: type[IPv4Address | IPv6Address], allow_private: bool) -> None:
    try:
        address = version(text)
    except ValueError:
        raise BadDestination("bad_url", "the host is not an IP address in its usual form") from None
    if not allow_private and not is_public(str(address)):
        raise BadDestination("private_address", "the host is not a public address")
