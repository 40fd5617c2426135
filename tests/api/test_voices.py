"""`GET /v3/voices`: HeyGen's voices, asked for seldom."""

import asyncio
from datetime import timedelta

import httpx

from app.context import Context
from app.models import Account
from app.simulator.app import Simulator
from app.simulator.catalog import VOICES
from tests.api.callers import VOICE, caller, error_of
from tests.clocks import ManualClock
from tests.services import TLS


async def test_voices_are_shown_as_heygen_shows_them(api: httpx.AsyncClient) -> None:
    page = (await api.get("/v3/voices")).json()
    assert [voice["voice_id"] for voice in page["data"]] == [voice.voice_id for voice in VOICES]
    assert (page["has_more"], page["next_token"]) == (False, None)
    assert {"voice_id", "name", "language", "gender", "type", "support_pause"} <= set(page["data"][0])


async def test_filters_and_pages_are_heygens(api: httpx.AsyncClient) -> None:
    found = (await api.get("/v3/voices?language=English&gender=male&engine=starfish")).json()["data"]
    assert [voice["name"] for voice in found] == ["Bruno"]
    first = (await api.get("/v3/voices?limit=5")).json()
    assert (len(first["data"]), first["has_more"]) == (5, True)
    rest = (await api.get("/v3/voices", params={"limit": 5, "token": first["next_token"]})).json()
    assert len(first["data"]) + len(rest["data"]) == len(VOICES)
    assert (await api.get("/v3/voices?language=&token=")).json()["data"][0]["voice_id"] == VOICE


async def test_bad_filters_are_named(api: httpx.AsyncClient) -> None:
    for query, param in (("limit=0", "limit"), ("limit=101", "limit"), ("type=mine", "type")):
        assert error_of(await api.get(f"/v3/voices?{query}")) == (400, "invalid_parameter", param)
    answer = await api.get("/v3/voices?limit=101")
    assert answer.json()["error"]["message"] == "'limit' must be between 1 and 100."


async def test_many_callers_at_once_cost_heygen_one_call(
    api: httpx.AsyncClient, simulator: Simulator, clock: ManualClock
) -> None:
    answers = await asyncio.gather(*(api.get("/v3/voices") for _ in range(20)))
    assert {answer.status_code for answer in answers} == {200}
    answers = await asyncio.gather(*(api.get(f"/v3/voices/{VOICE}") for _ in range(20)))
    assert {answer.json()["data"]["name"] for answer in answers} == {"Ada"}
    assert len(simulator.requests("GET", "/v3/voices")) == 2
    clock.advance(timedelta(minutes=6))
    await api.get("/v3/voices")
    assert len(simulator.requests("GET", "/v3/voices")) == 3


async def test_private_voices_are_for_those_who_see_the_account(
    api: httpx.AsyncClient, served: Context, account: Account, simulator: Simulator
) -> None:
    async with caller(served, account, "other") as other:
        page = (await other.get("/v3/voices?type=private")).json()
    assert page == {"data": [], "has_more": False, "next_token": None}
    assert simulator.requests("GET", "/v3/voices") == []
    assert (await api.get("/v3/voices?type=private")).status_code == 200
    assert len(simulator.requests("GET", "/v3/voices?type=private")) == 1


async def test_an_unknown_voice_is_not_found(api: httpx.AsyncClient) -> None:
    answer = await api.get("/v3/voices/nowhere")
    assert error_of(answer) == (404, "voice_not_found", None)
    assert answer.json()["error"]["message"] == "Voice nowhere not found"


async def test_without_heygen_what_is_known_is_shown_and_else_a_503(
    api: httpx.AsyncClient, simulator: Simulator, clock: ManualClock
) -> None:
    await api.get("/v3/voices")
    simulator.set_scenario("outage", drop=True)
    clock.advance(timedelta(hours=1))
    assert len((await api.get("/v3/voices")).json()["data"]) == len(VOICES)
    for path in ("/v3/voices?language=Polish", "/v3/voices?type=private", f"/v3/voices/{VOICE}"):
        answer = await api.get(path)
        assert error_of(answer) == (503, "service_unavailable", None)
        assert answer.headers["Retry-After"] == "5"


async def test_trouble_with_our_key_or_quota_is_not_the_callers(
    api: httpx.AsyncClient, simulator: Simulator
) -> None:
    simulator.set_scenario("unauthorized")
    assert error_of(await api.get("/v3/voices")) == (503, "service_unavailable", None)
    simulator.clear_scenarios()
    simulator.set_scenario("rate_limited", method="", seconds=600)
    answer = await api.get("/v3/voices")
    assert error_of(answer) == (503, "service_unavailable", None)
    assert answer.headers["Retry-After"] == "5"


async def test_a_refusal_of_the_question_is_passed_on(api: httpx.AsyncClient) -> None:
    answer = await api.get("/v3/voices?token=%21%21")
    assert error_of(answer)[:2] == (400, "invalid_parameter")


async def test_voices_need_a_key(served: Context) -> None:
    async with httpx.AsyncClient(base_url=served.links.api_url, verify=TLS) as stranger:
        assert error_of(await stranger.get("/v3/voices"))[:2] == (401, "unauthorized")
