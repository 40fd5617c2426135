"""What an operator grants of HeyGen's private avatars: seen, listed and used by that tenant, and changed by nobody."""

from datetime import timedelta
from typing import Any

import httpx

from app import grants, tenancy
from app.context import Context
from app.models import Account, GrantKind
from app.simulator.app import Simulator
from tests.api.callers import VOICE, at_heygen, caller, create_video, error_of, read_video, render
from tests.api.photos import picture
from tests.api.test_avatars import created, inline, make
from tests.api.test_looks import PUBLIC, PUBLIC_GROUPS, everything, looks_of
from tests.clocks import ManualClock
from tests.statements import recording

LOOK_PATH = "/v3/avatars/looks/"


async def grant(served: Context, name: str, kind: GrantKind, *heygen_ids: str, take: bool = False) -> None:
    """What `greenroom grants add`, and `remove`, do."""
    async with served.database.begin() as session:
        tenant = await tenancy.find_tenant(session, name)
        assert tenant is not None
        for heygen_id in heygen_ids:
            if take:
                assert await grants.revoke(session, tenant, kind, heygen_id)
            else:
                assert await grants.grant(session, tenant, kind, heygen_id, served.clock.now())


async def five_looks(direct: httpx.AsyncClient) -> list[dict[str, Any]]:
    """Four private looks in three groups, the last two in one, and one more that is granted to nobody."""
    looks = [await created(direct, inline(picture(color=color))) for color in ("red", "green", "blue")]
    more = await created(direct, inline(picture(color="white")), avatar_group_id=looks[2]["group_id"])
    return [*looks, more, await created(direct, inline(picture()))]


async def test_granted_looks_and_groups_are_listed_read_and_used(
    served: Context, account: Account, clock: ManualClock, heygen_url: str, simulator: Simulator
) -> None:
    async with (
        at_heygen(heygen_url) as direct,
        caller(served, account, "narrow") as api,
        caller(served, account, "other") as other,
    ):
        red, green, blue, white, hidden = await five_looks(direct)
        await grant(served, "narrow", GrantKind.LOOK, red["id"], green["id"], blue["id"])
        await grant(served, "narrow", GrantKind.GROUP, blue["group_id"])
        await make(served, clock)
        own = await created(api, inline(picture()))
        seen = {red["id"], green["id"], blue["id"], white["id"]}
        for limit in (1, 2, 3, 50):
            ids = await looks_of(api, limit=limit)
            assert ids[0] == own["id"]
            assert (set(ids[1:5]), set(ids[5:])) == (seen, PUBLIC)
            assert len(ids) == 5 + len(PUBLIC)
            groups = [it["id"] for it in await everything(api, "/v3/avatars", limit=limit)]
            assert groups[:2] == [own["group_id"], blue["group_id"]]
            assert set(groups[2:]) == PUBLIC_GROUPS
        assert set(await looks_of(api, ownership="private", limit=2)) == seen | {own["id"]}
        assert set(await looks_of(api, ownership="public")) == PUBLIC
        assert set(await looks_of(api, group_id=blue["group_id"], limit=1)) == {blue["id"], white["id"]}
        assert await looks_of(api, group_id=red["group_id"]) == [red["id"]]
        assert await looks_of(api, avatar_type="digital_twin") == []
        for look_id in seen:
            assert (await api.get(LOOK_PATH + look_id)).json()["data"]["status"] == "completed"
            assert error_of(await other.get(LOOK_PATH + look_id)) == (404, "avatar_not_found", None)
        assert (await api.get(f"/v3/avatars/{blue['group_id']}")).json()["data"]["looks_count"] == 2
        for path in (LOOK_PATH + hidden["id"], f"/v3/avatars/{red['group_id']}"):
            assert error_of(await api.get(path))[0] == 404

        videos = [await create_video(api, avatar_id=look_id) for look_id in (red["id"], white["id"])]
        # While HeyGen is away nobody can tell whose a look is: the worker asks before it spends.
        clock.advance(timedelta(seconds=10))
        simulator.set_scenario("outage")
        videos += [await create_video(api, avatar_id=look["id"]) for look in (white, hidden)]
        simulator.clear_scenarios()
        await render(served, clock)
        ends = [await read_video(api, video_id) for video_id in videos]
        assert [end["status"] for end in ends] == ["completed"] * 3 + ["failed"]
        assert ends[3]["failure_code"] == "avatar_not_found"
        for answer in (
            await api.delete(LOOK_PATH + white["id"]),
            await api.patch(LOOK_PATH + red["id"], json={"name": "x"}),
            await api.delete(f"/v3/avatars/{blue['group_id']}"),
            await api.post(f"/v3/avatars/{blue['group_id']}/consent", json={}),
        ):
            assert error_of(answer) == (403, "resource_access_denied", None)
        await grant(served, "narrow", GrantKind.GROUP, blue["group_id"], take=True)
        assert error_of(await api.get(LOOK_PATH + white["id"]))[0] == 404
        refused = await api.post(
            "/v3/videos", json={"type": "avatar", "avatar_id": white["id"], "script": "Hello."}
        )
        assert error_of(refused) == (404, "avatar_not_found", "avatar_id")


async def test_a_look_that_another_tenant_made_can_be_granted_by_heygens_id(
    served: Context, account: Account, clock: ManualClock
) -> None:
    async with caller(served, account, "maker") as maker, caller(served, account, "user") as user:
        look = await created(maker, inline(picture()))
        await make(served, clock)
        shown = (await maker.get(LOOK_PATH + look["id"])).json()["data"]["greenroom"]
        theirs = shown["heygen_avatar_id"]
        assert error_of(await user.get(LOOK_PATH + theirs))[0] == 404
        await grant(served, "user", GrantKind.LOOK, theirs)
        read = (await user.get(LOOK_PATH + theirs)).json()["data"]
        assert (read["id"], read["name"]) == (theirs, "Sarah")
        assert await looks_of(user, ownership="private") == [theirs]
        assert error_of(await user.get(LOOK_PATH + look["id"]))[0] == 404
        video_id = await create_video(user, avatar_id=theirs)
        await render(served, clock)
        assert (await read_video(user, video_id))["status"] == "completed"
        assert error_of(await user.delete(LOOK_PATH + theirs)) == (403, "resource_access_denied", None)


async def test_looks_that_others_made_take_no_more_statements_the_more_of_them_a_video_names(
    served: Context, account: Account, clock: ManualClock
) -> None:
    async with (
        caller(served, account, "maker") as maker,
        caller(served, account, "narrow") as narrow,
        caller(served, account, "wide", account_wide=True) as wide,
    ):
        made = [await created(maker, inline(picture(color=color))) for color in ("red", "green")]
        await make(served, clock)
        looks = [(await maker.get(LOOK_PATH + it["id"])).json()["data"]["greenroom"] for it in made]
        theirs = [look["heygen_avatar_id"] for look in looks]
        for user, name in ((narrow, "narrow"), (wide, "wide")):
            await grant(served, name, GrantKind.LOOK, *theirs)
            taken = []
            for some in (theirs[:1], theirs):
                acted = [
                    {"type": "avatar", "avatar_id": it, "script": "Hi.", "voice_id": VOICE} for it in some
                ]
                scenes = [{"type": "avatar_video", "input": it} for it in acted]
                with recording(served.database) as statements:
                    answer = await user.post("/v3/videos", json={"type": "studio", "scenes": scenes})
                assert answer.status_code == 200, answer.text
                taken.append(sum("FROM grants" in it.sql or "FROM groups" in it.sql for it in statements))
            assert taken[0] == taken[1]
