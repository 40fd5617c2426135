"""What is still owed for a job that its caller gave up."""

from datetime import timedelta
from typing import Any

import pytest

from app import lifecycle
from app.heygen.errors import HeyGenError
from app.heygen.schemas import Created
from app.lifecycle import By, Canceled
from app.models import JobStatus
from app.worker import expire, submit, tidy
from app.worker.submit import Submittable
from tests.worker.conftest import Bench


@pytest.mark.parametrize("ending", ["gone", "too late"])
async def test_a_deleted_render_whose_file_never_came_is_deleted_at_heygen_and_then_left_alone(
    bench: Bench, ending: str
) -> None:
    (job,) = await bench.queue()
    await bench.work()
    async with bench.context.database.begin() as session:
        assert await lifecycle.apply(session, job.id, Canceled(deleted=True), By("caller", bench.clock.now()))
    bench.simulator.set_scenario("link_expired")
    await bench.pass_time(4000, step=400)
    assert (await bench.job()).rendered_at is not None, "HeyGen is done, but its file does not answer"
    if ending == "gone":
        heygen = next(iter(bench.context.connections.values())).heygen
        await heygen.delete_video((await bench.job()).heygen_id or "")
    else:
        bench.clock.advance(timedelta(hours=49))
    bench.clock.advance(timedelta(hours=1))
    reads, deletes = bench.calls("GET"), bench.calls("DELETE")
    steps = [await tidy.tidy_next(bench.context) for _ in range(6)]
    assert steps.count(True) == 2, "one look, and one delete"
    assert (bench.calls("GET") - reads, bench.calls("DELETE") - deletes) == (1, 1)
    assert (await bench.job()).due_at is None


async def test_a_withdrawn_job_whose_answer_came_too_late_for_its_claim_is_not_searched_for(
    bench: Bench,
) -> None:
    bench.simulator.set_scenario("callbacks_lost")
    (job,) = await bench.queue()
    claimed = await submit.claim(bench.context)
    assert claimed is not None
    assert claimed.intent is not None
    answer = await submit.post(bench.context, claimed.intent)  # HeyGen has it; the process freezes here
    assert isinstance(answer, Created)
    bench.clock.advance(timedelta(seconds=181))
    await expire.reap(bench.context)
    await bench.cancel(job.id)
    bench.clock.advance(timedelta(seconds=6))
    assert await tidy.claim(bench.context) is not None  # taken over
    async with bench.context.database.begin() as session:
        await submit.record_accepted(bench.context, session, claimed.job, claimed.intent, answer)
    assert (await bench.job()).heygen_id is None
    await bench.pass_time(600, step=60)
    ended = await bench.job()
    assert (ended.heygen_id, ended.slot_account_id) == (answer.id, None)
    assert ended.late_result is not None
    assert not [row for row in bench.simulator.requests("GET", "/v3/videos") if "title=" in row.path]


async def test_a_list_that_heygen_does_not_find_says_nothing_of_what_was_withdrawn_in_doubt(
    bench: Bench,
) -> None:
    bench.simulator.set_scenario("callbacks_lost")
    bench.simulator.set_scenario("drop_after_accept", times=1)
    (job,) = await bench.queue()
    claimed = await submit.claim(bench.context)
    assert claimed is not None
    await submit.submit(bench.context, claimed)
    bench.clock.advance(timedelta(minutes=6))
    await bench.cancel(job.id)
    not_found: dict[str, Any] = {"code": "not_found", "status": 404.0, "method": "GET", "path": "/v3/videos"}
    bench.simulator.set_scenario("unknown_code", times=1, **not_found)
    await bench.pass_time(600, step=60)
    ended = await bench.job()
    assert [bill.job_id for bill in bench.simulator.ledger()] == [ended.heygen_id]
    assert ended.slot_account_id is None
    assert ended.late_result is not None


async def test_a_create_that_heygen_refuses_after_its_cancel_costs_nothing(bench: Bench) -> None:
    (job,) = await bench.queue()
    claimed = await submit.claim(bench.context)
    assert claimed is not None
    await bench.cancel(job.id)
    assert (await bench.job()).billable, "the create is under way"
    bench.simulator.set_scenario(
        "unknown_code", times=1, code="invalid_parameter", status=400.0, method="POST"
    )
    await submit.submit(bench.context, claimed)
    refused = await bench.job()
    assert (refused.billable, refused.slot_account_id, bench.renders()) == (False, None, 0)


