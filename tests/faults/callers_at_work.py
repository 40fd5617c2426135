"""The callers of a simulated world, and what they were answered."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from random import Random
from typing import Any

import httpx

from app.database import Database
from app.models import Account
from app.tenancy import create_key, create_tenant
from tests.api.photos import picture
from tests.factories import LOOK, VOICE, make_endpoint
from tests.faults.records import Ask, Secret, rotated
from tests.faults.replica import SECRETS, Replica

CREATES = {"/v3/videos": "video", "/v3/videos/batches": "video", "/v3/avatars": "look"}
"""What is made where."""
ENDPOINT = "http://endpoint.test/hook"
HOOKS = tuple(f"http://receiver-{number}.test/hook" for number in range(3))
TENDINGS = ("disabled", "enabled", "rotate")
DEADLINES = (None, None, None, 90, 600, 7200)  # seconds; None: the default of a day
PRIORITIES = (0, 0, 0, 5, -5)
TITLES = ("", "Ärger", "ärger im Büro", "100 %", "a_b", "ŁÓDŹ", "Straße")
METADATA: tuple[dict[str, Any], ...] = (
    {},
    {"b": 1, "a": {"ż": None, "A": [1.0, 2]}},
    {"zebra": True, "ant": "", "Ant": -0.5},
)


@dataclass(frozen=True)
class Tenant:
    """Who asks, and with which key."""

    id: str
    key: str


@dataclass
class Callers:
    """They note each create; one that was never answered stays unknown."""

    tenants: list[Tenant]
    random: Random
    secrets: list[Secret]
    endpoint_id: str  # of the first tenant
    asks: list[Ask] = field(default_factory=list)
    made: list[tuple[Tenant, str, str]] = field(default_factory=list)  # (whose, kind, id)
    _sent: list[tuple[Tenant, str, Ask, bytes]] = field(default_factory=list)
    _count: int = 0

    async def create(self, replica: Replica, now: datetime) -> None:
        """Ask for a video, of a public look or of one that was asked for before."""
        tenant = self.random.choice(self.tenants)
        looks = [made for whose, kind, made in self.made if kind == "look" and whose is tenant]
        seconds = self.random.choice(DEADLINES)
        ours: dict[str, Any] = {"archive": self.random.random() < 0.2}
        ours["priority"] = self.random.choice(PRIORITIES)
        ours["metadata"] = self.random.choice(METADATA)
        if seconds is not None:
            ours["deadline"] = (now + timedelta(seconds=seconds)).isoformat()
        body = {
            "type": "avatar",
            "avatar_id": self.random.choice([LOOK, *looks]),
            "voice_id": VOICE,
            "script": "Hello.",
            "title": self.random.choice(TITLES),
            "greenroom": ours,
        }
        if self.random.random() < 0.7:
            body["callback_url"] = self.random.choice(HOOKS)
        await self._ask(replica, tenant, "/v3/videos", body)

    async def create_batch(self, replica: Replica, now: datetime) -> None:
        """Ask for a few videos at once."""
        tenant, seconds = self.random.choice(self.tenants), self.random.choice(DEADLINES)
        video = {"type": "avatar", "avatar_id": LOOK, "voice_id": VOICE, "script": "Hello."}
        body: dict[str, Any] = {"videos": [video] * self.random.randint(1, 3)}
        if seconds is not None:
            body["greenroom"] = {"deadline": (now + timedelta(seconds=seconds)).isoformat()}
        if self.random.random() < 0.7:
            body["callback_url"] = self.random.choice(HOOKS)
        await self._ask(replica, tenant, "/v3/videos/batches", body)

    async def create_look(self, replica: Replica) -> None:
        """Ask for a look; videos of it may be asked for at once."""
        tenant, color = self.random.choice(self.tenants), f"#{self.random.randrange(1 << 24):06x}"
        asset_id = ""

        async def upload(client: httpx.AsyncClient) -> None:
            nonlocal asset_id
            answer = await client.post(
                "/v3/assets", headers=_as(tenant), files={"file": ("photo.png", picture(512, 512, color))}
            )
            asset_id = answer.json()["data"]["asset_id"] if answer.is_success else ""

        await replica.serve(upload)
        if asset_id:
            photo = {"type": "asset_id", "asset_id": asset_id}
            await self._ask(
                replica, tenant, "/v3/avatars", {"type": "photo", "name": f"Look {color}", "file": photo}
            )

    async def repeat(self, replica: Replica) -> None:
        """The same again, as after a lost answer; now and then under the same key with another body."""
        keyed = [sent for sent in self._sent if sent[2].key is not None]
        if not keyed:
            return
        tenant, path, ask, content = self.random.choice(keyed)
        if self.random.random() < 0.2:
            content = json.dumps(json.loads(content) | {"title": "another"}).encode()
            ask = replace(ask, body_sha256=_sha256(content))
        await self._send(replica, tenant, path, ask, content)

    async def withdraw(self, replica: Replica, how: str) -> None:
        """Cancel or delete a video of theirs."""
        videos = [(whose, made) for whose, kind, made in self.made if kind == "video"]
        if not videos:
            return
        tenant, made = self.random.choice(videos)
        method, path = ("POST", f"/v3/videos/{made}/cancel")
        if how == "delete":
            method, path = "DELETE", f"/v3/videos/{made}"

        async def ask(client: httpx.AsyncClient) -> None:
            answer = await client.request(method, path, headers=_as(tenant))
            assert answer.status_code in {200, 404, 409, 503}, answer.text

        await replica.serve(ask)

    async def tend(self, replica: Replica, how: str, now: datetime) -> None:
        """Do to the endpoint one of `TENDINGS`."""
        path, whose = f"/v3/webhooks/endpoints/{self.endpoint_id}", _as(self.tenants[0])

        async def ask(client: httpx.AsyncClient) -> None:
            if how == "rotate":
                answer = await client.post(f"{path}/rotate-secret", headers=whose)
                value = answer.raise_for_status().json()["data"]["secret"]
                self.secrets = rotated(self.secrets, ENDPOINT, value, now)
            else:
                (await client.patch(path, headers=whose, json={"status": how})).raise_for_status()

        await replica.serve(ask)

    async def _ask(self, replica: Replica, tenant: Tenant, path: str, body: dict[str, Any]) -> None:
        self._count += 1
        name = f"ask-{self._count}"
        callback_id = name if CREATES[path] == "video" else None
        content = json.dumps(body | ({"callback_id": name} if callback_id else {})).encode()
        ask = Ask(
            tenant_id=tenant.id,
            operation=f"POST {path}",
            key=name if self.random.random() < 0.7 else None,
            body_sha256=_sha256(content),
            outcome="unknown",
            callback_id=callback_id,
        )
        self._sent.append((tenant, path, ask, content))
        await self._send(replica, tenant, path, ask, content)

    async def _send(self, replica: Replica, tenant: Tenant, path: str, ask: Ask, content: bytes) -> None:
        place = len(self.asks)
        self.asks.append(ask)
        headers = _as(tenant) | {"Content-Type": "application/json"}
        if ask.key is not None:
            headers["Idempotency-Key"] = ask.key

        async def exchange(client: httpx.AsyncClient) -> None:
            answer = await client.post(path, headers=headers, content=content)
            if answer.is_success:
                data = answer.json()["data"]
                items = tuple(item["video_id"] for item in data.get("items", ()))
                made_id = data.get("batch_id") or data.get("video_id") or data["avatar_item"]["id"]
                self.asks[place] = replace(ask, outcome="accepted", job_id=made_id, items=items)
                self.made += [(tenant, CREATES[path], job_id) for job_id in items or (made_id,)]
            elif answer.status_code < 500:
                self.asks[place] = replace(ask, outcome="refused")

        await replica.serve(exchange)


async def settle_in(
    database: Database, accounts: Mapping[str, Account], random: Random, now: datetime
) -> Callers:
    """Callers of new tenants, by name; the first sees its whole account and has registered an endpoint."""
    tenants: list[Tenant] = []
    secrets: list[Secret] = []
    for name, account in accounts.items():
        async with database.begin() as session:
            tenant, secret = await create_tenant(
                session, name, account.id, account_wide=not tenants, secrets=SECRETS, now=now
            )
            key = await create_key(session, tenant.id, "simulated", now)
        secrets += [Secret(hook, secret) for hook in HOOKS]
        if not tenants:
            endpoint, secret = await make_endpoint(database, SECRETS, tenant, now, url=ENDPOINT)
            secrets.append(Secret(ENDPOINT, secret))
        tenants.append(Tenant(tenant.id, key))
    return Callers(tenants, random, secrets, endpoint.id)


def _as(tenant: Tenant) -> dict[str, str]:
    return {"x-api-key": tenant.key}


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
