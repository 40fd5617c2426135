"""A whole service from a caller's side: requests in, webhooks out, HeyGen behind, one clock for all of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from sqlalchemy import select
from sqlmodel import col

from app.context import Context
from app.models import Delivery, Tenant, WebhookSecret
from app.simulator.app import LedgerRow, Simulator
from tests.api import callers
from tests.clocks import ManualClock
from tests.worker.conftest import Bench


@dataclass
class Story(Bench):
    """A caller with a key, and everything that happens behind the API it calls."""

    api: httpx.AsyncClient
    secret: str  # signs this caller's webhooks

    async def create(self, **changes: Any) -> str:
        """A video's id; `changes` are fields of the request, None leaves one out."""
        return await callers.create_video(self.api, **changes)

    async def read(self, video_id: str) -> dict[str, Any]:
        """The video as its caller sees it now."""
        return await callers.read_video(self.api, video_id)

    async def create_look(self, file: Mapping[str, str] = callers.PORTRAIT, **changes: Any) -> str:
        """A photo avatar's id."""
        body = {"type": "photo", "name": "Sarah", "file": dict(file)} | changes
        answer = await self.api.post("/v3/avatars", json=body)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["data"]["avatar_item"]["id"])

    async def deliveries(self) -> list[Delivery]:
        """Every delivery, oldest first."""
        async with self.context.database.begin() as session:
            return list(await session.scalars(select(Delivery).order_by(col(Delivery.id))))

    def bills(self, kind: str = "video") -> list[LedgerRow]:
        """What HeyGen was paid for."""
        return [row for row in self.simulator.ledger() if row.kind == kind]

    def reads(self) -> int:
        """How often HeyGen was asked about one video."""
        return self.calls("GET", "/v3/videos/") - self.calls("GET", "/v3/videos/statuses")


@pytest.fixture
def inline() -> bool:
    """A whole service: its SQLite has its thread."""
    return False


@pytest.fixture
async def story(
    served: Context, simulator: Simulator, clock: ManualClock, tenant: Tenant, api: httpx.AsyncClient
) -> Story:
    async with served.database.begin() as session:
        row = (await session.scalars(select(WebhookSecret))).one()
    secret = served.secrets.decrypt(row.secret_encrypted).decode()
    return Story(served, simulator, clock, tenant, api, secret)
