"""The way out of doubt: the same key while it is young, look-ups afterwards, never a new key."""

from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import cast

import pytest
from sqlalchemy import select, update
from sqlmodel import col

from app import governor
from app.governor import Told
from app.heygen.client import HeyGen
from app.heygen.schemas import Page
from app.models import Account, Job, JobStatus, Outcome, Submission
from app.worker import search, unsure
from app.worker.claims import HINT_GAP
from app.worker.unsure import REPEATS, Repeat, Search, next_move
from tests.clocks import ManualClock
from tests.conftest import START
from tests.services import run_worker
from tests.worker.conftest import Bench
from tests.worker.test_poll import forge

AGE = timedelta(hours=20)


def send(number: int, at: timedelta, status: int | None = None, outcome: Outcome | None = None) -> Submission:
    return Submission(
        id=f"s{number}",
        job_id="j",
        n=1,
        send=number,
        epoch=1,
        key="k",
        body_encrypted=b"x" if number == 1 else None,
        body_sha256="h",
        sent_at=START + at,
        outcome=outcome or Outcome.UNCLEAR,
        http_status=status,
        code="invalid_parameter" if status == 400 else None,
    )


FIRST = send(1, timedelta(0))
NEVER_LEFT = send(1, timedelta(0), outcome=Outcome.UNSENT)


def errors(count: int, others_accepted: bool = False) -> list[Submission]:
    sends = [send(number, timedelta(0), 503) for number in range(2, 2 + count)]
    sends[-1].others_accepted = others_accepted
    return sends


@pytest.mark.parametrize(
    ("sends", "now_after", "move"),
    [
        ([FIRST], timedelta(seconds=5), Repeat()),
        ([FIRST], AGE - timedelta(seconds=1), Repeat()),
        ([FIRST], AGE, "outcome_unknown"),
        ([FIRST], -timedelta(seconds=2), Repeat()),
        ([FIRST], -timedelta(hours=1), "outcome_unknown"),
        ([FIRST, send(2, timedelta(hours=19))], AGE, "outcome_unknown"),
        ([NEVER_LEFT, send(2, timedelta(hours=21))], timedelta(hours=22), Repeat()),
        ([NEVER_LEFT, send(2, timedelta(hours=1))], AGE + timedelta(hours=1), "outcome_unknown"),
        ([FIRST, send(2, timedelta(0), 400, Outcome.REFUSED)], timedelta(0), "invalid_parameter"),
        ([FIRST, send(2, timedelta(0), 429, Outcome.REFUSED)], timedelta(0), Repeat()),
        ([FIRST, send(2, timedelta(0), 401, Outcome.REFUSED)], timedelta(0), Repeat()),
        ([FIRST, send(2, timedelta(0), 402, Outcome.REFUSED)], timedelta(0), Repeat()),
        ([FIRST, *errors(7)], timedelta(hours=1), Repeat()),
        ([FIRST, *errors(7, others_accepted=True)], timedelta(hours=1), "outcome_unknown"),
        ([FIRST, *errors(3, others_accepted=True)], timedelta(hours=1), Repeat()),
    ],
)
def test_the_key_is_repeated_while_it_is_young_and_may_tell(
    sends: list[Submission], now_after: timedelta, move: Repeat | str
) -> None:
    found = next_move(sends, START + now_after, AGE)
    if isinstance(move, str):
        assert isinstance(found, Search)
        assert found.code == move
    else:
        assert found == move


@pytest.mark.parametrize(("scenario", "sends"), [("drop_after_accept", 1), ("unavailable_before_accept", 2)])
@pytest.mark.parametrize("engine_name", ["sqlite"])
async def test_a_restart_by_a_clock_that_stood_still_repeats_only_what_heygen_does_not_list(
    bench: Bench, scenario: str, sends: int
) -> None:
    bench.simulator.set_scenario("callbacks_lost")
    bench.simulator.set_scenario(scenario, times=1)
    await bench.queue(deadline_at=START + timedelta(days=7))
    await bench.work()
    assert (await bench.job()).status == JobStatus.UNSURE
    bench.clock.advance(timedelta(hours=25))  # HeyGen has forgotten the key
    restarted = ManualClock(START + timedelta(seconds=10))
    await run_worker(replace(bench.context, clock=restarted))
    assert (await bench.job()).heygen_id is not None
    assert (bench.renders(), len(await bench.submissions())) == (1, sends)


