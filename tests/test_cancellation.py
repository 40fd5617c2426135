"""A task may be canceled anywhere in a transaction, as callers hang up and time runs out: others go on at once."""

import asyncio
from collections.abc import Container, Coroutine, Generator
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import select, update
from sqlmodel import col

from app.database import Database
from app.models import Account


@dataclass
class Canceled(Coroutine[Any, Any, None]):
    """Does what it holds; its task is canceled in those of its awaits, counted from 0, that wait for anything."""

    within: Coroutine[Any, Any, None]
    at: Container[int]
    awaits: int = 0

    def send(self, value: Any) -> Any:
        """Go on."""
        return self._canceled(self.within.send(value))

    def throw(self, *error: Any) -> Any:
        """Go on with an exception."""
        return self._canceled(self.within.throw(*error))

    def close(self) -> None:
        """End."""
        self.within.close()

    def __await__(self) -> Generator[Any, Any, None]:
        return self.within.__await__()

    def _canceled(self, awaited: Any) -> Any:
        task = asyncio.current_task()
        assert task is not None
        if self.awaits in self.at:
            task.cancel()
        self.awaits += 1
        return awaited


@pytest.fixture
def inline() -> bool:
    """Without SQLite's thread a transaction waits at its end alone."""
    return False


@pytest.mark.parametrize("times", [1, 2])
async def test_whatever_await_a_transaction_is_canceled_in_the_next_one_can_write(
    database: Database, account: Account, times: int, caplog: pytest.LogCaptureFixture
) -> None:
    async def rename(successes: int) -> None:
        async with database.begin() as session:
            await session.scalars(select(Account))
            changed = update(Account).values(successes=successes).returning(col(Account.id))
            assert await session.scalar(changed) == account.id

    # They are kept, as somebody always may: with them lives the traceback, and what it holds.
    canceled: list[asyncio.Task[None]] = []
    while not canceled or canceled[-1].cancelled():
        first = len(canceled)
        canceled.append(asyncio.create_task(Canceled(rename(-1), range(first, first + times))))
        await asyncio.wait(canceled[-1:])
        await rename(first)
        async with database.begin() as session:
            assert await session.scalar(select(col(Account.successes))) == first
    canceled[-1].result()
    assert not caplog.messages, "no connection was lost at a transaction's end"
    assert len(canceled) > 3, "two statements and the commit wait for the database at the least"
