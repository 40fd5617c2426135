"""What is paid for while the caller waits: one call at a time for each key, and none for what another one asked."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import httpx
import pytest

from app.api.paid_calls import gone_after
from app.context import Context
from app.models import Account, CallUnderWay
from app.simulator.app import Simulator
from app.tenancy import find_tenant
from tests.api.callers import caller, error_of
from tests.api.test_voice_making import SAY, SPEECH
from tests.clocks import ManualClock
from tests.services import serving


@pytest.fixture
async def narrow(served: Context, account: Account) -> AsyncIterator[httpx.AsyncClient]:
    """A tenant that does not see the whole account."""
    async with caller(served, account, "narrow") as client:
        yield client


async def test_a_call_holds_its_key_in_every_process_until_whoever_makes_it_must_have_died(
    narrow: httpx.AsyncClient, served: Context, simulator: Simulator, clock: ManualClock
) -> None:
    async with served.database.begin() as session:
        tenant = await find_tenant(session, "narrow")
        assert tenant is not None
        until = clock.now() + gone_after(served)
        session.add(CallUnderWay(tenant_id=tenant.id, operation=f"POST {SPEECH}", key="k1", until=until))
    headers = {"Idempotency-Key": "k1"}
    busy = await narrow.post(SPEECH, json=SAY, headers=headers)
    assert error_of(busy) == (409, "request_in_progress", "Idempotency-Key")
    assert simulator.requests("POST", SPEECH) == []
    clock.advance(gone_after(served))
    assert (await narrow.post(SPEECH, json=SAY, headers=headers)).status_code == 200


async def test_a_call_that_may_take_long_holds_its_key_so_long(
    context: Context, account: Account, simulator: Simulator, clock: ManualClock
) -> None:
    patient = replace(context, pace=replace(context.pace, create_timeout=timedelta(hours=1)))
    async with serving(patient) as served, caller(served, account, "patient") as api:
        headers = {"Idempotency-Key": "k1"}
        simulator.set_scenario("slow_create", seconds=3600)
        first = asyncio.create_task(api.post(SPEECH, json=SAY, headers=headers))
        while not simulator.requests("POST", SPEECH):
            assert (await api.get("/v3/voices?limit=1")).status_code == 200
        clock.advance(timedelta(minutes=59))
        assert error_of(await api.post(SPEECH, json=SAY, headers=headers))[:2] == (409, "request_in_progress")
        simulator.clear_scenarios()
        assert (await first).status_code == 200
    assert len(simulator.requests("POST", SPEECH)) == 1


async def test_another_body_is_another_request_even_under_a_key_whose_first_answer_got_lost(
    narrow: httpx.AsyncClient, simulator: Simulator
) -> None:
    headers = {"Idempotency-Key": "k1"}
    simulator.set_scenario("drop_after_accept", times=1)
    assert (await narrow.post(SPEECH, json=SAY, headers=headers)).status_code == 504
    assert (await narrow.post(SPEECH, json=SAY | {"text": "Good night."}, headers=headers)).status_code == 200
    keys = [row.idempotency_key for row in simulator.requests("POST", SPEECH)]
    assert len(set(keys)) == 2, "HeyGen would answer with what it said of the first"
