"""One engine, one way to open a transaction, on SQLite and on PostgreSQL."""

import fcntl
import sqlite3
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import IO, Any
from weakref import WeakSet

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, event
from sqlalchemy.engine import URL, ExceptionContext, make_url
from sqlalchemy.exc import DBAPIError, DisconnectionError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolExhausted
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool

IDS_AT_ONCE = 500
MIGRATIONS = Path(__file__).resolve().parent.parent / "migrations"

transaction_open: ContextVar[bool] = ContextVar("transaction_open", default=False)
"""Whether this task holds a transaction; tests refuse network calls while it does."""


class SchemaBehind(Exception):
    """The tables are older than this code; the message says which command brings them up to date."""


class DatabaseInUse(Exception):
    """Another service process holds the lock of this SQLite file."""


class DatabaseAway(Exception):
    """The database cannot do its work now; the message is its driver's name for that, without statement or values.

    Where this ends a transaction, nothing of it is stored, unless the connection broke at its commit: then all may be.
    """


@dataclass(frozen=True)
class Patience:
    """How long PostgreSQL is waited for; each is longer than the one before, which ends what it is about first."""

    # A transaction whose process stands still, with all that it locks.
    idle: timedelta | None = timedelta(seconds=8)
    # What another transaction locks. Where several stand still, each lets go in its turn, and the last too late for us.
    lock: timedelta = timedelta(seconds=10)
    statement: timedelta | None = timedelta(seconds=30)
    # A transaction whose process stands still where it has begun to tell of a statement: it counts as at work then, and
    # a server that reads from its client cancels no statement. PostgreSQL 17 and later know this limit.
    transaction: timedelta | None = timedelta(seconds=35)
    # Any word at all: beyond it the connection leads nowhere.
    answer: timedelta | None = timedelta(seconds=40)

    def without_end(self) -> "Patience":
        """For work that takes as long as it takes; only a lock is not waited for."""
        return replace(self, idle=None, statement=None, transaction=None, answer=None)


class Database:
    """The tables; `begin()` is the only way in."""

    def __init__(self, url: str, patience: Patience | None = None) -> None:
        self._patience = patience or Patience()
        self.engine = _sqlite(url) if url.startswith("sqlite") else _postgresql(make_url(url), self._patience)
        self._sessions = async_sessionmaker(self.engine, expire_on_commit=False)
        self.is_sqlite = self.engine.dialect.name == "sqlite"
        self._lock: IO[bytes] | None = None

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[AsyncSession]:
        """A transaction: committed at the end of the block, rolled back if it raises. Raises DatabaseAway."""
        if transaction_open.get():
            # On SQLite the second would wait for ever for the one connection that the first holds.
            raise RuntimeError("a transaction is already open in this task")
        token = transaction_open.set(True)
        try:
            with _absence_named():
                # Unlike a session's own transaction, it ends whole when its task is canceled meanwhile.
                async with self._sessions.begin() as session:
                    with _absence_named(connecting=True):
                        await session.connection()
                    yield session
        finally:
            transaction_open.reset(token)

    async def close(self) -> None:
        """Give back every connection and the file lock."""
        await self.engine.dispose()
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def hold_file(self) -> None:
        """Take the lock that keeps a second service off the same SQLite file; raises `DatabaseInUse`."""
        path = self.engine.url.database
        if not self.is_sqlite or path is None or self._lock is not None:
            return
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        lock = Path(f"{path}.lock").open("ab")  # noqa: SIM115 -- held for as long as the service runs
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            lock.close()
            raise DatabaseInUse(
                f"{path} is served by another process already; use PostgreSQL to run several"
            ) from error
        self._lock = lock

    def there(self) -> bool:
        """Whether there is a database to look into: merely to open a SQLite file would make it."""
        return not self.is_sqlite or Path(self.engine.url.database or "").exists()

    async def migrate(self) -> None:
        """Bring the tables up to the newest migration."""
        if self.is_sqlite and self.engine.url.database:
            Path(self.engine.url.database).parent.mkdir(parents=True, exist_ok=True)
        engine = self.engine
        if not self.is_sqlite:  # a table may be rewritten: that takes as long as it takes
            engine = _postgresql(engine.url, self._patience.without_end())
        try:
            with _absence_named():
                async with engine.begin() as connection:
                    await connection.run_sync(_upgrade)
        finally:
            if engine is not self.engine:
                await engine.dispose()

    async def check_schema(self) -> None:
        """Raise `SchemaBehind` unless the tables are those of the newest migration known here, or DatabaseAway."""
        with _absence_named(connecting=True):
            async with self.engine.connect() as connection:
                current = await connection.run_sync(_revision)
        head = ScriptDirectory.from_config(_config()).get_current_head()
        known = {script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()}
        # A newer schema is fine: during a deploy the old code runs beside it for a while.
        if current is None or (current in known and current != head):
            raise SchemaBehind("the database schema is behind this version; run: greenroom migrate")


def portions(ids: Iterable[str]) -> Iterator[list[str]]:
    """The ids, each once, in as many lists as statements are needed: one holds only so many parameters."""
    rest = list(dict.fromkeys(ids))
    for start in range(0, len(rest), IDS_AT_ONCE):
        yield rest[start : start + IDS_AT_ONCE]


@contextmanager
def _absence_named(*, connecting: bool = False) -> Iterator[None]:
    """Tell an absent database from a fault of ours; whatever fails while connecting is the former."""
    try:
        yield
    except (SQLAlchemyError, OSError) as error:
        if connecting or _means_absence(error):
            raise DatabaseAway(_name_of(error)) from error
        raise


