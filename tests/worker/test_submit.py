"""From the queue to HeyGen: at most one paid render a job, whatever the answer, or its loss, looks like."""

import json
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, update
from sqlmodel import col

from app.context import Context
from app.failpoints import NAMES
from app.heygen.schemas import Created
from app.models import Account, Job, JobStatus, Outcome, Submission
from app.worker import expire, submit, unsure
from tests.clocks import ManualClock
from tests.factories import make_tenant, queue_job
from tests.services import make_context, run_worker
from tests.worker.conftest import Bench


class Crash(BaseException):
    """The process ends here."""


def crash_at(name: str) -> Callable[[str], Awaitable[None]]:
    async def reach(reached: str) -> None:
        assert reached in NAMES
        if reached == name:
            raise Crash

    return reach


async def test_fifty_videos_are_fifty_renders_and_never_more_than_ten_at_once(bench: Bench) -> None:
    await bench.queue(50)
    await bench.settle()
    assert {job.status for job in await bench.jobs()} == {JobStatus.COMPLETED}
    assert bench.renders() == 50
    assert bench.simulator.peak_in_flight() == 10
    assert len({send.key for send in await bench.submissions()}) == 50
    # With callbacks: a create and a read each, and a bulk poll once in a while.
    assert bench.calls("POST", "/v3/videos") == 50
    singles = bench.calls("GET", "/v3/videos/") - bench.calls("GET", "/v3/videos/statuses")
    assert singles == 50
    assert bench.calls("GET", "/v3/videos/statuses") <= 5


async def test_without_any_callback_polling_finds_them_all_and_costs_little(bench: Bench) -> None:
    bench.simulator.set_scenario("callbacks_lost")
    await bench.queue(20)
    await bench.settle(step=10)
    assert {job.completed_by for job in await bench.jobs()} == {"poll"}
    assert bench.renders() == 20
    assert bench.calls("GET", "/v3/videos") <= 20 * 1.3


async def test_the_body_that_arrives_names_our_callback_and_carries_the_token(bench: Bench) -> None:
    (job,) = await bench.queue(title="Quarterly results", callback_url="https://caller.test/secret-hook")
    await bench.work()
    (row,) = bench.simulator.ledger()
    assert row.title == f"Quarterly results [gr:{job.title_token}]"
    assert row.idempotency_key == f"{job.id}-1"


@pytest.mark.parametrize("point", ["submit.claimed", "submit.intended", "submit.sent", "submit.recorded"])
async def test_a_crash_at_any_boundary_of_a_submission_costs_no_second_render(
    bench: Bench, point: str, held_slots: Callable[[], Awaitable[int]]
) -> None:
    await bench.queue()
    with pytest.raises(Crash):
        await run_worker(replace(bench.context, failpoint=crash_at(point)))
    await bench.pass_time(181, step=181)  # the dead worker's lease ends
    await bench.settle()
    assert (await bench.job()).status == JobStatus.COMPLETED
    assert bench.renders() == 1
    assert await held_slots() == 0


async def test_work_that_certainly_was_not_sent_goes_back_to_the_queue(bench: Bench) -> None:
    (job,) = await bench.queue(asked={"unchecked": [["look", "100c0000000000000000000000000001"]]})
    with pytest.raises(Crash):
        await run_worker(replace(bench.context, failpoint=crash_at("submit.prepared")))
    assert not await bench.submissions()
    await bench.pass_time(181, step=181)
    assert "Released" in await bench.facts(job.id)
    await bench.settle()
    assert bench.renders() == 1


async def test_an_answer_lost_after_acceptance_is_asked_for_again_under_the_same_key(bench: Bench) -> None:
    bench.simulator.set_scenario("gateway_timeout_after_accept", times=12)
    await bench.queue(12)
    await bench.settle(step=5)
    assert {job.status for job in await bench.jobs()} == {JobStatus.COMPLETED}
    assert bench.renders() == 12
    # A callback may name the video before its repeat is due; then none is sent.
    keys = Counter(send.key for send in await bench.submissions())
    assert len(keys) == 12
    assert max(keys.values()) == 2


@pytest.mark.parametrize("scenario", ["drop_after_accept", "bad_json", "gateway_timeout_after_accept"])
async def test_a_lost_answer_makes_the_job_unsure_and_keeps_its_slot(
    bench: Bench, scenario: str, held_slots: Callable[[], Awaitable[int]]
) -> None:
    bench.simulator.set_scenario(scenario, times=1)
    await bench.queue()
    await bench.work()
    assert (await bench.job()).status == JobStatus.UNSURE
    assert await held_slots() == 1
    await bench.settle()
    assert (await bench.job()).status == JobStatus.COMPLETED
    assert bench.renders() == 1


