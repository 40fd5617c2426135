"""What can go wrong while a job is created."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from app.simulator.app import Simulator
from app.simulator.errors import Refused
from tests.simulator.conftest import Api, Clock
from tests.simulator.scenes import shows


def bills(simulator: Simulator) -> int:
    return len(simulator.ledger())


@shows("unauthorized")
async def test_unauthorized_refuses_a_good_key(api: Api, simulator: Simulator) -> None:
    simulator.set_scenario("unauthorized", times=1)
    assert (await api.call("GET", "/v3/users/me")).status_code == 401
    assert (await api.call("GET", "/v3/users/me")).status_code == 200


@shows("subscription")
async def test_an_account_with_a_plan_shows_no_balance(api: Api, simulator: Simulator) -> None:
    simulator.set_scenario("subscription", times=1)
    accounts = [await api.data("/v3/users/me") for _ in range(2)]
    assert [(it["billing_type"], bool(it["wallet"]), bool(it["subscription"])) for it in accounts] == [
        ("subscription", False, True),
        ("wallet", True, False),
    ]


@shows("outage")
async def test_an_outage_answers_every_call_503_until_it_is_over(api: Api, simulator: Simulator) -> None:
    simulator.set_scenario("outage")
    answers = [await api.call("GET", "/v3/voices"), await api.create_video()]
    assert [answer.status_code for answer in answers] == [503, 503]
    simulator.clear_scenarios()
    assert (await api.create_video()).status_code == 200
    assert bills(simulator) == 1


@shows("outage")
async def test_an_outage_can_drop_connections(api: Api, simulator: Simulator) -> None:
    simulator.set_scenario("outage", drop=True, method="GET")
    with pytest.raises(httpx.RemoteProtocolError):
        await api.call("GET", "/v3/voices")
    assert [row.status for row in simulator.requests()] == [None]


@shows("rate_limited")
async def test_rate_limited_creates_carry_whole_seconds_and_make_nothing(
    api: Api, simulator: Simulator
) -> None:
    simulator.set_scenario("rate_limited", times=1, seconds=17)
    refused = await api.create_video()
    assert refused.status_code == 429
    assert refused.headers["retry-after"] == "17"
    assert refused.json()["error"]["code"] == "rate_limit_exceeded"
    assert bills(simulator) == 0
    assert (await api.create_video()).status_code == 200
    assert [(row.status, row.retry_after) for row in simulator.requests()] == [(429, 17), (200, None)]


@shows("rate_limited")
async def test_reads_are_rate_limited_only_when_asked(api: Api, simulator: Simulator) -> None:
    simulator.set_scenario("rate_limited")
    assert (await api.call("GET", "/v3/videos")).status_code == 200
    simulator.set_scenario("rate_limited", method="", path="/v3/videos")
    assert (await api.call("GET", "/v3/videos")).status_code == 429
    assert (await api.call("GET", "/v3/voices")).status_code == 200


@shows("rate_limited")
async def test_magic_text_rate_limits_a_body_once(api: Api) -> None:
    first = await api.create_video("[[rate_limited: 3]] Hello.", key="one")
    second = await api.create_video("[[rate_limited: 3]] Hello.", key="one")
    assert (first.status_code, first.headers["retry-after"], second.status_code) == (429, "3", 200)


@shows("slow_create")
async def test_a_slow_create_is_in_progress_for_its_key_until_it_is_released(
    api: Api, simulator: Simulator
) -> None:
    simulator.set_scenario("slow_create", seconds=600)
    slow = asyncio.create_task(api.create_video(key="slow"))
    await api.until(lambda: len(simulator.requests("POST")) == 1)
    meanwhile = await api.create_video(key="slow")
    assert (meanwhile.status_code, meanwhile.json()["error"]["code"]) == (409, "request_in_progress")
    assert bills(simulator) == 0
    simulator.clear_scenarios()
    assert (await slow).status_code == 200
    assert (await api.create_video(key="slow")).json() == (await slow).json()
    assert bills(simulator) == 1


@shows("slow_create")
async def test_a_slow_create_ends_by_itself(api: Api) -> None:
    started = asyncio.get_running_loop().time()
    assert (await api.create_video("[[slow_create: 0.2]]")).status_code == 200
    assert asyncio.get_running_loop().time() - started >= 0.2


@shows("unavailable_before_accept")
@pytest.mark.parametrize(("html", "start"), [(False, b'{"error"'), (True, b"<html>")])
async def test_unavailable_before_accept_makes_nothing(
    api: Api, simulator: Simulator, *, html: bool, start: bytes
) -> None:
    simulator.set_scenario("unavailable_before_accept", times=1, html=html)
    refused = await api.create_video(key="one")
    assert refused.status_code == 503
    assert refused.content.startswith(start)
    assert bills(simulator) == 0
    assert (await api.create_video(key="one")).status_code == 200


@shows("unavailable_before_accept")
async def test_magic_text_counts_by_body(api: Api) -> None:
    script = "[[unavailable_before_accept: 2]] Hello."
    assert [(await api.create_video(script)).status_code for _ in range(3)] == [503, 503, 200]


@shows("insufficient_credit")
async def test_insufficient_credit_is_a_402(api: Api, simulator: Simulator) -> None:
    refused = await api.create_video("[[insufficient_credit]]")
    assert (refused.status_code, refused.json()["error"]["code"]) == (402, "insufficient_credit")
    assert bills(simulator) == 0


@shows("gateway_timeout_after_accept")
async def test_a_gateway_timeout_hides_a_billed_render(api: Api, simulator: Simulator) -> None:
    lost = await api.create_video("[[gateway_timeout_after_accept]]", key="one")
    assert (lost.status_code, lost.headers["content-type"]) == (504, "text/html; charset=utf-8")
    found = await api.create_video("[[gateway_timeout_after_accept]]", key="one")
    assert [row.job_id for row in simulator.ledger()] == [found.json()["data"]["video_id"]]


@shows("drop_after_accept")
async def test_a_dropped_connection_hides_a_billed_render(api: Api, simulator: Simulator) -> None:
    simulator.set_scenario("drop_after_accept", times=1, kind="video")
    look_id = await api.look()
    simulator.finish(look_id)
    with pytest.raises(httpx.RemoteProtocolError):
        await api.create_video(avatar_id=look_id, title="Lost", key="one")
    assert [row.title for row in simulator.ledger()] == ["Sarah", "Lost"]
    assert simulator.requests("POST", "/v3/videos")[0].status is None
    found = await api.create_video(avatar_id=look_id, title="Lost", key="one")
    assert found.json()["data"]["video_id"] == simulator.ledger()[1].job_id
    assert [video["title"] for video in await api.data("/v3/videos?title=os")] == ["Lost"]


@shows("drop_after_accept")
async def test_a_look_can_be_lost_too(api: Api, simulator: Simulator) -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        await api.create_look("[[drop_after_accept]] Lost")
    assert [(row.kind, row.cost_usd) for row in simulator.ledger()] == [("look", 1.0)]
    private = await api.data("/v3/avatars/looks?ownership=private")
    assert [look["id"] for look in private] == [simulator.ledger()[0].job_id]


@shows("bad_json")
async def test_bad_json_hides_a_billed_render(api: Api, simulator: Simulator) -> None:
    answer = await api.create_video("[[bad_json]]", key="one")
    assert answer.status_code == 200
    with pytest.raises(ValueError, match="Unterminated"):
        answer.json()
    assert bills(simulator) == 1
    assert (await api.create_video("[[bad_json]]", key="one")).json()["data"]["status"] == "waiting"


@shows("wrong_video_id")
async def test_a_create_can_answer_the_id_of_another_job(api: Api, simulator: Simulator) -> None:
    other = await api.video()
    assert await api.video("[[wrong_video_id]]") == other
    assert simulator.ledger()[1].job_id != other


@shows("replay_errors")
async def test_errors_are_replayed_by_their_key_when_asked(
    api: Api, simulator: Simulator, clock: Clock
) -> None:
    simulator.set_scenario("replay_errors")
    simulator.set_scenario("unavailable_before_accept", times=1)
    simulator.set_scenario("gateway_timeout_after_accept", times=1)
    for _ in range(2):
        assert (await api.create_video(key="before")).status_code == 503
        assert (await api.create_video(key="after")).status_code == 504
    assert bills(simulator) == 1
    clock.advance(24 * 3600)
    assert (await api.create_video(key="before")).status_code == 200


async def test_errors_are_not_replayed_by_default(api: Api) -> None:
    assert (await api.create_video(key="one", voice_id="nobody")).status_code == 404
    assert (await api.create_video(key="one")).status_code == 200


async def test_a_match_limits_a_scenario_to_some_titles(api: Api, simulator: Simulator) -> None:
    simulator.set_scenario("insufficient_credit", match="poor")
    assert (await api.create_video(title="rich")).status_code == 200
    assert (await api.create_video(title="a poor one")).status_code == 402


@pytest.mark.parametrize(
    ("name", "times", "given"),
    [("meteorite", None, {}), ("outage", 0, {}), ("outage", 1, {"drop": 1}), ("fail", 1, {"speed": 2})],
)
async def test_a_scenario_that_does_not_exist_is_refused(
    simulator: Simulator, name: str, times: int | None, given: dict[str, Any]
) -> None:
    with pytest.raises(Refused):
        simulator.set_scenario(name, times, **given)


async def test_a_bad_argument_of_magic_text_is_refused(api: Api, simulator: Simulator) -> None:
    assert (await api.create_video("[[slow_create: for ever]]")).status_code == 400
    assert bills(simulator) == 0
