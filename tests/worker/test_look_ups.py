"""Look-ups of an account that has many videos: they may take longer than a lease, and count all the same."""

from dataclasses import dataclass, field, replace
from datetime import timedelta
from types import ModuleType
from typing import Any

import pytest

from app.heygen.client import HeyGen
from app.heygen.schemas import Page
from app.models import JobStatus
from app.worker import tidy, unsure
from tests.worker.conftest import Bench

PAGES = 4
A_PAGE = timedelta(seconds=70)  # a lease is three minutes


@dataclass
class Slow:
    """HeyGen, whose lists have empty pages before the last one; at each of them another worker asks for work."""

    heygen: HeyGen
    bench: Bench
    lane: ModuleType
    taken: list[object] = field(default_factory=list)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.heygen, name)

    async def list_videos(self, *, title: str | None = None, token: str | None = None) -> Page:
        self.bench.clock.advance(A_PAGE)
        found = await self.lane.claim(self.bench.context)
        if found is not None:
            self.taken.append(found)
        number = int(token or 1)
        return Page((), str(number + 1)) if number < PAGES else await self.heygen.list_videos(title=title)


def slow_down(bench: Bench, lane: ModuleType) -> Slow:
    ((account_id, connection),) = bench.context.connections.items()
    slow = Slow(connection.heygen, bench, lane)
    changed: Any = slow
    connections = {account_id: replace(connection, heygen=changed)}
    bench.context = replace(bench.context, connections=connections)
    return slow


@pytest.mark.parametrize("made", [True, False])
@pytest.mark.parametrize("withdrawn", [True, False])
async def test_a_look_up_longer_than_a_lease_is_taken_over_by_nobody_and_counts(
    bench: Bench, made: bool, withdrawn: bool
) -> None:
    bench.simulator.set_scenario("callbacks_lost")
    bench.simulator.set_scenario("drop_after_accept" if made else "unavailable_before_accept", times=1)
    (job,) = await bench.queue()
    await bench.work()
    bench.simulator.set_scenario("outage", method="POST")
    slow = slow_down(bench, tidy if withdrawn else unsure)
    if withdrawn:
        await bench.cancel(job.id)
    # From now on nothing may be sent again: only a look-up can tell.
    pace = replace(bench.context.pace, key_max_age=timedelta(0))
    bench.context = replace(bench.context, pace=pace)
    await bench.pass_time(3600, step=60)
    assert slow.taken == []
    job = await bench.job()
    ended = JobStatus.CANCELED if withdrawn else JobStatus.COMPLETED if made else JobStatus.FAILED
    assert (job.status, job.heygen_id is not None, job.slot_account_id) == (ended, made, None)
    assert bench.renders() == made


async def test_a_look_up_after_a_repeat_that_failed_is_taken_over_by_nobody_and_finds_the_render(
    bench: Bench,
) -> None:
    bench.simulator.set_scenario("callbacks_lost")
    bench.simulator.set_scenario("drop_after_accept", times=1)
    await bench.queue()
    await bench.work()
    bench.simulator.set_scenario("outage", method="POST")
    slow = slow_down(bench, unsure)
    bench.clock.advance(timedelta(seconds=10))
    assert await unsure.resolve_next(bench.context)
    assert slow.taken == []
    assert (await bench.job()).status == JobStatus.PROCESSING
