"""Replicas on one PostgreSQL, killed at random under load: what a dead one held is taken over when its lease ends."""

import asyncio
import signal
import time
from datetime import UTC, datetime
from pathlib import Path
from random import Random

from sqlalchemy import select
from sqlmodel import col

from app.database import Database
from app.models import Event, Job, JobStatus, is_status
from tests.faults.result import Result, merged
from tests.faults.services import Child
from tests.faults.world import LEASE, World, say, world

BETWEEN_KILLS = (0.5, 3.0)  # seconds


async def kill_replicas(
    folder: Path, minutes: float, seed: int, server_url: str, *, sizes: tuple[int, ...] = (2, 4)
) -> Result:
    """So many minutes in all, with two replicas and with four; progress goes to standard error."""
    results = []
    for size in sizes:
        async with world(folder / f"replicas-{size}", Random(f"{seed} {size}"), server_url) as around:
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
    await around.callers.stop()
    # In real time, or nobody could say how long a take-over takes.
    await asyncio.sleep(LEASE + 2)
    watching.cancel()
    taken = await _taken_over(around.database)
    broken = await around.judge()
    _end(replicas)
    counts = {"kills": kills, "promised": around.callers.accepted, "taken over": taken}
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
    """Note again and again how long leases of jobs that are being submitted have been over."""
    ended = select(col(Job.lease_until)).where(is_status(JobStatus.SUBMITTING))
    while True:
        async with database.begin() as session:
            first = await session.scalar(ended.order_by(col(Job.lease_until)).limit(1))
        if first is not None:
            overdue.append((datetime.now(UTC) - first).total_seconds())
        await asyncio.sleep(0.1)


async def _taken_over(database: Database) -> int:
    """How many jobs a replica took back from another one."""
    async with database.begin() as session:
        details = await session.scalars(select(col(Event.detail)).where(col(Event.source) == "worker"))
        return sum(1 for detail in details if (detail or {}).get("reason") == "lease_over")
