"""How the service listens, follows the clock of its database, and asks for an account that it could not reach."""

import asyncio
import socket
from datetime import timedelta
from itertools import repeat
from typing import Any

import pytest
from sqlalchemy import event, func, select
from structlog.testing import capture_logs

from app.accounts import AccountUnknown
from app.database import Database
from app.database_clock import follow_database
from app.main import listen, until_joined
from tests.clocks import ManualClock


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


async def test_no_failure_ends_the_asking_for_an_account() -> None:
    failures: list[Exception] = [AccountUnknown("It does not answer."), ZeroDivisionError()]

    async def join() -> None:
        if failures:
            raise failures.pop(0)

    with capture_logs() as lines:
        await until_joined(join, repeat(0.0))
    assert [line["event"] for line in lines] == ["account_unknown", "account_not_joined"]
