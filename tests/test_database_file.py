"""SQLite has one connection for everybody: whatever ends in the middle of a statement must let go of the file."""

import asyncio
import sqlite3
import threading
from contextlib import closing

import pytest
from sqlalchemy import text

from app.database import Database


@pytest.mark.parametrize("engine_name", ["sqlite"])
async def test_a_statement_that_is_canceled_half_way_keeps_nobody_from_the_file(database: Database) -> None:
    half_way, go_on, loop = asyncio.Event(), threading.Event(), asyncio.get_running_loop()
    kept: list[BaseException] = []  # as by a log, and by reference cycles until they are collected

    def stand() -> None:
        loop.call_soon_threadsafe(half_way.set)
        go_on.wait()

    async def read() -> None:
        async with database.begin() as session:
            raw = await (await session.connection()).get_raw_connection()
            assert raw.driver_connection is not None
            await raw.driver_connection.create_function("stand", 0, stand)
            try:
                await session.execute(text("SELECT stand() UNION ALL SELECT 2"))
            except asyncio.CancelledError as canceled:
                kept.append(canceled)
                raise

    reading = asyncio.create_task(read())
    await half_way.wait()
    reading.cancel()
    go_on.set()
    await asyncio.wait([reading])
    assert kept
    with closing(sqlite3.connect(str(database.engine.url.database), timeout=0)) as other:
        other.execute("BEGIN IMMEDIATE")
