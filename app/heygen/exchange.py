"""One exchange with HeyGen's API: a request, its deadline, and the answer or the error that it came to.

The transport has to be httpx's own: `errors.transport_error` says why. Whatever fails is a `HeyGenError`.
"""

import asyncio
import json
import re
import ssl
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

import httpx

from app.heygen.answer import Answer
from app.heygen.errors import (
    Held,
    Missing,
    NoAnswer,
    RateLimited,
    answer_error,
    parse_retry_after,
    transport_error,
)
from app.heygen.fields import decode
from app.heygen.multipart import Content

ANSWER_LIMIT = 8 * 1024 * 1024
CONNECT_TIMEOUT = timedelta(seconds=10)

_KEY = re.compile(r"[A-Za-z0-9_\-:.]{1,255}")  # what HeyGen takes for an Idempotency-Key

Params = Mapping[str, str | int | None]
Observe = Callable[[str, httpx.Response, Mapping[str, Any] | None], None]


class Exchange:
    """The way to HeyGen with one key; `client.HeyGen` names what can be said on it."""

    def __init__(  # noqa: PLR0913 (the last four have names at every call)
        self,
        http: httpx.AsyncClient,
        base_url: str,
        api_key: str,
        *,
        create_timeout: timedelta,
        read_timeout: timedelta,
        upload_timeout: timedelta = timedelta(minutes=10),
        observe: Observe | None = None,
        now: Callable[[], datetime] | None = None,
    ) -> None:
        if not base_url.lower().startswith(("http://", "https://")):
            raise ValueError("base_url: an http or https address is needed")
        if not re.fullmatch(r"[\x21-\x7e]+", api_key):
            raise ValueError("api_key: must be printable ASCII without spaces")
        self._http = http
        self._base_url = base_url.rstrip("/")
        self._api_key = api_key
        self._create_timeout = create_timeout
        self._read_timeout = read_timeout
        self._upload_timeout = upload_timeout
        self._observe = observe
        self._now = now
        self._held_until: datetime | None = None

    def hold(self, until: datetime | None) -> None:
        """Send nothing but creates before this instant, nor before a later one that was named already."""
        self._held_until = max(filter(None, (until, self._held_until)), default=None)

    async def get(self, route: str, heygen_id: str | None = None, params: Params | None = None) -> Answer:
        self.check_held()
        given = {name: value for name, value in (params or {}).items() if value is not None}
        path = _path(route, heygen_id)
        request = self.request("GET", path, params=given, within=self._read_timeout)
        return await self.send(f"GET {route}", request, self._read_timeout)

    async def write(
        self, method: str, route: str, heygen_id: str, body: Mapping[str, Any], key: str | None = None
    ) -> Answer:
        """Change something that HeyGen has; nothing that costs money."""
        self.check_held()
        headers = {"Content-Type": "application/json"}
        if key is not None:
            headers["Idempotency-Key"] = checked_key(key)
        content = json.dumps(body, ensure_ascii=False).encode()
        within = self._create_timeout
        request = self.request(
            method, _path(route, heygen_id), headers=headers, content=content, within=within
        )
        return await self.send(f"{method} {route}", request, within)

    async def delete(self, route: str, heygen_id: str) -> None:
        """Delete; what is gone already counts as done."""
        with suppress(Missing):
            await self.remove(route, heygen_id)

    async def remove(self, route: str, heygen_id: str) -> None:
        """Delete; raises Missing for what is not there."""
        self.check_held()
        request = self.request("DELETE", _path(route, heygen_id), within=self._read_timeout)
        await self.send(f"DELETE {route}", request, self._read_timeout)

    def request(
        self,
        method: str,
        path: str,
        *,
        within: timedelta,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str | int] | None = None,
        content: Content | None = None,
    ) -> httpx.Request:
        # Waiting for the pool, connecting and the handshake take a quarter each at most, so that when the total
        # deadline passes the request has been written; reading and writing have no limit but that deadline.
        connecting = min(CONNECT_TIMEOUT, within / 4).total_seconds()
        ours = {
            "x-api-key": self._api_key,
            "Accept": "application/json",
            "Accept-Encoding": "identity",  # httpx's decoders have no cap on what they unpack
        }
        return self._http.build_request(
            method,
            self._base_url + path,
            headers={**ours, **(headers or {})},
            params=params,
            content=content,
            timeout=httpx.Timeout(None, connect=connecting, pool=connecting),
        )

    async def send(self, operation: str, request: httpx.Request, within: timedelta) -> Answer:
        """Send once and read the whole answer within one deadline; raises a HeyGenError for all but 2xx."""
        sent_at = self._now() if self._now is not None else None
        try:
            async with asyncio.timeout(within.total_seconds()) as deadline:
                # A redirect would take the key along to another host; auth=None keeps .netrc out.
                response = await self._http.send(request, stream=True, auth=None, follow_redirects=False)
                try:
                    body = await _read(response)
                finally:
                    await response.aclose()
        except TimeoutError as error:
            if not deadline.expired():
                raise  # from the content being uploaded
            raise NoAnswer("timeout", f"{within.total_seconds():g} s") from error
        except httpx.TransportError as error:
            raise transport_error(error) from error
        except ssl.SSLError as error:  # a broken record after the handshake, which httpx does not translate
            raise NoAnswer("protocol", str(error)) from error
        payload = _payload(body)
        if self._observe is not None:
            self._observe(operation, response, payload)
        if not response.is_success:
            retry_after = parse_retry_after(response.headers.get("Retry-After"), response.headers.get("Date"))
            if response.status_code == 429 and retry_after is not None and self._now is not None:
                self.hold(self._now() + retry_after)
            failure = answer_error(response.status_code, payload, retry_after)
            if isinstance(failure, RateLimited):
                failure.sent_at = sent_at
            raise failure
        return Answer(response.status_code, response.headers, payload)

    def check_held(self) -> None:
        if self._held_until is not None and self._now is not None and self._now() < self._held_until:
            raise Held


async def _read(response: httpx.Response) -> bytes | None:
    """The body as it came, or None once it is longer than we will hold."""
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > ANSWER_LIMIT:
            return None
    return bytes(body)


def _payload(body: bytes | None) -> Mapping[str, Any] | None:
    try:
        value = decode(body or b"")
    except ValueError:
        return None
    return value if isinstance(value, Mapping) else None


def _path(route: str, heygen_id: str | None) -> str:
    """The route with the id in it, as one segment whatever it holds."""
    if heygen_id is None:
        return route
    # An empty id names the list, and dots climb even when encoded: HeyGen can have made none of these.
    if heygen_id in {"", ".", ".."} or len(heygen_id) > 255:
        raise Missing(404, "not_found", "no such id")
    return route.replace("{id}", quote(heygen_id, safe="", errors="replace"))


def checked_key(key: str) -> str:
    if not _KEY.fullmatch(key):
        raise ValueError("key: 1 to 255 letters, digits, '_', '-', ':' or '.'")
    return key
