"""The sweeps: what has come to an end by itself, whatever stands beside it."""

from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest
from sqlalchemy import update

from app import lifecycle
from app.context import Context
from app.lifecycle import By, Failed
from app.models import Account, Event, Job, JobStatus
from app.worker import expire, submit
from tests.factories import queue_look
from tests.worker.conftest import Bench


@pytest.mark.parametrize(
    ("sweep", "ended"), [(expire.expire, JobStatus.FAILED), (expire.reap, JobStatus.UNSURE)]
)
async def test_a_row_that_cannot_be_moved_keeps_no_other_from_its_end(
    bench: Bench, sweep: Callable[[Context], Awaitable[bool]], ended: JobStatus
) -> None:
    await bench.queue(3, deadline_at=bench.clock.now() + timedelta(minutes=3))
    for _ in range(3):
        assert await submit.claim(bench.context) is not None
    poisoned, *others = await bench.jobs()
    await _take_next_number(bench, poisoned)
    bench.clock.advance(timedelta(seconds=181))
    assert await sweep(bench.context)
    assert [job.status for job in await bench.jobs()] == [poisoned.status, *(ended for _ in others)]
    assert not await sweep(bench.context), "nothing is left that can be moved"


async def test_a_row_that_cannot_be_moved_does_not_keep_an_account_on_trial(bench: Bench) -> None:
    async with bench.context.database.begin() as session:
        await session.execute(update(Account).values(on_trial=True))
    await bench.queue(3)
    assert await submit.claim(bench.context) is not None
    poisoned = (await bench.jobs())[0]
    await _take_next_number(bench, poisoned)
    await bench.pass_time(600, step=60)
    assert [job.status for job in (await bench.jobs())[1:]] == [JobStatus.COMPLETED] * 2


async def _take_next_number(bench: Bench, job: Job) -> None:
    """A row that came apart from its events: whatever moves the job fails."""
    event = Event(
        id="e",
        tenant_id=job.tenant_id,
        job_id=job.id,
        number=job.number + 1,
        fact="Enqueued",
        source="operator",
        at=bench.clock.now(),
    )
    async with bench.context.database.begin() as session:
        session.add(event)


@pytest.mark.parametrize("done", [0, 1])
async def test_a_video_that_came_to_wait_for_a_look_as_it_ended_goes_on(bench: Bench, done: int) -> None:
    ctx, now = bench.context, bench.clock.now()
    looks = [await queue_look(ctx.database, ctx.secrets, bench.tenant, now) for _ in range(2)]
    async with ctx.database.begin() as session:
        assert await lifecycle.apply(session, looks[done].id, Failed("gone"), By("poll", now))
    waiting = [job for look in looks for job in await bench.queue(2, waits_for_id=look.id)]
    assert await expire.free_waiting(ctx)
    assert not await expire.free_waiting(ctx)
    still = {job.id: job.waits_for_id for job in await bench.jobs() if job.kind == "video"}
    expected = [None if job.waits_for_id == looks[done].id else job.waits_for_id for job in waiting]
    assert [still[job.id] for job in waiting] == expected
