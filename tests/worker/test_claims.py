"""Who holds a job may act on it; who held it once may not, and a cancel in between counts."""

import asyncio
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

import httpx
import pytest
from sqlalchemy import select, text, update

from app.models import Delivery, DeliveryStatus, Job, JobStatus
from app.remote_files import FileUnavailable, open_file
from app.webhooks import destination
from app.webhooks.outbox import CALLBACK
from app.worker import deliver, expire, poll, submit, unsure
from tests.factories import make_tenant, queue_job
from tests.no_transaction import refused
from tests.services import TLS, Receiver
from tests.webhooks.loopback import loopback, ok
from tests.worker.conftest import Bench
from tests.worker.test_poll import forge

BEYOND_THE_LEASE = timedelta(seconds=181)


async def test_a_video_canceled_while_it_is_prepared_is_never_sent(bench: Bench) -> None:
    (job,) = await bench.queue(asked={"unchecked": [["look", "100c0000000000000000000000000001"]]})
    claimed = await submit.claim(bench.context)
    assert claimed is not None
    assert claimed.intent is None

    async def cancel(point: str) -> None:
        if point == "submit.prepared":
            await bench.cancel(job.id)

    await submit.submit(replace(bench.context, failpoint=cancel), claimed)
    assert (await bench.job()).status == JobStatus.CANCELED
    assert bench.calls("POST", "/v3/videos") == 0


async def test_a_video_canceled_before_its_repeat_is_not_sent_again(bench: Bench) -> None:
    bench.simulator.set_scenario("unavailable_before_accept", times=1)
    (job,) = await bench.queue()
    await bench.work()
    bench.clock.advance(timedelta(seconds=10))
    claimed = await unsure.claim(bench.context)
    assert claimed is not None
    await bench.cancel(job.id)
    await unsure.resolve(bench.context, claimed)
    assert bench.calls("POST", "/v3/videos") == 1
    assert bench.renders() == 0


@pytest.mark.parametrize("engine_name", ["sqlite"])
async def test_jobs_that_are_due_at_one_instant_are_taken_in_the_order_they_came(bench: Bench) -> None:
    bench.simulator.set_scenario("unavailable_before_accept", times=3)
    ids = ["1" * 32, "2" * 32, "3" * 32]
    for job_id in reversed(ids):
        await bench.queue(id=job_id)
    await bench.work()
    bench.clock.advance(timedelta(seconds=10))
    async with bench.context.database.begin() as session:
        await session.execute(update(Job).values(due_at=bench.clock.now()))
        # Its order would hide that nobody asked for one: a planner need not use it.
        await session.execute(text("DROP INDEX jobs_unsure"))
    claimed = [await unsure.claim(bench.context) for _ in ids]
    assert [it and it.job.id for it in claimed] == ids


async def test_a_sender_at_work_is_left_alone(bench: Bench) -> None:
    await bench.queue()
    assert await submit.claim(bench.context) is not None
    bench.clock.advance(timedelta(seconds=179))
    assert not await expire.reap(bench.context)
    assert (await bench.job()).status == JobStatus.SUBMITTING


@pytest.mark.parametrize("hinted", [False, True], ids=["in bulk", "singly"])
async def test_a_reader_that_lost_its_job_does_not_give_it_back_for_the_next_one(
    bench: Bench, hinted: bool
) -> None:
    bench.simulator.set_timeline(render_seconds=3600)
    (job,) = await bench.queue()
    await bench.work()
    bench.clock.advance(timedelta(seconds=120))
    if hinted:
        await forge(bench, job)
    frozen = await poll.claim(bench.context)
    bench.clock.advance(BEYOND_THE_LEASE)
    assert len(await poll.claim(bench.context)) == 1, "taken over"
    await poll.poll(bench.context, frozen)
    bench.clock.advance(timedelta(seconds=170))
    assert await poll.claim(bench.context) == []


