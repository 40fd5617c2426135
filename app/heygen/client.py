"""HeyGen's v3 API as its client sees it: each call by its name. How a call is made is `exchange`'s."""

import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from app.heygen.exchange import Exchange, Params, checked_key
from app.heygen.fields import text_of
from app.heygen.multipart import Content, FileForm
from app.heygen.schemas import (
    Account,
    Created,
    Endpoint,
    Look,
    Page,
    Video,
    asset_id,
    cloned_voice,
    entries,
    speech,
    statuses,
)

STATUSES_LIMIT = 100  # ids in one bulk question (HeyGen's own limit)
ENDPOINT_PAGES = 10
"""More endpoints than any account has: a cursor that leads in a circle ends there."""


class HeyGen(Exchange):
    """HeyGen's v3 API with one key; each call has one deadline for everything, from connecting to the last byte.

    `observe` gets each answer, with its method and route (`GET /v3/videos/{id}`) and the JSON object of its body, if any;
    it must not raise. With `now`, all but creates, which are the governor's, raise Held before a Retry-After has passed.
    """

    async def users_me(self) -> Account:
        """The account behind the key."""
        answer = await self.get("/v3/users/me")
        simulated = "X-Greenroom-Simulator" in answer.headers
        return answer.read(lambda data: Account.of(data, simulated=simulated))

    async def create(self, path: str, body: bytes, key: str) -> Created:
        """Create a video (`/v3/videos`) or a look (`/v3/avatars`): this costs money.

        Exactly these bytes are sent. After NoAnswer repeat with the same `key` and `body` alone.
        """
        if path not in {"/v3/videos", "/v3/avatars"}:
            raise ValueError("path: /v3/videos or /v3/avatars")
        headers = {"Content-Type": "application/json", "Idempotency-Key": checked_key(key)}
        request = self.request("POST", path, headers=headers, content=body, within=self._create_timeout)
        answer = await self.send(f"POST {path}", request, self._create_timeout)
        return answer.read(Created.of)

    async def get_video(self, heygen_id: str) -> Video:
        """One video, with fresh links."""
        return (await self.get("/v3/videos/{id}", heygen_id)).read(Video.of)

    async def video_statuses(self, heygen_ids: Sequence[str]) -> dict[str, str]:
        """Id → status word of up to 100 videos; an id HeyGen leaves out is left out."""
        if len(heygen_ids) > STATUSES_LIMIT:
            raise ValueError(f"heygen_ids: at most {STATUSES_LIMIT}")
        if not heygen_ids:
            return {}
        params = {"video_ids": ",".join(heygen_ids)}
        return (await self.get("/v3/videos/statuses", params=params)).read(statuses, within=None)

    async def batch_statuses(self, batch_ids: Sequence[str]) -> Sequence[Mapping[str, Any]]:
        """An entry for each item of HeyGen's own batches, as HeyGen shows it."""
        params = {"batch_ids": ",".join(batch_ids)}
        return (await self.get("/v3/videos/statuses", params=params)).read(entries, within=None)

    async def get_batch(self, heygen_id: str, *, limit: int, token: str | None = None) -> Mapping[str, Any]:
        """One page of one of HeyGen's own batches; its cursor stands inside."""
        params: Params = {"limit": limit, "token": token}
        return (await self.get("/v3/videos/batches/{id}", heygen_id, params)).read(_as_it_is)

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
        await self.delete("/v3/videos/{id}", heygen_id)

    async def get_look(self, heygen_id: str) -> Look:
        """One look; this is also how its making is followed."""
        return (await self.get("/v3/avatars/looks/{id}", heygen_id)).read(Look.of)

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
        await self.delete("/v3/avatars/looks/{id}", heygen_id)

    async def rename_look(self, heygen_id: str, name: str) -> Look:
        """Give a photo avatar or digital twin another name."""
        answer = await self.write("PATCH", "/v3/avatars/looks/{id}", heygen_id, {"name": name})
        return answer.read(Look.of)

    async def delete_group(self, heygen_id: str) -> None:
        """Delete a group with all its looks; one that is gone already counts as done."""
        await self.delete("/v3/avatars/{id}", heygen_id)

    async def create_consent(self, heygen_id: str, body: Mapping[str, Any], key: str) -> Mapping[str, Any]:
        """Ask for the consent to the twins of a group: the group, and the page where it is given, if any.

        Answers to one `key` are the same for 24 hours.
        """
        answer = await self.write("POST", "/v3/avatars/{id}/consent", heygen_id, body, key)
        return answer.read(_as_it_is)

    async def get_group(self, heygen_id: str) -> Mapping[str, Any]:
        """One avatar group as HeyGen shows it."""
        return (await self.get("/v3/avatars/{id}", heygen_id)).read(_as_it_is)

    async def list_groups(
        self, *, ownership: str | None = None, limit: int = 50, token: str | None = None
    ) -> Page:
        """Avatar groups; `ownership` is public or private; HeyGen's limit is 50."""
        return await self._page("/v3/avatars", {"ownership": ownership, "limit": limit, "token": token})

    async def get_voice(self, heygen_id: str) -> Mapping[str, Any]:
        """One voice as HeyGen shows it."""
        return (await self.get("/v3/voices/{id}", heygen_id)).read(_as_it_is)

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

    async def make_voice(self, path: str, body: bytes, key: str) -> Mapping[str, Any]:
        """Design voices (`/v3/voices`), clone one (`/v3/voices/clone`) or speak (`/v3/voices/speech`): costs money.

        After NoAnswer repeat with the same `key` and `body` alone; HeyGen does not say that it honours keys here.
        """
        self.check_held()
        headers = {"Content-Type": "application/json", "Idempotency-Key": checked_key(key)}
        request = self.request("POST", path, headers=headers, content=body, within=self._create_timeout)
        return (await self.send(f"POST {path}", request, self._create_timeout)).read(VOICE_ANSWERS[path])

    async def delete_voice(self, heygen_id: str) -> None:
        """Delete a clone for good; raises Missing for one that is not there."""
        await self.remove("/v3/voices/{id}", heygen_id)

    async def get_asset(self, heygen_id: str) -> Mapping[str, Any]:
        """One asset as HeyGen shows it."""
        return (await self.get("/v3/assets/{id}", heygen_id)).read(_as_it_is)

    async def list_assets(
        self, *, username: str, folder_id: str | None = None, limit: int = 100, token: str | None = None
    ) -> Page:
        """Assets of one owner, newest first; an empty `folder_id` is the root; HeyGen's limit is 100."""
        params: Params = {"username": username, "folder_id": folder_id, "limit": limit, "token": token}
        return await self._page("/v3/assets", params)

    async def delete_asset(self, heygen_id: str) -> None:
        """Delete an asset for good; raises Missing for one that is not there."""
        await self.remove("/v3/assets/{id}", heygen_id)

    async def upload_asset(self, content: Content, *, filename: str, mime: str, size: int, key: str) -> str:
        """Send a file of exactly `size` bytes as it is read; the id of the asset.

        Raises ValueError, before the last byte is sent, when `content` turns out longer or shorter.
        """
        self.check_held()
        form = FileForm(secrets.token_hex(16), filename=filename, mime=mime, size=size)
        headers = {**form.headers, "Idempotency-Key": checked_key(key)}
        request = self.request(
            "POST", "/v3/assets", headers=headers, content=form.body(content), within=self._upload_timeout
        )
        answer = await self.send("POST /v3/assets", request, self._upload_timeout)
        return answer.read(asset_id)

    async def create_endpoint(
        self, url: str, events: Sequence[str] | None = None, *, key: str | None = None
    ) -> Endpoint:
        """Register where HeyGen posts its events, all of them where `events` is None; only now it tells the secret.

        The same `key` within 24 hours is the same endpoint.
        """
        self.check_held()
        headers = {"Content-Type": "application/json"}
        if key is not None:
            headers["Idempotency-Key"] = checked_key(key)
        body = {"url": url} | ({} if events is None else {"events": list(events)})
        request = self.request(
            "POST",
            "/v3/webhooks/endpoints",
            headers=headers,
            content=json.dumps(body).encode(),
            within=self._create_timeout,
        )
        answer = await self.send("POST /v3/webhooks/endpoints", request, self._create_timeout)
        return answer.read(Endpoint.of)

    async def list_endpoints(self) -> list[Endpoint]:
        """The account's webhook endpoints, without their secrets; one that has no id is left out."""
        found: list[Endpoint] = []
        token: str | None = None
        for _ in range(ENDPOINT_PAGES):
            page = await self._page("/v3/webhooks/endpoints", {"limit": 100, "token": token})
            found.extend(Endpoint.of(item) for item in page.items if text_of(item, "endpoint_id"))
            token = page.next_token
            if token is None:
                break
        return found

    async def _page(self, route: str, params: Params) -> Page:
        return (await self.get(route, params=params)).read(Page.of, within=None)


def _as_it_is(data: Mapping[str, Any]) -> Mapping[str, Any]:
    return data


VOICE_ANSWERS: Mapping[str, Callable[[Mapping[str, Any]], Mapping[str, Any]]] = {
    "/v3/voices": _as_it_is,
    "/v3/voices/clone": cloned_voice,
    "/v3/voices/speech": speech,
}
