"""What reaches the log, and what never may: keys, secrets, tokens, signed links, scripts."""

import asyncio
import json
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.accounts import EMBEDDED, settle
from app.clock import Clock
from app.database import Database
from app.main import open_secrets
from app.observability import STRUCK, strike_secrets
from app.secrets import new_api_key, new_webhook_secret
from app.settings import read_settings
from app.tenancy import create_key, create_tenant

PROJECT = Path(__file__).resolve().parent.parent
PATIENCE = 60  # seconds; a render of the built-in simulator takes 8

KEY, WEBHOOK_SECRET = new_api_key().key, new_webhook_secret()
HIDDEN = [
    pytest.param(f"refused {KEY}!", KEY, id="api key"),
    pytest.param(f"signed with {WEBHOOK_SECRET}", WEBHOOK_SECRET, id="webhook secret"),
    pytest.param("POST /callbacks/heygen/canary?x=1", "canary", id="callback path"),
    pytest.param(
        "https://gr.example/v3/videos/1/content?expires=1&signature=canary", "canary", id="own link"
    ),
    pytest.param("https://files.example/1.mp4?Policy=canary&Signature=canary", "canary", id="HeyGen's link"),
    pytest.param("postgresql://greenroom:canary@db/greenroom", "canary", id="database password"),
]
NAMES = [
    "api_key",
    "x-api-key",
    "Authorization",
    "webhook_secret",
    "callback_token",
    "signature",
    "script",
    "body",
]


@pytest.mark.parametrize(("text", "secret"), HIDDEN)
def test_a_secret_is_struck_out_of_any_text(text: str, secret: str) -> None:
    struck = str(strike_secrets(None, "info", {"event": text})["event"])
    assert secret not in struck
    assert STRUCK in struck


@pytest.mark.parametrize("name", NAMES)
def test_a_value_with_a_secret_name_is_struck_out_whatever_it_is(name: str) -> None:
    assert strike_secrets(None, "info", {name: ["canary"]}) == {name: STRUCK}


def test_the_rest_of_an_event_stays_readable() -> None:
    event = {"event": "GET /v3/videos/1?expires=5&signature=ab&variant=gif", "status": 200, "job_id": "1"}
    assert strike_secrets(None, "info", dict(event)) == event | {
        "event": f"GET /v3/videos/1?expires=5&signature={STRUCK}&variant=gif"
    }


def logged(program: str, *, as_json: bool) -> str:
    """What a process writes to standard error that configures its logs and then runs this program."""
    start = f"import logging, structlog; from app.observability import configure_logs; configure_logs('INFO', {as_json});"
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", start + program], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    assert done.stdout == ""
    return done.stderr


@pytest.mark.parametrize("as_json", [True, False])
@pytest.mark.parametrize(
    "program",
    [
        f"structlog.get_logger().info('x', detail='{KEY}')",
        f"logging.getLogger('x').warning('%s', '{KEY}')",
        f"\ntry:\n  raise ValueError('{KEY}')\nexcept ValueError:\n  structlog.get_logger().exception('x')",
        f"\ntry:\n  raise ValueError('{KEY}')\nexcept ValueError:\n  logging.getLogger('x').exception('x')",
        f"structlog.contextvars.bind_contextvars(caller='{KEY}'); structlog.get_logger().info('x')",
    ],
    ids=["event", "standard library", "exception", "standard library's exception", "context"],
)
def test_no_way_into_the_log_leads_past_the_striking_out(program: str, as_json: bool) -> None:
    said = logged(program, as_json=as_json)
    assert KEY not in said
    assert STRUCK in said


def test_elsewhere_than_on_a_terminal_each_line_is_json() -> None:
    program = "structlog.get_logger().info('one', job_id='7'); logging.getLogger('x').error('two'); "
    first, second = map(json.loads, logged(program, as_json=True).splitlines())
    assert (first["event"], first["level"], first["job_id"]) == ("one", "info", "7")
    assert (second["event"], second["level"]) == ("two", "error")
    assert first["timestamp"].endswith("Z")


def test_on_a_terminal_lines_are_for_people() -> None:
    said = re.sub(r"\x1b\[\d*m", "", logged("structlog.get_logger().info('one', job_id='7')", as_json=False))
    assert "[info" in said
    assert "job_id=7" in said


def test_what_is_below_the_level_and_what_httpx_tells_of_each_request_is_not_logged() -> None:
    program = "structlog.get_logger().debug('one'); logging.getLogger('httpx').info('GET https://x/?sig=1')"
    assert logged(program, as_json=True) == ""


def leaks(log: str, canaries: list[str]) -> list[str]:
    """Which of the canaries stand in the log, and any callback's token."""
    tokens = re.findall(r"/callbacks/heygen/(?!\[removed\])([^\s\"'/?{]+)", log)
    return [canary for canary in canaries if canary in log] + tokens


