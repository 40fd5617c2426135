"""A process that has no hands free wakes another; nothing depends on it, and no transaction pays for it."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest
from sqlalchemy import text

from app import notices
from app.context import Context, Wake
from app.database import Database
from app.main import Address, service
from app.notices import Notices, hearing
from app.settings import read_settings
from tests.api.callers import VIDEO
from tests.statements import recording

pytestmark = pytest.mark.parametrize("engine_name", ["postgresql"])
PATIENCE = 30


@pytest.fixture
async def other(database: Database) -> AsyncIterator[Wake]:
    """Another process with a worker, which listens."""
    wake = Wake()
    for lane in ("submit", "poll", "deliver"):
        wake.event(lane)
    async with hearing(database, wake) as ears:
        await asyncio.wait_for(ears.listening.wait(), PATIENCE)
        yield wake


@pytest.fixture
async def here(database: Database) -> AsyncIterator[tuple[Wake, Notices]]:
    """This process."""
    wake = Wake()
    async with hearing(database, wake) as mouth:
        await asyncio.wait_for(mouth.listening.wait(), PATIENCE)
        yield wake, mouth


async def hears(wake: Wake, lane: str) -> None:
    await asyncio.wait_for(wake.event(lane).wait(), PATIENCE)


async def test_a_hint_for_which_nobody_rests_here_wakes_another_process(
    here: tuple[Wake, Notices], other: Wake
) -> None:
    here[0].hint("submit")
    await hears(other, "submit")
    assert not other.event("poll").is_set()


async def test_a_lane_that_rests_here_takes_the_hint_for_itself(
    here: tuple[Wake, Notices], other: Wake
) -> None:
    wake, _ = here
    resting = asyncio.create_task(wake.rest("submit"))
    await asyncio.sleep(0)
    wake.hint("submit")
    wake.hint("poll")
    await asyncio.wait_for(resting, PATIENCE)
    await hears(other, "poll")
    assert not other.event("submit").is_set()
    wake.event("submit").clear()
    wake.hint("submit")
    await hears(other, "submit")


async def test_what_is_told_to_others_does_not_come_back(here: tuple[Wake, Notices], other: Wake) -> None:
    wake, _ = here
    wake.hint("submit")
    wake.event("submit").clear()
    await hears(other, "submit")
    other.hint("poll")
    await hears(wake, "poll")
    assert not wake.event("submit").is_set()


async def test_a_lost_connection_is_made_anew(
    database: Database, here: tuple[Wake, Notices], other: Wake
) -> None:
    wake, mouth = here
    async with database.begin() as session:
        killed = await session.scalars(
            text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query ILIKE 'listen%'")
        )
        assert list(killed) == [True, True]

    async with asyncio.timeout(PATIENCE):
        while mouth.listening.is_set():
            async with database.begin() as session:
                await session.execute(text("SELECT 1"))
    await asyncio.wait_for(mouth.listening.wait(), PATIENCE)

    async def heard() -> None:
        while not other.event("deliver").is_set():
            wake.hint("deliver")  # the other one may still be away
            await asyncio.sleep(0)

    await asyncio.wait_for(heard(), PATIENCE)


async def test_many_hints_are_few_notices(database: Database, here: tuple[Wake, Notices]) -> None:
    wake, _ = here
    heard: list[str] = []
    pooled = await database.engine.raw_connection()
    listener = pooled.driver_connection
    assert listener is not None
    pooled.detach()
    await listener.add_listener(notices.CHANNEL, lambda *words: heard.append(words[-1]))
    loop = asyncio.get_running_loop()
    began = loop.time()
    while len(heard) < 4:
        wake.hint("submit")
        wake.hint("poll")
        await asyncio.sleep(0)
    assert len(heard) <= (loop.time() - began) / notices.GAP + 2
    assert set(heard) <= {"poll,submit", "submit"}
    await listener.close()


async def test_no_transaction_of_an_order_notifies(
    api: httpx.AsyncClient, served: Context, other: Wake
) -> None:
    async with hearing(served.database, served.wake) as mouth:
        await asyncio.wait_for(mouth.listening.wait(), PATIENCE)
        with recording(served.database) as statements:
            answer = await api.post("/v3/videos", json=VIDEO)
            assert answer.status_code == 200, answer.text
            await hears(other, "submit")
    assert [it.sql for it in statements if "notify" in it.sql.lower()] == []
    assert any(it.sql.startswith("INSERT INTO jobs") for it in statements)


async def test_a_service_without_a_worker_is_heard_by_others(
    database_url: str, database: Database, heygen_url: str, tmp_path: object, other: Wake
) -> None:
    environment = {"DATABASE_URL": database_url, "SECRET_KEYS": "k" * 32, "STORAGE_URL": f"{tmp_path}/files"}
    environment |= {"HEYGEN_API_KEY": "any", "HEYGEN_BASE_URL": heygen_url}
    async with service(read_settings(environment), Address()) as context:

        async def heard() -> None:
            while not other.event("submit").is_set():
                context.wake.hint("submit")  # it may not listen yet
                await asyncio.sleep(0)

        await asyncio.wait_for(heard(), PATIENCE)