@pytest.mark.parametrize("hinted", [False, True], ids=["in bulk", "singly"])
async def test_a_callback_that_comes_while_heygen_is_asked_is_not_lost(bench: Bench, hinted: bool) -> None:
    bench.simulator.set_timeline(render_seconds=3600)
    (job,) = await bench.queue()
    await bench.work()
    bench.clock.advance(timedelta(seconds=120))
    if hinted:
        await forge(bench, job)
    asked = await poll.claim(bench.context)
    bench.clock.advance(timedelta(seconds=1))
    await forge(bench, job, video_id="2" * 32)
    await poll.poll(bench.context, asked)
    bench.clock.advance(timedelta(seconds=30))
    assert len(await poll.claim(bench.context)) == 1


async def test_an_attempt_that_lost_its_delivery_does_not_give_it_to_a_third(
    bench: Bench, receiver: Receiver
) -> None:
    (job,) = await bench.queue(callback_url=receiver.url)
    await bench.cancel(job.id)
    under_way = deliver.UnderWay()
    slow = await deliver.claim(bench.context, under_way)
    assert slow is not None

    async def outlast_the_lease(point: str) -> None:
        if point == "deliver.posted":
            bench.clock.advance(deliver.LEASE)
            assert await deliver.claim(bench.context, under_way) is not None, "taken over"

    receiver.statuses = [500]
    await deliver.deliver(replace(bench.context, failpoint=outlast_the_lease), slow, under_way)
    bench.clock.advance(deliver.LEASE / 2)
    assert await deliver.claim(bench.context, under_way) is None


async def test_an_attempt_whose_process_slept_through_its_lease_is_not_made(
    bench: Bench, receiver: Receiver
) -> None:
    (job,) = await bench.queue(callback_url=receiver.url)
    await bench.cancel(job.id)
    under_way = deliver.UnderWay()
    frozen = await deliver.claim(bench.context, under_way)
    assert frozen is not None
    bench.clock.advance(deliver.LEASE)
    await deliver.deliver(bench.context, frozen, under_way)
    assert (receiver.requests, under_way.tenants) == ([], {})
    await bench.work()
    assert len(receiver.requests) == 1


async def test_two_who_claim_at_once_do_not_take_more_places_than_a_tenant_may_have(
    bench: Bench, receiver: Receiver
) -> None:
    for job in await bench.queue(2, callback_url=receiver.url):
        await bench.cancel(job.id)
    under_way = deliver.UnderWay(Counter({bench.tenant.id: deliver.AT_ONCE_A_TENANT - 1}))
    await asyncio.gather(bench.jobs(), bench.jobs())  # two connections: to open one takes longer than a claim
    claimed = await asyncio.gather(*(deliver.claim(bench.context, under_way) for _ in range(2)))
    assert [it is not None for it in claimed].count(True) == 1
    assert under_way.tenants == {bench.tenant.id: deliver.AT_ONCE_A_TENANT}


async def test_who_hangs_has_one_place_until_it_takes_an_event_well(bench: Bench) -> None:
    answers = [(deliver.SLOW, b"500 Late"), (timedelta(), b"500 Soon"), (deliver.SLOW, b"200 OK")]

    async def answer(writer: asyncio.StreamWriter) -> None:
        wait, status = answers.pop(0)
        bench.clock.advance(wait)
        await ok(status=status)(writer)

    async def claim() -> deliver.Due:
        claimed = await deliver.claim(bench.context, under_way)
        assert claimed is not None
        return claimed

    under_way = deliver.UnderWay()
    async with loopback(answer) as hook:
        for job in await bench.queue(5, callback_url=f"http://127.0.0.1:{hook.port}/"):
            await bench.cancel(job.id)
        await deliver.deliver(bench.context, await claim(), under_way)
        for _ in range(2):
            only = await claim()
            assert await deliver.claim(bench.context, under_way) is None
            await deliver.deliver(bench.context, only, under_way)
        assert [await claim() for _ in range(2)]