async def test_an_error_kept_for_this_job_alone_ends_the_doubt_when_others_get_through(bench: Bench) -> None:
    bench.simulator.set_scenario("replay_errors")
    bench.simulator.set_scenario("unavailable_before_accept", times=1)
    await bench.queue()
    await bench.work()
    for _ in range(12):
        await bench.queue()
        await bench.pass_time(600, step=60)
    first, *others = await bench.jobs()
    assert (first.status, first.failure_code) == (JobStatus.FAILED, "outcome_unknown")
    assert {job.status for job in others} == {JobStatus.COMPLETED}
    assert bench.renders() == 12


async def due(bench: Bench, *jobs: Job) -> None:
    """They are due one after the other, in this order, and before any other."""
    async with bench.context.database.begin() as session:
        for number, job in enumerate(jobs, start=1):
            due_at = bench.clock.now() - timedelta(hours=1) / number
            await session.execute(update(Job).where(col(Job.id) == job.id).values(due_at=due_at))


@pytest.mark.parametrize("by", ["look-up", "repeat"])
async def test_a_render_of_before_the_outage_that_is_found_in_it_ends_nobody_elses_doubt(
    bench: Bench, by: str
) -> None:
    """Neither a find nor HeyGen's answer to a repeat, which may be an old one, tells that it accepts others now."""
    bench.simulator.set_scenario("callbacks_lost")
    bench.simulator.set_scenario("drop_after_accept", times=1)
    await bench.queue()
    await bench.work()
    bench.simulator.set_scenario("outage")
    await bench.queue()
    await bench.pass_time(15 * 60, step=30)
    bench.simulator.clear_scenarios()
    made, other = await bench.jobs()
    if by == "repeat":
        await due(bench, made)
        assert await unsure.resolve_next(bench.context)
        assert (await bench.jobs())[0].status == JobStatus.PROCESSING
    bench.simulator.set_scenario("outage", method="POST")
    await due(bench, made, other)
    await bench.pass_time(45 * 60, step=30)
    made, other = await bench.jobs()
    assert (made.status, other.status) == (JobStatus.COMPLETED, JobStatus.UNSURE)
    bench.simulator.clear_scenarios()
    await bench.settle(step=30)
    assert {job.status for job in await bench.jobs()} == {JobStatus.COMPLETED}
    assert bench.renders() == 2


async def test_no_key_is_sent_after_twenty_hours_and_two_empty_look_ups_end_it(bench: Bench) -> None:
    bench.simulator.set_scenario("outage", method="POST")
    await bench.queue(deadline_at=START + timedelta(days=7))
    await bench.pass_time(20 * 3600 + 3600, step=1200)
    bench.simulator.clear_scenarios()
    sends = await bench.submissions()
    assert max(send.sent_at for send in sends) - min(send.sent_at for send in sends) < AGE
    assert len({send.key for send in sends}) == 1
    await bench.pass_time(1800, step=300)
    job = await bench.job()
    assert (job.status, job.failure_code) == (JobStatus.FAILED, "outcome_unknown")
    assert job.slot_account_id is None
    assert bench.renders() == 0


async def test_where_the_key_is_too_old_to_tell_that_is_said_and_nothing_is_sent(bench: Bench) -> None:
    pace = replace(bench.context.pace, key_max_age=timedelta(minutes=1))
    bench.context = replace(bench.context, pace=pace)
    bench.simulator.set_scenario("outage", method="POST")
    await bench.queue()
    await bench.pass_time(120, step=30)
    bench.simulator.clear_scenarios()
    sent = len(await bench.submissions())
    await bench.pass_time(1500, step=300)
    job = await bench.job()
    assert (job.status, job.failure_code) == (JobStatus.FAILED, "outcome_unknown")
    assert (len(await bench.submissions()), bench.renders()) == (sent, 0)


async def test_only_look_ups_that_heygen_answers_ten_minutes_apart_end_the_doubt(bench: Bench) -> None:
    pace = replace(bench.context.pace, key_max_age=timedelta(minutes=1))
    bench.context = replace(bench.context, pace=pace)
    bench.simulator.set_scenario("outage")
    (job,) = await bench.queue()
    await bench.pass_time(900, step=60)
    assert (await bench.job()).status == JobStatus.UNSURE, "nobody could be asked"
    bench.simulator.clear_scenarios()
    bench.simulator.set_scenario("outage", method="POST")
    while (await bench.job()).searched_at is None:
        assert (await bench.job()).status == JobStatus.UNSURE, "one look-up may come too early"
        await bench.pass_time(60, step=60)
    assert (await bench.job()).status == JobStatus.UNSURE, "one look-up may come too early"
    await forge(bench, job)
    await bench.pass_time(60, step=60)
    assert (await bench.job()).status == JobStatus.UNSURE, "and so may one that a callback hurries"
    await bench.pass_time(600, step=60)
    assert (await bench.job()).failure_code == "outcome_unknown"


