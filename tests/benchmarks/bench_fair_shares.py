"""What fairness costs and gives at full size: pytest -n 0 -s tests/benchmarks/bench_fair_shares.py prints its figures."""

import time
from datetime import timedelta

import pytest
from sqlalchemy import text

from app.database import Database
from app.models import Account
from tests.conftest import START
from tests.halls import Hall, seat

CLAIMS = 100


async def analysed(hall: Hall) -> Hall:
    """With the statistics that PostgreSQL would have gathered by then."""
    async with hall.database.begin() as session:
        await session.execute(text("ANALYZE"))
    return hall


async def milliseconds(hall: Hall) -> float:
    """How long a claim takes, at the median."""
    took = []
    for _ in range(CLAIMS):
        began = time.perf_counter()
        assert await hall.start() is not None
        took.append((time.perf_counter() - began) * 1000)
    return sorted(took)[CLAIMS // 2]


@pytest.mark.timeout(600)
async def test_one_with_100_000_and_49_with_ten(
    database: Database, account: Account, engine_name: str
) -> None:
    hall = await analysed(await seat(database, account, [(1, 100_000), *[(1, 10)] * 49], slots=10))
    log = await hall.render(600)
    latest = max(log.index(tenant) for tenant in hall.tenants[1:])
    ended = max(600 - log[::-1].index(tenant) for tenant in hall.tenants[1:])
    print(f"\n{engine_name}: the last small tenant starts after {latest} renders; all 490 by {ended}")
    assert latest - 10 <= 50


@pytest.mark.timeout(600)
@pytest.mark.parametrize(("idle", "busy"), [(0, 1), (0, 100), (10_000, 100), (0, 2_000)])
async def test_a_claim_among_many_tenants(
    database: Database, account: Account, engine_name: str, idle: int, busy: int
) -> None:
    hall = await seat(database, account, [*[(1, 0)] * idle, *[(1, 2)] * busy, (1, CLAIMS)], slots=10_000)
    print(
        f"\n{engine_name}: {idle} idle, {busy} busy: {await milliseconds(await analysed(hall)):.1f} ms a claim"
    )


@pytest.mark.timeout(600)
@pytest.mark.parametrize("delayed", [0, 20_000])
async def test_a_claim_behind_jobs_that_went_back(
    database: Database, account: Account, engine_name: str, delayed: int
) -> None:
    hall = await seat(database, account, [(1, CLAIMS)], slots=10_000)
    await hall.queue(hall.tenants[0], delayed, rank=-1, due_at=START + timedelta(minutes=5))
    print(f"\n{engine_name}: {delayed} delayed: {await milliseconds(await analysed(hall)):.1f} ms a claim")
