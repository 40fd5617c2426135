"""A served simulator, a clock to move, a client, and a receiver of callbacks."""

from __future__ import annotations

import asyncio
import io
import json
import ssl
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from app.simulator.app import Options, Simulator
from app.simulator.catalog import VOICES
from app.simulator.filming import FilmRequest
from app.simulator.server import running

VOICE = VOICES[0].voice_id


@dataclass
class Clock:
    """Stands still until it is moved."""

    at: datetime = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.at

    def advance(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


class OneClip:
    """Films at once, always the same bytes, and others with captions; keeps what it was asked."""

    def __init__(self, clip: Path) -> None:
        clip.write_bytes(bytes(range(256)) * 40)
        self.clip = clip
        self.captioned = clip.with_stem("captioned")
        self.captioned.write_bytes(clip.read_bytes() + b"words")
        self.asked: list[FilmRequest] = []

    async def film(self, request: FilmRequest) -> Path:
        self.asked.append(request)
        return self.captioned if request.caption else self.clip


class Api:
    """HeyGen's paths as a client calls them."""

    def __init__(self, http: httpx.AsyncClient, base_url: str) -> None:
        self.http = http
        self.base_url = base_url

    async def call(self, method: str, path: str, key: str | None = None, **more: Any) -> httpx.Response:
        headers = {"x-api-key": "a-key", **more.pop("headers", {})}
        if key is not None:
            headers["Idempotency-Key"] = key
        return await self.http.request(method, self.base_url + path, headers=headers, **more)

    async def data(self, path: str) -> Any:
        answer = await self.call("GET", path)
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]

    async def upload(self, content: bytes) -> str:
        answer = await self.call("POST", "/v3/assets", files={"file": ("a", content)})
        assert answer.status_code == 200, answer.text
        return str(answer.json()["data"]["asset_id"])

    async def create_look(self, name: str = "Sarah", key: str | None = None, **fields: Any) -> httpx.Response:
        photo = {"type": "asset_id", "asset_id": await self.upload(picture())}
        body = {"type": "photo", "name": name, "file": photo, **fields}
        return await self.call("POST", "/v3/avatars", key, json=body)

    async def look(self, name: str = "Sarah", **fields: Any) -> str:
        answer = await self.create_look(name, **fields)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["data"]["avatar_item"]["id"])

    async def create_video(
        self, script: str = "Hello.", key: str | None = None, **fields: Any
    ) -> httpx.Response:
        """A video of a public look unless the fields say otherwise; a field of None is left out."""
        body = {"type": "avatar", "avatar_id": PUBLIC_LOOK, "voice_id": VOICE, "script": script, **fields}
        body = {name: value for name, value in body.items() if value is not None}
        return await self.call("POST", "/v3/videos", key, json=body)

    async def video(self, script: str = "Hello.", **fields: Any) -> str:
        answer = await self.create_video(script, **fields)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["data"]["video_id"])

    async def until(self, happened: Callable[[], bool]) -> None:
        """Wait for something in the simulator, letting it work meanwhile."""
        async with asyncio.timeout(20):
            while not happened():
                await self.http.get(self.base_url + "/simulator")


PUBLIC_LOOK = "100c0000000000000000000000000001"


@dataclass
class Receiver:
    """Takes callbacks over real HTTP."""

    url: str = ""
    statuses: list[int] = field(default_factory=list)
    """What to answer next; 200 where nothing is left."""
    events: list[dict[str, Any]] = field(default_factory=list)
    headers: list[str] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)

    @property
    def seen(self) -> list[tuple[str, str]]:
        """Type and video, or batch, of each event."""
        return [
            (event["event_type"], event["event_data"].get("video_id") or event["event_data"]["batch_id"])
            for event in self.events
        ]

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = int(head.lower().split("content-length: ")[1].split("\r\n")[0])
        self.bodies.append(await reader.readexactly(length))
        self.events.append(json.loads(self.bodies[-1]))
        self.headers.append(head)
        status = self.statuses.pop(0) if self.statuses else 200
        writer.write(b"HTTP/1.1 %d X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n" % status)
        writer.close()
        await writer.wait_closed()


def picture(width: int = 600, height: int = 800, kind: str = "PNG") -> bytes:
    """A photo of nobody."""
    content = io.BytesIO()
    Image.new("RGB", (width, height), "#446688").save(content, kind)
    return content.getvalue()


@pytest.fixture(scope="session")
def authorities() -> ssl.SSLContext:
    """Read once: it takes longer than most tests here."""
    return ssl.create_default_context()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def filmer(tmp_path: Path) -> OneClip:
    return OneClip(tmp_path / "clip.mp4")


@pytest.fixture
def options(tmp_path: Path, clock: Clock, filmer: OneClip) -> Options:
    return Options(folder=tmp_path / "simulator", now=clock, filmer=filmer, background=False)


@pytest.fixture
async def simulator(options: Options) -> AsyncIterator[Simulator]:
    simulator = Simulator(options)
    yield simulator
    await simulator.close()


@pytest.fixture
async def http(authorities: ssl.SSLContext) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(verify=authorities, trust_env=False, timeout=20) as client:
        yield client


@pytest.fixture
async def api(
    request: pytest.FixtureRequest, simulator: Simulator, http: httpx.AsyncClient
) -> AsyncIterator[Api]:
    """A client of the served simulator; a test that shows a scenario fails if the scenario never struck."""
    async with running(simulator) as base_url:
        yield Api(http, base_url)
        if name := getattr(request.function, "shows", None):
            listed = (await http.get(base_url + "/simulator/scenarios")).json()["data"]
            assert {row["name"]: row["struck"] for row in listed}[name] > 0, f"{name} never struck"


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    server = await asyncio.start_server(receiver.answer, "127.0.0.1", 0)
    async with server:
        receiver.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/callbacks?token=k"
        yield receiver