class Listing:
    """A HeyGen whose lists never end, and hold nothing of ours."""

    async def list_videos(self, **_asked: str | None) -> Page:
        return Page(
            ({"id": "theirs", "title": "Somebody else's [gr:0123456789abcdef0123456789abcdef]"},), "on"
        )


async def test_a_list_that_never_ends_neither_holds_the_job_nor_proves_that_it_is_not_there(
    bench: Bench,
) -> None:
    (job,) = await bench.queue()
    (connection,) = bench.context.connections.values()
    endless = replace(connection, heygen=cast("HeyGen", Listing()))
    with pytest.raises(search.Incomplete):
        await search.by_token(replace(bench.context, connections={job.account_id: endless}), job)


async def test_an_outage_is_waited_out_and_the_render_is_made_once(bench: Bench) -> None:
    bench.simulator.set_scenario("outage")
    await bench.queue(3)
    await bench.pass_time(3 * 3600, step=300)
    bench.simulator.clear_scenarios()
    await bench.settle(step=30)
    assert {job.status for job in await bench.jobs()} == {JobStatus.COMPLETED}
    assert bench.renders() == 3


async def test_a_job_in_doubt_whose_bytes_cannot_be_read_is_looked_up(bench: Bench) -> None:
    bench.simulator.set_scenario("callbacks_lost")
    bench.simulator.set_scenario("drop_after_accept", times=1)
    await bench.queue()
    await bench.work()
    async with bench.context.database.begin() as session:
        await session.execute(update(Submission).values(body_encrypted=b"under a key that is lost"))
    await bench.settle(within=120)
    job = await bench.job()
    assert (job.status, len(await bench.submissions())) == (JobStatus.COMPLETED, 1)


async def test_repeats_come_ever_more_slowly(bench: Bench) -> None:
    bench.simulator.set_scenario("outage", method="POST")
    await bench.queue()
    await bench.pass_time(560, step=4)
    sent = [send.sent_at for send in await bench.submissions()]
    gaps = [later - earlier for earlier, later in pairwise(sent)]
    for gap, planned in zip(gaps, REPEATS, strict=False):
        assert planned * 0.8 <= gap <= planned * 1.2 + timedelta(seconds=4)
    assert len(gaps) >= 4


async def test_a_callback_may_name_the_video_but_only_heygen_is_believed(bench: Bench) -> None:
    bench.simulator.set_scenario("drop_after_accept", times=1)
    await bench.queue()
    await bench.work()
    bench.simulator.set_scenario("outage", method="POST")  # no repeat can tell
    await bench.pass_time(30)
    job = await bench.job()
    assert job.status == JobStatus.COMPLETED
    assert bench.renders() == 1


async def test_what_callbacks_name_in_doubt_costs_one_read_in_thirty_seconds_and_the_true_one_gets_its_turn(
    bench: Bench,
) -> None:
    bench.simulator.set_scenario("drop_after_accept", times=1)
    bench.simulator.set_scenario("callbacks_lost")
    (job,) = await bench.queue()
    await bench.work()
    bench.simulator.set_scenario(
        "outage", drop=True, method="POST"
    )  # no repeat tells, nor makes us look it up
    read_at: list[datetime] = []
    while (await bench.job()).status == JobStatus.UNSURE:
        for number in range(2):
            await forge(bench, job, f"{number:032d}")
        before = bench.calls("GET", "/v3/videos/")
        while await unsure.resolve_next(bench.context):
            pass
        read_at += [bench.clock.now()] * (bench.calls("GET", "/v3/videos/") - before)
        bench.clock.advance(timedelta(seconds=3))
        await forge(bench, job, bench.simulator.ledger()[0].job_id)
        assert len(read_at) < 40, "the true one never gets its turn"
    gaps = [later - earlier for earlier, later in pairwise(read_at)]
    assert min(gaps) >= timedelta(seconds=30)
    assert bench.renders() == 1


