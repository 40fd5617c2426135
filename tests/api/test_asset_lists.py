"""`GET /v3/assets`: the assets of one owner; the tenant's own first, HeyGen's for who sees the whole account."""

import asyncio
from dataclasses import replace
from typing import Any

import httpx
from sqlalchemy import delete

from app import asset_copies
from app.context import Context
from app.models import Account, AssetCopy
from app.simulator.app import Simulator
from app.worker import submit
from tests.api.callers import VOICE, at_heygen, caller, error_of, render
from tests.api.photos import picture, upload, uploaded
from tests.clocks import ManualClock
from tests.services import run_worker


async def listed(api: httpx.AsyncClient, query: str) -> list[dict[str, Any]]:
    """All pages of one asset each."""
    items: list[dict[str, Any]] = []
    token = ""
    while True:
        answer = await api.get(f"/v3/assets?{query}&limit=1&token={token}")
        assert answer.status_code == 200, answer.text
        page = answer.json()
        items += page["data"]
        token = page["next_token"]
        if not page["has_more"]:
            return items


async def test_own_assets_come_newest_first_then_heygens_without_copies_of_ours(
    api: httpx.AsyncClient,
    served: Context,
    account: Account,
    heygen_url: str,
    clock: ManualClock,
) -> None:
    async with at_heygen(heygen_url) as direct:
        theirs = (await upload(direct, picture(color="red"))).json()["data"]["asset_id"]
    own = [await uploaded(api, picture(color=color)) for color in ("blue", "green")]
    source = {"type": "asset_id", "asset_id": own[0]}
    video = {"type": "image", "image": source, "script": "Hello.", "voice_id": VOICE}
    assert (await api.post("/v3/videos", json=video)).status_code == 200
    await render(served, clock)  # HeyGen has a copy of the first now
    async with at_heygen(heygen_url) as direct:
        at_theirs = (await direct.get("/v3/assets?username=simulator")).json()["data"]
    [copy] = [asset["id"] for asset in at_theirs if asset["id"] != theirs]
    mine = await listed(api, "username=acme")
    assert [asset["id"] for asset in mine] == [own[1], own[0], theirs]
    assert mine[0] == (await api.get(f"/v3/assets/{own[1]}")).json()["data"]
    assert [asset["id"] for asset in await listed(api, "username=simulator")] == [theirs]
    assert [asset["id"] for asset in await listed(api, "username=acme&folder_id=")] == [*own[::-1], theirs]
    assert await listed(api, "username=acme&folder_id=f1") == []
    assert await listed(api, "username=nobody") == []
    # HeyGen's id of an own asset is that asset; of another tenant's it is nothing.
    assert (await api.get(f"/v3/assets/{copy}")).json()["data"]["id"] == own[0]
    async with (
        caller(served, account, "narrow") as narrow,
        caller(served, account, "wide", account_wide=True) as wide,
    ):
        assert [asset["id"] for asset in await listed(wide, "username=wide")] == [theirs]
        for owner in ("narrow", "acme", "simulator"):
            assert await listed(narrow, f"username={owner}") == []
        for stranger in (narrow, wide):
            assert error_of(await stranger.delete(f"/v3/assets/{copy}")) == (404, "asset_not_found", None)
        assert error_of(await narrow.delete(f"/v3/assets/{theirs}")) == (404, "asset_not_found", None)
    # HeyGen's own are deleted there.
    assert (await api.delete(f"/v3/assets/{theirs}")).json() == {"data": {"id": theirs}}
    for answer in (await api.get(f"/v3/assets/{theirs}"), await api.delete(f"/v3/assets/{theirs}")):
        assert error_of(answer) == (404, "asset_not_found", None)
    assert [asset["id"] for asset in await listed(api, "username=acme")] == own[::-1]


async def test_no_copy_of_a_file_that_several_workers_send_at_once_is_taken_for_heygens_own(
    api: httpx.AsyncClient, served: Context, account: Account, heygen_url: str
) -> None:
    together = asyncio.Barrier(3)

    async def meet(name: str) -> None:
        if name == "submit.uploaded":
            await together.wait()

    async with caller(served, account, "narrow") as narrow:
        photo = await uploaded(narrow, picture())
        source = {"type": "asset_id", "asset_id": photo}
        video = {"type": "image", "image": source, "script": "Hello.", "voice_id": VOICE}
        for _ in range(together.parties):
            assert (await narrow.post("/v3/videos", json=video)).status_code == 200
        worker = replace(served, failpoint=meet)
        await asyncio.gather(*(submit.submit_next(worker) for _ in range(together.parties)))
        async with at_heygen(heygen_url) as direct:
            copies = [it["id"] for it in (await direct.get("/v3/assets?username=simulator")).json()["data"]]
        assert len(copies) == together.parties
        assert await listed(api, "username=acme") == []
        for copy in copies:
            for answer in (await api.get(f"/v3/assets/{copy}"), await api.get(f"/v3/assets/{copy}/content")):
                assert error_of(answer) == (404, "asset_not_found", None)
            assert error_of(await api.delete(f"/v3/assets/{copy}"))[0] == 404


async def test_a_copy_that_is_not_used_any_more_is_not_taken_for_heygens_own_either(
    api: httpx.AsyncClient, served: Context, account: Account, heygen_url: str
) -> None:
    async with caller(served, account, "narrow") as narrow:
        photo = await uploaded(narrow, picture())
        source = {"type": "asset_id", "asset_id": photo}
        video = {"type": "image", "image": source, "script": "Hello.", "voice_id": VOICE}
        assert (await narrow.post("/v3/videos", json=video)).status_code == 200
        await run_worker(served)
    async with served.database.begin() as session:
        # The row of a file that the version before uploaded; then HeyGen says that it does not have it.
        await session.execute(delete(AssetCopy))
        await asset_copies.forget(session, account.id, [photo])
    async with at_heygen(heygen_url) as direct:
        [copy] = (await direct.get("/v3/assets?username=simulator")).json()["data"]
    assert await listed(api, "username=acme") == []
    assert error_of(await api.get(f"/v3/assets/{copy['id']}"))[0] == 404


async def test_what_a_list_needs_is_named_and_ours_do_not_wait_for_heygen(
    api: httpx.AsyncClient, simulator: Simulator
) -> None:
    for query, param in (
        ("", "username"),
        ("username=", "username"),
        ("username=acme&limit=0", "limit"),
        ("username=acme&limit=101", "limit"),
        ("username=acme&token=x", "token"),
    ):
        assert error_of(await api.get(f"/v3/assets?{query}")) == (400, "invalid_parameter", param), query
    asset_id = await uploaded(api)
    simulator.set_scenario("outage")
    page = (await api.get("/v3/assets?username=acme")).json()
    assert ([asset["id"] for asset in page["data"]], page["has_more"]) == ([asset_id], True)
    other = {"username": "simulator", "token": page["next_token"]}
    assert error_of(await api.get("/v3/assets", params=other)) == (400, "invalid_parameter", "token")
    assert error_of(await api.get("/v3/assets?username=simulator"))[0] == 503