async def order(bench: Bench) -> tuple[Submittable, Created | HeyGenError]:
    """Queue a video and send it; nothing is recorded of the answer yet."""
    await bench.queue()
    claimed = await submit.claim(bench.context)
    assert claimed is not None
    assert claimed.intent is not None
    return claimed, await submit.post(bench.context, claimed.intent)


async def record(bench: Bench, claimed: Submittable, answer: Created) -> None:
    assert claimed.intent is not None
    async with bench.context.database.begin() as session:
        await submit.record_accepted(bench.context, session, claimed.job, claimed.intent, answer)


@pytest.fixture
async def mixed_up(bench: Bench) -> tuple[Submittable, Created]:
    """The first video's answer was lost, and the second's names the first."""
    bench.simulator.set_scenario("callbacks_lost")
    bench.simulator.set_scenario("drop_after_accept", times=1)
    await order(bench)
    bench.simulator.set_scenario("wrong_video_id", times=1)
    claimed, answer = await order(bench)
    assert isinstance(answer, Created)
    assert answer.id == bench.simulator.ledger()[0].job_id
    return claimed, answer


async def test_an_id_that_another_job_holds_is_not_taken_from_the_ledger_either(
    bench: Bench, mixed_up: tuple[Submittable, Created]
) -> None:
    claimed, answer = mixed_up
    bench.clock.advance(timedelta(seconds=181))
    await expire.reap(bench.context)
    await bench.cancel(claimed.job.id)
    bench.clock.advance(timedelta(seconds=6))
    assert await tidy.claim(bench.context) is not None  # taken over
    await record(bench, claimed, answer)
    await bench.pass_time(900, step=60)
    first, second = await bench.jobs()
    assert [first.heygen_id, second.heygen_id] == [bill.job_id for bill in bench.simulator.ledger()]
    assert second.late_result is not None


@pytest.mark.parametrize("withdrawn", [[], [0], [1]])
async def test_two_videos_that_heygen_mixed_up_each_come_to_their_own_render(
    bench: Bench, mixed_up: tuple[Submittable, Created], withdrawn: list[int]
) -> None:
    await record(bench, *mixed_up)
    bench.clock.advance(timedelta(seconds=181))
    await expire.reap(bench.context)
    for place in withdrawn:
        await bench.cancel((await bench.jobs())[place].id)
    bench.clock.advance(timedelta(seconds=6))
    assert await tidy.tidy_next(bench.context) is bool(withdrawn)
    await bench.pass_time(900, step=60)
    jobs = await bench.jobs()
    assert [job.heygen_id for job in jobs] == [bill.job_id for bill in bench.simulator.ledger()]
    assert all(job.finished_at is not None and job.slot_account_id is None for job in jobs)
    assert all(job.result or job.late_result for job in jobs)


async def test_a_sender_that_wakes_when_all_is_over_and_sends_nothing_takes_the_bill_back(
    bench: Bench,
) -> None:
    (job,) = await bench.queue()
    frozen = await submit.claim(bench.context)
    assert frozen is not None
    await bench.cancel(job.id)
    await bench.pass_time(2400, step=60)
    given_up = await bench.job()
    assert (given_up.slot_account_id, given_up.billable) == (None, True), "nobody knows what became of it"
    await submit.submit(bench.context, frozen)
    assert not (await bench.job()).billable
    assert bench.renders() == 0


async def test_a_sender_that_wakes_in_doubt_and_sends_nothing_leaves_no_bill_when_the_job_is_withdrawn(
    bench: Bench,
) -> None:
    (job,) = await bench.queue()
    frozen = await submit.claim(bench.context)
    assert frozen is not None
    bench.clock.advance(bench.context.pace.lease)
    assert await expire.reap(bench.context)
    await submit.submit(bench.context, frozen)
    assert (await bench.job()).status == JobStatus.UNSURE
    await bench.cancel(job.id)
    await bench.pass_time(2400, step=60)
    withdrawn = await bench.job()
    assert (withdrawn.status, withdrawn.slot_account_id, withdrawn.billable) == (
        JobStatus.CANCELED,
        None,
        False,
    )
    assert bench.renders() == 0
