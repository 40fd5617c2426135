"""Avatars made of words and of footage, and the consent that the latter wait for."""

from __future__ import annotations

from typing import Any

import pytest

from app.simulator.app import Simulator
from tests.simulator.conftest import PUBLIC_LOOK, Api, Clock, picture
from tests.simulator.scenes import shows

FOOTAGE = b"\x00\x00\x00\x18ftypmp42" + bytes(64)
CONSENT = "/v3/avatars/{}/consent"


async def make(api: Api, **body: Any) -> dict[str, Any]:
    """The look and the group that were made."""
    answer = await api.call("POST", "/v3/avatars", json={"name": "Sarah", **body})
    assert answer.status_code == 200, answer.text
    data: dict[str, Any] = answer.json()["data"]
    return data


async def twin(api: Api, **more: Any) -> dict[str, Any]:
    """A digital twin."""
    file = {"type": "asset_id", "asset_id": await api.upload(FOOTAGE)}
    return await make(api, type="digital_twin", file=file, **more)


async def test_each_prompt_gets_a_portrait_of_its_own(api: Api, clock: Clock) -> None:
    image = {"type": "asset_id", "asset_id": await api.upload(picture())}
    looks = [
        (await make(api, type="prompt", prompt=prompt, reference_images=[image], avatar_id=PUBLIC_LOOK))[
            "avatar_item"
        ]
        for prompt in ("A pilot", "A baker", "A pilot")
    ]
    assert looks[0]["status"] == "processing"
    clock.advance(4)
    shown = [await api.data(f"/v3/avatars/looks/{look['id']}") for look in looks]
    assert {(look["status"], look["avatar_type"]) for look in shown} == {("completed", "photo_avatar")}
    assert shown[0]["image_height"] > shown[0]["image_width"] > 0
    pilot, baker, again = [(await api.http.get(look["preview_image_url"])).content for look in shown]
    assert pilot == again != baker
    assert (await api.create_video(avatar_id=looks[0]["id"])).status_code == 200


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"type": "prompt", "prompt": ""}, "prompt"),
        ({"type": "prompt", "prompt": "x" * 1001}, "prompt"),
        ({"type": "prompt", "prompt": "x", "reference_images": [{"type": "url"}] * 4}, "reference_images"),
        ({"type": "prompt", "prompt": "x", "file": {"type": "asset_id", "asset_id": "a"}}, "file"),
        ({"type": "digital_twin"}, "files"),
        ({"type": "video"}, "type"),
    ],
)
async def test_what_makes_no_avatar_is_refused(api: Api, body: dict[str, Any], param: str) -> None:
    refused = await api.call("POST", "/v3/avatars", json={"name": "Sarah", **body})
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, param)


async def test_a_prompt_names_avatars_that_are_ready(api: Api) -> None:
    for look_id, status in ((await api.look(), 409), ("nobody", 404)):
        body = {"type": "prompt", "name": "Sarah", "prompt": "x", "avatar_id": look_id}
        assert (await api.call("POST", "/v3/avatars", json=body)).status_code == status


async def test_a_twin_is_trained_once_its_person_consented(
    api: Api, simulator: Simulator, clock: Clock
) -> None:
    made = await twin(api)
    look_path, group_id = f"/v3/avatars/looks/{made['avatar_item']['id']}", made["avatar_group"]["id"]
    assert made["avatar_item"]["avatar_type"] == "digital_twin"
    assert made["avatar_group"]["consent_status"] == "pending"
    assert simulator.stats()["in_flight"] == 0
    clock.advance(1000)
    assert (await api.data(look_path))["status"] == "pending_consent"
    early = await api.create_video(avatar_id=made["avatar_item"]["id"])
    assert (early.status_code, early.json()["error"]["code"]) == (400, "avatar_consent_required")
    body = {"consent_text": "I agree.", "reroute_url": "https://example.com/done"}
    asked = [(await api.call("POST", CONSENT.format(group_id), "k", json=body)).json()["data"] for _ in "12"]
    assert asked[0] == asked[1]
    assert asked[0]["avatar_group"]["id"] == group_id
    page = await api.http.get(asked[0]["url"])
    assert "It is pending." in page.text
    nowhere = await api.http.get(asked[0]["url"].replace(group_id, "nobody"))
    assert (nowhere.status_code, nowhere.json()["error"]["code"]) == (404, "avatar_group_not_found")
    decided = await api.http.post(asked[0]["url"], data={"decision": "approved"})
    assert (decided.status_code, decided.headers["location"]) == (303, "https://example.com/done")
    assert (await api.data(look_path))["status"] == "processing"
    clock.advance(4)
    assert (await api.data(look_path))["status"] == "completed"
    assert (await api.data(f"/v3/avatars/{group_id}"))["consent_status"] == "approved"
    assert (await api.create_video(avatar_id=made["avatar_item"]["id"])).status_code == 200
    # Its group needs no more consent.
    assert (await twin(api, avatar_group_id=group_id))["avatar_item"]["status"] == "processing"


@shows("consent_refused")
async def test_a_twin_without_consent_fails(api: Api, simulator: Simulator) -> None:
    simulator.set_scenario("consent_refused")
    made = await twin(api)
    video = {"type": "asset_id", "asset_id": await api.upload(FOOTAGE)}
    path = CONSENT.format(made["avatar_group"]["id"])
    asked = (await api.call("POST", path, json={"consent_video": video})).json()["data"]
    assert (asked["url"], asked["avatar_group"]["consent_status"]) == (None, "declined")
    look = await api.data(f"/v3/avatars/looks/{made['avatar_item']['id']}")
    assert (look["status"], look["error"]["code"]) == ("failed", "consent_declined")


async def test_consent_is_asked_for_private_groups_in_plain_text(api: Api) -> None:
    group_id = (await twin(api))["avatar_group"]["id"]
    public = (await api.data(f"/v3/avatars/looks/{PUBLIC_LOOK}"))["group_id"]
    for path, body, status in (
        (group_id, {"consent_text": "<b>"}, 400),
        (group_id, {"consent_text": "x" * 1001}, 400),
        (group_id, {"reroute_url": "nowhere"}, 400),
        (public, {}, 403),
        ("nobody", {}, 404),
    ):
        assert (await api.call("POST", CONSENT.format(path), json=body)).status_code == status
    assert (await api.call("DELETE", f"/v3/avatars/{group_id}")).json() == {"data": {"id": group_id}}
    assert (await api.call("DELETE", f"/v3/avatars/{public}")).status_code == 403


async def test_photos_and_words_need_no_consent_whoever_asks_for_it(api: Api) -> None:
    group_id = (await make(api, type="prompt", prompt="A pilot"))["avatar_group"]["id"]
    for body in ({}, {"consent_video": {"type": "asset_id", "asset_id": await api.upload(FOOTAGE)}}):
        asked = (await api.call("POST", CONSENT.format(group_id), json=body)).json()["data"]
        assert (asked["avatar_group"]["consent_status"], asked["url"]) == (None, None)
    assert (await api.data(f"/v3/avatars/{group_id}"))["consent_status"] is None
    # A twin that joins it does.
    assert (await twin(api, avatar_group_id=group_id))["avatar_item"]["status"] == "pending_consent"
