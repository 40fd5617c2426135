"""Avatars of words and of footage, and the consent that the latter wait for."""

from datetime import timedelta
from functools import partial
from typing import Any

import httpx
from sqlalchemy import select
from sqlmodel import col

from app.context import Context
from app.models import Account, Event, Job
from app.simulator.app import Simulator
from tests.api.callers import LOOK, at_heygen, caller, create_video, error_of, fetch, read_video
from tests.api.photos import FOOTAGE, picture, upload, uploaded
from tests.api.test_avatars import created, inline, make
from tests.clocks import ManualClock
from tests.services import run_worker

AVATARS = "/v3/avatars"


async def wish(api: httpx.AsyncClient, **fields: Any) -> httpx.Response:
    """Ask for an avatar named Sarah."""
    return await api.post(AVATARS, json={"name": "Sarah", **fields})


async def made(api: httpx.AsyncClient, **fields: Any) -> dict[str, Any]:
    """The look that the answer shows."""
    answer = await wish(api, **fields)
    assert answer.status_code == 200, answer.text
    look: dict[str, Any] = answer.json()["data"]["avatar_item"]
    return look


async def twin(api: httpx.AsyncClient, **fields: Any) -> dict[str, Any]:
    """A digital twin of uploaded footage."""
    asset_id = (await upload(api, FOOTAGE, "me.mp4")).json()["data"]["asset_id"]
    return await made(api, type="digital_twin", file={"type": "asset_id", "asset_id": asset_id}, **fields)


async def read(api: httpx.AsyncClient, path: str) -> dict[str, Any]:
    answer = await api.get(f"{AVATARS}/{path}")
    assert answer.status_code == 200, answer.text
    data: dict[str, Any] = answer.json()["data"]
    return data


async def events_of(api: httpx.AsyncClient, look_id: str) -> list[str]:
    """What the caller's endpoints were told of a look."""
    events = (await api.get(f"/v3/webhooks/events?entity_id={look_id}")).json()["data"]
    return [event["event_type"] for event in events]


async def test_words_become_a_look_that_resembles_another_once_that_is_made(
    api: httpx.AsyncClient, served: Context, clock: ManualClock, simulator: Simulator
) -> None:
    first = await created(api, inline(picture()))
    images = [inline(picture(color="red")), {"type": "asset_id", "asset_id": await uploaded(api)}]
    pilot = {"type": "prompt", "prompt": "A pilot.", "reference_images": images, "avatar_id": first["id"]}
    look = await made(api, **pilot)
    assert (look["avatar_type"], look["status"], look["preview_image_url"]) == (
        "photo_avatar",
        "processing",
        None,
    )
    await run_worker(served)
    assert len(simulator.ledger()) == 1  # it waits for the look that it names
    await make(served, clock)
    await make(served, clock)
    look = await read(api, f"looks/{look['id']}")
    assert (look["status"], look["error"]) == ("completed", None)
    assert await events_of(api, look["id"]) == ["photo_avatar_generation.success"]
    preview = await fetch(look["preview_image_url"])
    assert (preview.status_code, preview.headers["content-type"]) == (200, "image/jpeg")
    assert (await fetch(look["preview_image_url"][:-1] + "x")).status_code == 403
    again = await made(api, **pilot)
    assert (again["id"], again["greenroom"]["reused"]) == (look["id"], True)
    for change in ({"prompt": "A baker."}, {"reference_images": images[:1]}, {"avatar_id": LOOK}):
        assert (await made(api, **pilot | change))["greenroom"]["reused"] is False
    video_id = await create_video(api, avatar_id=look["id"])
    await make(served, clock)
    assert (await read_video(api, video_id))["status"] == "completed"