async def test_a_callback_that_must_wait_for_its_half_minute_is_not_forgotten(bench: Bench) -> None:
    bench.simulator.set_scenario("drop_after_accept", times=1)
    bench.simulator.set_scenario("callbacks_lost")
    (job,) = await bench.queue()
    await bench.work()
    bench.simulator.set_scenario("outage", drop=True, method="POST")
    await forge(bench, job)
    assert await unsure.resolve_next(bench.context)
    half_a_minute_later = bench.clock.now() + HINT_GAP
    bench.clock.advance(timedelta(seconds=1))
    await forge(bench, job, "2" * 32)
    async with bench.context.database.begin() as session:
        await session.execute(update(Job).values(due_at=bench.clock.now()))  # for a repeat that comes sooner
    assert await unsure.resolve_next(bench.context)
    assert bench.calls("GET", "/v3/videos/") == 1
    assert (await bench.job()).due_at == half_a_minute_later


async def test_a_429_on_a_repeat_gates_the_account_and_leaves_the_doubt(bench: Bench) -> None:
    bench.simulator.set_scenario("unavailable_before_accept", times=1)
    await bench.queue()
    await bench.work()
    bench.simulator.set_scenario("rate_limited", times=1, seconds=100)
    await bench.pass_time(10)
    assert (await bench.job()).status == JobStatus.UNSURE
    posts = bench.calls("POST", "/v3/videos")
    await bench.pass_time(80)
    assert bench.calls("POST", "/v3/videos") == posts, "nothing is sent before Retry-After"
    await bench.settle()
    assert (await bench.job()).status == JobStatus.COMPLETED
    assert bench.renders() == 1


async def test_a_gate_that_closes_before_a_repeat_is_written_down_holds_it_back(bench: Bench) -> None:
    bench.simulator.set_scenario("unavailable_before_accept", times=1)
    (job,) = await bench.queue()
    await bench.work()
    bench.clock.advance(timedelta(seconds=10))
    claimed = await unsure.claim(bench.context)
    assert claimed is not None
    async with bench.context.database.begin() as session:
        await governor.gate(session, job.account_id, Told(timedelta(seconds=60)), bench.clock.now())
    await unsure.resolve(bench.context, claimed)
    assert bench.calls("POST", "/v3/videos") == 1
    await bench.settle()
    assert bench.renders() == 1


async def test_a_401_on_a_repeat_pauses_the_account_and_leaves_the_doubt(bench: Bench) -> None:
    bench.simulator.set_scenario("drop_after_accept", times=1)
    bench.simulator.set_scenario("callbacks_lost")
    await bench.queue()
    await bench.work()
    bench.simulator.set_scenario("unauthorized")
    await bench.pass_time(20)
    assert (await bench.job()).status == JobStatus.UNSURE
    async with bench.context.database.begin() as session:
        assert await session.scalar(select(col(Account.paused_reason))) == "unauthorized"
    bench.simulator.clear_scenarios()
    await bench.settle()
    assert bench.renders() == 1


async def test_a_job_canceled_in_doubt_is_only_looked_up_and_frees_its_slot(bench: Bench) -> None:
    bench.simulator.set_scenario("unavailable_before_accept", times=1)
    (job,) = await bench.queue()
    await bench.work()
    await bench.cancel(job.id)
    posts = bench.calls("POST", "/v3/videos")
    await bench.pass_time(1500, step=60)
    job = await bench.job()
    assert (job.status, job.slot_account_id) == (JobStatus.CANCELED, None)
    assert bench.calls("POST", "/v3/videos") == posts


async def test_a_job_canceled_in_doubt_that_was_made_after_all_is_followed_to_its_end(bench: Bench) -> None:
    bench.simulator.set_scenario("drop_after_accept", times=1)
    bench.simulator.set_scenario("callbacks_lost")
    (job,) = await bench.queue()
    await bench.work()
    await bench.cancel(job.id)
    await bench.pass_time(120)
    job = await bench.job()
    assert job.status == JobStatus.CANCELED
    assert job.slot_account_id is None
    assert job.late_result is not None
    assert job.billable


async def test_a_job_withdrawn_in_doubt_is_looked_up_however_long_heygen_was_away(bench: Bench) -> None:
    bench.simulator.set_scenario("drop_after_accept", times=1)
    bench.simulator.set_scenario("callbacks_lost")
    (job,) = await bench.queue(deadline_at=bench.clock.now() + timedelta(hours=1))
    await bench.work()
    bench.simulator.set_scenario("outage")
    await bench.pass_time(27 * 3600, step=9 * 3600)
    bench.simulator.clear_scenarios()
    await bench.pass_time(3600, step=300)
    job = await bench.job()
    assert (job.failure_code, job.slot_account_id) == ("deadline_exceeded", None)
    assert [bill.job_id for bill in bench.simulator.ledger()] == [job.heygen_id]
    assert job.late_result is not None
    assert job.billable
