"""How the service listens, follows the clock of its database, and asks for an account that it could not reach."""

import asyncio
import socket
from datetime import timedelta
from itertools import repeat
from typing import Any

import pytest
from sqlalchemy import delete, event, func, select
from structlog.testing import capture_logs

from app.accounts import AccountUnknown
from app.context import Context
from app.database import Database
from app.database_clock import follow_database, go_on_from_stored
from app.main import until_joined
from app.models import Event, Tenant
from app.serving import listen
from tests.clocks import ManualClock
from tests.conftest import START
from tests.factories import queue_job


async def test_an_answer_leaves_at_once() -> None:
    delayed = asyncio.Future[int]()

    async def answer(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection: socket.socket = writer.get_extra_info("socket")
        delayed.set_result(connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        writer.close()

    with listen() as listener:
        async with await asyncio.start_server(answer, sock=listener):
            _, writer = await asyncio.open_connection(*listener.getsockname())
            assert await delayed != 0, "Nagle's delay is on"
            writer.close()


@pytest.mark.parametrize("engine_name", ["postgresql"])  # a SQLite file has one process, and its clock
async def test_the_wait_for_a_connection_does_not_shift_the_clock(
    database: Database, clock: ManualClock
) -> None:
    def keep_waiting(*_: Any) -> None:
        clock.advance(timedelta(minutes=9))

    event.listen(database.engine.sync_engine, "checkout", keep_waiting)
    await follow_database(database, clock)
    event.remove(database.engine.sync_engine, "checkout", keep_waiting)
    async with database.begin() as session:
        now = await session.scalar(select(func.clock_timestamp()))
    assert now is not None
    assert timedelta() <= now - clock.now() < timedelta(minutes=1)


@pytest.mark.parametrize("engine_name", ["sqlite"])
async def test_a_machine_that_starts_without_the_time_goes_on_from_what_is_stored(
    database: Database, context: Context, tenant: Tenant, clock: ManualClock
) -> None:
    await queue_job(database, context.secrets, tenant, clock.now())
    for behind in (timedelta(days=365), timedelta(), -timedelta(days=1)):
        started = ManualClock(START - behind)
        with capture_logs() as lines:
            await go_on_from_stored(database, started)
        assert timedelta() <= started.now() - max(START, START - behind) < timedelta(seconds=1)
        assert [line["event"] for line in lines] == ["clock_behind"] * (behind > timedelta())
        assert not started.saw(START), "by whose clock nobody knows"
    async with database.begin() as session:
        await session.execute(delete(Event))
    await go_on_from_stored(database, clock)
    assert clock.now() == START


async def test_no_failure_ends_the_asking_for_an_account() -> None:
    failures: list[Exception] = [AccountUnknown("It does not answer."), ZeroDivisionError()]

    async def join() -> None:
        if failures:
            raise failures.pop(0)

    with capture_logs() as lines:
        await until_joined(join, repeat(0.0))
    assert [line["event"] for line in lines] == ["account_unknown", "account_not_joined"]
