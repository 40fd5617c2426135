"""`GET /v3/avatars` and `/v3/avatars/looks`: the caller's own first, then what it may see of HeyGen's."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import httpx
import pytest

from app.context import Context
from app.models import Account
from app.simulator.app import Simulator
from app.simulator.catalog import LOOKS
from tests.api.callers import at_heygen, caller, error_of
from tests.api.photos import picture
from tests.api.test_avatars import created, inline, make
from tests.clocks import ManualClock
from tests.services import run_worker

PUBLIC = {look.id for look in LOOKS}
PUBLIC_GROUPS = {look.group_id for look in LOOKS}


async def everything(api: httpx.AsyncClient, path: str, **query: Any) -> list[dict[str, Any]]:
    """Every item of a list, page after page."""
    items: list[dict[str, Any]] = []
    while True:
        answer = await api.get(path, params=query)
        assert answer.status_code == 200, answer.text
        page = answer.json()
        assert page["has_more"] == (page["next_token"] is not None)
        items += page["data"]
        if not page["has_more"]:
            return items
        query["token"] = page["next_token"]


async def looks_of(api: httpx.AsyncClient, **query: Any) -> list[str]:
    """The ids of the looks that a caller sees."""
    return [look["id"] for look in await everything(api, "/v3/avatars/looks", **query)]


async def three_looks(api: httpx.AsyncClient) -> list[str]:
    """Three looks of the caller's, newest first."""
    colors = ("red", "green", "blue")
    return [(await created(api, inline(picture(color=color))))["id"] for color in colors][::-1]


@pytest.fixture
async def direct(heygen_url: str) -> AsyncIterator[httpx.AsyncClient]:
    """Somebody who uses the HeyGen account without us."""
    async with at_heygen(heygen_url) as direct:
        yield direct


async def test_own_looks_come_first_then_the_public_ones(api: httpx.AsyncClient) -> None:
    own = await three_looks(api)
    for limit in (1, 2, 3, 4, 50):
        ids = await looks_of(api, limit=limit)
        assert ids[:3] == own
        assert set(ids[3:]) == PUBLIC
        assert len(ids) == 3 + len(PUBLIC)


async def test_a_page_is_filled_from_both_and_twenty_by_default(api: httpx.AsyncClient) -> None:
    own = await three_looks(api)
    page = (await api.get("/v3/avatars/looks?limit=5")).json()
    assert [look["id"] for look in page["data"]][:3] == own
    assert len(page["data"]) == 5
    page = (await api.get("/v3/avatars/looks")).json()
    assert (len(page["data"]), page["has_more"]) == (6, False)


async def test_filters_narrow_both(api: httpx.AsyncClient) -> None:
    own = await three_looks(api)
    assert await looks_of(api, ownership="private") == own
    assert set(await looks_of(api, ownership="public")) == PUBLIC
    studio = {look.id for look in LOOKS if look.avatar_type == "studio_avatar"}
    assert set(await looks_of(api, avatar_type="studio_avatar")) == studio
    photos = {look.id for look in LOOKS if look.avatar_type == "photo_avatar"}
    assert set(await looks_of(api, avatar_type="photo_avatar", limit=2)) == {*own, *photos}
    footage = {"type": "url", "url": "https://example.com/me.mp4"}
    made = await api.post("/v3/avatars", json={"type": "video", "name": "Me", "file": footage})
    for name in ("digital_twin", "video_avatar"):
        assert await looks_of(api, avatar_type=name) == [made.json()["data"]["avatar_item"]["id"]]
    group_id = (await api.get(f"/v3/avatars/looks/{own[0]}")).json()["data"]["group_id"]
    assert await looks_of(api, group_id=group_id) == own[:1]
    assert await looks_of(api, group_id=LOOKS[0].group_id) == [LOOKS[0].id]


async def test_bad_filters_are_named(api: httpx.AsyncClient) -> None:
    for path in ("/v3/avatars/looks", "/v3/avatars"):
        for query, param in (
            ({"limit": "0"}, "limit"),
            ({"limit": "51"}, "limit"),
            ({"limit": "many"}, "limit"),
            ({"token": "forged"}, "token"),
            ({"ownership": "mine"}, "ownership"),
        ):
            answer = await api.get(path, params=query)
            assert error_of(answer) == (400, "invalid_parameter", param)
    assert (await api.get("/v3/avatars/looks?username=ignored")).status_code == 200


async def test_a_tenant_sees_its_own_and_public_looks_alone(
    api: httpx.AsyncClient, served: Context, account: Account, clock: ManualClock, direct: httpx.AsyncClient
) -> None:
    own = await created(api, inline(picture()))
    theirs = (await created(direct, inline(picture())))["id"]
    await make(served, clock)
    twin = (await api.get(f"/v3/avatars/looks/{own['id']}")).json()["data"]["greenroom"]["heygen_avatar_id"]
    async with caller(served, account, "other") as other:
        assert set(await looks_of(other, limit=1)) == PUBLIC
        assert await looks_of(other, ownership="private") == []
        for look_id in (own["id"], twin, theirs, "nowhere"):
            answer = await other.get(f"/v3/avatars/looks/{look_id}")
            assert error_of(answer) == (404, "avatar_not_found", None)
            assert answer.json()["error"]["message"] == f"Avatar {look_id} not found"
        for group_id in (own["group_id"], "nowhere"):
            answer = await other.get(f"/v3/avatars/{group_id}")
            assert error_of(answer) == (404, "avatar_group_not_found", None)
        assert (await other.get(f"/v3/avatars/looks/{LOOKS[0].id}")).json()["data"]["name"] == LOOKS[0].name
        assert (await other.get(f"/v3/avatars/{LOOKS[0].group_id}")).status_code == 200


