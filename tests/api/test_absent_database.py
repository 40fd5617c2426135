"""A database that is away: callers are told to come back, nothing is half stored, and its return is enough."""

import asyncio
import errno
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import NullPool
from sqlmodel import SQLModel

from app.context import Context
from app.database import Database
from app.models import Asset, Callback, Event, IdempotencyKey, Job
from app.secrets import digest
from app.storage import Storage, Stored
from app.worker.loop import due_lanes
from tests.api.callback_bodies import event
from tests.api.callers import PHOTO, VIDEO, create_video
from tests.services import TLS, run_worker, serving


@asynccontextmanager
async def beside(database: Database) -> AsyncIterator[AsyncConnection]:
    """A session of PostgreSQL that is none of the service's."""
    engine = create_async_engine(database.engine.url, poolclass=NullPool)
    async with engine.connect() as connection:
        yield connection


async def end_sessions(connection: AsyncConnection) -> int:
    """End every session of the service, as a restart of the server does; how many there were."""
    of_the_service = "FROM pg_stat_activity WHERE application_name = 'greenroom'"
    ended = await connection.execute(text(f"SELECT pg_terminate_backend(pid, 5000) {of_the_service}"))
    return len(ended.all())


@asynccontextmanager
async def away(database: Database) -> AsyncIterator[None]:
    """While this lasts, PostgreSQL refuses connections, or another process holds the SQLite file."""
    if database.is_sqlite:
        async with database.begin() as session:
            await session.execute(text("PRAGMA busy_timeout = 20"))
        other = sqlite3.connect(str(database.engine.url.database), isolation_level=None)
        other.execute("BEGIN EXCLUSIVE")
        yield
        other.close()
        return
    listening = Path(str(database.engine.url.query["host"])) / ".s.PGSQL.5432"
    hidden = listening.with_suffix(".hidden")
    async with beside(database) as connection:
        listening.rename(hidden)
        try:
            await end_sessions(connection)
            yield
        finally:
            hidden.rename(listening)


async def count(context: Context, table: type[SQLModel]) -> int:
    async with context.database.begin() as session:
        return await session.scalar(select(func.count()).select_from(table)) or 0


def assert_come_back(answer: httpx.Response) -> None:
    error: dict[str, Any] = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (503, "service_unavailable"), answer.text
    assert error["retryable"] is True
    assert error["request_id"] == answer.headers["x-request-id"]
    assert 1 <= int(answer.headers["retry-after"]) <= 10


async def test_whatever_is_asked_of_an_absent_database_is_a_503_and_its_return_is_enough(
    api: httpx.AsyncClient, served: Context
) -> None:
    video_id = await create_video(api)
    once = {"Idempotency-Key": "order-1"}
    async with away(served.database):
        for method, path, extra in (
            ("GET", f"/v3/videos/{video_id}", {}),
            ("GET", "/v3/videos", {}),
            ("DELETE", f"/v3/videos/{video_id}", {}),
            ("POST", "/v3/videos", {"json": VIDEO, "headers": once}),
            ("POST", "/v3/assets", {"files": {"file": PHOTO.read_bytes()}}),
            ("GET", "/v3/videos", {"headers": {"x-api-key": "a key that must be looked up"}}),
            ("POST", "/callbacks/heygen/any-token", {"content": event()}),
            ("GET", "/readyz", {}),
        ):
            answer = await api.request(method, path, **extra)
            assert_come_back(answer)
            assert "sqlite" not in answer.text.lower()
            assert "postgres" not in answer.text.lower()
        assert (await api.get("/healthz")).status_code == 200
    assert [await count(served, table) for table in (Job, Event, Asset, IdempotencyKey)] == [1, 1, 0, 0]
    again = [await api.post("/v3/videos", json=VIDEO, headers=once) for _ in range(2)]
    assert [answer.status_code for answer in again] == [200, 200]
    assert again[0].content == again[1].content
    assert await count(served, Job) == 2


async def test_a_callback_is_taken_only_once_it_is_stored(api: httpx.AsyncClient, served: Context) -> None:
    await create_video(api)
    async with served.database.begin() as session:
        await session.execute(update(Job).values(callback_token_sha256=digest("its-token")))
    async with away(served.database):
        assert_come_back(await api.post("/callbacks/heygen/its-token", content=event()))
    assert await count(served, Callback) == 0
    assert (await api.post("/callbacks/heygen/its-token", content=event())).status_code == 200
    assert await count(served, Callback) == 1