def test_a_leak_would_be_found() -> None:
    said = logged(f"structlog.get_logger().info('x', note='my line: canary {KEY}')", as_json=True)
    assert leaks(said, ["canary", KEY]) == ["canary"]
    assert leaks('{"event": "POST /callbacks/heygen/0123abcd"}', []) == ["0123abcd"]


async def test_nothing_secret_is_logged_in_the_whole_life_of_a_video(tmp_path: Path) -> None:
    """A caller makes a video, gets its webhook, uses its link; others try their luck. The log is at its loudest."""
    environment = {
        "DATABASE_URL": f"sqlite:///{tmp_path / 'greenroom.db'}",
        "STORAGE_URL": str(tmp_path / "files"),
        "FILM": "false",
        "LOG_LEVEL": "DEBUG",
    }
    key, webhook_secret = await introduce(environment)
    stolen = new_api_key().key
    async with served(environment) as (url, log), inbox() as (hook, came):
        async with httpx.AsyncClient(base_url=url, headers={"x-api-key": key}, timeout=PATIENCE) as caller:
            video_id = await make_video(caller, f"{hook}/canary-path?signature=canary-hook")
            await asyncio.wait_for(came.wait(), PATIENCE)
            video = (await caller.get(f"/v3/videos/{video_id}")).json()["data"]
        async with httpx.AsyncClient(base_url=url, timeout=PATIENCE) as stranger:
            assert (await stranger.get(video["video_url"])).status_code == 200
            forged = {"variant": "video", "expires": "9", "signature": "canary-forged"}
            await stranger.get(f"/v3/videos/{video_id}/content", params=forged)
            await stranger.get("/v3/videos", headers={"x-api-key": stolen})
            await stranger.post("/callbacks/heygen/canary-token", json={"event_data": {"msg": "canary-body"}})
            await stranger.post(
                "/v3/videos", content=b'{"script": "canary-broken', headers={"x-api-key": key}
            )
    said = log.read_text()
    signature = video["video_url"].partition("signature=")[2]
    requests = re.findall(r'"method": "(\w+)", "path": "([^"]+)", "status": (\d+)', said)
    assert {("POST", "/v3/videos", "200"), ("GET", "/v3/videos/{video_id}/content", "403")} <= set(requests)
    assert f"/callbacks/heygen/{STRUCK}" in said
    assert leaks(said, [key, stolen, webhook_secret, "canary", signature]) == []


async def introduce(environment: dict[str, str]) -> tuple[str, str]:
    """A tenant with a key, and the secret of its webhooks."""
    settings, clock = read_settings(environment), Clock()
    database = Database(settings.database_url)
    await database.migrate()
    async with database.begin() as session:
        account = await settle(session, EMBEDDED, 10, clock.now())
        tenant, secret = await create_tenant(
            session, "acme", account.id, account_wide=True, secrets=open_secrets(settings), now=clock.now()
        )
        key = await create_key(session, tenant.id, "tests", clock.now())
    await database.close()
    return key, secret


async def make_video(caller: httpx.AsyncClient, callback_url: str) -> str:
    """A video of a public look; its id."""
    look = (await caller.get("/v3/avatars/looks", params={"limit": 1})).json()["data"][0]
    voice = (await caller.get("/v3/voices", params={"limit": 1})).json()["data"][0]
    body: dict[str, Any] = {
        "type": "avatar",
        "avatar_id": look["id"],
        "voice_id": voice["voice_id"],
        "script": "The canary-script is spoken.",
        "title": "canary-title",
        "callback_url": callback_url,
    }
    made = await caller.post("/v3/videos", json=body)
    assert made.status_code == 200, made.text
    return str(made.json()["data"]["video_id"])


@asynccontextmanager
async def served(environment: dict[str, str]) -> AsyncIterator[tuple[str, Path]]:
    """The program itself, serving; its address and the file of its log. It has ended when the block is left."""
    log = Path(environment["STORAGE_URL"]).parent / "log"
    command = [sys.executable, "-m", "app", "serve", "--port", "0"]
    process = await asyncio.create_subprocess_exec(
        *command, cwd=PROJECT, env=environment, stderr=asyncio.subprocess.PIPE
    )
    assert process.stderr is not None
    started = b""
    while (told := re.search(rb"serves at (\S+)", started)) is None:
        line = await asyncio.wait_for(process.stderr.readline(), PATIENCE)
        assert line, started
        started += line
    rest = asyncio.create_task(process.stderr.read())
    try:
        yield told[1].decode(), log
    finally:
        process.terminate()
        log.write_bytes(started + await asyncio.wait_for(rest, PATIENCE))
        await process.wait()


@asynccontextmanager
async def inbox() -> AsyncIterator[tuple[str, asyncio.Event]]:
    """A caller's endpoint that takes anything; the event is set when something came."""
    came = asyncio.Event()

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
        await reader.readexactly(int(length[1]) if length else 0)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()
        came.set()

    async with await asyncio.start_server(take, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", came
