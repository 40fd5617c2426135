"""Hints from process to process on PostgreSQL. Some may be lost: what is due is found without them, a little later."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import structlog

from app.context import Wake
from app.database import Database

log = structlog.get_logger(__name__)

CHANNEL = "greenroom"
GAP = 0.05  # seconds between two notices of one process, whatever it has to tell
AGAIN = 1.0  # seconds until a lost connection is made anew
STILL_THERE = 30.0  # seconds of silence after which the connection is tried
ANSWERS_WITHIN = 5.0


@asynccontextmanager
async def hearing(database: Database, wake: Wake) -> AsyncIterator["Notices"]:
    """Pass hints on to other processes, and take theirs, for as long as the block lasts."""
    notices = Notices(database, wake)
    task = asyncio.create_task(notices.run())
    wake.tell_others = notices.tell
    try:
        yield notices
    finally:
        wake.tell_others = None
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


class Notices:
    """One connection that only listens and notifies: a NOTIFY inside a transaction makes all commits wait in line."""

    def __init__(self, database: Database, wake: Wake) -> None:
        self._database = database
        self._wake = wake
        self._owed: set[str] = set()
        self._stirred = asyncio.Event()
        self.listening = asyncio.Event()

    def tell(self, lane: str) -> None:
        """There may be work for this lane that nobody here can take at once."""
        self._owed.add(lane)
        self._stirred.set()

    async def run(self) -> None:
        """Listen and tell until cancelled, again and again where the connection is lost."""
        while True:
            try:
                await self._listen()
            except Exception as error:  # noqa: BLE001 -- whatever it was, the sweep of due rows goes on without hints
                log.warning("notices_lost", error=type(error).__name__)
            finally:
                self.listening.clear()
            await asyncio.sleep(AGAIN)

    async def _listen(self) -> None:
        pooled = await self._database.engine.raw_connection()
        connection: Any = pooled.driver_connection  # asyncpg's own
        pooled.detach()  # it is kept for long, and must not be missing in the pool
        try:
            connection.add_termination_listener(lambda _: self._stirred.set())
            await connection.add_listener(CHANNEL, self._hear)
            self.listening.set()
            while not connection.is_closed():
                await self._tell(connection)
        finally:
            connection.terminate()

    async def _tell(self, connection: Any) -> None:
        """Tell what is owed, as one notice; after a long silence, ask whether the connection still works."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stirred.wait(), STILL_THERE)
        self._stirred.clear()
        lanes, self._owed = self._owed, set()
        if lanes:
            text = ",".join(sorted(lanes))
            await connection.execute("SELECT pg_notify($1, $2)", CHANNEL, text, timeout=ANSWERS_WITHIN)
        else:
            await connection.execute("SELECT 1", timeout=ANSWERS_WITHIN)
        await asyncio.sleep(GAP)

    def _hear(self, connection: Any, pid: int, _channel: str, text: str) -> None:
        if pid != connection.get_server_pid():
            for lane in text.split(","):
                self._wake.stir(lane)
