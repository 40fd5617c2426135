"""`POST /v3/avatars`: a photo becomes a look once, and nothing is stored or spent for a bad one."""

import asyncio
import base64
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select

from app.api.file_inputs import UrlAsset
from app.api.photo_intake import usable_photo
from app.context import Context
from app.errors import InvalidParameter
from app.models import Account, Asset, Job, Look, Tenant
from app.simulator.app import Simulator
from app.tenancy import Caller
from tests.api.callers import at_heygen, caller, error_of
from tests.api.photos import PhotoServer, photo_server, picture, upload, uploaded
from tests.clocks import ManualClock
from tests.conftest import threaded
from tests.services import TLS, run_worker


@pytest.fixture
async def photos() -> AsyncIterator[PhotoServer]:
    """A host of photos."""
    async with photo_server() as server:
        yield server


def url(address: str) -> dict[str, Any]:
    return {"type": "url", "url": address}


def stored(asset_id: str) -> dict[str, Any]:
    return {"type": "asset_id", "asset_id": asset_id}


def inline(content: bytes, media_type: str = "image/png") -> dict[str, Any]:
    data = base64.b64encode(content).decode()
    return {"type": "base64", "media_type": media_type, "data": data}


async def create(api: httpx.AsyncClient, file: dict[str, Any], **fields: Any) -> httpx.Response:
    """Ask for a look named Sarah."""
    headers = fields.pop("headers", None)
    body = {"type": "photo", "name": "Sarah", "file": file} | fields
    return await api.post("/v3/avatars", json=body, headers=headers)