async def test_what_an_avatar_is_made_of_is_checked_before_it_is_stored(
    api: httpx.AsyncClient, served: Context, account: Account
) -> None:
    photo_id = await uploaded(api)
    private = (await created(api, inline(picture())))["id"]
    small, stored = inline(picture(100, 100)), {"type": "asset_id", "asset_id": photo_id}
    for fields, refused in (
        ({"type": "digital_twin", "file": stored}, (400, "invalid_parameter", "file.asset_id")),
        (
            {"type": "prompt", "prompt": "A pilot.", "reference_images": [stored, small]},
            (400, "invalid_parameter", "reference_images.1.data"),
        ),
        (
            {"type": "prompt", "prompt": "A pilot.", "avatar_id": "nobody"},
            (404, "avatar_not_found", "avatar_id"),
        ),
    ):
        assert error_of(await wish(api, **fields)) == refused
    async with caller(served, account, "other") as other:
        for fields, refused in (
            ({"type": "digital_twin", "file": stored}, (404, "asset_not_found", "file.asset_id")),
            (
                {"type": "prompt", "prompt": "A pilot.", "avatar_id": private},
                (404, "avatar_not_found", "avatar_id"),
            ),
        ):
            assert error_of(await wish(other, **fields)) == refused


async def test_footage_may_come_inside_the_request(
    api: httpx.AsyncClient, served: Context, clock: ManualClock, simulator: Simulator
) -> None:
    said = inline(FOOTAGE, "video/webm")
    assert error_of(await wish(api, type="digital_twin", file=said)) == (
        400,
        "invalid_parameter",
        "file.data",
    )
    look = await made(api, type="digital_twin", file=inline(FOOTAGE, "video/mp4"))
    assert look["preview_image_url"] is None, "footage is no picture"
    assert (await twin(api))["id"] == look["id"], "the same footage, uploaded"
    await make(served, clock)
    consent = f"{AVATARS}/{look['group_id']}/consent"
    words = {"consent_video": inline(FOOTAGE + b"yes", "video/mp4")}
    answer = await api.post(consent, json=words)
    assert answer.json()["data"]["avatar_group"]["consent_status"] == "approved", answer.text
    assert len(simulator.requests("POST", "/v3/assets")) == 2


async def test_a_twin_waits_for_consent_for_days_and_holds_up_nobody(
    api: httpx.AsyncClient, served: Context, clock: ManualClock, simulator: Simulator, account: Account
) -> None:
    look = await twin(api)
    group_id, consent = look["group_id"], f"{AVATARS}/{look['group_id']}/consent"
    assert (look["avatar_type"], look["status"]) == ("digital_twin", "processing")
    assert error_of(await api.post(consent, json={})) == (409, "resource_not_ready", None)
    await make(served, clock)
    video_id = await create_video(api, avatar_id=look["id"])
    for _ in range(3):
        clock.advance(timedelta(hours=7))
        await run_worker(served)
        shown = await read(api, f"looks/{look['id']}")
        assert (shown["status"], shown["greenroom"]["phase"]) == ("pending_consent", "pending_consent")
    assert (await read_video(api, video_id))["status"] == "pending"
    assert (await read(api, group_id))["consent_status"] == "pending"
    async with served.database.begin() as session:
        assert list(await session.scalars(select(Job).where(col(Job.slot_account_id).isnot(None)))) == []

    key = {"Idempotency-Key": "ask-1"}
    asked = [await api.post(consent, json={"consent_text": "I agree."}, headers=key) for _ in range(2)]
    assert asked[0].content == asked[1].content
    assert asked[1].headers["Idempotent-Replayed"] == "true"
    assert asked[0].headers["Location"].endswith(f"{AVATARS}/{group_id}")
    data = asked[0].json()["data"]
    assert (data["avatar_group"]["id"], data["avatar_group"]["consent_status"]) == (group_id, "pending")
    assert len(simulator.requests("POST", "/v3/avatars/")) == 1
    async with caller(served, account, "other") as other:
        assert error_of(await other.post(consent, json={})) == (404, "avatar_group_not_found", None)

    simulator.consent(data["url"].rpartition("/")[2])
    for _ in range(3):
        await make(served, clock)
        clock.advance(timedelta(minutes=10))
    shown = await read(api, f"looks/{look['id']}")
    assert (shown["status"], shown["error"]) == ("completed", None)
    assert await events_of(api, look["id"]) == ["instant_avatar.success"]
    assert (await read(api, group_id))["consent_status"] == "approved"
    assert (await read_video(api, video_id))["status"] == "completed"
    async with served.database.begin() as session:
        told = list(await session.scalars(select(col(Event.fact)).where(col(Event.job_id) == look["id"])))
    assert told.count("ConsentOwed") == 1


