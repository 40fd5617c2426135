"""The whole HeyGen account, for tenants that may see it: nothing is lost, nothing is shown twice."""

import asyncio
from datetime import timedelta
from typing import Any

import httpx

from app.context import Context
from app.models import Account
from app.simulator.app import Simulator
from tests.api.callers import (
    PORTRAIT,
    STUDIO_LOOK,
    VIDEO,
    at_heygen,
    caller,
    create_video,
    creates_at,
    error_of,
    make_at_heygen,
    read_video,
    render,
)
from tests.clocks import ManualClock
from tests.services import run_worker

CREATE = "/v3/videos"


async def test_a_video_made_at_heygen_is_read_through_with_one_question_for_many_callers(
    api: httpx.AsyncClient, heygen_url: str, simulator: Simulator, served: Context, account: Account
) -> None:
    theirs = await make_at_heygen(heygen_url, title="Direct [gr:0123456789abcdef0123456789abcdef]")
    answers = await asyncio.gather(*(api.get(f"/v3/videos/{theirs}") for _ in range(20)))
    assert {answer.status_code for answer in answers} == {200}
    assert answers[0].json()["data"]["title"] == "Direct"
    assert len(simulator.requests("GET", f"/v3/videos/{theirs}")) == 1

    for _ in range(2):
        assert error_of(await api.get("/v3/videos/nothing")) == (404, "video_not_found", None)
    assert len(simulator.requests("GET", "/v3/videos/nothing")) == 1
    statuses = (await api.get(f"/v3/videos/statuses?video_ids={theirs},nothing")).json()["data"]
    assert [entry["status"] for entry in statuses] == ["queued", "not_found"]

    async with caller(served, account, "narrow") as narrow:
        assert error_of(await narrow.get(f"/v3/videos/{theirs}")) == (404, "video_not_found", None)
        entries = (await narrow.get(f"/v3/videos/statuses?video_ids={theirs}")).json()["data"]
        assert entries[0]["status"] == "not_found"
        assert error_of(await narrow.delete(f"/v3/videos/{theirs}"))[0] == 404
    assert (await api.delete(f"/v3/videos/{theirs}")).json()["data"] == {"id": theirs, "deleted": True}
    assert error_of(await api.get(f"/v3/videos/{theirs}")) == (404, "video_not_found", None)
    assert error_of(await api.post(f"/v3/videos/{theirs}/cancel"))[0] == 404
    assert len(simulator.requests("DELETE")) == 1


async def test_heygens_id_of_an_own_video_is_the_own_video(
    api: httpx.AsyncClient, served: Context, account: Account, simulator: Simulator
) -> None:
    async with caller(served, account, "narrow") as narrow:
        own = await create_video(narrow)
        await run_worker(served)
        heygen_id = (await read_video(narrow, own))["greenroom"]["heygen_video_id"]
        assert (await read_video(narrow, heygen_id))["id"] == own
        entries = (await narrow.get(f"/v3/videos/statuses?video_ids={heygen_id}")).json()["data"]
        assert entries[0]["status"] == "processing"
    # A row of another tenant stands for it: not even who sees the account sees that.
    assert error_of(await api.get(f"/v3/videos/{heygen_id}")) == (404, "video_not_found", None)
    assert simulator.requests("GET", f"/v3/videos/{heygen_id}") == []


async def test_the_list_shows_ours_and_then_heygens_and_nothing_twice(
    api: httpx.AsyncClient, served: Context, account: Account, heygen_url: str, clock: ManualClock
) -> None:
    theirs = [await make_at_heygen(heygen_url, title=f"Direct {n}") for n in range(3)]
    ours = [await create_video(api) for _ in range(3)]
    async with caller(served, account, "narrow") as narrow:
        await create_video(narrow)
        hidden = await create_video(api)
        await render(served, clock)
        await api.delete(f"/v3/videos/{hidden}")
        assert len((await narrow.get(CREATE)).json()["data"]) == 1

    for limit in (1, 2, 4, 100):
        seen: list[str] = []
        query: dict[str, str] = {"limit": str(limit)}
        page: dict[str, Any] = {"has_more": True}
        while page["has_more"]:
            page = (await api.get(CREATE, params=query)).json()
            assert len(page["data"]) <= limit
            seen += [video["id"] for video in page["data"]]
            query["token"] = page["next_token"]
        assert seen == ours[::-1] + theirs[::-1], limit


