"""Who gets an account's next slot, and when nobody does."""

import asyncio
from datetime import datetime, timedelta

import pytest
from sqlalchemy import text

from app import governor, lifecycle
from app.database import Database, DatabaseAway
from app.lifecycle import By, Released
from app.models import Account, Job, Tenant
from app.secrets import Secrets
from tests.conftest import START
from tests.factories import make_tenant, queue_job, queue_look

LEASE = timedelta(minutes=3)
MINUTE = timedelta(minutes=1)


@pytest.fixture
async def tenant(database: Database, account: Account) -> Tenant:
    return await make_tenant(database, account, START)


@pytest.fixture
async def queued(database: Database, secrets: Secrets, tenant: Tenant) -> Job:
    return await queue_job(database, secrets, tenant, START)


async def following(database: Database, account: Account, now: datetime = START) -> str | None:
    """Whose turn it is."""
    async with database.begin() as session:
        return await governor.next_job(session, account.id, now)


async def take(database: Database, account: Account, now: datetime = START) -> Job | None:
    """Give the next slot away, as the worker does."""
    async with database.begin() as session:
        job_id = await governor.next_job(session, account.id, now)
        return await lifecycle.claim(session, job_id, LEASE, By("worker", now)) if job_id else None


async def test_a_tenant_gets_no_more_slots_than_it_may_have(
    database: Database, account: Account, secrets: Secrets
) -> None:
    modest = await make_tenant(database, account, START, slot_cap=2)
    for _ in range(4):
        await queue_job(database, secrets, modest, START)
    taken = [await take(database, account) for _ in range(4)]
    assert [job is not None for job in taken] == [True, True, False, False]


async def test_what_goes_back_gives_its_slot_to_others_and_waits_its_time(
    database: Database, account: Account, secrets: Secrets, tenant: Tenant, queued: Job
) -> None:
    assert await take(database, account) is not None
    async with database.begin() as session:
        (await governor.lock(session, account.id)).limit_now = 1
        back = Released("not_sent", START + MINUTE)
        assert await lifecycle.apply(session, queued.id, back, By("worker", START))
    assert await following(database, account) is None
    assert await following(database, account, START + MINUTE) == queued.id
    other = await queue_job(database, secrets, tenant, START)
    assert await following(database, account) == other.id


async def test_a_video_that_waits_for_its_look_holds_up_nobody(
    database: Database, account: Account, secrets: Secrets, tenant: Tenant
) -> None:
    look = await queue_look(database, secrets, tenant, START)
    assert await take(database, account) is not None
    await queue_job(database, secrets, tenant, START, waits_for_id=look.id)
    assert await following(database, account) is None
    free = await queue_job(database, secrets, tenant, START)
    assert await following(database, account) == free.id


async def test_the_same_refusal_three_times_in_a_row_pauses_the_account(
    database: Database, account: Account, queued: Job
) -> None:
    async def refused(code: str) -> bool:
        async with database.begin() as session:
            return await governor.refused(session, account.id, code, START)

    assert [await refused("forbidden") for _ in range(2)] == [False, False]
    assert not await refused("plan_upgrade_required"), "another one"
    assert [await refused("forbidden") for _ in range(2)] == [False, False]
    async with database.begin() as session:
        await governor.accepted(session, account.id, START)
    assert [await refused("forbidden") for _ in range(2)] == [False, False]
    assert await following(database, account) == queued.id
    assert await refused("forbidden")
    assert await following(database, account) is None


async def test_a_second_429_never_opens_the_gate_sooner(
    database: Database, account: Account, queued: Job
) -> None:
    async with database.begin() as session:
        await governor.gate(session, account.id, MINUTE, START)
        await governor.gate(session, account.id, None, START)
    assert await following(database, account, START + MINUTE / 2) is None
    assert await following(database, account, START + MINUTE) == queued.id


async def test_only_an_operator_ends_what_an_operator_paused(
    database: Database, account: Account, queued: Job
) -> None:
    async with database.begin() as session:
        await governor.pause(session, account.id, "heygen_failing", START)
        await governor.pause(session, account.id, "operator", START, probe_after=None)
        assert not await governor.pause(session, account.id, "unauthorized", START)
        await governor.resume(session, account.id, only="heygen_failing")
        assert await governor.due_probes(session, [account.id], START + timedelta(days=1)) == []
    assert await following(database, account) is None
    async with database.begin() as session:
        await governor.resume(session, account.id)
    assert await following(database, account) == queued.id


@pytest.mark.parametrize("engine_name", ["postgresql"])  # SQLite has one writer anyway
async def test_whoever_counts_slots_keeps_others_from_counting_until_the_slot_is_taken(
    database: Database, account: Account, queued: Job
) -> None:
    counted = asyncio.Event()

    async def count_too() -> None:
        await counted.wait()
        async with database.begin() as session:
            await session.execute(text("SET LOCAL lock_timeout = '50ms'"))
            await governor.next_job(session, account.id, START)

    other = asyncio.create_task(count_too())
    async with database.begin() as session:
        assert await governor.next_job(session, account.id, START) == queued.id
        counted.set()
        with pytest.raises(DatabaseAway, match="55P03"):
            await other
