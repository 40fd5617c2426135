"""SQLite in the caller's own thread: the engine and its SQL are real, and nothing depends on when a thread wakes.

What is left out is aiosqlite's thread, which costs a test a third of its time. As it is, everybody shares one connection,
so transactions come one after the other with it, too. Not seen here is what happens between two statements of one, nor
that it is rolled back where its task is canceled meanwhile; and who waits for another's lock of the file stops the loop.
"""

import asyncio
import sqlite3
from collections.abc import Callable
from typing import Any

import aiosqlite
from sqlalchemy import event

from app.database import Database
from tests.template import migrated


class InlineDatabase(Database):
    """The tables in memory. No statement waits for a thread, so nobody comes in between two of them."""

    def __init__(self) -> None:
        super().__init__("sqlite:///:memory:")
        self.raw = _copy()

        @event.listens_for(self.engine.sync_engine, "do_connect")
        def _inline(dialect: Any, record: Any, arguments: Any, options: dict[str, Any]) -> None:
            options["async_creator_fn"] = lambda *_, **__: _Connection(lambda: self.raw, 64)

    async def renew(self) -> None:
        """Empty tables, for another event loop; what the engine has compiled stays."""
        await self.engine.dispose()
        self.raw.close()
        self.raw = _copy()


class _Connection(aiosqlite.Connection):
    """Does at once what aiosqlite gives to its thread."""

    def __init__(self, connector: Callable[[], sqlite3.Connection], chunk: int) -> None:
        super().__init__(connector, chunk)
        self._tx = _AtOnce()  # type: ignore[assignment]
        self._thread = _NoThread()  # type: ignore[assignment]


class _AtOnce:
    """In the place of the queue to the thread."""

    def put_nowait(self, order: tuple[asyncio.Future[Any] | None, Callable[[], Any]]) -> None:
        future, function = order
        try:
            result = function()
        except BaseException as error:  # noqa: BLE001 -- whoever asked is told, as the thread does it
            if future is not None:
                future.set_exception(error)
        else:
            if future is not None:
                future.set_result(result)


class _NoThread:
    def start(self) -> None:
        """There is none."""


def connect_inline(file: str, **options: Any) -> aiosqlite.Connection:
    """What SQLAlchemy calls in the place of `aiosqlite.connect` where it is told so."""
    return _Connection(lambda: sqlite3.connect(file, **options), 64)


def _copy() -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:")
    connection.deserialize(migrated())
    return connection
