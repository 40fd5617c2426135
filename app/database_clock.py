"""The database's clock, which several replicas follow: they must agree on what is due."""

import asyncio
from datetime import timedelta

import structlog
from sqlalchemy import func, select

from app.clock import Clock
from app.database import Database

log = structlog.get_logger(__name__)

FOLLOW_EVERY = timedelta(seconds=60)


async def follow_database(database: Database, clock: Clock) -> None:
    """Set the clock by the database's."""
    async with database.begin() as session:
        # Only now: the wait for a connection is no part of the way to the database and back.
        before = clock.elapsed()
        told = await session.scalar(select(func.clock_timestamp()))
        after = clock.elapsed()
    if told is not None:
        clock.follow(told, (before + after) / 2)


async def keep_following(database: Database, clock: Clock, stopping: asyncio.Event) -> None:
    """Look at the database's clock again and again."""
    while not stopping.is_set():
        try:
            await asyncio.wait_for(stopping.wait(), FOLLOW_EVERY.total_seconds())
        except TimeoutError:
            try:
                await follow_database(database, clock)
            except Exception:  # noqa: BLE001 -- a database that is away is the worker's to report
                log.warning("clock_not_followed")
