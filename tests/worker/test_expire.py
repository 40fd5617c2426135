"""The sweeps: what has come to an end by itself, whatever stands beside it."""

import pytest

from app import lifecycle
from app.lifecycle import By, Failed
from app.worker import expire
from tests.factories import queue_look
from tests.worker.conftest import Bench


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
