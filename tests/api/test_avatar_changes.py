"""Looks and groups that are renamed and deleted: ours at once, HeyGen's copies later, HeyGen's own through it."""

import asyncio
import contextvars
from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import select, text

from app.context import Context
from app.models import Account, Look
from app.simulator.app import Simulator
from app.simulator.catalog import LOOKS
from tests.api.callers import at_heygen, caller, create_video, error_of, read_video
from tests.api.photos import picture
from tests.api.test_avatars import created, inline, make
from tests.api.test_looks import everything, looks_of
from tests.clocks import ManualClock
from tests.services import run_worker

LOOK_PATH = "/v3/avatars/looks/{}"
GROUP_PATH = "/v3/avatars/{}"


async def heygens_look(api: httpx.AsyncClient, look_id: str) -> str:
    answer = await api.get(LOOK_PATH.format(look_id))
    return str(answer.json()["data"]["greenroom"]["heygen_avatar_id"])


async def removed(api: httpx.AsyncClient, path: str) -> Any:
    answer = await api.delete(path)
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]


async def test_a_look_gets_another_name_here_and_at_heygen(
    api: httpx.AsyncClient, served: Context, clock: ManualClock, heygen_url: str, simulator: Simulator
) -> None:
    early, look = await created(api, inline(picture(color="red"))), await created(api, inline(picture()))
    renamed = await api.patch(LOOK_PATH.format(early["id"]), json={"name": "Renamed early"})
    assert renamed.json()["data"]["name"] == "Renamed early"
    await make(served, clock)
    answer = await api.patch(LOOK_PATH.format(look["id"]), json={"name": "Tom"})
    assert (answer.status_code, answer.json()["data"]["name"]) == (200, "Tom")
    async with at_heygen(heygen_url) as direct:
        for own, name in ((look, "Tom [gr:"), (early, "Renamed early [gr:")):
            theirs = await direct.get(LOOK_PATH.format(await heygens_look(api, own["id"])))
            assert theirs.json()["data"]["name"].startswith(name)
    # Whoever wants the old name wants a look of that name.
    assert (await created(api, inline(picture())))["greenroom"]["reused"] is False
    simulator.set_scenario("outage")
    answer = await api.patch(LOOK_PATH.format(look["id"]), json={"name": "While HeyGen is away"})
    assert (answer.status_code, answer.json()["data"]["name"]) == (200, "While HeyGen is away")
    await run_worker(served)
    simulator.clear_scenarios()
    clock.advance(timedelta(minutes=10))
    await run_worker(served)
    async with at_heygen(heygen_url) as direct:
        theirs = await direct.get(LOOK_PATH.format(await heygens_look(api, look["id"])))
        assert theirs.json()["data"]["name"].startswith("While HeyGen is away [gr:")
    renames = len(simulator.requests("PATCH"))
    clock.advance(timedelta(minutes=10))
    await run_worker(served)
    assert len(simulator.requests("PATCH")) == renames, "that was all"
    assert error_of(await api.patch(LOOK_PATH.format(look["id"]), json={}))[2] == "name"


async def test_a_name_that_heygen_missed_while_the_look_was_made_reaches_it_when_that_is_ready(
    api: httpx.AsyncClient, served: Context, clock: ManualClock, heygen_url: str, simulator: Simulator
) -> None:
    looks = [await created(api, inline(picture(color=color))) for color in ("red", "green", "blue")]
    simulator.set_scenario("drop_after_accept", times=1)  # so that nobody knows the id of one of them
    await run_worker(served)
    simulator.set_scenario("outage", method="PATCH")
    for look in looks[:2]:
        answer = await api.patch(LOOK_PATH.format(look["id"]), json={"name": "Tom"})
        assert (answer.status_code, answer.json()["data"]["status"]) == (200, "processing")
    assert len(simulator.requests("PATCH")) == 1
    simulator.clear_scenarios()
    for _ in range(2):
        await make(served, clock)
    async with at_heygen(heygen_url) as direct:
        for look, name in zip(looks, ("Tom [gr:", "Tom [gr:", "Sarah [gr:"), strict=True):
            theirs = await direct.get(LOOK_PATH.format(await heygens_look(api, look["id"])))
            assert theirs.json()["data"]["name"].startswith(name)
    assert len(simulator.requests("PATCH")) == 3, "what has its name is not told it"