@pytest.mark.parametrize("engine_name", ["postgresql"], indirect=True)
async def test_no_caller_and_no_step_of_the_worker_notices_a_restart_between_two_requests(
    api: httpx.AsyncClient, served: Context
) -> None:
    video_id = await create_video(api)
    async with beside(served.database) as connection:
        await asyncio.gather(*(api.get(f"/v3/videos/{video_id}") for _ in range(8)))
        assert await end_sessions(connection) > 0
        answers = await asyncio.gather(*(api.get(f"/v3/videos/{video_id}") for _ in range(8)))
        assert [answer.status_code for answer in answers] == [200] * 8
        assert await end_sessions(connection) > 0
        assert await due_lanes(served) == ["submit"]
        await end_sessions(connection)
        assert (await api.post("/v3/videos", json=VIDEO)).status_code == 200
        await end_sessions(connection)
        assert await run_worker(served) > 0


@pytest.mark.parametrize("engine_name", ["postgresql"], indirect=True)
async def test_a_session_that_ends_within_a_create_leaves_nothing_of_it(
    api: httpx.AsyncClient, served: Context
) -> None:
    once = {"Idempotency-Key": "order-1"}
    waiting = text("SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'events'::regclass")
    async with beside(served.database) as connection:
        await connection.execute(text("LOCK TABLE events IN EXCLUSIVE MODE"))
        creating = asyncio.create_task(api.post("/v3/videos", json=VIDEO, headers=once))
        async with asyncio.timeout(20):
            while not await connection.scalar(waiting):
                pass
        await end_sessions(connection)
        assert_come_back(await creating)
        await connection.rollback()
        assert [await count(served, table) for table in (Job, Event, IdempotencyKey)] == [0, 0, 0]
    assert (await api.post("/v3/videos", json=VIDEO, headers=once)).status_code == 200


@pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)
async def test_a_full_disk_takes_whole_videos_or_none(api: httpx.AsyncClient, served: Context) -> None:
    accepted = refused = 0
    async with served.database.begin() as session:
        pages = await session.scalar(text("PRAGMA page_count")) or 0
    for room in range(pages, pages + 30):
        async with served.database.begin() as session:
            await session.execute(text(f"PRAGMA max_page_count = {room}"))
        answer = await api.post("/v3/videos", json=VIDEO | {"script": "a" * 5000})
        if answer.status_code == 200:
            accepted += 1
        else:
            assert_come_back(answer)
            refused += 1
        assert [await count(served, table) for table in (Job, Event)] == [accepted, accepted]
    assert accepted > 3
    assert refused > 3


@pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)
async def test_a_file_that_may_only_be_read_is_as_good_as_away(
    api: httpx.AsyncClient, served: Context
) -> None:
    video_id = await create_video(api)
    await set_read_only(served.database, "ON")
    assert_come_back(await api.post("/v3/videos", json=VIDEO))
    assert_come_back(await api.get(f"/v3/videos/{video_id}"))
    await set_read_only(served.database, "OFF")
    assert (await api.post("/v3/videos", json=VIDEO)).status_code == 200
    assert await count(served, Job) == 2


async def set_read_only(database: Database, switch: str) -> None:
    async with database.engine.connect() as connection:
        driver = (await connection.get_raw_connection()).driver_connection
        assert driver is not None
        await driver.execute(f"PRAGMA query_only = {switch}")


class FailingStorage(Storage):
    """Fails every write as the system would."""

    code = errno.ENOSPC

    async def put(self, *_: Any, **__: Any) -> Stored:
        raise OSError(self.code, "as the system says")


@pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)
async def test_files_that_find_no_room_are_a_503_and_other_faults_of_the_system_a_500(
    context: Context, key: str, tmp_path: Path
) -> None:
    full = FailingStorage(tmp_path / "full")
    async with (
        serving(replace(context, storage=full)) as served,
        httpx.AsyncClient(base_url=served.links.api_url, headers={"x-api-key": key}, verify=TLS) as api,
    ):
        assert_come_back(await api.post("/v3/assets", files={"file": PHOTO.read_bytes()}))
        full.code = errno.EISDIR
        answer = await api.post("/v3/assets", files={"file": PHOTO.read_bytes()})
    assert (answer.status_code, answer.json()["error"]["code"]) == (500, "internal_error")
    assert await count(context, Asset) == 0