async def test_a_consent_of_another_body_goes_to_heygen_under_another_key(
    api: httpx.AsyncClient, served: Context, clock: ManualClock, simulator: Simulator
) -> None:
    look = await twin(api)
    await make(served, clock)
    consent = f"{AVATARS}/{look['group_id']}/consent"
    simulator.set_scenario("unknown_code", times=2, method="POST", path="/v3/avatars/")
    key = {"Idempotency-Key": "ask-1"}
    asked = [await api.post(consent, json={"consent_text": text}, headers=key) for text in ("I", "I", "We")]
    assert [answer.status_code for answer in asked] == [403, 403, 200]
    first, same, other = (row.idempotency_key for row in simulator.requests("POST", "/v3/avatars/"))
    assert first == same != other


async def test_footage_of_a_consent_that_heygen_deleted_goes_up_again_under_the_same_key(
    api: httpx.AsyncClient, served: Context, clock: ManualClock, simulator: Simulator, heygen_url: str
) -> None:
    look = await twin(api)
    await make(served, clock)
    said = (await upload(api, FOOTAGE + b"yes", "consent.mp4")).json()["data"]["asset_id"]
    ask = partial(
        api.post,
        f"{AVATARS}/{look['group_id']}/consent",
        json={"consent_video": {"type": "asset_id", "asset_id": said}},
        headers={"Idempotency-Key": "ask-1"},
    )
    simulator.set_scenario("unknown_code", times=1, method="POST", path="/v3/avatars/")
    assert (await ask()).status_code == 403
    async with at_heygen(heygen_url) as direct:
        username = (await direct.get("/v3/users/me")).json()["data"]["username"]
        copy, _ = (await direct.get(f"/v3/assets?username={username}")).json()["data"]
        await direct.delete(f"/v3/assets/{copy['id']}")
    simulator.set_scenario("replay_errors")
    assert error_of(await ask())[:2] == (409, "resource_not_ready")
    clock.advance(timedelta(minutes=3))
    assert error_of(await ask())[:2] == (409, "resource_not_ready")
    assert (await ask()).json()["data"]["avatar_group"]["consent_status"] == "approved"
    assert len(simulator.requests("POST", "/v3/assets")) == 3


async def test_footage_of_a_consent_is_brought_to_heygen_and_a_refusal_ends_the_twin(
    api: httpx.AsyncClient, served: Context, clock: ManualClock, simulator: Simulator
) -> None:
    simulator.set_scenario("consent_refused")
    look = await twin(api)
    video_id = await create_video(api, avatar_id=look["id"])
    await make(served, clock)
    said = (await upload(api, FOOTAGE + b"yes", "consent.mp4")).json()["data"]["asset_id"]
    consent = f"{AVATARS}/{look['group_id']}/consent"
    photo = {"consent_video": {"type": "asset_id", "asset_id": await uploaded(api)}}
    assert error_of(await api.post(consent, json=photo)) == (
        400,
        "invalid_parameter",
        "consent_video.asset_id",
    )
    unknown = {"consent_video": {"type": "asset_id", "asset_id": "nope"}}
    missing = await api.post(consent, json=unknown)
    assert error_of(missing) == (404, "asset_not_found", "consent_video.asset_id")
    answer = await api.post(consent, json={"consent_video": {"type": "asset_id", "asset_id": said}})
    assert answer.json()["data"]["url"] is None
    assert answer.json()["data"]["avatar_group"]["consent_status"] == "declined"
    clock.advance(timedelta(minutes=10))
    await run_worker(served)
    shown = await read(api, f"looks/{look['id']}")
    assert (shown["status"], shown["error"]["code"]) == ("failed", "consent_declined")
    assert await events_of(api, look["id"]) == ["instant_avatar.fail"]
    video = await read_video(api, video_id)
    assert (video["status"], video["failure_code"]) == ("failed", "avatar_not_usable")
