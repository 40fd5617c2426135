"""A 429 on a read that a caller caused is kept: no replica, and none that starts later, reads before its Retry-After."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from sqlalchemy import select
from sqlmodel import col

from app import governor
from app.context import Context
from app.models import Account
from app.simulator.app import Simulator
from app.worker import expire
from tests.api.callers import VOICE
from tests.clocks import ManualClock
from tests.services import make_context, serving

TEN_MINUTES = timedelta(minutes=10)


@pytest.fixture
async def replica(
    context: Context, account: Account, heygen_url: str, key: str, tmp_path: Path
) -> AsyncIterator[httpx.AsyncClient]:
    """The same caller at another process of the service, which has heard nothing."""
    shared = (context.database, context.clock, context.secrets)
    async with (
        make_context(*shared, {account.id: heygen_url}, tmp_path / "other") as other,
        serving(other) as served,
        httpx.AsyncClient(base_url=served.links.api_url, headers={"x-api-key": key}) as client,
    ):
        yield client


async def gate_until(context: Context) -> object:
    async with context.database.begin() as session:
        return await session.scalar(select(col(Account.gate_until)))


@pytest.mark.parametrize(
    "path",
    ["/v3/voices", f"/v3/voices/{VOICE}", f"/v3/videos/statuses?video_ids={VOICE}", "/v3/videos"],
)
async def test_every_replica_waits(
    api: httpx.AsyncClient,
    replica: httpx.AsyncClient,
    served: Context,
    simulator: Simulator,
    clock: ManualClock,
    path: str,
) -> None:
    simulator.set_scenario("rate_limited", times=1, method="GET", seconds=600)
    assert (await api.get(path)).status_code == 503
    assert await gate_until(served) == clock.now() + TEN_MINUTES
    clock.advance(TEN_MINUTES - timedelta(seconds=1))
    assert [(await it.get(path)).status_code for it in (api, replica)] == [503, 503]
    assert len(simulator.requests("GET")) == 1
    clock.advance(timedelta(seconds=1))
    assert [(await it.get(path)).status_code for it in (api, replica)] == [200, 200]


async def test_what_is_answered_from_the_cache_tells_the_others_too(
    api: httpx.AsyncClient, served: Context, simulator: Simulator, clock: ManualClock
) -> None:
    assert (await api.get("/v3/voices")).status_code == 200
    clock.advance(TEN_MINUTES)
    simulator.set_scenario("rate_limited", times=1, method="GET", seconds=600)
    assert (await api.get("/v3/voices")).status_code == 200
    assert await gate_until(served) == clock.now() + TEN_MINUTES


async def test_a_refused_key_pauses_the_account_before_the_worker_meets_it(
    api: httpx.AsyncClient, served: Context, simulator: Simulator
) -> None:
    simulator.set_scenario("unauthorized", times=1)
    assert (await api.get("/v3/voices")).status_code == 503
    async with served.database.begin() as session:
        assert await session.scalar(select(col(Account.paused_reason))) == "unauthorized"


async def test_a_refused_key_is_not_read_with_until_the_account_is_well_again(
    api: httpx.AsyncClient,
    replica: httpx.AsyncClient,
    served: Context,
    simulator: Simulator,
    account: Account,
    clock: ManualClock,
) -> None:
    simulator.set_scenario("unauthorized", times=1)
    for each in (api, replica, api):
        answer = await each.get("/v3/voices")
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert len(simulator.requests("GET")) == 1
    clock.advance(governor.PROBE_EVERY)
    assert (await api.get("/v3/voices")).status_code == 503, "the probe comes first"
    assert await expire.probe(served)
    assert [(await it.get("/v3/voices")).status_code for it in (api, replica)] == [200, 200]


async def test_a_read_that_is_refused_keeps_no_render_back(
    api: httpx.AsyncClient, served: Context, simulator: Simulator, account: Account
) -> None:
    simulator.set_scenario("rate_limited", times=1, method="GET", seconds=600)
    assert (await api.get("/v3/voices")).status_code == 503
    assert await gate_until(served) is not None
    async with served.database.begin() as session:
        assert (await governor.lock(session, account.id)).limit_now == account.limit_now
