"""PostgreSQL is waited for, but not for ever: a silent line, and a process that stands still in a transaction."""

import asyncio
import contextvars
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url

from app import governor
from app.context import Context
from app.database import Database, DatabaseAway, Patience
from app.models import Account
from tests.api.callers import create_video
from tests.services import make_context, serving

pytestmark = pytest.mark.parametrize("engine_name", ["postgresql"])

SOON = timedelta(milliseconds=300)
IMPATIENT = Patience(answer=SOON)


@dataclass
class Line:
    """A TCP address that stands before PostgreSQL. Silence takes what is connected, and nothing that comes later."""

    socket: Path
    port: int = 0
    ways: list[asyncio.Event] = field(default_factory=list)  # set: it leads nowhere any more
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def fall_silent(self) -> None:
        """From now on nothing passes on the connections there are, which nobody closes."""
        for way in self.ways:
            way.set()

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass on both ways."""
        there = await asyncio.open_unix_connection(str(self.socket))
        silent = asyncio.Event()
        self.ways.append(silent)
        for source, target in ((reader, there[1]), (there[0], writer)):
            self.tasks.add(asyncio.create_task(pass_on(source, target, silent)))


async def pass_on(source: asyncio.StreamReader, target: asyncio.StreamWriter, silent: asyncio.Event) -> None:
    while data := await source.read(65_536):
        if not silent.is_set():
            target.write(data)
    target.close()


@pytest.fixture
async def line(database_url: str) -> AsyncIterator[Line]:
    line = Line(Path(str(make_url(database_url).query["host"])) / ".s.PGSQL.5432")
    server = await asyncio.start_server(line.take, "127.0.0.1")
    line.port = server.sockets[0].getsockname()[1]
    yield line
    server.close()
    for task in line.tasks:
        task.cancel()
    await asyncio.gather(*line.tasks, return_exceptions=True)


@pytest.fixture
async def distant(database: Database, line: Line) -> AsyncIterator[Database]:
    """The same tables, over that line."""
    url = database.engine.url.set(drivername="postgresql", host="127.0.0.1", port=line.port, query={})
    distant = Database(url.render_as_string(hide_password=False), IMPATIENT)
    yield distant
    await distant.close()


async def test_connections_that_lead_nowhere_are_given_up_together_and_others_made(
    distant: Database, line: Line
) -> None:
    both = asyncio.Barrier(2)
    await asyncio.gather(*(ask(distant, both) for _ in range(2)))
    async with asyncio.timeout(20):
        line.fall_silent()
        with pytest.raises(DatabaseAway):
            await ask(distant)
        assert await asyncio.gather(*(ask(distant) for _ in range(2))) == [1, 1]


async def ask(database: Database, others: asyncio.Barrier | None = None) -> object:
    async with database.begin() as session:
        if others is not None:
            await others.wait()
        return await session.scalar(text("SELECT 1"))


async def test_a_line_that_falls_silent_within_a_transaction_takes_nothing_with_it(
    distant: Database, line: Line, account: Account
) -> None:
    async def fall_silent() -> None:
        async with distant.begin() as session:
            await governor.pause(session, account.id, "unsaid", account.created_at)
            line.fall_silent()

    async with asyncio.timeout(2) as limit:
        with pytest.raises(DatabaseAway):
            await fall_silent()
        async with distant.begin() as session:
            assert (await session.get_one(Account, account.id)).paused_at is None
    assert not limit.expired(), "a transaction's end is not canceled"


async def test_a_caller_is_told_to_come_back_and_finds_the_service_well(
    distant: Database, line: Line, context: Context, account: Account, key: str, tmp_path: Path
) -> None:
    parts = (distant, context.clock, context.secrets)
    async with (
        make_context(*parts, {account.id: "http://127.0.0.1:9"}, tmp_path / "far") as far,
        serving(far) as served,
        httpx.AsyncClient(base_url=served.links.api_url, headers={"x-api-key": key}, timeout=10) as api,
    ):
        video_id = await create_video(api)
        line.fall_silent()
        answer = await api.get(f"/v3/videos/{video_id}")
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "service_unavailable")
        assert int(answer.headers["retry-after"]) >= 1
        assert (await api.get(f"/v3/videos/{video_id}")).status_code == 200


@pytest.mark.parametrize("amid", [False, True], ids=["between two statements", "amid one"])
async def test_who_stands_still_in_a_transaction_loses_it_and_others_go_on(
    database: Database, database_url: str, account: Account, amid: bool
) -> None:
    """Amid a statement that it did not know yet, between the two messages for it, it counts as at work."""
    frozen = Database(database_url, Patience(transaction=SOON) if amid else Patience(idle=SOON))
    went_on: list[bool] = []

    async def stand_still() -> None:
        async with frozen.begin() as session:
            await governor.lock(session, account.id)
            if amid:
                connection = await (await session.connection()).get_raw_connection()
                driver: Any = connection.driver_connection
                await driver.prepare("SELECT 1 + $1::int")
            other = asyncio.create_task(pause(database, account), context=contextvars.Context())
            async with asyncio.timeout(5):  # sooner than the other one gives up
                went_on.append(await other)
            await governor.pause(session, account.id, "too late", account.created_at)

    with pytest.raises(DatabaseAway):
        await stand_still()
    assert went_on == [True], "its lock was taken from the frozen one"
    await frozen.close()


async def pause(database: Database, account: Account) -> bool:
    async with database.begin() as session:
        await governor.lock(session, account.id)
        return await governor.pause(session, account.id, "in time", account.created_at)


async def test_each_limit_ends_before_the_next_and_the_server_knows_them(database: Database) -> None:
    """Who waits for a lock outlasts a frozen holder; only silence outlasts a slow statement."""
    usual = Patience()
    limits = [
        limit or timedelta.max
        for limit in (usual.idle, usual.lock, usual.statement, usual.transaction, usual.answer)
    ]
    assert limits == sorted(set(limits))
    names = (
        "idle_in_transaction_session_timeout",
        "lock_timeout",
        "statement_timeout",
        "transaction_timeout",
    )
    async with database.begin() as session:
        shown = [await session.scalar(text(f"SHOW {name}")) for name in names]
    assert shown == ["8s", "10s", "30s", "35s"]
