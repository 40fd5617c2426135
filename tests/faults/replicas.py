"""Replicas on one PostgreSQL, killed at random under load: what a dead one held is taken over when its lease ends."""

import asyncio
import signal
import time
from datetime import UTC, datetime
from pathlib import Path
from random import Random

from sqlalchemy import func, select, union_all
from sqlmodel import col

from app.database import Database
from app.models import Delivery, Event, File, Job
from tests.faults.result import Result, merged
from tests.faults.services import Child
from tests.faults.world import LEASE, World, say, world

BETWEEN_KILLS = (0.5, 3.0)  # seconds
CAP = 4
RENDER_SECONDS = 2.0  # callers want more than two a second: all slots are in use nearly always
WAIT_EVERY, WAIT = 12, 10.0  # kills; seconds that HeyGen asks for then


async def kill_replicas(
    folder: Path, minutes: float, seed: int, server_url: str, *, sizes: tuple[int, ...] = (2, 4)
) -> Result:
    """So many minutes in all, with two replicas and with four; progress goes to standard error."""
    results = []
    for size in sizes:
        place, random = folder / f"replicas-{size}", Random(f"{seed} {size}")
        async with world(place, random, server_url, cap=CAP, render_seconds=RENDER_SECONDS) as around:
            results.append(await _round(around, size, minutes * 60 / len(sizes)))
        say(f"  seed {seed}: {size} replicas, {results[-1].line()}")
    return merged("replicas", results)


async def _round(around: World, size: int, seconds: float) -> Result:
    began, random, kills = time.monotonic(), around.random, 0
    overdue: list[float] = []
    watching = asyncio.create_task(_watch_leases(around.database, overdue))
    replicas = [await around.nursery.bear_ready() for _ in range(size)]
    around.callers.start(around.receiver)
    while time.monotonic() - began < seconds:
        await asyncio.sleep(random.uniform(*BETWEEN_KILLS))
        lost = random.randrange(size)
        await replicas[lost].kill()
        replicas[lost] = await around.nursery.bear()
        kills += 1
        if kills % WAIT_EVERY == 0:
            wait = {"times": 1, "options": {"seconds": WAIT}}
            await around.told("PUT", "/scenarios/rate_limited", wait)
    await around.callers.stop()
    # In real time, or nobody could say how long a take-over takes. Deliveries are held for longer: theirs are seen above.
    await asyncio.sleep(LEASE + 2)
    watching.cancel()
    taken = await _taken_over(around.database)
    broken = await around.judge()
    _end(replicas)
    told = sum(call["retry_after"] is not None for call in await around.asked("/requests"))
    counts = {"kills": kills, "promised": around.callers.accepted, "taken over": taken, "told to wait": told}
    counts[f"most jobs at HeyGen at once, of {CAP}"] = await around.peak()
    longest = round(max(0.0, *overdue), 2)
    return Result(
        "replicas",
        {**counts, "longest s from a lease's end to its take-over": longest},
        broken,
        time.monotonic() - began,
        around.log(broken),
    )


def _end(replicas: list[Child]) -> None:
    for replica in replicas:
        replica.signal(signal.SIGKILL)


async def _watch_leases(database: Database, overdue: list[float]) -> None:
    """Note again and again how long the leases of whatever somebody works at have been over."""
    ends = union_all(*(select(func.min(table.lease_until).label("at")) for table in (Job, Delivery, File)))
    first = select(func.min(ends.subquery().c.at))
    while True:
        async with database.begin() as session:
            at = await session.scalar(first)
        if at is not None:
            overdue.append((datetime.now(UTC) - at).total_seconds())
        await asyncio.sleep(0.1)


async def _taken_over(database: Database) -> int:
    """How many jobs a replica took back from another one."""
    async with database.begin() as session:
        details = await session.scalars(select(col(Event.detail)).where(col(Event.source) == "worker"))
        return sum(1 for detail in details if (detail or {}).get("reason") == "lease_over")
