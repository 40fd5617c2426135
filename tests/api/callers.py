"""Callers of the API, and the requests they usually make."""

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx

import app.simulator
from app.context import Context
from app.models import Account
from app.simulator.app import Simulator
from app.tenancy import create_key, create_tenant
from tests.clocks import ManualClock
from tests.services import TLS, run_worker

LOOK = "100c0000000000000000000000000001"
STUDIO_LOOK = "100c0000000000000000000000000003"
VOICE = "5e1a0000000000000000000000000001"
VIDEO = {
    "type": "avatar",
    "avatar_id": LOOK,
    "voice_id": VOICE,
    "script": "Hello there.",
    "title": "Greeting",
}

PHOTO = Path(app.simulator.__file__).with_name("assets") / "portrait.png"
PORTRAIT = {
    "type": "base64",
    "media_type": "image/png",
    "data": base64.b64encode(PHOTO.read_bytes()).decode(),
}


@asynccontextmanager
async def caller(
    served: Context, account: Account, name: str, *, account_wide: bool = False
) -> AsyncIterator[httpx.AsyncClient]:
    """A new tenant of that name, and a client with its key."""
    async with served.database.begin() as session:
        now = served.clock.now()
        tenant, _ = await create_tenant(
            session, name, account.id, account_wide=account_wide, secrets=served.secrets, now=now
        )
        key = await create_key(session, tenant.id, "tests", now)
    async with httpx.AsyncClient(
        base_url=served.links.api_url, headers={"x-api-key": key}, verify=TLS, timeout=30
    ) as client:
        yield client


async def create_video(api: httpx.AsyncClient, **changes: Any) -> str:
    """A stored video's id; a change to None leaves a field out."""
    answer = await api.post("/v3/videos", json=VIDEO | changes)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["data"]["video_id"])


async def read_video(api: httpx.AsyncClient, video_id: str) -> dict[str, Any]:
    """The video as its caller sees it now."""
    answer = await api.get(f"/v3/videos/{video_id}")
    assert answer.status_code == 200, answer.text
    video: dict[str, Any] = answer.json()["data"]
    return video


async def render(served: Context, clock: ManualClock) -> None:
    """Let the worker submit what waits, HeyGen render it, and the worker find that out."""
    await run_worker(served)
    clock.advance(timedelta(minutes=10))
    await run_worker(served)


def at_heygen(simulator_url: str) -> httpx.AsyncClient:
    """A client of the HeyGen account itself, of somebody who uses it without us."""
    return httpx.AsyncClient(base_url=simulator_url, headers={"x-api-key": "direct"}, verify=TLS)


async def make_at_heygen(simulator_url: str, **changes: Any) -> str:
    """A video that was made at HeyGen directly, without us; its id there."""
    async with at_heygen(simulator_url) as direct:
        answer = await direct.post("/v3/videos", json=VIDEO | changes)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["data"]["video_id"])


def creates_at(simulator: Simulator) -> int:
    """How many videos HeyGen was asked to make."""
    return len(simulator.requests("POST", "/v3/videos"))


def error_of(answer: httpx.Response) -> tuple[int, str, str | None]:
    """Status, code and param of an error."""
    error = answer.json()["error"]
    assert isinstance(error["message"], str)
    return answer.status_code, error["code"], error["param"]


async def fetch(
    url: str, method: str = "GET", content: bytes | None = None, **headers: str
) -> httpx.Response:
    """A file behind a link, as a player fetches it: without a key, and without following anything."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    async with httpx.AsyncClient(verify=TLS, timeout=30) as player:
        return await player.request(method, url, headers=named, content=content)