async def created(api: httpx.AsyncClient, file: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """The look that the answer shows."""
    answer = await create(api, file, **fields)
    assert answer.status_code == 200, answer.text
    look: dict[str, Any] = answer.json()["data"]["avatar_item"]
    return look


async def rows(context: Context, *tables: type) -> list[int]:
    """How many rows each table holds."""
    async with context.database.begin() as session:
        return [int(await session.scalar(select(func.count()).select_from(it)) or 0) for it in tables]


async def make(context: Context, clock: ManualClock) -> None:
    """Let the worker submit what waits, HeyGen make it, and the worker find that out."""
    await run_worker(context)
    clock.advance(timedelta(minutes=2))
    await run_worker(context)


async def test_a_photo_is_answered_at_once_and_becomes_a_look(
    api: httpx.AsyncClient, served: Context, clock: ManualClock, simulator: Simulator
) -> None:
    asset_id = await uploaded(api)
    answer = await create(api, stored(asset_id))
    assert answer.status_code == 200
    data = answer.json()["data"]
    look, group = data["avatar_item"], data["avatar_group"]
    assert (look["name"], look["avatar_type"], look["status"]) == ("Sarah", "photo_avatar", "processing")
    assert (look["image_width"], look["image_height"]) == (600, 800)
    assert look["preferred_orientation"] == "portrait"
    assert look["group_id"] == group["id"]
    assert (group["name"], group["looks_count"], group["status"]) == ("Sarah", 1, "processing")
    assert group["created_at"] == int(clock.now().timestamp())
    assert answer.headers["Location"].endswith(f"/v3/avatars/looks/{look['id']}")
    assert simulator.requests("POST") == []

    await make(served, clock)
    read = (await api.get(f"/v3/avatars/looks/{look['id']}")).json()["data"]
    assert (read["status"], read["error"], read["name"]) == ("completed", None, "Sarah")
    assert read["supported_api_engines"] == ["avatar_iv", "avatar_iii"]
    assert [row.cost_usd for row in simulator.ledger()] == [1.0]
    async with httpx.AsyncClient(verify=TLS) as stranger:
        assert (await stranger.get(read["preview_image_url"])).content == picture()


async def test_a_photo_may_stand_at_an_address(
    api: httpx.AsyncClient, served: Context, photos: PhotoServer, clock: ManualClock
) -> None:
    look = await created(api, url(f"{photos.url}/photo.png?signature=x"))
    assert photos.asked == ["/photo.png"]
    await make(served, clock)
    assert (await api.get(f"/v3/avatars/looks/{look['id']}")).json()["data"]["status"] == "completed"
    assert photos.asked == ["/photo.png"]


async def test_a_photo_may_come_inside_the_request(api: httpx.AsyncClient) -> None:
    look = await created(api, inline(picture(1024, 512, kind="JPEG"), "image/jpeg"))
    assert (look["image_width"], look["preferred_orientation"]) == (1024, "landscape")


async def test_nothing_is_stored_or_spent_for_a_bad_photo(
    api: httpx.AsyncClient, served: Context, photos: PhotoServer, simulator: Simulator, tmp_path: Path
) -> None:
    photos.files |= {"/small.png": picture(511, 900), "/page.png": b"<html>the secret page of a host</html>"}
    photos.files["/cut.png"] = picture()[:300]
    wrong = [
        (url(f"{photos.url}/none.png"), "download_failed", "file.url"),
        (url(f"{photos.url}/moved"), "download_failed", "file.url"),
        (url("http://127.0.0.1:1/photo.png"), "download_failed", "file.url"),
        (url(f"{photos.url}/page.png"), "invalid_parameter", "file.url"),
        (url(f"{photos.url}/small.png"), "invalid_parameter", "file.url"),
        (url(f"{photos.url}/cut.png"), "invalid_parameter", "file.url"),
        (inline(b"no picture"), "invalid_parameter", "file.data"),
        (inline(picture(300, 300)), "invalid_parameter", "file.data"),
        (inline(picture(), "image/jpeg"), "invalid_parameter", "file.data"),
    ]
    for file, code, param in wrong:
        answer = await create(api, file)
        assert error_of(answer) == (400, code, param)
        assert "127.0.0.1" not in answer.text
        assert "secret" not in answer.text
    assert await rows(served, Asset, Look, Job) == [0, 0, 0]
    assert [path for path in (tmp_path / "files").rglob("*") if path.is_file()] == []
    await run_worker(served)
    assert simulator.requests("POST") == []


async def test_an_asset_that_is_no_usable_photo_is_refused(api: httpx.AsyncClient, served: Context) -> None:
    small = await uploaded(api, picture(511, 900))
    sound = (await upload(api, b"RIFF\x24\x00\x00\x00WAVEfmt " + bytes(64))).json()["data"]["asset_id"]
    for asset_id, detail in ((small, "too_small"), (sound, "not_an_image")):
        answer = await create(api, stored(asset_id))
        assert error_of(answer) == (400, "invalid_parameter", "file.asset_id")
        assert answer.json()["error"]["errors"][0]["code"] == detail
    assert await rows(served, Look, Job) == [0, 0]


async def test_a_photo_that_comes_too_slowly_is_given_up(
    served: Context, tenant: Tenant, photos: PhotoServer
) -> None:
    someone = Caller(tenant.id, tenant.name, tenant.account_id, account_wide=True, key_id="k")
    slow = {"type": "url", "url": f"{photos.url}/slow"}
    source = UrlAsset.model_validate(slow, context={"allow_private": True})
    with pytest.raises(InvalidParameter) as refused:
        await usable_photo(served, someone, source, within=0.2)
    assert (refused.value.code, refused.value.param) == ("download_failed", "file.url")
    assert await rows(served, Asset) == [0]


async def test_a_slow_photo_host_holds_up_nobody_else(api: httpx.AsyncClient, photos: PhotoServer) -> None:
    """SQLite has one connection: a transaction open while the photo is fetched would stop everything."""
    photos.files["/slow"] = picture()
    async with asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(created(api, url(f"{photos.url}/slow")))
        async with asyncio.timeout(5):
            await uploaded(api, picture(color="red"))
        assert not waiting.done()
        photos.release.set()
    assert waiting.result()["status"] == "processing"


async def test_an_equal_look_is_answered_again(
    api: httpx.AsyncClient, served: Context, clock: ManualClock, simulator: Simulator
) -> None:
    first = await created(api, inline(picture()))
    again = await created(api, stored(await uploaded(api)))
    assert again["id"] == first["id"]
    assert (first["greenroom"]["reused"], again["greenroom"]["reused"]) == (False, True)
    await make(served, clock)
    later = await created(api, inline(picture()))
    assert (later["id"], later["status"]) == (first["id"], "completed")
    assert len(simulator.ledger()) == 1


async def test_looks_that_differ_are_made_anew(
    api: httpx.AsyncClient, served: Context, account: Account
) -> None:
    first = await created(api, inline(picture()))
    others = [
        await created(api, inline(picture(color="red"))),
        await created(api, inline(picture()), name="Tom"),
        await created(api, inline(picture()), avatar_group_id=first["group_id"]),
        await created(api, inline(picture()), greenroom={"reuse": False}),
    ]
    async with caller(served, account, "other") as other:
        others.append(await created(other, inline(picture())))
    assert len({look["id"] for look in [first, *others]}) == 6


async def test_a_look_that_failed_is_not_answered_again(
    api: httpx.AsyncClient, served: Context, clock: ManualClock, simulator: Simulator
) -> None:
    simulator.set_scenario("look_fails", times=1)
    first = await created(api, inline(picture()))
    await make(served, clock)
    failed = (await api.get(f"/v3/avatars/looks/{first['id']}")).json()["data"]
    assert failed["status"] == "failed"
    assert failed["error"] == {"code": "training_failed", "message": "No face was found."}
    again = await created(api, inline(picture()))
    assert again["id"] != first["id"]
    assert again["status"] == "processing"


@threaded
async def test_simultaneous_equal_creates_are_one_look(api: httpx.AsyncClient, served: Context) -> None:
    looks = await asyncio.gather(*(created(api, inline(picture())) for _ in range(6)))
    assert len({look["id"] for look in looks}) == 1
    assert await rows(served, Look, Job, Asset) == [1, 1, 1]


async def test_an_idempotency_key_replays_the_very_answer(
    api: httpx.AsyncClient, served: Context, photos: PhotoServer, clock: ManualClock
) -> None:
    key = {"Idempotency-Key": "k1"}
    file = url(f"{photos.url}/photo.png")
    first = await create(api, file, headers=key)
    await make(served, clock)
    again = await create(api, file, headers=key)
    assert again.content == first.content
    assert again.headers["Idempotent-Replayed"] == "true"
    assert photos.asked == ["/photo.png"]
    other = await create(api, file, name="Tom", headers=key)
    assert error_of(other) == (422, "idempotency_key_reused", "Idempotency-Key")


@threaded
async def test_simultaneous_creates_under_one_key_are_one_look(
    api: httpx.AsyncClient, served: Context
) -> None:
    key, wish = {"Idempotency-Key": "k1"}, {"reuse": False}
    asked = (create(api, inline(picture()), headers=key, greenroom=wish) for _ in range(5))
    answers = await asyncio.gather(*asked)
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1
    assert await rows(served, Look, Job) == [1, 1]


async def test_a_look_joins_a_group_by_our_id_or_heygens(
    api: httpx.AsyncClient, served: Context, clock: ManualClock, heygen_url: str
) -> None:
    first = await created(api, inline(picture()))
    await make(served, clock)
    known = (await api.get(f"/v3/avatars/looks/{first['id']}")).json()["data"]["greenroom"]
    async with at_heygen(heygen_url) as direct:
        theirs = (await direct.get(f"/v3/avatars/looks/{known['heygen_avatar_id']}")).json()["data"]
    for color, group_id in (("red", first["group_id"]), ("green", theirs["group_id"])):
        look = await created(api, inline(picture(color=color)), avatar_group_id=group_id)
        assert look["group_id"] == first["group_id"]
    await make(served, clock)
    group = (await api.get(f"/v3/avatars/{first['group_id']}")).json()["data"]
    assert (group["looks_count"], group["status"]) == (3, "completed")
    async with at_heygen(heygen_url) as direct:
        group = (await direct.get(f"/v3/avatars/{theirs['group_id']}")).json()["data"]
    assert group["looks_count"] == 3


async def test_a_group_of_heygens_takes_looks_of_those_who_see_the_account(
    api: httpx.AsyncClient, served: Context, account: Account, clock: ManualClock, heygen_url: str
) -> None:
    async with at_heygen(heygen_url) as direct:
        theirs = (await create(direct, inline(picture()))).json()["data"]["avatar_item"]
        answers = await asyncio.gather(
            *(
                create(api, inline(picture(color=c)), avatar_group_id=theirs["group_id"])
                for c in ("red", "blue")
            )
        )
        assert {answer.status_code for answer in answers} == {200}
        for answer in answers:
            assert answer.json()["data"]["avatar_item"]["group_id"] == theirs["group_id"]
        await make(served, clock)
        group = (await direct.get(f"/v3/avatars/{theirs['group_id']}")).json()["data"]
        assert group["looks_count"] == 3
    # It stays HeyGen's: it is shown as HeyGen shows it, once.
    assert (await api.get(f"/v3/avatars/{theirs['group_id']}")).json()["data"]["looks_count"] == 3
    listed = (await api.get("/v3/avatars?ownership=private")).json()["data"]
    assert [it["id"] for it in listed] == [theirs["group_id"]]
    async with caller(served, account, "other") as other:
        answer = await create(other, inline(picture()), avatar_group_id=theirs["group_id"])
        assert error_of(answer) == (404, "avatar_group_not_found", "avatar_group_id")


async def test_things_of_another_tenant_cannot_be_used(
    api: httpx.AsyncClient, served: Context, account: Account
) -> None:
    asset_id = await uploaded(api)
    group_id = (await created(api, stored(asset_id)))["group_id"]
    for name, wide in (("other", False), ("wide", True)):
        async with caller(served, account, name, account_wide=wide) as other:
            answer = await create(other, stored(asset_id))
            assert error_of(answer) == (404, "asset_not_found", "file.asset_id")
            answer = await create(other, inline(picture()), avatar_group_id=group_id)
            assert error_of(answer) == (404, "avatar_group_not_found", "avatar_group_id")
    assert await rows(served, Look) == [1]


async def test_an_asset_of_heygens_is_named_to_heygen_for_who_sees_the_account(
    api: httpx.AsyncClient, served: Context, account: Account, clock: ManualClock, heygen_url: str
) -> None:
    async with at_heygen(heygen_url) as direct:
        theirs = await uploaded(direct)
    look = await created(api, stored(theirs))
    assert look["preview_image_url"] is None
    await make(served, clock)
    assert (await api.get(f"/v3/avatars/looks/{look['id']}")).json()["data"]["status"] == "completed"
    async with caller(served, account, "other") as other:
        assert error_of(await create(other, stored(theirs))) == (404, "asset_not_found", "file.asset_id")


async def test_the_deadline_is_bounded(api: httpx.AsyncClient, served: Context, clock: ManualClock) -> None:
    for delay in (timedelta(seconds=-1), timedelta(days=7, seconds=1)):
        deadline = {"deadline": (clock.now() + delay).isoformat()}
        answer = await create(api, inline(picture()), greenroom=deadline)
        assert error_of(answer) == (400, "invalid_parameter", "greenroom.deadline")
    await created(api, inline(picture()))
    given = {"deadline": (clock.now() + timedelta(hours=5)).isoformat(), "priority": 3, "metadata": {"a": 1}}
    look = await created(api, inline(picture()), name="Tom", greenroom=given)
    assert look["greenroom"]["metadata"] == {"a": 1}
    async with served.database.begin() as session:
        jobs = (await session.scalars(select(Job).order_by(Job.id))).all()
    assert [(job.deadline_at - clock.now(), job.rank) for job in jobs] == [
        (timedelta(hours=1), 0),
        (timedelta(hours=5), -3),
    ]


async def test_a_deleted_photo_takes_the_preview_along_but_not_the_look(
    api: httpx.AsyncClient, served: Context, clock: ManualClock
) -> None:
    asset_id = await uploaded(api)
    look = await created(api, stored(asset_id))
    assert (await api.delete(f"/v3/assets/{asset_id}")).status_code == 200
    await make(served, clock)
    read = (await api.get(f"/v3/avatars/looks/{look['id']}")).json()["data"]
    assert (read["status"], read["preview_image_url"]) == ("completed", None)