async def test_a_video_whose_create_gave_no_clear_answer_is_not_listed_twice(
    api: httpx.AsyncClient, served: Context, simulator: Simulator
) -> None:
    simulator.set_scenario("drop_after_accept", times=1)
    video_id = await create_video(api)
    await run_worker(served)
    assert (await read_video(api, video_id))["greenroom"]["phase"] == "unsure"
    assert [video["id"] for video in (await api.get(CREATE)).json()["data"]] == [video_id]


async def test_without_heygen_ours_are_listed_and_what_only_it_knows_is_a_503(
    api: httpx.AsyncClient, simulator: Simulator
) -> None:
    video_id = await create_video(api)
    simulator.set_scenario("outage")
    first = (await api.get(CREATE)).json()
    assert [video["id"] for video in first["data"]] == [video_id]
    beyond = await api.get(CREATE, params={"token": first["next_token"]})
    unknown = await api.get("/v3/videos/unknown")
    statuses = await api.get("/v3/videos/statuses?video_ids=unknown")
    for answer in (beyond, unknown, statuses):
        assert error_of(answer) == (503, "service_unavailable", None)
    assert (await api.get(f"/v3/videos/{video_id}")).status_code == 200


async def make_private_look(heygen_url: str, clock: ManualClock) -> str:
    """The id of a finished look that was made at HeyGen directly."""
    async with at_heygen(heygen_url) as direct:
        made = await direct.post("/v3/avatars", json={"type": "photo", "name": "Private", "file": PORTRAIT})
    clock.advance(timedelta(minutes=1))
    return str(made.json()["data"]["avatar_item"]["id"])


async def test_a_create_does_not_wait_for_a_heygen_that_is_away_but_is_checked_before_it_is_paid(
    api: httpx.AsyncClient,
    served: Context,
    account: Account,
    simulator: Simulator,
    heygen_url: str,
    clock: ManualClock,
) -> None:
    private = await make_private_look(heygen_url, clock)
    async with caller(served, account, "narrow") as narrow:
        simulator.set_scenario("outage")
        own = await create_video(api, avatar_id=private)
        public = await create_video(narrow)
        hidden = await create_video(narrow, avatar_id=private)
        simulator.clear_scenarios()
        await render(served, clock)
        ends = [
            await read_video(client, video_id)
            for client, video_id in ((api, own), (narrow, public), (narrow, hidden))
        ]
    assert [video["status"] for video in ends] == ["completed", "completed", "failed"]
    assert ends[2]["failure_code"] == "avatar_not_found"
    assert creates_at(simulator) == 2


async def test_private_looks_of_the_account_are_for_who_sees_the_account(
    api: httpx.AsyncClient, served: Context, account: Account, heygen_url: str, clock: ManualClock
) -> None:
    look_id = await make_private_look(heygen_url, clock)
    await create_video(api, avatar_id=look_id)
    async with caller(served, account, "narrow") as narrow:
        refused = await narrow.post(CREATE, json=VIDEO | {"avatar_id": look_id})
        assert error_of(refused) == (404, "avatar_not_found", "avatar_id")
        engine = {"engine": {"type": "avatar_v", "reference_look_id": look_id}, "avatar_id": STUDIO_LOOK}
        refused = await narrow.post(CREATE, json=VIDEO | engine)
        assert error_of(refused) == (404, "avatar_not_found", "engine.reference_look_id")
        assert (await narrow.post(CREATE, json=VIDEO)).status_code == 200
