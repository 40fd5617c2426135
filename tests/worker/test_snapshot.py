"""A snapshot held open, by a long report say, keeps PostgreSQL from forgetting old rows, and stops nothing."""

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from app.models import Job
from app.worker import loop, submit
from tests.statements import pages_read, recording
from tests.worker.conftest import Bench
from tests.worker.test_plans import OPEN, copy

JOBS = 1_000
CHANGES = (
    "UPDATE jobs SET status = 'submitting', lease_until = now() WHERE status = 'queued' AND id < '01'",
    "UPDATE jobs SET status = 'completed', lease_until = NULL, slot_account_id = NULL, finished_at = now()"
    " WHERE status = 'submitting'",
)
COUNT = text("SELECT count(*) FROM jobs WHERE status = 'queued'")


async def cost(bench: Bench) -> int:
    """The pages that one look for work and one claim read."""
    database = bench.context.database
    with recording(database) as statements:
        assert "submit" in await loop.due_lanes(bench.context)
        assert await submit.claim(bench.context) is not None
    return sum([await pages_read(database, it) for it in statements if it.finds_rows])


@pytest.mark.parametrize("engine_name", ["postgresql"])
async def test_a_snapshot_held_open_makes_a_claim_read_less_than_a_page_for_each_job_since(
    bench: Bench,
) -> None:
    await bench.queue(3)
    async with bench.context.database.begin() as session:
        await copy(session, Job, 1, JOBS, **OPEN | {"status": "queued"})
        await session.execute(text("ANALYZE jobs"))  # or the plans hang on what ran here before
    usual = await cost(bench)
    assert usual < JOBS / 10, usual
    engine = create_async_engine(
        bench.context.database.engine.url, poolclass=NullPool, isolation_level="REPEATABLE READ"
    )
    async with engine.connect() as report:
        seen = await report.scalar(COUNT)
        for change in CHANGES:
            async with bench.context.database.begin() as session:
                assert (await session.execute(text(change))).rowcount >= JOBS - 1  # type: ignore[attr-defined]
        held = await cost(bench)
        assert held < JOBS, held
        await bench.work()
        assert await report.scalar(COUNT) == seen, "it still sees what was"
    assert bench.renders() == 2, "the third was claimed to count its pages"
