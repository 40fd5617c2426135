"""The database's clock, which several replicas follow: they must agree on what is due. On SQLite, what it holds."""

import asyncio
from datetime import timedelta

import structlog
from sqlalchemy import func, select, text
from sqlmodel import col

from app.clock import Clock
from app.database import Database
from app.models import Event, Submission

log = structlog.get_logger(__name__)

FOLLOW_EVERY = timedelta(seconds=60)
BEHIND = timedelta(seconds=10)  # is worth a word


async def follow_database(database: Database, clock: Clock) -> None:
    """Set the clock by the database's."""
    async with database.begin() as session:
        # Only now: the wait for a connection is no part of the way to the database and back.
        before = clock.elapsed()
        told = await session.scalar(select(func.clock_timestamp()))
        after = clock.elapsed()
    if told is not None:
        clock.follow(told, (before + after) / 2)


async def go_on_from_stored(database: Database, clock: Clock) -> None:
    """Set the clock after what a SQLite file tells of last: a machine may start without knowing the time.

    It would do nothing of what is due by then, until the wall clock is there again.
    """
    async with database.begin() as session:
        # By SQLite's own number of a row, which rises with each: no index is needed.
        newest = [
            await session.scalar(select(instant).order_by(text("rowid DESC")).limit(1))
            for instant in (col(Event.at), col(Submission.sent_at))
        ]
    before = clock.now()
    for instant in newest:
        if instant is not None:
            clock.go_on_after(instant)
    if clock.now() - before > BEHIND:
        meaning = "Time goes on from what is stored. Set the machine's clock, then start anew."
        log.warning("clock_behind", wall=before.isoformat(), meaning=meaning)


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
