"""The main job in a minute: a photo and a script become a talking video, and the promises are checked on the way."""

import asyncio
import json
import shutil
import socket
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from fastapi import FastAPI, Request, Response
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text
from standardwebhooks import Webhook, WebhookVerificationError

from app.api.wire import Wire
from app.clock import Clock
from app.context import Connection
from app.main import Address, create_app
from app.serving import listen
from app.settings import Settings, read_settings
from app.simulator.server import QuietServer
from app.tenancy import create_key, create_tenant

PORTRAIT = Path(__file__).parent / "simulator" / "assets" / "portrait.png"
SCRIPT = (
    "Hello! A moment ago I was only a photo. Now I speak, and Greenroom saw to it that I was rendered "
    "exactly once, whatever might have broken on the way."
)
PATIENCE = 15 * 60.0  # seconds; a real render takes minutes
MARKER = ".greenroom-demo"
"""A folder that holds this file is the demo's own."""
REMADE = (
    "files",
    "simulator",
    "secret.keys",
    "talking-photo.mp4",
    *(f"greenroom.db{end}" for end in ("", ".lock", "-wal", "-shm", "-journal")),
)
"""What each free run makes anew; a film that was paid for has a name of its own, and stays."""
LOOK_PRICE, SECOND_PRICE, CHARACTERS_A_SECOND = 1.0, 0.05, 14.5  # USD, developers.heygen.com/docs/pricing


class DemoFailed(Exception):
    """A step did not come out as promised; the message says which."""


@dataclass
class Step:
    """One line of the display."""

    name: str
    state: str = "waiting"
    detail: str = ""
    began: float | None = None
    seconds: float | None = None


@dataclass
class Display:
    """What is done, under way, and still to come."""

    steps: dict[str, Step] = field(default_factory=dict)

    def __rich__(self) -> Table:
        table = Table.grid(padding=(0, 2))
        marks = {"waiting": ("·", "dim"), "running": ("▸", "yellow"), "done": ("✓", "green")}
        for step in self.steps.values():
            seconds = (
                step.seconds
                if step.seconds is not None
                else time.monotonic() - (step.began or time.monotonic())
            )
            spent = f"{seconds:5.1f} s" if step.began is not None else ""
            table.add_row(Text(*marks[step.state]), step.name, Text(spent, "dim"), step.detail)
        return table

    @asynccontextmanager
    async def doing(self, name: str) -> AsyncIterator[Step]:
        """Show a step as running, then as done."""
        step = self.steps[name]
        step.state, step.began = "running", time.monotonic()
        yield step
        step.state, step.seconds = "done", time.monotonic() - step.began


class Inbox:
    """The caller's endpoint: keeps the webhooks it gets."""

    def __init__(self) -> None:
        self.webhooks: asyncio.Queue[tuple[dict[str, str], bytes]] = asyncio.Queue()
        self.app = FastAPI(openapi_url=None)
        self.app.add_api_route("/hook", self.take, methods=["POST"])

    async def take(self, request: Request) -> Response:
        """Take one webhook."""
        await self.webhooks.put((dict(request.headers), await request.body()))
        return Response(status_code=200)


STEPS = (
    "Start the service",
    "Upload the photo",
    "Create the look",
    "Render the video",
    "Receive the webhook",
    "Fetch the film",
)


async def run_demo(folder: Path, console: Console, real: Settings | None = None) -> Path:
    """Run the whole job once and return the film's path; raises DemoFailed.

    Without `real` settings nothing of the environment is read, and nothing can be spent. Of the folder only what the
    demo made itself is ever deleted.
    """
    _own(folder)
    if real is not None:
        _ask_for_money(console, real)
    else:
        _clear(folder)
    settings = real or _free_settings(folder)
    display = Display({name: Step(name) for name in STEPS})
    film = folder / ("talking-photo.mp4" if real is None else f"paid-{Clock().now():%Y%m%d-%H%M%S}.mp4")
    with Live(display, console=console, refresh_per_second=8, transient=False):
        async with asyncio.timeout(PATIENCE), AsyncExitStack() as stack:
            async with display.doing(STEPS[0]) as step:
                app, url = await _serve(stack, settings)
                inbox = Inbox()
                hook = f"{await _listen(stack, inbox.app)}/hook"
                key, secret = await _introduce(app)
                step.detail = url
            headers = {"x-api-key": key}
            caller = await stack.enter_async_context(
                httpx.AsyncClient(base_url=url, headers=headers, timeout=60)
            )
            await _film(display, caller, inbox, hook, secret, film)
            ledger = await _ledger(app)
    _tell(console, film, ledger, real)
    return film


