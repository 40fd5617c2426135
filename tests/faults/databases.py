"""Databases that go away: PostgreSQL stopped hard, sessions dropped, a SQLite file locked, a disk that is full.

Nothing that was promised is lost, nothing is doubled, and the service goes on by itself when the database is back.
"""

import asyncio
import signal
import sqlite3
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from random import Random

from sqlalchemy import func, select
from sqlmodel import col

from app.models import Event
from tests.faults.postgresql import OwnPostgreSQL, own_postgresql
from tests.faults.result import Result, merged
from tests.faults.world import World, say, world

BETWEEN_FAULTS = (0.5, 3.0)  # seconds
AWAY = (0.0, 4.0)
LOCKED = 10.0
RECOVERS_WITHIN = 60.0
LOOK_EVERY = 0.1

Fault = Callable[[World], Awaitable[str]]
"""Does it, waits until it is over, and answers what it is called."""


async def break_databases(folder: Path, count: int, seed: int) -> Result:
    """That many faults of PostgreSQL, and a tenth as many of SQLite; progress goes to standard error."""
    results = [
        await break_postgresql(folder, count, seed),
        await break_sqlite(folder, max(2, count // 10), seed),
    ]
    return merged("databases", results)


async def break_postgresql(folder: Path, count: int, seed: int) -> Result:
    """Hard stops of up to four seconds, and dropped sessions, under load."""
    random = Random(f"{seed} postgresql")
    async with own_postgresql() as server, world(folder / "databases", random, server.url) as around:
        stop, drop = partial(_stop, server), partial(_drop_sessions, server)
        return await _round("databases on PostgreSQL", around, count, [stop, drop, stop], seed)


async def break_sqlite(folder: Path, count: int, seed: int, locked: float = LOCKED) -> Result:
    """The file locked by another process (for ten seconds, or as said), and not a page left on the disk, in turn."""
    random = Random(f"{seed} sqlite")
    async with world(folder / "databases-sqlite", random) as around:
        return await _round(
            "databases on SQLite", around, count, [partial(_lock_file, locked), _fill_disk], seed
        )


async def _round(name: str, around: World, count: int, faults: list[Fault], seed: int) -> Result:
    began = time.monotonic()
    service = await around.nursery.bear_ready()
    around.callers.start(around.receiver)
    counts: dict[str, float] = {"faults": 0}
    longest = 0.0
    broken: list[str] = []
    for number in range(count):
        await asyncio.sleep(around.random.uniform(*BETWEEN_FAULTS))
        what = await faults[number % len(faults)](around)
        counts["faults"] += 1
        counts[what] = counts.get(what, 0) + 1
        took = await _first_claim(around)
        if took is None:
            broken.append(f"did not recover: no claim within {RECOVERS_WITHIN} s after {what}")
            break
        longest = max(longest, took)
        say(f"  seed {seed}: {number + 1}/{count}, {what}; first claim after {took:.1f} s")
    broken += await around.judge()
    if service.code is not None:
        broken.append(f"the service ended by itself, with {service.code}")
    service.signal(signal.SIGKILL)
    counts |= {"promised": around.callers.accepted, "longest s to the first claim": round(longest, 1)}
    return Result(name, counts, broken, time.monotonic() - began, around.log(broken))


async def _first_claim(around: World) -> float | None:
    """Seconds from now, when the database is back, to the next job that is claimed; None: too many."""
    back, began = datetime.now(UTC), time.monotonic()
    claims = select(func.min(col(Event.at))).where(col(Event.fact) == "Claimed", col(Event.at) > back)
    while time.monotonic() - began < RECOVERS_WITHIN:
        async with around.database.begin() as session:
            at = await session.scalar(claims)
        if at is not None:
            return float((at - back).total_seconds())
        await asyncio.sleep(LOOK_EVERY)
    return None


async def _stop(server: OwnPostgreSQL, around: World) -> str:
    await server.stop()
    await asyncio.sleep(around.random.uniform(*AWAY))
    await server.start()
    await around.database.engine.dispose()  # our own connections are gone, too
    return "hard stops"


async def _drop_sessions(server: OwnPostgreSQL, around: World) -> str:
    await server.drop_sessions()
    await around.database.engine.dispose()
    return "dropped sessions"


async def _lock_file(seconds: float, around: World) -> str:
    async with _locked(around.folder / "greenroom.db"):
        await asyncio.sleep(seconds)
    return "locks of the file"


@asynccontextmanager
async def _locked(file: Path) -> AsyncIterator[None]:
    """Nobody else can read or write."""
    connection = sqlite3.connect(file, isolation_level=None, timeout=30)
    connection.execute("BEGIN EXCLUSIVE")
    try:
        yield
    finally:
        connection.execute("ROLLBACK")
        connection.close()


async def _fill_disk(around: World) -> str:
    around.nursery.limit_pages(1)  # SQLite takes it to mean: no more than there are
    await asyncio.sleep(around.random.uniform(*AWAY))
    around.nursery.limit_pages(0)
    return "full disks"