@pytest.mark.parametrize("engine_name", ["postgresql"])  # SQLite has one writer anyway
async def test_a_name_that_heygen_missed_just_when_the_look_became_ready_reaches_it_too(
    api: httpx.AsyncClient, served: Context, clock: ManualClock, heygen_url: str, simulator: Simulator
) -> None:
    look = await created(api, inline(picture()))
    await run_worker(served)
    clock.advance(timedelta(minutes=2))
    simulator.set_scenario("outage", method="PATCH")
    waiting = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
    asked: list[asyncio.Task[object]] = []
    async with served.database.begin() as session:
        await session.execute(select(Look).with_for_update())
        for request in (run_worker(served), api.patch(LOOK_PATH.format(look["id"]), json={"name": "Tom"})):
            asked.append(asyncio.create_task(request, context=contextvars.Context()))
            while await session.scalar(waiting) < len(asked) and not asked[-1].done():
                pass
    await asyncio.gather(*asked)
    simulator.clear_scenarios()
    clock.advance(timedelta(minutes=10))
    await run_worker(served)
    async with at_heygen(heygen_url) as direct:
        theirs = await direct.get(LOOK_PATH.format(await heygens_look(api, look["id"])))
        assert theirs.json()["data"]["name"].startswith("Tom [gr:")


async def test_a_rename_of_what_heygen_no_longer_has_is_not_repeated_for_ever(
    api: httpx.AsyncClient, served: Context, clock: ManualClock, heygen_url: str, simulator: Simulator
) -> None:
    look = await created(api, inline(picture()))
    await make(served, clock)
    async with at_heygen(heygen_url) as direct:
        await removed(direct, LOOK_PATH.format(await heygens_look(api, look["id"])))
    simulator.set_scenario("outage")
    assert (await api.patch(LOOK_PATH.format(look["id"]), json={"name": "Tom"})).status_code == 200
    simulator.clear_scenarios()
    asked = []
    for _ in range(2):
        clock.advance(timedelta(minutes=10))
        await run_worker(served)
        asked.append([request.status for request in simulator.requests("PATCH")])
    assert asked[0][-1] == 404
    assert asked[0] == asked[1]


async def test_a_deleted_look_is_gone_at_once_and_at_heygen_later_and_its_group_with_it(
    api: httpx.AsyncClient, served: Context, clock: ManualClock, simulator: Simulator, heygen_url: str
) -> None:
    first = await created(api, inline(picture()))
    group_id = first["group_id"]
    second = await created(api, inline(picture(color="red")), avatar_group_id=group_id)
    await make(served, clock)
    await make(served, clock)
    waiting = await create_video(api, avatar_id=second["id"])
    heygen_id = await heygens_look(api, second["id"])
    for _ in range(2):
        assert await removed(api, LOOK_PATH.format(second["id"])) == {"id": second["id"]}
    assert error_of(await api.get(LOOK_PATH.format(second["id"]))) == (404, "avatar_not_found", None)
    assert error_of(await api.patch(LOOK_PATH.format(second["id"]), json={"name": "x"}))[0] == 404
    assert await looks_of(api, ownership="private") == [first["id"]]
    assert (await api.get(GROUP_PATH.format(group_id))).json()["data"]["looks_count"] == 1
    await run_worker(served)
    video = await read_video(api, waiting)
    assert (video["status"], video["failure_code"]) == ("failed", "avatar_not_usable")
    async with at_heygen(heygen_url) as direct:
        assert (await direct.get(LOOK_PATH.format(heygen_id))).status_code == 404
        assert await removed(api, LOOK_PATH.format(first["id"])) == {"id": first["id"]}
        assert error_of(await api.get(GROUP_PATH.format(group_id)))[0] == 404
        await run_worker(served)
        assert await everything(direct, "/v3/avatars", ownership="private") == []
    again = await created(api, inline(picture()))
    assert (again["greenroom"]["reused"], again["group_id"] == group_id) == (False, False)
    clock.advance(timedelta(hours=24, seconds=1))
    assert error_of(await api.delete(LOOK_PATH.format(first["id"])))[0] == 404


async def test_a_look_that_is_deleted_while_it_is_made_is_deleted_when_heygen_has_made_it(
    api: httpx.AsyncClient, served: Context, clock: ManualClock, simulator: Simulator, heygen_url: str
) -> None:
    queued = await created(api, inline(picture(color="red")))
    await removed(api, LOOK_PATH.format(queued["id"]))
    look = await created(api, inline(picture()))
    video_id = await create_video(api, avatar_id=look["id"])
    await run_worker(served)
    await removed(api, GROUP_PATH.format(look["group_id"]))
    await run_worker(served)
    assert (await read_video(api, video_id))["failure_code"] == "avatar_not_usable"
    assert simulator.requests("DELETE") == []
    clock.advance(timedelta(minutes=5))
    await run_worker(served)
    async with at_heygen(heygen_url) as direct:
        assert await everything(direct, "/v3/avatars/looks", ownership="private") == []
    assert len(simulator.ledger()) == 1