async def test_all_who_hang_leave_most_places_to_others(bench: Bench, receiver: Receiver) -> None:
    (job,) = await bench.queue(callback_url=receiver.url)
    await bench.cancel(job.id)
    stuck = [(f"tenant {number}", CALLBACK) for number in range(deliver.SLOW_AT_ONCE)]
    line = (bench.tenant.id, CALLBACK)
    under_way = deliver.UnderWay(lines=Counter(stuck), hanging={*stuck, line})
    assert await deliver.claim(bench.context, under_way) is None
    under_way.hanging.remove(line)
    assert await deliver.claim(bench.context, under_way) is not None


async def test_all_who_are_slow_leave_most_places_to_others_and_share_theirs(
    bench: Bench, receiver: Receiver
) -> None:
    """Eight tenants whose receivers take each event well, after long, with more of them owed than there are places."""
    account = await bench.account()
    now = bench.clock.now()
    slow = [await make_tenant(bench.context.database, account, now) for _ in range(8)]
    for tenant in slow:
        for _ in range(12):
            job = await queue_job(
                bench.context.database, bench.context.secrets, tenant, now, callback_url=receiver.url
            )
            await bench.cancel(job.id)
    under_way = deliver.UnderWay()

    async def fill() -> list[deliver.Due]:
        claimed = [await deliver.claim(bench.context, under_way) for _ in range(64)]
        return [due for due in claimed if due is not None]

    first = await fill()
    assert len(first) == 64, "they are not known yet"
    for due in first:
        under_way.end(due.delivery)
        under_way.learn(due.delivery, deliver.SLOW, bench.clock.now(), went_well=True)
    bench.clock.advance(timedelta(seconds=1))
    (healthy,) = await bench.queue(callback_url=receiver.url)
    await bench.cancel(healthy.id)
    second = Counter(due.delivery.tenant_id for due in await fill())
    assert second == {**{tenant.id: 2 for tenant in slow}, bench.tenant.id: 1}


async def test_who_is_slow_shares_with_those_alone_that_have_work(bench: Bench, receiver: Receiver) -> None:
    line = (bench.tenant.id, CALLBACK)
    idle = [(f"tenant {number}", CALLBACK) for number in range(deliver.SLOW_AT_ONCE)]
    under_way = deliver.UnderWay(slow=dict.fromkeys([*idle, line], bench.clock.now()))
    for _ in range(deliver.AT_ONCE_A_TENANT):
        (job,) = await bench.queue(callback_url=receiver.url)
        await bench.cancel(job.id)
    assert await deliver.claim(bench.context, under_way) is not None
    assert await deliver.claim(bench.context, under_way) is None
    bench.clock.advance(deliver.LATELY)
    more = [await deliver.claim(bench.context, under_way) for _ in range(deliver.AT_ONCE_A_TENANT)]
    assert more.count(None) == 1, "all places but the one that it has"


async def test_a_receiver_that_never_answers_well_is_given_up_after_ten_attempts(
    bench: Bench, receiver: Receiver
) -> None:
    receiver.statuses = [500] * 20
    (job,) = await bench.queue(callback_url=receiver.url)
    await bench.cancel(job.id)
    await bench.work()
    await bench.pass_time(6 * 24 * 3600, step=3600)
    assert len(receiver.requests) == 10
    async with bench.context.database.begin() as session:
        delivery = (await session.scalars(select(Delivery))).one()
    assert (delivery.status, delivery.due_at) == (DeliveryStatus.DEAD, None)


async def test_the_suite_would_see_a_call_within_a_transaction(bench: Bench, receiver: Receiver) -> None:
    (connection,) = bench.context.connections.values()

    async def download() -> None:
        with suppress(FileUnavailable):  # it takes webhooks alone
            async with open_file(bench.context.files, receiver.url):
                pass

    async def post() -> None:
        await destination.post(bench.context.webhooks, receiver.url, {}, b"")

    async def ask() -> None:
        await connection.heygen.users_me()

    async def call_by_whatever_client() -> None:
        async with httpx.AsyncClient(verify=TLS) as client:
            await client.get(receiver.url)

    for call in (ask, post, download, call_by_whatever_client):
        async with bench.context.database.begin():
            with pytest.raises(AssertionError, match="a transaction is open"):
                await call()
        assert [refused.pop()], "whoever survives the error is seen all the same"
        await call()
