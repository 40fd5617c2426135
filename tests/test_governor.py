"""Who gets an account's next slot, and when nobody does."""

import asyncio
import contextvars
from datetime import datetime, timedelta

import pytest
from sqlalchemy import text, update

from app import accounts, governor, lifecycle
from app.database import Database
from app.governor import Told
from app.lifecycle import By, Released
from app.models import Account, Job, Tenant
from app.secrets import Secrets
from tests.conftest import START
from tests.factories import make_account, make_tenant, queue_job, queue_look
from tests.halls import Hall, seat

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


async def test_an_account_has_no_more_jobs_under_way_than_it_may(
    database: Database, account: Account
) -> None:
    hall = await seat(database, account, [(1, 3), (5, 3)], slots=3)
    assert [await hall.start() is not None for _ in range(5)] == [True, True, True, False, False]


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
    other = await queue_job(database, secrets, tenant, START)
    assert await following(database, account) == other.id
    assert await following(database, account, START + MINUTE) == queued.id, "its old place"


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
        await governor.gate(session, account.id, Told(MINUTE), START)
        await governor.gate(session, account.id, Told(), START)
    assert await following(database, account, START + MINUTE / 2) is None
    assert await following(database, account, START + MINUTE) == queued.id


async def test_what_was_under_way_together_lowers_the_limit_once(
    database: Database, account: Account
) -> None:
    async def refused(sent: int, answered: int) -> int:
        """The limit after a 429; seconds since the start."""
        async with database.begin() as session:
            told = Told(sent_at=START + timedelta(seconds=sent))
            await governor.gate(session, account.id, told, START + timedelta(seconds=answered))
            return (await governor.lock(session, account.id)).limit_now

    assert [await refused(sent, 10) for sent in (1, 2, 9)] == [7, 7, 7]
    assert await refused(11, 12) == 4, "it is still too many"
    async with database.begin() as session:
        await governor.gate(session, account.id, Told(), START + timedelta(seconds=13))
        assert (await governor.lock(session, account.id)).limit_now == 2, "nobody knows when it was sent"


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


async def test_a_tenant_with_a_long_queue_starves_nobody(database: Database, account: Account) -> None:
    hall = await seat(database, account, [(1, 110), *[(1, 4)] * 20], slots=4)
    log = await hall.render(120)
    small = hall.tenants[1:]
    assert max(log.index(tenant) for tenant in small) <= len(small), "all start within one round"
    assert {log[: 4 * 21].count(tenant) for tenant in small} == {4}, "and end within four"


@pytest.mark.parametrize("slots", [3, 20])
async def test_starts_are_shared_by_weight(database: Database, account: Account, slots: int) -> None:
    hall = await seat(database, account, [(weight, 90) for weight in (1, 2, 5)], slots)
    log = await hall.render(120)
    for tenant, weight in zip(hall.tenants, (1, 2, 5), strict=True):
        assert log[slots:].count(tenant) == pytest.approx((120 - slots) * weight / 8, rel=0.1)


async def test_long_renders_do_not_take_all_slots(database: Database, account: Account) -> None:
    hall = await seat(database, account, [(1, 30), (1, 60)], slots=6)
    long, short = hall.tenants
    running: list[Job] = []
    for _ in range(50):
        if len(running) == 6:  # only what is short ends
            ending = next(job for job in running if job.tenant_id == short)
            running.remove(ending)
            await hall.end(ending.id)
        started = await hall.start()
        assert started is not None
        running.append(started)
    assert [job.tenant_id for job in running].count(long) == 3


async def test_who_comes_back_does_not_catch_up_on_what_it_did_not_want(
    database: Database, account: Account
) -> None:
    hall = await seat(database, account, [(1, 40), (1, 0)], slots=1)
    await hall.render(20)
    await hall.queue(hall.tenants[1], 20)
    log = await hall.render(10)
    assert log.count(hall.tenants[1]) in {5, 6}, "half of them, and one or two more at first"


async def test_a_tenant_that_comes_from_another_account_is_no_worse_off(
    database: Database, account: Account
) -> None:
    hall = await seat(database, account, [(1, 100)], slots=4)
    (moved,) = hall.tenants
    await hall.render(100)
    other = await make_account(database, START, concurrency=4)
    async with database.begin() as session:
        await accounts.follow(session, other)
    there = Hall(database, other, slots=4)
    for tenant in (moved, *[(await make_tenant(database, other, START)).id for _ in range(6)]):
        await there.queue(tenant, 10)
    log = await there.render(70)
    assert moved in log[:28], "its turn comes within four rounds of seven"
    assert log.count(moved) == 10


async def test_jobs_that_wait_their_time_are_not_stepped_over_at_each_claim(
    database: Database, account: Account
) -> None:
    hall = await seat(database, account, [(1, 3)], slots=10)
    await hall.queue(hall.tenants[0], 250, rank=-1, due_at=START + MINUTE)
    assert len(await hall.render(10)) == 3
    later = START + MINUTE
    assert len(await hall.render(260, later)) == 250, "and none of them is forgotten"


@pytest.mark.parametrize("engine_name", ["postgresql"])  # SQLite has one writer anyway
async def test_whoever_counts_slots_keeps_others_from_counting_until_the_slot_is_taken(
    database: Database, account: Account, queued: Job, secrets: Secrets, tenant: Tenant
) -> None:
    await queue_job(database, secrets, tenant, START)
    async with database.begin() as session:
        await session.execute(update(Account).values(concurrency=1, limit_now=1))
    blocked = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
    async with database.begin() as session:
        assert await governor.next_job(session, account.id, START) == queued.id
        other = asyncio.create_task(following(database, account), context=contextvars.Context())
        while not other.done() and not await session.scalar(blocked):
            pass
        assert await lifecycle.claim(session, queued.id, LEASE, By("worker", START))
    assert await other is None, "the only slot is taken"


async def test_a_paused_account_is_not_looked_at_before_its_retry_after(
    database: Database, account: Account
) -> None:
    async with database.begin() as session:
        paused = {"paused_at": START, "paused_reason": "insufficient_credit", "probe_at": START}
        await session.execute(update(Account).values(gate_until=START + MINUTE, **paused))
    for now, count in ((START, 0), (START + MINUTE / 2, 0), (START + MINUTE, 1)):
        async with database.begin() as session:
            assert len(await governor.due_probes(session, [account.id], now)) == count
