"""The simulated account as a HeyGen client sees it: keys, assets, avatars, voices, pages."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import Any

import pytest

from app.simulator.app import Options, Simulator
from app.simulator.catalog import VOICES
from app.simulator.server import running
from tests.simulator.conftest import PUBLIC_LOOK, Api, Clock, picture

UNAUTHORIZED = {
    "error": {
        "code": "unauthorized",
        "message": "Unauthorized",
        "doc_url": "https://developers.heygen.com/docs/error-codes#unauthorized",
    }
}


async def test_a_missing_and_a_wrong_key_get_the_same_401(api: Api, options: Options) -> None:
    assert (await api.http.get(api.base_url + "/v3/users/me")).json() == UNAUTHORIZED
    strict = Simulator(replace(options, folder=options.folder / "strict", api_keys=frozenset({"right"})))
    async with running(strict) as base_url:
        choosy = Api(api.http, base_url)
        wrong = await choosy.call("GET", "/v3/users/me")
        right = await choosy.call("GET", "/v3/users/me", headers={"x-api-key": "right"})
        bearer = await api.http.get(base_url + "/v3/users/me", headers={"Authorization": "Bearer right"})
    await strict.close()
    assert (wrong.status_code, wrong.json()) == (401, UNAUTHORIZED)
    assert (right.status_code, bearer.status_code) == (200, 200)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v3/videos/", 404),
        ("GET", "//v3/videos", 404),
        ("GET", "/v3/videos/a%2F..%2Fb", 404),
        ("GET", "/v2/videos", 404),
        ("PUT", "/v3/videos", 405),
    ],
)
async def test_unknown_routes_answer_in_the_envelope(api: Api, method: str, path: str, status: int) -> None:
    answer = await api.call(method, path)
    assert answer.status_code == status
    assert set(answer.json()["error"]) == {"code", "message", "param", "doc_url"}


async def test_the_wallet_shrinks_by_what_the_ledger_says(api: Api, simulator: Simulator) -> None:
    before = await api.data("/v3/users/me")
    await api.video("Words to be paid for.")
    await api.look()
    after = await api.data("/v3/users/me")
    spent = sum(row.cost_usd for row in simulator.ledger())
    assert spent > 1
    left = before["wallet"]["remaining_balance"] - after["wallet"]["remaining_balance"]
    assert left == pytest.approx(spent, abs=1e-6)


async def test_a_client_can_know_that_it_is_simulated(api: Api) -> None:
    assert (await api.call("GET", "/v3/users/me")).headers["x-greenroom-simulator"] == "1"


async def test_an_asset_is_known_by_its_bytes_and_read_back(api: Api) -> None:
    photo = picture()
    created = await api.call(
        "POST", "/v3/assets", files={"file": ('o"dd.txt', photo, "application/octet-stream")}
    )
    data = created.json()["data"]
    assert (data["mime_type"], data["size_bytes"]) == ("image/png", len(photo))
    assert (await api.http.get(data["url"])).content == photo
    shown = await api.data(f"/v3/assets/{data['asset_id']}")
    assert (shown["id"], shown["type"]) == (data["asset_id"], "image")


async def test_a_deleted_asset_is_gone(api: Api) -> None:
    asset_id = await api.upload(picture())
    assert (await api.call("DELETE", f"/v3/assets/{asset_id}")).json() == {"data": {"id": asset_id}}
    assert (await api.call("DELETE", f"/v3/assets/{asset_id}")).status_code == 404
    gone = await api.create_video(
        avatar_id=None, type="image", image={"type": "asset_id", "asset_id": asset_id}
    )
    assert (gone.status_code, gone.json()["error"]["code"]) == (404, "asset_not_found")


@pytest.mark.parametrize(
    ("files", "status", "code"),
    [
        ({"other": ("a", b"x")}, 400, "invalid_parameter"),
        ({"file": ("a.png", b"just text")}, 400, "invalid_parameter"),
        ({"file": ("a.png", picture() + b"\0" * (32 << 20))}, 413, "payload_too_large"),
    ],
    ids=["no file", "text", "too large"],
)
async def test_uploads_that_are_refused(api: Api, files: dict[str, Any], status: int, code: str) -> None:
    refused = await api.call("POST", "/v3/assets", files=files)
    assert (refused.status_code, refused.json()["error"]["code"]) == (status, code)


async def test_a_look_is_trained_and_then_shows_its_picture(api: Api, clock: Clock) -> None:
    created = (await api.create_look("Sarah")).json()["data"]
    look, group = created["avatar_item"], created["avatar_group"]
    assert (look["status"], look["preview_image_url"], look["group_id"]) == ("processing", None, group["id"])
    clock.advance(4)
    look = await api.data(f"/v3/avatars/looks/{look['id']}")
    assert (look["status"], look["image_width"], look["image_height"]) == ("completed", 600, 800)
    assert (look["preferred_orientation"], look["supported_api_engines"]) == (
        "portrait",
        ["avatar_iv", "avatar_iii"],
    )
    preview = await api.http.get(look["preview_image_url"])
    assert preview.content.startswith(b"\xff\xd8\xff")


async def test_a_photo_can_come_by_link_by_id_and_in_the_body(api: Api) -> None:
    photo = picture(kind="JPEG")
    uploaded = await api.call("POST", "/v3/assets", files={"file": ("a", photo)})
    sources = [
        {"type": "url", "url": uploaded.json()["data"]["url"]},
        {"type": "asset_id", "asset_id": uploaded.json()["data"]["asset_id"]},
        {"type": "base64", "media_type": "image/jpeg", "data": base64.b64encode(photo).decode()},
    ]
    for source in sources:
        assert (await api.create_look(file=source)).status_code == 200


@pytest.mark.parametrize(
    ("source", "status", "code", "param"),
    [
        ({"type": "url", "url": "http://127.0.0.1:9/a.png"}, 400, "download_failed", "file"),
        ({"type": "url", "url": "no url"}, 400, "download_failed", "file"),
        ({"type": "asset_id", "asset_id": "nobody"}, 404, "asset_not_found", None),
        ({"type": "base64", "media_type": "image/png", "data": "%%%"}, 400, "invalid_parameter", "file.data"),
        ({"type": "base64", "media_type": "image/png", "data": "JVBERi0x"}, 400, "invalid_parameter", "file"),
        (
            {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="},
            400,
            "invalid_parameter",
            "file",
        ),
        ({"type": "url", "url": "http://a", "asset_id": "b"}, 400, "invalid_parameter", "file.asset_id"),
        ({"type": "asset_id"}, 400, "invalid_parameter", "file.asset_id"),
    ],
)
async def test_photos_that_are_refused(
    api: Api, simulator: Simulator, source: dict[str, str], status: int, code: str, param: str | None
) -> None:
    refused = await api.create_look(file=source)
    assert (refused.status_code, refused.json()["error"]["code"]) == (status, code)
    assert refused.json()["error"]["param"] == param
    assert simulator.ledger() == []


async def test_a_content_type_that_does_not_match_is_named(api: Api) -> None:
    data = base64.b64encode(picture()).decode()
    refused = await api.create_look(file={"type": "base64", "media_type": "image/jpeg", "data": data})
    assert refused.json()["error"]["message"] == "Content type not match image/jpeg != image/png"


async def test_a_look_joins_a_group_is_renamed_and_takes_the_group_along_at_last(api: Api) -> None:
    first = await api.look("One")
    group_id = (await api.data(f"/v3/avatars/looks/{first}"))["group_id"]
    second = await api.look("Two", avatar_group_id=group_id)
    assert (await api.data(f"/v3/avatars/{group_id}"))["looks_count"] == 2
    renamed = await api.call("PATCH", f"/v3/avatars/looks/{second}", json={"name": "Deux"})
    assert renamed.json()["data"]["name"] == "Deux"
    for look_id in (first, second):
        assert (await api.call("DELETE", f"/v3/avatars/looks/{look_id}")).json() == {"data": {"id": look_id}}
    assert (await api.call("GET", f"/v3/avatars/{group_id}")).json()["error"][
        "code"
    ] == "avatar_group_not_found"
    assert (await api.create_look(avatar_group_id=group_id)).status_code == 404


async def test_a_deleted_group_takes_its_looks_along(api: Api) -> None:
    look_id = await api.look()
    group_id = (await api.data(f"/v3/avatars/looks/{look_id}"))["group_id"]
    assert (await api.call("DELETE", f"/v3/avatars/{group_id}")).json() == {"data": {"id": group_id}}
    assert (await api.call("GET", f"/v3/avatars/looks/{look_id}")).json()["error"][
        "code"
    ] == "avatar_not_found"


async def test_public_looks_have_no_status_and_cannot_be_changed(api: Api) -> None:
    look = await api.data(f"/v3/avatars/looks/{PUBLIC_LOOK}")
    assert (look["status"], look["avatar_type"]) == (None, "photo_avatar")
    assert (await api.call("DELETE", f"/v3/avatars/looks/{PUBLIC_LOOK}")).status_code == 403
    assert (await api.call("DELETE", f"/v3/avatars/{look['group_id']}")).status_code == 403


async def test_looks_are_filtered(api: Api) -> None:
    mine = await api.look()
    group_id = (await api.data(f"/v3/avatars/looks/{mine}"))["group_id"]
    for query in (f"group_id={group_id}", "ownership=private"):
        assert [look["id"] for look in await api.data(f"/v3/avatars/looks?{query}")] == [mine]
    studio = await api.data("/v3/avatars/looks?avatar_type=studio_avatar")
    assert [look["avatar_type"] for look in studio] == ["studio_avatar"]
    assert len(await api.data("/v3/avatars?ownership=public")) == 3


async def test_voices_are_filtered_and_found(api: Api) -> None:
    german = await api.data("/v3/voices?language=German")
    assert [voice["name"] for voice in german] == ["Clara"]
    assert (await api.data(f"/v3/voices/{german[0]['voice_id']}")) == german[0]
    assert await api.data("/v3/voices?type=private") == []
    assert (await api.call("GET", "/v3/voices/nobody")).json()["error"]["code"] == "voice_not_found"


@pytest.mark.parametrize("path", ["/v3/videos", "/v3/voices", "/v3/avatars", "/v3/avatars/looks"])
async def test_pages_give_every_item_once(api: Api, path: str) -> None:
    for _ in range(3):
        await api.video()
    everything = (await api.call("GET", f"{path}?limit=50")).json()
    assert (everything["has_more"], everything["next_token"]) == (False, None)
    found: list[Any] = []
    token: str | None = ""
    while token is not None:
        page = (await api.call("GET", f"{path}?limit=2&token={token}")).json()
        found += page["data"]
        assert page["has_more"] == (page["next_token"] is not None)
        token = page["next_token"]
    assert found == everything["data"]
    assert len(found) >= 3


@pytest.mark.parametrize(
    ("path", "largest"),
    [("/v3/videos", 100), ("/v3/voices", 100), ("/v3/avatars", 50), ("/v3/avatars/looks", 50)],
)
async def test_pages_have_limits(api: Api, path: str, largest: int) -> None:
    for limit in ("0", str(largest + 1), "many", "9" * 30):
        refused = (await api.call("GET", f"{path}?limit={limit}")).json()["error"]
        assert (refused["param"], refused["message"]) == (
            "limit",
            f"'limit' must be between 1 and {largest}.",
        )
    assert (await api.call("GET", f"{path}?limit={largest}")).status_code == 200
    assert (await api.call("GET", f"{path}?token=nonsense")).json()["error"]["param"] == "token"


def test_voice_ids_look_like_heygens() -> None:
    assert [voice for voice in VOICES if len(voice.voice_id) != 32] == []