async def test_an_error_that_heygen_keeps_replaying_does_not_hide_the_render(bench: Bench) -> None:
    bench.simulator.set_scenario("replay_errors")
    bench.simulator.set_scenario("gateway_timeout_after_accept", times=1)
    bench.simulator.set_scenario("callbacks_lost")
    await bench.queue()
    await bench.settle(within=120)
    assert (await bench.job()).status == JobStatus.COMPLETED
    assert bench.renders() == 1


async def test_a_refusal_that_heygen_keeps_for_its_key_is_not_asked_for_again(bench: Bench) -> None:
    bench.simulator.set_scenario("replay_errors")
    bench.simulator.set_scenario("insufficient_credit", times=1)
    (job,) = await bench.queue()
    await bench.settle()
    assert (await bench.job()).status == JobStatus.COMPLETED
    assert [send.key for send in await bench.submissions()] == [f"{job.id}-1", f"{job.id}-2"]


async def test_a_503_before_acceptance_is_repeated_under_the_same_key(bench: Bench) -> None:
    bench.simulator.set_scenario("unavailable_before_accept", times=3)
    await bench.queue()
    await bench.settle()
    assert (await bench.job()).status == JobStatus.COMPLETED
    sends = await bench.submissions()
    assert [(send.n, send.send) for send in sends] == [(1, 1), (1, 2), (1, 3), (1, 4)]
    assert len({send.body_sha256 for send in sends}) == 1
    assert bench.renders() == 1


async def test_retry_after_is_obeyed_to_the_second_even_by_a_process_that_starts_later(
    bench: Bench, account: Account, heygen_url: str, tmp_path: Path
) -> None:
    bench.simulator.set_scenario("rate_limited", times=1, seconds=40)
    await bench.queue(3)
    await bench.work()
    assert bench.calls("POST", "/v3/videos") == 1
    bench.clock.advance(timedelta(seconds=39))
    context = bench.context
    async with make_context(
        context.database, context.clock, context.secrets, {account.id: heygen_url}, tmp_path / "other"
    ) as restarted:
        await run_worker(restarted)
        assert bench.calls("POST", "/v3/videos") == 1
        bench.clock.advance(timedelta(seconds=20))
        await run_worker(restarted)
    assert bench.calls("POST", "/v3/videos") == 4
    await bench.settle()
    assert bench.renders() == 3


async def test_a_429_lowers_the_number_in_flight_and_success_raises_it_again(bench: Bench) -> None:
    bench.simulator.set_scenario("rate_limited", times=1, seconds=5)
    await bench.queue(26)
    await bench.work()
    async with bench.context.database.begin() as session:
        assert await session.scalar(select(col(Account.limit_now))) == 7
    await bench.settle(step=8)
    async with bench.context.database.begin() as session:
        assert await session.scalar(select(col(Account.limit_now))) == 10
    assert bench.renders() == 26


@pytest.mark.parametrize(
    ("scenario", "reason"), [("unauthorized", "unauthorized"), ("insufficient_credit", "insufficient_credit")]
)
async def test_trouble_of_the_account_pauses_it_and_fails_no_job(
    bench: Bench, scenario: str, reason: str
) -> None:
    bench.simulator.set_scenario(scenario)
    await bench.queue(3)
    await bench.work()
    assert bench.calls("POST", "/v3/videos") == 1
    async with bench.context.database.begin() as session:
        assert await session.scalar(select(col(Account.paused_reason))) == reason
    await bench.pass_time(240, step=60)
    assert bench.calls("POST", "/v3/videos") == 1
    bench.simulator.clear_scenarios()
    await bench.settle()
    assert {job.status for job in await bench.jobs()} == {JobStatus.COMPLETED}
    assert bench.renders() == 3


async def test_where_no_balance_is_seen_creates_go_one_by_one_until_one_is_accepted(bench: Bench) -> None:
    bench.simulator.set_scenario("subscription")
    bench.simulator.set_scenario("insufficient_credit", times=2)
    await bench.queue(4)
    await bench.work()
    for calls in (2, 3):
        bench.clock.advance(timedelta(minutes=5))
        await expire.probe(bench.context)
        first = await submit.claim(bench.context)
        assert first is not None
        assert await submit.claim(bench.context) is None
        await submit.submit(bench.context, first)
        assert bench.calls("POST", "/v3/videos") == calls
    assert [await submit.claim(bench.context) is not None for _ in range(3)] == [True] * 3


