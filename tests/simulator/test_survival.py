"""What a killed simulator still knows, and what it does by itself while it is served."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from app.simulator.app import Options, Simulator
from app.simulator.filming import FilmRequest
from app.simulator.server import running
from tests.simulator.conftest import Api, Clock, OneClip, Receiver

CHILD = """
import asyncio, sys
from pathlib import Path
from app.simulator.app import Options, Simulator
from app.simulator.server import running

class NeverFilms:
    async def film(self, request):
        await asyncio.Event().wait()

async def main():
    simulator = Simulator(Options(folder=Path(sys.argv[1]), render_seconds=0, filmer=NeverFilms()))
    async with running(simulator) as base_url:
        print(base_url, flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


async def test_a_new_simulator_on_the_same_folder_knows_everything(
    options: Options, http: httpx.AsyncClient, clock: Clock, receiver: Receiver
) -> None:
    before = Simulator(options)
    async with running(before) as base_url:
        api = Api(http, base_url)
        video_id = await api.video(key="k", title="T", callback_url=receiver.url)
        look_id = await api.look()
        clock.advance(8)
        link = (await api.data(f"/v3/videos/{video_id}"))["video_url"].removeprefix(base_url)
    ledger, requests = before.ledger(), before.requests()
    await before.close()

    after = Simulator(options)
    assert (after.ledger(), after.requests(), after.peak_in_flight()) == (ledger, requests, 2)
    async with running(after) as base_url:
        api = Api(http, base_url)
        assert await api.video(key="k") == video_id
        assert (await api.data(f"/v3/avatars/looks/{look_id}"))["status"] == "completed"
        assert (await http.get(base_url + link)).status_code == 200
        assert await after.send_due_callbacks() == 1
    assert after.ledger() == ledger
    await after.close()


async def test_nothing_accepted_is_lost_by_a_kill(
    tmp_path: Path, http: httpx.AsyncClient, clock: Clock, filmer: OneClip
) -> None:
    folder = tmp_path / "killed"
    root = Path(__file__).parents[2]
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", CHILD, str(folder), stdout=asyncio.subprocess.PIPE, cwd=root
    )
    assert child.stdout is not None
    async with asyncio.timeout(60):
        api = Api(http, (await child.stdout.readline()).decode().strip())
        with pytest.raises(httpx.RemoteProtocolError):
            await api.create_video("[[drop_after_accept]]", key="lost")
        video_id = await api.video(key="known")
        os.kill(child.pid, signal.SIGKILL)
        await child.wait()

    after = Simulator(Options(folder=folder, now=clock, filmer=filmer, background=False))
    assert [row.idempotency_key for row in after.ledger()] == ["lost", "known"]
    clock.at = after.ledger()[-1].at + timedelta(hours=1)
    async with running(after) as base_url:
        api = Api(http, base_url)
        # The film that the kill interrupted is begun again.
        assert (await api.data(f"/v3/videos/{video_id}"))["status"] == "completed"
        assert await api.video("[[drop_after_accept]]", avatar_id="now nobody", key="known") == video_id
    await after.close()


async def test_the_ledger_cannot_be_rewritten(api: Api, options: Options) -> None:
    await api.video()
    other = sqlite3.connect(options.folder / "simulator.sqlite3", isolation_level=None)
    for statement in ("DELETE FROM ledger", "UPDATE ledger SET cost_usd = 0"):
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            other.execute(statement)
    other.close()


async def test_a_served_simulator_calls_back_by_itself(
    options: Options, http: httpx.AsyncClient, receiver: Receiver
) -> None:
    simulator = Simulator(replace(options, background=True, render_seconds=0))
    async with running(simulator) as base_url:
        api = Api(http, base_url)
        await api.video(callback_url=receiver.url)
        await api.until(lambda: len(receiver.events) == 1)
    await simulator.close()


async def test_stopping_waits_neither_for_slow_creates_nor_for_films(
    options: Options, http: httpx.AsyncClient
) -> None:
    class NeverFilms:
        async def film(self, request: FilmRequest) -> Path:  # noqa: ARG002
            await asyncio.Event().wait()
            return Path()

    simulator = Simulator(replace(options, filmer=NeverFilms()))
    async with asyncio.timeout(10):
        async with running(simulator) as base_url:
            api = Api(http, base_url)
            await api.video()
            simulator.set_scenario("slow_create", seconds=3600)
            slow = asyncio.create_task(api.create_video())
            await api.until(lambda: len(simulator.requests("POST")) == 2)
        assert (await slow).status_code == 200
    await simulator.close()


async def test_in_process_a_dropped_connection_is_a_connection_error(options: Options) -> None:
    simulator = Simulator(options)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(simulator.app)) as client:
        api = Api(client, "http://simulator")
        with pytest.raises(ConnectionError):
            await api.create_video("[[drop_after_accept]]")
    assert len(simulator.ledger()) == 1
    await simulator.close()