def _own(folder: Path) -> None:
    """Make the folder the demo's, unless it holds what somebody else keeps there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / MARKER).exists():
            if any(folder.iterdir()):
                raise DemoFailed(
                    f"{folder} holds files that are not the demo's; name another folder by --folder"
                )
            (folder / MARKER).write_text("greenroom demo deletes what it made here when it runs again.\n")
    except OSError as error:
        raise DemoFailed(f"{folder} cannot hold the demo's files: {error.strerror}") from None


def _clear(folder: Path) -> None:
    """Delete what an earlier run left, and nothing else."""
    try:
        for path in (folder / name for name in REMADE):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
    except OSError as error:
        raise DemoFailed(f"{error.filename} cannot be deleted: {error.strerror}") from None


def _free_settings(folder: Path) -> Settings:
    return read_settings(
        {"DATABASE_URL": f"sqlite:///{folder / 'greenroom.db'}", "STORAGE_URL": str(folder / "files")}
    )


def _ask_for_money(console: Console, settings: Settings) -> None:
    if settings.heygen_api_key is None:
        raise DemoFailed("REAL=1 needs HEYGEN_API_KEY")
    price = LOOK_PRICE + SECOND_PRICE * len(SCRIPT) / CHARACTERS_A_SECOND
    console.print(
        f"This makes one look and one video at {settings.heygen_base_url}, for about {price:.2f} USD."
    )
    if console.input("Type yes to spend it: ").strip().lower() != "yes":
        raise DemoFailed("nothing was spent")


async def _serve(stack: AsyncExitStack, settings: Settings) -> tuple[FastAPI, str]:
    listener = stack.enter_context(listen())
    address = Address(port=listener.getsockname()[1])
    app = create_app(settings, address)
    await _run_server(stack, app, listener)
    return app, address.loopback


async def _listen(stack: AsyncExitStack, app: FastAPI) -> str:
    listener = stack.enter_context(listen())
    await _run_server(stack, app, listener)
    return f"http://127.0.0.1:{listener.getsockname()[1]}"


async def _run_server(stack: AsyncExitStack, app: FastAPI, listener: socket.socket) -> None:
    server = QuietServer(uvicorn.Config(app, http=Wire, log_config=None, access_log=False))
    task = asyncio.create_task(server.serve(sockets=[listener]))

    async def stop() -> None:
        server.leave()
        await task

    stack.push_async_callback(stop)
    while not server.started:
        if task.done():
            raise DemoFailed("the service did not start; its log says why")
        await asyncio.sleep(0.02)


async def _introduce(app: FastAPI) -> tuple[str, str]:
    """A tenant with a key and the secret of its webhooks."""
    context = app.state.context
    now = context.clock.now()
    async with context.database.begin() as session:
        tenant, secret = await create_tenant(
            session,
            f"demo-{now:%Y%m%d%H%M%S}",
            next(iter(context.connections)),
            account_wide=True,
            secrets=context.secrets,
            now=now,
        )
        return await create_key(session, tenant.id, "demo", now), secret


async def _film(
    display: Display, caller: httpx.AsyncClient, inbox: Inbox, hook: str, secret: str, film: Path
) -> None:
    """What any caller would do, over HTTP alone."""
    async with display.doing(STEPS[1]) as step:
        photo = await asyncio.to_thread(PORTRAIT.read_bytes)
        files = {"file": (PORTRAIT.name, photo, "image/png")}
        asset = await _post(caller, "/v3/assets", files=files)
        step.detail = f"asset {asset['asset_id']}"
    async with display.doing(STEPS[2]) as step:
        file = {"type": "asset_id", "asset_id": asset["asset_id"]}
        made = await _post(
            caller, "/v3/avatars", json={"type": "photo", "name": "Demo portrait", "file": file}
        )
        avatar_id = made["avatar_item"]["id"]
        await _follow(caller, f"/v3/avatars/looks/{avatar_id}", step)
    async with display.doing(STEPS[3]) as step:
        voices = (await caller.get("/v3/voices", params={"language": "English", "limit": 1})).json()["data"]
        body = {
            "type": "avatar",
            "avatar_id": avatar_id,
            "script": SCRIPT,
            "voice_id": voices[0]["voice_id"],
            "title": "Greenroom demo",
            "resolution": "720p",
            "aspect_ratio": "1:1",
            "callback_url": hook,
        }
        accepted = await _post(caller, "/v3/videos", json=body, headers={"Idempotency-Key": "demo"})
        video = await _follow(caller, f"/v3/videos/{accepted['video_id']}", step)
    async with display.doing(STEPS[4]) as step:
        headers, payload = await asyncio.wait_for(inbox.webhooks.get(), 30)
        _verify(secret, headers, payload, accepted["video_id"])
        step.detail = "signature verified"
    async with display.doing(STEPS[5]) as step:
        step.detail = f"{await _fetch(video['video_url'], film) / 1000:.0f} kB"


async def _post(caller: httpx.AsyncClient, path: str, **request: Any) -> dict[str, Any]:
    answer = await caller.post(path, **request)
    if answer.status_code != 200:
        raise DemoFailed(f"POST {path} answered {answer.status_code}: {answer.text[:300]}")
    data: dict[str, Any] = answer.json()["data"]
    return data


async def _follow(caller: httpx.AsyncClient, path: str, step: Step) -> dict[str, Any]:
    """Read a look or a video until it ends, showing where it stands."""
    while True:
        data: dict[str, Any] = (await caller.get(path)).json()["data"]
        phase = data.get("greenroom", {}).get("phase")
        step.detail = data["status"] if phase in {None, data["status"]} else f"{data['status']} ({phase})"
        if data["status"] == "completed":
            return data
        if data["status"] == "failed":
            raise DemoFailed(f"{path}: {data.get('failure_message') or data.get('error')}")
        await asyncio.sleep(0.25)


def _verify(secret: str, headers: dict[str, str], payload: bytes, video_id: str) -> None:
    try:
        Webhook(secret).verify(payload, headers)
    except WebhookVerificationError as error:
        raise DemoFailed(f"the webhook's signature does not verify: {error}") from None
    event = json.loads(payload)
    if event["event_type"] != "avatar_video.success" or event["event_data"]["video_id"] != video_id:
        raise DemoFailed(f"the webhook tells of something else: {event['event_type']}")


async def _fetch(link: str, film: Path) -> int:
    """Write the film, and answer how many bytes it has."""
    async with httpx.AsyncClient(timeout=60) as anybody, anybody.stream("GET", link) as answer:
        if answer.status_code != 200:
            raise DemoFailed(f"the link answered {answer.status_code} to somebody without a key")
        content = await answer.aread()
    await asyncio.to_thread(film.write_bytes, content)
    return len(content)


async def _ledger(app: FastAPI) -> int | None:
    """How many videos the simulator billed, by its own word; None where HeyGen did."""
    connection: Connection = next(iter(app.state.context.connections.values()))
    if not connection.simulated:
        return None
    async with httpx.AsyncClient() as witness:
        rows = (await witness.get(f"{connection.url}/simulator/ledger")).json()["data"]
    return sum(1 for row in rows if row["kind"] == "video")


def _tell(console: Console, film: Path, renders: int | None, real: Settings | None) -> None:
    if renders is not None and renders != 1:
        raise DemoFailed(f"the simulator billed {renders} renders for one video")
    tell = partial(console.print, soft_wrap=True)
    tell()
    console.print("Your talking video:", style="green bold", end=" ")
    tell(str(film.resolve()))
    tell("Verified: the webhook's signature (Standard Webhooks), the link without a key", end="")
    tell(", exactly one render in the billing ledger." if renders is not None else ".")
    if real is None:
        tell("Nothing was spent: the built-in simulator rendered. It is a stand-in, not HeyGen's picture.")
        tell("Go on:  make run                              serve, still free; prints a key and the address")
        tell("        HEYGEN_API_KEY=… make run             the same, rendered by HeyGen")
        tell("        HEYGEN_API_KEY=… make demo REAL=1     this at HeyGen; prints the price and asks first")
