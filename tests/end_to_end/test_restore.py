"""A backup that is an hour old takes over: nothing is made twice, and what was ordered since is found."""

import sqlite3
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from app.context import Context
from app.database import Database
from app.models import JobStatus, Tenant
from app.orphans import Orphan, orphans
from app.simulator.app import Simulator
from tests.clocks import ManualClock
from tests.services import at, make_context
from tests.worker.conftest import Bench

pytestmark = pytest.mark.parametrize("engine_name", ["sqlite"])


@pytest.fixture
async def bench(served: Context, simulator: Simulator, clock: ManualClock, tenant: Tenant) -> Bench:
    return Bench(served, simulator, clock, tenant)


@pytest.fixture
async def backup(tmp_path: Path) -> AsyncIterator[Database]:
    database = Database(f"sqlite:///{tmp_path / 'backup.db'}")
    yield database
    await database.close()


def back_up(bench: Bench, backup: Database) -> None:
    """Copy the tables as they stand."""
    source, target = (sqlite3.connect(str(it.engine.url.database)) for it in (bench.context.database, backup))
    source.backup(target)
    source.close()
    target.close()


async def under_way(bench: Bench) -> None:
    """One video is rendered, one is in doubt although HeyGen has it, and one has not been sent."""
    await bench.queue()
    await bench.work()
    bench.simulator.set_scenario("drop_after_accept", times=1)
    await bench.queue()
    await bench.work()
    await bench.queue()


async def found(bench: Bench) -> list[Orphan]:
    ((account_id, connection),) = bench.context.connections.items()
    return [it async for it in orphans(bench.context.database, account_id, connection.heygen)]


async def test_it_doubles_nothing_and_tells_what_it_does_not_know(
    bench: Bench, backup: Database, heygen_url: str, tmp_path: Path
) -> None:
    await under_way(bench)
    back_up(bench, backup)
    (later,) = await bench.queue(title="Ordered later")
    await bench.settle(step=30)
    assert await found(bench) == [], "every render has its job"
    bench.clock.advance(timedelta(hours=1))
    lost = {job.id: job.heygen_id for job in await bench.jobs()}
    old, accounts = bench.context, {bench.tenant.account_id: heygen_url}
    async with make_context(backup, old.clock, old.secrets, accounts, tmp_path / "files") as restored:
        bench.context = at(old.links.api_url, restored)
        before = {(it.heygen_id, it.job_id, it.status) for it in await found(bench)}
        await bench.settle(step=30)
        jobs = {job.id: job.heygen_id for job in await bench.jobs() if job.status == JobStatus.COMPLETED}
        assert jobs == {job_id: heygen_id for job_id, heygen_id in lost.items() if job_id != later.id}
        assert [(it.heygen_id, it.title, it.job_id) for it in await found(bench)] == [
            (lost[later.id], "Ordered later", None)
        ]
    _, doubtful, queued, _ = sorted(lost)
    assert before == {
        (lost[doubtful], doubtful, "unsure"),
        (lost[queued], queued, "queued"),
        (lost[later.id], None, None),
    }
    billed = Counter(row.idempotency_key for row in bench.simulator.ledger())
    assert billed == {f"{job_id}-1": 1 for job_id in lost}
    bodies = defaultdict(set)
    for request in bench.simulator.requests("POST", "/v3/videos"):
        bodies[request.idempotency_key].add(request.body_sha256)
    assert {key: len(sent) for key, sent in bodies.items()} == dict.fromkeys(billed, 1)