async def test_what_heygen_refuses_fails_with_heygens_words_and_is_not_sent_again(bench: Bench) -> None:
    await bench.queue(body={"type": "avatar", "avatar_id": "0" * 32, "voice_id": "x", "script": "Hi."})
    await bench.settle()
    job = await bench.job()
    assert (job.status, job.failure_code) == (JobStatus.FAILED, "avatar_not_found")
    assert job.failure_message
    assert len(await bench.submissions()) == 1
    assert bench.renders() == 0


@pytest.fixture
async def cut_off(bench: Bench, account: Account, tmp_path: Path) -> AsyncIterator[Context]:
    """The same service where HeyGen cannot be reached."""
    here, nowhere = bench.context, {account.id: "http://127.0.0.1:9"}
    async with make_context(here.database, here.clock, here.secrets, nowhere, tmp_path / "x") as cut_off:
        yield cut_off


async def test_while_heygen_cannot_be_reached_the_job_waits_and_its_bytes_stay_the_same(
    bench: Bench, cut_off: Context, held_slots: Callable[[], Awaitable[int]]
) -> None:
    await bench.queue()
    await run_worker(cut_off)
    bench.clock.advance(timedelta(seconds=10))
    await run_worker(cut_off)
    sends = await bench.submissions()
    assert [(send.n, send.send, send.outcome) for send in sends] == [
        (1, 1, Outcome.UNSENT),
        (1, 2, Outcome.UNSENT),
    ]
    assert ((await bench.job()).status, await held_slots()) == (JobStatus.QUEUED, 0)
    await bench.pass_time(60)
    await bench.settle()
    sends = await bench.submissions()
    assert len({(send.key, send.body_sha256) for send in sends}) == 1
    assert bench.renders() == 1


async def test_a_heygen_that_only_fails_is_left_alone_until_it_answers_again(bench: Bench) -> None:
    async with bench.context.database.begin() as session:
        await session.execute(update(Account).values(concurrency=50, limit_now=50))
    bench.simulator.set_scenario("outage")
    await bench.queue(24)
    await bench.work()
    assert bench.calls("POST", "/v3/videos") == 20, "the rest of the queue is not thrown at it"
    assert (await bench.account()).paused_reason == "heygen_failing"
    bench.simulator.clear_scenarios()
    await bench.settle(step=10)
    assert (await bench.account()).paused_reason is None
    assert {job.status for job in await bench.jobs()} == {JobStatus.COMPLETED}
    assert bench.renders() == 24


@pytest.mark.parametrize(
    "stored", [None, b"{", b"[]", b'{"body": {}, "callback_token": "x", "look_id": [1]}'], ids=repr
)
async def test_a_row_that_cannot_be_read_does_not_keep_the_queue_from_its_turn(
    bench: Bench, stored: bytes | None
) -> None:
    (poisoned,) = await bench.queue()
    lost = b"under a key that is lost" if stored is None else bench.context.secrets.encrypt(stored)
    async with bench.context.database.begin() as session:
        await session.execute(update(Job).values(request_encrypted=lost))
    good = await bench.queue(3)
    await bench.pass_time(60)
    ended = {job.id: job.status for job in await bench.jobs()}
    assert ended.pop(poisoned.id) == JobStatus.QUEUED
    assert ended == {job.id: JobStatus.COMPLETED for job in good}
    assert bench.renders() == 3


async def test_a_send_whose_bytes_cannot_be_read_does_not_keep_the_queue_from_its_turn(
    bench: Bench, cut_off: Context
) -> None:
    (poisoned,) = await bench.queue()
    await run_worker(cut_off)
    async with bench.context.database.begin() as session:
        await session.execute(update(Submission).values(body_encrypted=b"under a key that is lost"))
    (good,) = await bench.queue()
    await bench.pass_time(60)
    ended = {job.id: job.status for job in await bench.jobs()}
    assert ended == {poisoned.id: JobStatus.QUEUED, good.id: JobStatus.COMPLETED}
    assert [send.send for send in await bench.submissions() if send.job_id == poisoned.id] == [1]


async def test_a_request_that_a_newer_version_stored_is_sent_as_far_as_it_is_known(bench: Bench) -> None:
    (job,) = await bench.queue()
    secrets = bench.context.secrets
    newer = json.loads(secrets.decrypt(job.request_encrypted or b"")) | {"not_known_yet": ["x"]}
    async with bench.context.database.begin() as session:
        await session.execute(
            update(Job).values(request_encrypted=secrets.encrypt(json.dumps(newer).encode()))
        )
    await bench.settle()
    assert (await bench.job()).status == JobStatus.COMPLETED
    assert bench.renders() == 1


