"""Every call we make to HeyGen's API, and the only place that makes one.

The transport has to be httpx's own: `errors.transport_error` says why. Whatever fails is a `HeyGenError`.
"""

import asyncio
import re
import secrets
import ssl
from collections.abc import Callable, Mapping, Sequence
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
from app.heygen.multipart import Content, FileForm
from app.heygen.schemas import (
    Account,
    Created,
    Look,
    Page,
    Video,
    asset_id,
    decode,
    statuses,
)

ANSWER_LIMIT = 8 * 1024 * 1024
CONNECT_TIMEOUT = timedelta(seconds=10)
STATUSES_LIMIT = 100  # ids in one bulk question (HeyGen's own limit)

_KEY = re.compile(r"[A-Za-z0-9_\-:.]{1,255}")  # what HeyGen takes for an Idempotency-Key

Params = Mapping[str, str | int | None]


class HeyGen:
    """HeyGen's v3 API with one key; each call has one deadline for everything, from connecting to the last byte.

    `observe` gets each answer read, with its method and route (`GET /v3/videos/{id}`); it must not raise. With `now`, all
    but creates, which are the governor's, raise Held before a Retry-After has passed.
    """

    def __init__(  # noqa: PLR0913 (the last four have names at every call)
        self,
        http: httpx.AsyncClient,
        base_url: str,
        api_key: str,
        *,
        create_timeout: timedelta,
        read_timeout: timedelta,
        upload_timeout: timedelta = timedelta(minutes=10),
        observe: Callable[[str, httpx.Response], None] | None = None,
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

    async def users_me(self) -> Account:
        """The account behind the key."""
        answer = await self._get("/v3/users/me")
        simulated = "X-Greenroom-Simulator" in answer.headers
        return answer.read(lambda data: Account.of(data, simulated=simulated))

    async def create(self, path: str, body: bytes, key: str) -> Created:
        """Create a video (`/v3/videos`) or a look (`/v3/avatars`): this costs money.

        Exactly these bytes are sent. After NoAnswer repeat with the same `key` and `body` alone.
        """
        if path not in {"/v3/videos", "/v3/avatars"}:
            raise ValueError("path: /v3/videos or /v3/avatars")
        headers = {"Content-Type": "application/json", "Idempotency-Key": _checked_key(key)}
        request = self._request("POST", path, headers=headers, content=body, within=self._create_timeout)
        answer = await self._send(f"POST {path}", request, self._create_timeout)
        return answer.read(Created.of)

    async def get_video(self, heygen_id: str) -> Video:
        """One video, with fresh links."""
        return (await self._get("/v3/videos/{id}", heygen_id)).read(Video.of)

    async def video_statuses(self, heygen_ids: Sequence[str]) -> dict[str, str]:
        """Id → status word of up to 100 videos; an id HeyGen leaves out is left out."""
        if len(heygen_ids) > STATUSES_LIMIT:
            raise ValueError(f"heygen_ids: at most {STATUSES_LIMIT}")
        if not heygen_ids:
            return {}
        params = {"video_ids": ",".join(heygen_ids)}
        return (await self._get("/v3/videos/statuses", params=params)).read(statuses, within=None)

    async def list_videos(
        self,
        *,
        title: str | None = None,
        folder_id: str | None = None,
        limit: int = 100,
        token: str | None = None,
    ) -> Page:
        """Videos, newest first; `title` is a part of it; HeyGen's limit is 100."""
        params: Params = {"title": title, "folder_id": folder_id, "limit": limit, "token": token}
        return await self._page("/v3/videos", params)

    async def delete_video(self, heygen_id: str) -> None:
        """Delete a video for good; one that is gone already counts as done."""
        await self._delete("/v3/videos/{id}", heygen_id)

    async def get_look(self, heygen_id: str) -> Look:
        """One look; this is also how its making is followed."""
        return (await self._get("/v3/avatars/looks/{id}", heygen_id)).read(Look.of)

    async def list_looks(
        self,
        *,
        group_id: str | None = None,
        avatar_type: str | None = None,
        ownership: str | None = None,
        limit: int = 50,
        token: str | None = None,
    ) -> Page:
        """Looks; `ownership` is public or private; HeyGen's limit is 50."""
        params: Params = {
            "group_id": group_id,
            "avatar_type": avatar_type,
            "ownership": ownership,
            "limit": limit,
            "token": token,
        }
        return await self._page("/v3/avatars/looks", params)

    async def delete_look(self, heygen_id: str) -> None:
        """Delete a look, and with the last one its group; one that is gone already counts as done."""
        await self._delete("/v3/avatars/looks/{id}", heygen_id)

    async def get_group(self, heygen_id: str) -> Mapping[str, Any]:
        """One avatar group as HeyGen shows it."""
        return (await self._get("/v3/avatars/{id}", heygen_id)).read(_as_it_is)

    async def list_groups(
        self, *, ownership: str | None = None, limit: int = 50, token: str | None = None
    ) -> Page:
        """Avatar groups; `ownership` is public or private; HeyGen's limit is 50."""
        return await self._page("/v3/avatars", {"ownership": ownership, "limit": limit, "token": token})

    async def get_voice(self, heygen_id: str) -> Mapping[str, Any]:
        """One voice as HeyGen shows it."""
        return (await self._get("/v3/voices/{id}", heygen_id)).read(_as_it_is)

    async def list_voices(
        self,
        *,
        type: str | None = None,
        engine: str | None = None,
        language: str | None = None,
        gender: str | None = None,
        limit: int | None = None,
        token: str | None = None,
    ) -> Page:
        """Voices; `type` is public (HeyGen's default) or private, `language` a display name such as English."""
        params: Params = {
            "type": type,
            "engine": engine,
            "language": language,
            "gender": gender,
            "limit": limit,
            "token": token,
        }
        return await self._page("/v3/voices", params)

    async def get_asset(self, heygen_id: str) -> Mapping[str, Any]:
        """One asset as HeyGen shows it."""
        return (await self._get("/v3/assets/{id}", heygen_id)).read(_as_it_is)

    async def upload_asset(self, content: Content, *, filename: str, mime: str, size: int, key: str) -> str:
        """Send a file of exactly `size` bytes as it is read; the id of the asset.

        Raises ValueError, before the last byte is sent, when `content` turns out longer or shorter.
        """
        self._check_held()
        form = FileForm(secrets.token_hex(16), filename=filename, mime=mime, size=size)
        headers = {**form.headers, "Idempotency-Key": _checked_key(key)}
        request = self._request(
            "POST", "/v3/assets", headers=headers, content=form.body(content), within=self._upload_timeout
        )
        answer = await self._send("POST /v3/assets", request, self._upload_timeout)
        return answer.read(asset_id)

    async def _page(self, route: str, params: Params) -> Page:
        return (await self._get(route, params=params)).read(Page.of, within=None)

    async def _get(self, route: str, heygen_id: str | None = None, params: Params | None = None) -> Answer:
        self._check_held()
        given = {name: value for name, value in (params or {}).items() if value is not None}
        path = _path(route, heygen_id)
        request = self._request("GET", path, params=given, within=self._read_timeout)
        return await self._send(f"GET {route}", request, self._read_timeout)

    async def _delete(self, route: str, heygen_id: str) -> None:
        self._check_held()
        try:
            request = self._request("DELETE", _path(route, heygen_id), within=self._read_timeout)
            await self._send(f"DELETE {route}", request, self._read_timeout)
        except Missing:
            return

    def _request(
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

    async def _send(self, operation: str, request: httpx.Request, within: timedelta) -> Answer:
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
        if self._observe is not None:
            self._observe(operation, response)
        payload = _payload(body)
        if not response.is_success:
            retry_after = parse_retry_after(response.headers.get("Retry-After"), response.headers.get("Date"))
            if response.status_code == 429 and retry_after is not None and self._now is not None:
                self.hold(self._now() + retry_after)
            failure = answer_error(response.status_code, payload, retry_after)
            if isinstance(failure, RateLimited):
                failure.sent_at = sent_at
            raise failure
        return Answer(response.status_code, response.headers, payload)

    def _check_held(self) -> None:
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


def _checked_key(key: str) -> str:
    if not _KEY.fullmatch(key):
        raise ValueError("key: 1 to 255 letters, digits, '_', '-', ':' or '.'")
    return key


def _as_it_is(data: Mapping[str, Any]) -> Mapping[str, Any]:
    return data