async def test_who_sees_the_account_sees_heygens_looks_but_none_that_another_tenant_made(
    api: httpx.AsyncClient, served: Context, account: Account, clock: ManualClock, direct: httpx.AsyncClient
) -> None:
    theirs = await created(direct, inline(picture()), name="Made at HeyGen")
    async with caller(served, account, "other") as other:
        hidden = await created(other, inline(picture()))
        own = await created(api, inline(picture(color="red")))
        await make(served, clock)
        shown = (await other.get(f"/v3/avatars/looks/{hidden['id']}")).json()["data"]["greenroom"]
    for limit in (1, 50):
        assert await looks_of(api, ownership="private", limit=limit) == [own["id"], theirs["id"]]
        groups = await everything(api, "/v3/avatars", ownership="private", limit=limit)
        assert [group["id"] for group in groups] == [own["group_id"], theirs["group_id"]]
    for look_id in (hidden["id"], shown["heygen_avatar_id"]):
        assert error_of(await api.get(f"/v3/avatars/looks/{look_id}"))[0] == 404
    read = (await api.get(f"/v3/avatars/looks/{theirs['id']}")).json()["data"]
    assert (read["name"], read["status"]) == ("Made at HeyGen", "completed")


async def test_a_look_in_doubt_is_not_shown_twice_nor_to_others(
    api: httpx.AsyncClient, served: Context, account: Account, simulator: Simulator
) -> None:
    simulator.set_scenario("drop_after_accept", times=1)
    async with caller(served, account, "other", account_wide=True) as other:
        look = await created(other, inline(picture()))
        await run_worker(served)
        assert simulator.stats()["looks"] >= 1
        assert await looks_of(other, ownership="private") == [look["id"]]
        groups = await everything(other, "/v3/avatars", ownership="private")
        assert [group["id"] for group in groups] == [look["group_id"]]
    assert await looks_of(api, ownership="private") == []
    assert await everything(api, "/v3/avatars", ownership="private") == []


async def test_heygens_id_of_an_own_look_resolves_to_ours(
    api: httpx.AsyncClient, served: Context, clock: ManualClock
) -> None:
    own = await created(api, inline(picture()))
    await make(served, clock)
    by_ours = (await api.get(f"/v3/avatars/looks/{own['id']}")).json()
    twin = by_ours["data"]["greenroom"]["heygen_avatar_id"]
    assert (await api.get(f"/v3/avatars/looks/{twin}")).json() == by_ours


async def test_our_token_is_shown_in_no_name(
    api: httpx.AsyncClient, served: Context, clock: ManualClock, direct: httpx.AsyncClient
) -> None:
    marked = await created(direct, inline(picture()), name=f"Sarah [gr:{'0a' * 16}]")
    await created(api, inline(picture()))
    await make(served, clock)
    for path in (
        "/v3/avatars",
        "/v3/avatars/looks",
        f"/v3/avatars/{marked['group_id']}",
        f"/v3/avatars/looks/{marked['id']}",
    ):
        answer = await api.get(path)
        assert answer.status_code == 200
        assert "Sarah" in answer.text
        assert "[gr:" not in answer.text


async def test_own_groups_come_first(api: httpx.AsyncClient) -> None:
    own = await created(api, inline(picture()))
    groups = await everything(api, "/v3/avatars", limit=2)
    assert groups[0]["id"] == own["group_id"]
    assert {group["id"] for group in groups[1:]} == PUBLIC_GROUPS
    assert set(groups[0]) >= {"id", "name", "created_at", "looks_count", "status", "preview_image_url"}


async def test_own_looks_are_there_while_heygen_is_not(
    api: httpx.AsyncClient, simulator: Simulator, clock: ManualClock
) -> None:
    own = await three_looks(api)
    simulator.set_scenario("outage")
    page = (await api.get("/v3/avatars/looks")).json()
    assert ([look["id"] for look in page["data"]], page["has_more"]) == (own, True)
    beyond = await api.get("/v3/avatars/looks", params={"token": page["next_token"]})
    assert error_of(beyond) == (503, "service_unavailable", None)
    assert beyond.headers["Retry-After"] == "5"
    simulator.clear_scenarios()
    clock.advance(timedelta(seconds=10))
    beyond = await api.get("/v3/avatars/looks", params={"token": page["next_token"]})
    assert {look["id"] for look in beyond.json()["data"]} == PUBLIC


async def test_trouble_with_our_key_is_not_the_callers(api: httpx.AsyncClient, simulator: Simulator) -> None:
    simulator.set_scenario("unauthorized")
    for path in ("looks?ownership=public", f"looks/{LOOKS[0].id}", LOOKS[0].group_id):
        assert error_of(await api.get(f"/v3/avatars/{path}")) == (503, "service_unavailable", None)


async def test_polling_an_own_look_costs_no_call_to_heygen(
    api: httpx.AsyncClient, simulator: Simulator
) -> None:
    look = await created(api, inline(picture()))
    before = len(simulator.requests())
    for _ in range(5):
        assert (await api.get(f"/v3/avatars/looks/{look['id']}")).status_code == 200
    assert len(simulator.requests()) == before