def _means_absence(error: SQLAlchemyError | OSError) -> bool:
    if not isinstance(error, DBAPIError):
        # A transaction makes no network calls but those of the driver, which lets the system's errors through.
        return isinstance(error, PoolExhausted | OSError)
    driver = error.orig
    code = getattr(driver, "sqlite_errorcode", None)
    if isinstance(code, int):
        return code & 0xFF in _SQLITE_AWAY  # the rest of an extended code is detail
    state = getattr(driver, "sqlstate", None)
    return error.connection_invalidated or (isinstance(state, str) and state.startswith(_POSTGRESQL_AWAY))


_SQLITE_AWAY = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_CANTOPEN,
}
# postgresql.org/docs/current/errcodes-appendix.html: connection, read-only (a standby), idle in transaction, too long a
# transaction, rollback (deadlock), out of resources, lock not available, operator intervention (shutdown, timeout),
# system error.
_POSTGRESQL_AWAY = ("08", "25006", "25P03", "25P04", "40", "53", "55P03", "57", "58")


def _name_of(error: BaseException) -> str:
    driver = getattr(error, "orig", None) or error
    detail = getattr(driver, "sqlite_errorname", None) or getattr(driver, "sqlstate", None)
    return f"{type(driver).__name__} {detail}" if detail else type(driver).__name__


def _config(connection: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    return config


def _upgrade(connection: Connection) -> None:
    command.upgrade(_config(connection), "head")


def _revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _postgresql(url: URL, patience: Patience) -> AsyncEngine:
    parsed = url.set(drivername="postgresql+asyncpg")
    # hide_parameters: exceptions and logs must not carry scripts or links.
    engine = create_async_engine(
        parsed,
        pool_size=10,
        max_overflow=10,
        pool_timeout=10,
        pool_pre_ping=False,
        hide_parameters=True,
        connect_args={
            "timeout": 10,
            "command_timeout": patience.answer.total_seconds() if patience.answer is not None else None,
            "server_settings": {
                "application_name": "greenroom",
                "statement_timeout": _milliseconds(patience.statement),
                "lock_timeout": _milliseconds(patience.lock),
                "idle_in_transaction_session_timeout": _milliseconds(patience.idle),
                "timezone": "UTC",
            },
        },
    )

    @event.listens_for(engine.sync_engine, "connect")
    def _limit_transactions(connection: Any, _record: Any) -> None:
        # Not among the settings above: an older server refuses a connection that names one it does not know.
        if connection.driver_connection.get_server_version().major >= 17:
            limit = f"SET transaction_timeout = {_milliseconds(patience.transaction)}"
            connection.run_async(lambda driver: driver.execute(limit))

    @event.listens_for(engine.sync_engine, "checkout")
    def _refuse_dead(connection: Any, _record: Any, _proxy: Any) -> None:
        # After a restart of the server every connection in the pool is dead, and its driver knows: no ping needed.
        if connection.driver_connection.is_closed():
            raise DisconnectionError

    @event.listens_for(engine.sync_engine, "handle_error")
    def _let_go(context: ExceptionContext) -> None:
        # The peer is silent, not gone: a rollback would wait for it as long again, and so would the other connections.
        if isinstance(context.original_exception, TimeoutError) and context.connection is not None:
            driver: Any = context.connection.connection.driver_connection
            driver.terminate()
            context.invalidate_pool_on_disconnect = True

    return engine


def _milliseconds(limit: timedelta | None) -> str:
    return str(limit // timedelta(milliseconds=1)) if limit is not None else "0"


def _sqlite(url: str) -> AsyncEngine:
    # One connection for everybody: twice as fast as several that wait for each other's file lock.
    engine = create_async_engine(
        make_url(url).set(drivername="sqlite+aiosqlite"),
        poolclass=AsyncAdaptedQueuePool,
        pool_size=1,
        max_overflow=0,
        pool_timeout=30,
        hide_parameters=True,
        # Seconds to wait for another process that writes: HeyGen waits ten for the answer to a callback.
        connect_args={"timeout": 8, "factory": _Connection},
    )

    @event.listens_for(engine.sync_engine, "connect")
    def _prepare(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # the driver must not open transactions of its own
        # SQLite's own leaves Ä and Ł as they are, unlike PostgreSQL's: titles are searched in either case.
        connection.create_function("lower", 1, _lower, deterministic=True)
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA journal_mode={journal_mode(sqlite3.sqlite_version_info)}")
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.execute("PRAGMA cache_size=-65536")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def _begin(connection: Connection) -> None:
        # SQLAlchemy opens no transaction for a SELECT here, and a deferred one cannot be upgraded safely.
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


class _Connection(sqlite3.Connection):
    """Lets go of the file when it is closed, be it in the middle of a statement."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._cursors: WeakSet[sqlite3.Cursor] = WeakSet()

    def cursor(self, *arguments: Any, **options: Any) -> Any:
        """A cursor that ends with the connection."""
        cursor = super().cursor(*arguments, **options)
        self._cursors.add(cursor)
        return cursor

    def close(self) -> None:
        """Close it and its cursors.

        A task that is canceled leaves the statement under way to its thread. SQLite keeps a closed connection, and what
        it locks, for as long as there is a statement with rows to give: until the task's traceback is gone.
        """
        for cursor in list(self._cursors):
            cursor.close()
        self._cursors.clear()  # a task that is canceled again has it closed twice
        super().close()


def _lower(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


def journal_mode(version: tuple[int, int, int]) -> str:
    """WAL, but TRUNCATE on SQLite 3.7.0 to 3.51.2, whose WAL reset can corrupt the file (sqlite.org/wal.html)."""
    return "TRUNCATE" if (3, 7, 0) <= version <= (3, 51, 2) else "WAL"