async def test_a_sender_that_slept_through_its_lease_does_not_send(bench: Bench) -> None:
    await bench.queue()
    claimed = await submit.claim(bench.context)
    assert claimed is not None
    bench.clock.advance(timedelta(seconds=181))
    await bench.work()  # the reaper makes it unsure
    await bench.pass_time(10)
    assert bench.renders() == 1
    posts = bench.calls("POST", "/v3/videos")
    await submit.submit(bench.context, claimed)
    assert bench.calls("POST", "/v3/videos") == posts
    await bench.settle()
    assert (await bench.job()).status == JobStatus.COMPLETED
    assert bench.renders() == 1


async def test_a_late_answer_of_a_frozen_sender_is_kept_and_used(bench: Bench) -> None:
    bench.simulator.set_scenario("callbacks_lost")
    await bench.queue()
    claimed = await submit.claim(bench.context)
    assert claimed is not None
    assert claimed.intent is not None
    answer = await submit.post(bench.context, claimed.intent)  # HeyGen has it; the process freezes here
    assert isinstance(answer, Created)
    bench.clock.advance(timedelta(seconds=181))
    await expire.reap(bench.context)
    bench.clock.advance(timedelta(seconds=6))
    assert await unsure.claim(bench.context) is not None  # taken over
    async with bench.context.database.begin() as session:
        await submit.record_accepted(bench.context, session, claimed.job, claimed.intent, answer)
    (send,) = await bench.submissions()
    assert send.late
    assert send.outcome == Outcome.ACCEPTED
    assert (await bench.job()).heygen_id is None
    await bench.settle()
    job = await bench.job()
    assert (job.status, job.heygen_id) == (JobStatus.COMPLETED, send.heygen_id)
    assert bench.calls("POST", "/v3/videos") == 1


async def test_an_id_that_another_job_holds_is_refused(bench: Bench) -> None:
    await bench.queue()
    await bench.settle()
    bench.simulator.set_scenario("callbacks_lost")
    bench.simulator.set_scenario("wrong_video_id", times=1)
    await bench.queue()
    await bench.work()
    first, second = await bench.jobs()
    assert second.status == JobStatus.UNSURE
    assert second.heygen_id is None
    assert first.heygen_id is not None
    # HeyGen answers a repeat as it answered before: only a look-up tells.
    await bench.settle(within=120)
    assert [job.heygen_id for job in await bench.jobs()] == [bill.job_id for bill in bench.simulator.ledger()]


async def test_a_video_on_a_new_look_waits_for_it_and_fails_unspent_if_it_fails(bench: Bench) -> None:
    # Through the API, as the guide's script does it: see tests/test_end_to_end.py. Here: nothing is sent meanwhile.
    (job,) = await bench.queue(waits_for_id="some-look")
    await bench.work()
    assert (await bench.job()).status == JobStatus.QUEUED
    assert bench.calls("POST", "/v3/videos") == 0
    assert job.waits_for_id == "some-look"


async def test_the_next_slot_goes_to_the_tenant_with_the_fewest(
    bench: Bench, account: Account, clock: ManualClock
) -> None:
    await bench.queue(30)
    small = await _another_tenant(bench.context, account, clock)
    for _ in range(2):
        await _queue_for(bench, small)
    await bench.work()
    running = [job for job in await bench.jobs() if job.status == JobStatus.PROCESSING]
    assert sum(1 for job in running if job.tenant_id == small) == 2
    assert len(running) == 10


async def test_priority_goes_first_within_a_tenant(bench: Bench) -> None:
    await bench.queue(12)
    (urgent,) = await bench.queue(rank=-10)
    await bench.work()
    assert bench.calls("POST", "/v3/videos") == 10, "HeyGen is not asked for more than it may give"
    waiting = [job.id for job in await bench.jobs() if job.status == JobStatus.QUEUED]
    assert len(waiting) == 3
    assert urgent.id not in waiting


async def _another_tenant(context: Context, account: Account, clock: ManualClock) -> str:
    return (await make_tenant(context.database, account, clock.now())).id


async def _queue_for(bench: Bench, tenant_id: str) -> None:
    tenant = bench.tenant.model_copy(update={"id": tenant_id})
    await queue_job(bench.context.database, bench.context.secrets, tenant, bench.clock.now())
