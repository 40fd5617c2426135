"""What is still owed for a job that its caller gave up."""

from datetime import timedelta

import pytest

from app import lifecycle
from app.lifecycle import By, Canceled
from app.worker import tidy
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