async def test_a_deleted_group_takes_all_its_looks_along(
    api: httpx.AsyncClient, served: Context, clock: ManualClock, account: Account
) -> None:
    first = await created(api, inline(picture()))
    path = GROUP_PATH.format(first["group_id"])
    await created(api, inline(picture(color="red")), avatar_group_id=first["group_id"])
    await make(served, clock)
    for name, wide in (("narrow", False), ("wide", True)):
        async with caller(served, account, name, account_wide=wide) as other:
            assert error_of(await other.delete(path)) == (404, "avatar_group_not_found", None)
            refused = await other.delete(LOOK_PATH.format(first["id"]))
            assert error_of(refused) == (404, "avatar_not_found", None)
    for _ in range(2):
        assert await removed(api, path) == {"id": first["group_id"]}
    assert await looks_of(api, ownership="private") == []
    refused = await api.post(
        "/v3/avatars",
        json={"type": "photo", "name": "x", "file": inline(picture()), "avatar_group_id": first["group_id"]},
    )
    assert error_of(refused) == (404, "avatar_group_not_found", "avatar_group_id")


async def test_what_only_heygen_knows_is_changed_through_heygen_by_who_sees_the_account(
    api: httpx.AsyncClient, served: Context, clock: ManualClock, heygen_url: str, account: Account
) -> None:
    async with at_heygen(heygen_url) as direct:
        marked = await created(direct, inline(picture()), name=f"Old [gr:{'0a' * 16}]")
        other_look = await created(direct, inline(picture()), avatar_group_id=marked["group_id"])
        async with caller(served, account, "narrow") as narrow:
            for answer in (
                await narrow.patch(LOOK_PATH.format(marked["id"]), json={"name": "x"}),
                await narrow.delete(LOOK_PATH.format(marked["id"])),
                await narrow.delete(GROUP_PATH.format(marked["group_id"])),
                await narrow.post(f"/v3/avatars/{marked['group_id']}/consent", json={}),
            ):
                assert answer.status_code == 404
            for path in (LOOK_PATH.format(LOOKS[0].id), GROUP_PATH.format(LOOKS[0].group_id)):
                assert error_of(await narrow.delete(path)) == (403, "forbidden", None)
        # Here HeyGen itself refuses.
        for path in (LOOK_PATH.format(LOOKS[0].id), GROUP_PATH.format(LOOKS[0].group_id)):
            assert error_of(await api.delete(path)) == (403, "forbidden", None)

        renamed = await api.patch(LOOK_PATH.format(marked["id"]), json={"name": "New"})
        assert renamed.json()["data"]["name"] == "New"
        read = (await direct.get(LOOK_PATH.format(marked["id"]))).json()["data"]
        assert read["name"] == f"New [gr:{'0a' * 16}]"
        # A look of ours makes the group one of those that are adopted.
        own = await created(api, inline(picture(color="red")), avatar_group_id=marked["group_id"])
        await make(served, clock)
        await removed(api, LOOK_PATH.format(other_look["id"]))
        await removed(api, GROUP_PATH.format(marked["group_id"]))
        assert await everything(direct, "/v3/avatars", ownership="private") == []
    for look_id in (own["id"], marked["id"], other_look["id"]):
        assert error_of(await api.get(LOOK_PATH.format(look_id)))[0] == 404


async def test_what_was_made_in_a_group_goes_although_heygen_has_deleted_the_group_already(
    api: httpx.AsyncClient, served: Context, clock: ManualClock, heygen_url: str, account: Account
) -> None:
    """Whoever deletes it at HeyGen may die before our rows have followed; the caller asks again."""
    async with at_heygen(heygen_url) as direct:
        theirs = await created(direct, inline(picture()))
        path = GROUP_PATH.format(theirs["group_id"])
        own = await created(api, inline(picture(color="red")), avatar_group_id=theirs["group_id"])
        await make(served, clock)
        await removed(direct, path)
    async with caller(served, account, "another") as another:
        assert error_of(await another.delete(path))[0] == 404
    for _ in range(2):
        await removed(api, path)
    assert error_of(await api.get(LOOK_PATH.format(own["id"])))[0] == 404
    assert await everything(api, "/v3/avatars/looks", ownership="private") == []


async def test_a_change_at_heygen_is_seen_at_once_wherever_its_look_is_shown(
    api: httpx.AsyncClient, heygen_url: str
) -> None:
    async with at_heygen(heygen_url) as direct:
        first = await created(direct, inline(picture()))
        second = await created(direct, inline(picture()), avatar_group_id=first["group_id"])

    async def shown() -> tuple[list[str], list[int]]:
        looks = await everything(api, "/v3/avatars/looks", ownership="private")
        groups = await everything(api, "/v3/avatars", ownership="private")
        return [look["name"] for look in looks], [group["looks_count"] for group in groups]

    assert await shown() == (["Sarah", "Sarah"], [2])
    await api.patch(LOOK_PATH.format(second["id"]), json={"name": "New"})
    assert await shown() == (["New", "Sarah"], [2])
    await removed(api, LOOK_PATH.format(second["id"]))
    assert await shown() == (["Sarah"], [1])
    assert (await api.get(LOOK_PATH.format(first["id"]))).status_code == 200
    await removed(api, GROUP_PATH.format(first["group_id"]))
    assert await shown() == ([], [])
    assert error_of(await api.get(LOOK_PATH.format(first["id"]))) == (404, "avatar_not_found", None)
