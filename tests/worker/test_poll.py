"""Asking HeyGen: seldom, in bulk, at once when a callback hints; its word counts, a callback's does not."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import select
from sqlmodel import col

from app.models import Account, Callback, Job, JobStatus
from app.stored_request import StoredRequest
from app.worker import poll
from tests.factories import LOOK, VOICE, make_account, make_tenant, queue_job
from tests.services import TLS
from tests.worker.conftest import Bench


async def callback_url(bench: Bench, job: Job) -> str:
    token = StoredRequest.unseal(job.request_encrypted or b"", bench.context.secrets).callback_token
    return f"{bench.context.callback_base}/callbacks/heygen/{token}"


async def forge(bench: Bench, job: Job, video_id: str = "1" * 32) -> None:
    body = {
        "event_type": "avatar_video.success",
        "event_data": {"video_id": video_id, "url": "https://evil.test"},
    }
    async with httpx.AsyncClient(verify=TLS) as stranger:
        answer = await stranger.post(await callback_url(bench, job), json=body)
        assert answer.status_code == 200


def reads(bench: Bench) -> int:
    return bench.calls("GET", "/v3/videos/") - bench.calls("GET", "/v3/videos/statuses")


async def test_a_callback_makes_us_ask_at_once(bench: Bench) -> None:
    await bench.queue()
    await bench.work()
    bench.clock.advance(timedelta(seconds=9))
    assert await bench.simulator.send_due_callbacks() == 1
    await bench.work()
    job = await bench.job()
    assert (job.status, job.completed_by) == (JobStatus.COMPLETED, "callback")
    assert reads(bench) == 1
    assert bench.calls("GET", "/v3/videos/statuses") == 0


async def test_each_sweep_asks_one_account_so_that_one_that_hangs_keeps_nobody_elses_waiting(
    bench: Bench,
) -> None:
    context, now = bench.context, bench.clock.now()
    ((account_id, connection),) = context.connections.items()
    other = await make_account(context.database, now)
    bench.context = replace(context, connections={other.id: connection, account_id: connection})
    neighbour = await make_tenant(context.database, other, now)
    for _ in range(2):
        await queue_job(context.database, context.secrets, neighbour, now)
    await bench.queue(2)
    await bench.work()
    bench.clock.advance(timedelta(minutes=2))
    sweeps = [await poll.claim(bench.context) for _ in range(3)]
    asked = [[job.account_id for job in jobs] for jobs in sweeps]
    assert sorted(asked) == sorted([[], [other.id] * 2, [account_id] * 2])
    await poll.poll(bench.context, sweeps[1])
    ended = {job.account_id for job in await bench.jobs() if job.status == JobStatus.COMPLETED}
    assert ended == {sweeps[1][0].account_id}


async def test_forged_callbacks_change_nothing_and_cost_one_read_in_thirty_seconds(bench: Bench) -> None:
    bench.simulator.set_timeline(render_seconds=3600)
    (job,) = await bench.queue()
    await bench.work()
    for number in range(40):
        await forge(bench, job, video_id=f"{number:032d}")
        bench.clock.advance(timedelta(seconds=1))
        await bench.work()
    assert (await bench.job()).status == JobStatus.PROCESSING
    assert reads(bench) == 2
    async with bench.context.database.begin() as session:
        stored = list(await session.scalars(select(Callback)))
    assert len(stored) == 20


async def test_a_forged_callback_in_doubt_cannot_give_the_job_a_strangers_video(bench: Bench) -> None:
    (connection,) = bench.context.connections.values()
    body = json.dumps({"type": "avatar", "avatar_id": LOOK, "voice_id": VOICE, "script": "Made elsewhere."})
    theirs = await connection.heygen.create("/v3/videos", body.encode(), "somebody-else")
    bench.simulator.set_scenario("unavailable_before_accept", times=1)
    (job,) = await bench.queue()
    await bench.work()
    await forge(bench, job, video_id=theirs.id)
    bench.simulator.set_scenario("outage", method="POST")
    await bench.pass_time(60)
    mine = await bench.job()
    assert mine.status == JobStatus.UNSURE
    assert mine.heygen_id is None


async def test_a_repeated_callback_is_one_row_with_a_counter(bench: Bench) -> None:
    bench.simulator.set_timeline(render_seconds=3600)
    (job,) = await bench.queue()
    await bench.work()
    for _ in range(5):
        await forge(bench, job)
    async with bench.context.database.begin() as session:
        (stored,) = await session.scalars(select(Callback))
    assert stored.times == 5


async def test_a_word_that_heygen_never_used_before_means_still_running(bench: Bench) -> None:
    bench.simulator.set_scenario("unknown_status")
    bench.simulator.set_timeline(render_seconds=400)
    await bench.queue()
    await bench.pass_time(390, step=30)
    assert (await bench.job()).status == JobStatus.PROCESSING
    await bench.settle()
    assert (await bench.job()).status == JobStatus.COMPLETED


async def test_completed_is_said_only_once_the_link_answers(bench: Bench) -> None:
    bench.simulator.set_scenario("file_late", seconds=20)
    await bench.queue()
    await bench.pass_time(12, step=3)
    job = await bench.job()
    assert (job.status, job.slot_account_id) == (JobStatus.PROCESSING, None)
    assert job.rendered_at is not None
    await bench.settle()
    assert (await bench.job()).status == JobStatus.COMPLETED


async def test_a_file_that_never_answers_fails_after_a_week_and_not_at_the_deadline(bench: Bench) -> None:
    bench.simulator.set_scenario("link_expired")
    await bench.queue()
    await bench.pass_time(60)
    await bench.pass_time(2 * 24 * 3600, step=12 * 3600)
    assert (await bench.job()).status == JobStatus.PROCESSING
    await bench.pass_time(6 * 24 * 3600, step=12 * 3600)
    job = await bench.job()
    assert (job.status, job.failure_code) == (JobStatus.FAILED, "asset_not_available")


@pytest.mark.parametrize("key", ["refused", "gone"])
async def test_a_file_that_lags_is_given_up_even_where_heygen_cannot_be_asked(bench: Bench, key: str) -> None:
    bench.simulator.set_scenario("link_expired")
    await bench.queue()
    await bench.pass_time(60)
    bench.simulator.set_scenario("unauthorized")
    if key == "gone":
        bench.context = replace(bench.context, connections={})
    await bench.pass_time(8 * 24 * 3600, step=12 * 3600)
    job = await bench.job()
    assert (job.status, job.failure_code) == (JobStatus.FAILED, "asset_not_available")


async def test_a_failed_render_keeps_heygens_words(bench: Bench) -> None:
    await bench.queue(script="[[fail: rendering_failed]] Hello.")
    await bench.settle()
    job = await bench.job()
    assert (job.status, job.failure_code) == (JobStatus.FAILED, "rendering_failed")
    assert job.failure_message == "Avatar rendering timed out"


async def test_a_video_that_heygen_no_longer_knows_fails_after_a_grace(bench: Bench) -> None:
    bench.simulator.set_timeline(render_seconds=7200)
    await bench.queue()
    await bench.work()
    heygen = next(iter(bench.context.connections.values())).heygen
    await heygen.delete_video((await bench.job()).heygen_id or "")
    await bench.pass_time(120, step=20)
    assert (await bench.job()).status == JobStatus.PROCESSING
    await bench.settle()
    job = await bench.job()
    assert (job.status, job.failure_code) == (JobStatus.FAILED, "video_not_found")


async def test_an_empty_wallet_at_the_end_of_a_render_pauses_the_queue_behind_it(bench: Bench) -> None:
    bench.simulator.set_scenario("no_credit", times=1)
    await bench.queue(15)
    await bench.work()
    bench.clock.advance(timedelta(seconds=9))
    await bench.simulator.send_due_callbacks()
    # The callbacks of the others may free slots before the failure is read; what counts is what comes after.
    await bench.work()
    async with bench.context.database.begin() as session:
        assert await session.scalar(select(col(Account.paused_reason))) == "movio_payment_insufficient_credit"
    await bench.settle()
    statuses = [job.status for job in await bench.jobs()]
    assert statuses.count(JobStatus.FAILED) == 1
    assert statuses.count(JobStatus.COMPLETED) == 14


async def test_reads_during_an_outage_are_postponed_and_nothing_is_lost(bench: Bench) -> None:
    bench.simulator.set_scenario("callbacks_lost")
    await bench.queue(3)
    await bench.work()
    bench.simulator.set_scenario("outage", method="GET")
    await bench.pass_time(3600, step=60)
    assert {job.status for job in await bench.jobs()} == {JobStatus.PROCESSING}
    asked = bench.calls("GET", "/v3/videos")
    assert asked <= 60, "an outage is asked about ever more slowly"
    bench.simulator.clear_scenarios()
    await bench.settle()
    assert {job.status for job in await bench.jobs()} == {JobStatus.COMPLETED}


@pytest.mark.parametrize("stuck", [True, False])
async def test_the_deadline_ends_what_heygen_never_ends(bench: Bench, stuck: bool) -> None:
    await bench.queue(
        script="[[stuck]] Hello." if stuck else "Hello.",
        deadline_at=bench.clock.now() + timedelta(minutes=10),
    )
    await bench.settle()
    job = await bench.job()
    assert job.status == (JobStatus.FAILED if stuck else JobStatus.COMPLETED)
    if stuck:
        assert job.failure_code == "deadline_exceeded"
        assert job.slot_account_id is not None, "HeyGen still works on it"
        await bench.pass_time(25 * 3600, step=3600)
        assert (await bench.job()).slot_account_id is None


async def test_hundreds_of_running_videos_are_one_question(bench: Bench, account: Account) -> None:
    bench.simulator.set_scenario("callbacks_lost")
    bench.simulator.set_timeline(render_seconds=3600)
    await bench.queue(10)
    await bench.work()
    await bench.pass_time(75, step=75)
    assert bench.calls("GET", "/v3/videos/statuses") == 1
    assert reads(bench) == 0


REFUSED: dict[str, Any] = {"code": "invalid_parameter", "status": 400.0}


@pytest.mark.parametrize(
    ("scenario", "options", "most_reads"),
    [("unknown_code", REFUSED, 12), ("outage", {}, 14)],
    ids=["refused", "failed"],
)
async def test_a_bulk_question_that_heygen_dislikes_hides_no_video_that_is_done(
    bench: Bench, scenario: str, options: dict[str, Any], most_reads: int
) -> None:
    bench.simulator.set_scenario("callbacks_lost")
    bench.simulator.set_scenario(scenario, method="GET", path="/v3/videos/statuses", **options)
    await bench.queue(script="[[stuck]] Hello.")
    await bench.queue()
    await bench.work()
    await bench.pass_time(1800, step=100)
    stuck, done = await bench.jobs()
    assert (stuck.status, done.status) == (JobStatus.PROCESSING, JobStatus.COMPLETED)
    assert reads(bench) <= most_reads, "what is asked singly is asked at the pace of any question"


async def test_a_video_alone_is_found_done_whatever_heygen_makes_of_the_bulk_question(bench: Bench) -> None:
    bench.simulator.set_scenario("callbacks_lost")
    bench.simulator.set_scenario("outage", method="GET", path="/v3/videos/statuses")
    await bench.queue()
    await bench.settle(within=600)
    assert (await bench.job()).status == JobStatus.COMPLETED


async def test_of_many_a_few_are_read_singly_where_heygen_fails_at_their_question(bench: Bench) -> None:
    bench.simulator.set_timeline(render_seconds=7200)
    await bench.queue(poll.AT_ONCE + 2)
    await bench.work()
    bench.simulator.set_scenario("outage", times=1, method="GET", path="/v3/videos/statuses")
    bench.clock.advance(timedelta(seconds=80))
    await bench.work()
    assert bench.calls("GET", "/v3/videos/statuses") == 1
    assert 1 < reads(bench) <= poll.AT_ONCE + 1


async def test_what_the_first_of_them_tells_of_the_account_is_heeded(bench: Bench) -> None:
    bench.simulator.set_timeline(render_seconds=7200)
    await bench.queue(2)
    await bench.work()
    bench.simulator.set_scenario("outage", method="GET", path="/v3/videos/statuses")
    bench.clock.advance(timedelta(seconds=80))
    bench.simulator.set_scenario("rate_limited", times=1, method="GET", path="/v3/videos/", seconds=600)
    await bench.work()
    assert (await bench.account()).gate_until == bench.clock.now() + timedelta(seconds=600)
