"""What is paid for while the caller waits is paid once for its key, and where nobody knows, nobody pays again."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx
import pytest

from app.context import Context
from app.models import Account, CallUnderWay
from app.simulator.app import Simulator
from app.tenancy import find_tenant
from app.worker.prune import prune
from tests.api.callers import VOICE, caller, error_of
from tests.api.test_absent_database import away
from tests.api.test_voice_making import CLONE, DESIGN, INLINE, SAY, SPEECH
from tests.clocks import ManualClock
from tests.services import serving

KEY, NEW_KEY = {"Idempotency-Key": "k1"}, {"Idempotency-Key": "k2"}
USED_UP = (409, "outcome_unknown", "Idempotency-Key")


def bills(simulator: Simulator) -> int:
    """How often speech was billed."""
    return [row.kind for row in simulator.ledger()].count("speech")


async def test_simultaneous_repeats_call_once_and_the_others_are_told_to_come_back(
    api: httpx.AsyncClient, simulator: Simulator
) -> None:
    simulator.set_scenario("slow_create", seconds=3600)
    asked = [asyncio.create_task(api.post(SPEECH, json=SAY, headers=KEY)) for _ in range(5)]
    answers = asyncio.as_completed(asked, timeout=20)
    busy = [await next(answers) for _ in range(4)]
    assert {error_of(answer) for answer in busy} == {(409, "request_in_progress", "Idempotency-Key")}
    assert all(answer.json()["error"]["retryable"] for answer in busy)
    simulator.clear_scenarios()
    first = await next(answers)
    assert first.status_code == 200
    again = await api.post(SPEECH, json=SAY, headers=KEY)
    assert again.content == first.content
    assert (bills(simulator), len(simulator.requests("POST", SPEECH))) == (1, 1)


@pytest.mark.parametrize("lost_by", ["gateway_timeout_after_accept", "drop_after_accept"])
async def test_an_answer_that_got_lost_uses_its_key_up_and_a_new_key_pays_anew(
    api: httpx.AsyncClient, served: Context, clock: ManualClock, simulator: Simulator, lost_by: str
) -> None:
    simulator.set_scenario(lost_by, times=1, kind="speech")
    lost = await api.post(SPEECH, json=SAY, headers=KEY)
    assert error_of(lost)[:2] == (504, "gateway_timeout")
    for body in (SAY, SAY | {"speed": 2}):
        again = await api.post(SPEECH, json=body, headers=KEY)
        assert error_of(again) == USED_UP
        assert "retry-after" not in again.headers
        assert (again.json()["error"]["retryable"], again.json()["error"]["doc_url"]) == (False, None)
    clock.advance(timedelta(hours=47))
    assert not await prune(served)
    assert error_of(await api.post(SPEECH, json=SAY, headers=KEY)) == USED_UP
    assert bills(simulator) == 1
    assert (await api.post(SPEECH, json=SAY, headers=NEW_KEY)).status_code == 200
    assert bills(simulator) == 2


@pytest.mark.parametrize("headers", [{}, KEY])
@pytest.mark.parametrize(
    ("path", "body", "kind"),
    [
        (SPEECH, SAY, "speech"),
        (DESIGN, {"prompt": "Warm."}, "voice"),
        (CLONE, {"voice_name": "Mine", "audio": INLINE}, "voice"),
    ],
    ids=["speech", "design", "clone"],
)
async def test_nobody_is_asked_to_repeat_what_may_be_paid_for(
    api: httpx.AsyncClient,
    simulator: Simulator,
    path: str,
    body: dict[str, Any],
    kind: str,
    headers: dict[str, str],
) -> None:
    simulator.set_scenario("gateway_timeout_after_accept", times=1, kind=kind)
    lost = await api.post(path, json=body, headers=headers)
    error = lost.json()["error"]
    assert (lost.status_code, error["retryable"]) == (504, False)
    assert "retry-after" not in lost.headers
    assert "new Idempotency-Key" in error["message"]
    assert "/v3/voices" not in error["message"], "no list of the tenant's shows what was lost"


async def test_what_was_clearly_not_done_leaves_the_key_free(
    api: httpx.AsyncClient, clock: ManualClock, simulator: Simulator
) -> None:
    simulator.set_scenario("unknown_code", times=1, method="POST", path=SPEECH)
    assert error_of(await api.post(SPEECH, json=SAY, headers=KEY))[0] == 403
    simulator.set_scenario("rate_limited", times=1, seconds=60)
    for _ in range(2):  # the second finds the gate shut
        assert error_of(await api.post(SPEECH, json=SAY, headers=KEY))[0] == 503
    clock.advance(timedelta(minutes=2))
    simulator.set_scenario("outage", times=1, method="GET", path=f"/v3/voices/{VOICE}")
    clock.advance(timedelta(days=1))  # the voice is to be read anew
    assert error_of(await api.post(SPEECH, json=SAY, headers=KEY))[0] == 503
    done = await api.post(SPEECH, json=SAY, headers=KEY)
    assert done.status_code == 200, done.text
    assert bills(simulator) == 1


async def test_a_recording_that_did_not_go_up_leaves_the_key_free(
    api: httpx.AsyncClient, simulator: Simulator
) -> None:
    body = {"voice_name": "Mine", "audio": INLINE}
    simulator.set_scenario("outage", times=1, method="POST", path="/v3/assets")
    unsent = await api.post(CLONE, json=body, headers=KEY)
    assert (error_of(unsent)[0], unsent.json()["error"]["retryable"]) == (503, True)
    assert (await api.post(CLONE, json=body, headers=KEY)).status_code == 200
    assert len(simulator.requests("POST", CLONE)) == 1


async def test_heygen_is_given_another_key_for_another_body(
    api: httpx.AsyncClient, simulator: Simulator
) -> None:
    simulator.set_scenario("unknown_code", times=2, method="POST", path=SPEECH)
    for body in (SAY, SAY, SAY | {"speed": 2}):
        await api.post(SPEECH, json=body, headers=KEY)
    first, same, other = (row.idempotency_key for row in simulator.requests("POST", SPEECH))
    assert first == same != other


async def test_the_key_of_a_process_that_died_is_used_up_until_keys_are_forgotten(
    api: httpx.AsyncClient, served: Context, account: Account, clock: ManualClock, simulator: Simulator
) -> None:
    async with served.database.begin() as session:
        tenant = await find_tenant(session, "acme")
        assert tenant is not None
        under_way = {"tenant_id": tenant.id, "operation": f"POST {SPEECH}", "key": "k1"}
        session.add(CallUnderWay(**under_way, until=clock.now() + timedelta(minutes=15)))
    assert error_of(await api.post(SPEECH, json=SAY, headers=KEY))[1] == "request_in_progress"
    clock.advance(timedelta(minutes=15))
    assert error_of(await api.post(SPEECH, json=SAY, headers=KEY)) == USED_UP
    clock.advance(timedelta(hours=48))
    assert not await prune(served)
    clock.advance(timedelta(seconds=1))
    assert await prune(served)
    assert simulator.requests("POST", SPEECH) == []
    assert (await api.post(SPEECH, json=SAY, headers=KEY)).status_code == 200


@pytest.mark.parametrize("headers", [{}, KEY])
async def test_a_paid_answer_that_cannot_be_kept_is_not_to_be_asked_for_again(
    api: httpx.AsyncClient, served: Context, clock: ManualClock, simulator: Simulator, headers: dict[str, str]
) -> None:
    simulator.set_scenario("slow_create", seconds=3600)
    asked = asyncio.create_task(api.post(SPEECH, json=SAY, headers=headers))
    async with asyncio.timeout(20):
        while not simulator.requests("POST", SPEECH):
            await api.get("/healthz")
    async with away(served.database):
        simulator.clear_scenarios()
        lost = await asked
    assert error_of(lost)[:2] == (504, "gateway_timeout"), lost.text
    assert lost.json()["error"]["retryable"] is False
    assert "retry-after" not in lost.headers
    clock.advance(timedelta(minutes=15))
    if headers:
        assert error_of(await api.post(SPEECH, json=SAY, headers=headers)) == USED_UP
    assert bills(simulator) == 1


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
