"""What a video is made of: looks of ours, pictures and files of ours, and who may name them."""

import base64
import io
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx
import pytest
from PIL import Image
from sqlalchemy import select
from sqlmodel import col

from app.context import Context
from app.models import Account, Asset, Job
from app.simulator.app import Simulator
from app.simulator.filming import ASSETS
from app.stored_request import StoredRequest
from tests.api.callers import (
    LOOK,
    PHOTO,
    PORTRAIT,
    VIDEO,
    VOICE,
    at_heygen,
    caller,
    create_video,
    creates_at,
    error_of,
    read_video,
    render,
)
from tests.clocks import ManualClock
from tests.services import run_worker, serving

CREATE = "/v3/videos"
CLIP = ASSETS / "clip.mp4"
IMAGE = {"type": "image", "voice_id": VOICE, "script": "Hello there."}
WAV = b"RIFF\x24\x00\x00\x00WAVEfmt " + bytes(28)


async def create_look(api: httpx.AsyncClient, name: str = "Sarah") -> str:
    body = {"type": "photo", "name": name, "file": PORTRAIT}
    answer = await api.post("/v3/avatars", json=body)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["data"]["avatar_item"]["id"])


async def upload(api: httpx.AsyncClient, content: bytes) -> dict[str, Any]:
    answer = await api.post("/v3/assets", files={"file": ("file", content)})
    assert answer.status_code == 200, answer.text
    asset: dict[str, Any] = answer.json()["data"]
    return asset


async def asked_of(served: Context, video_id: str) -> StoredRequest:
    async with served.database.begin() as session:
        job = await session.get_one(Job, video_id)
    return StoredRequest.unseal(job.request_encrypted or b"", served.secrets)


async def waits_for(served: Context, video_id: str) -> str | None:
    async with served.database.begin() as session:
        return (await session.get_one(Job, video_id)).waits_for_id


async def test_a_video_on_a_look_in_the_making_waits_for_it(
    api: httpx.AsyncClient, served: Context, simulator: Simulator, clock: ManualClock
) -> None:
    look_id = await create_look(api)
    video_id = await create_video(api, avatar_id=look_id)
    assert await waits_for(served, video_id) == look_id
    await run_worker(served)
    assert creates_at(simulator) == 0
    clock.advance(timedelta(minutes=1))
    await run_worker(served)
    await render(served, clock)
    assert (await read_video(api, video_id))["status"] == "completed"
    assert len(simulator.ledger()) == 2

    # Ready now: nothing to wait for, and by HeyGen's id it is the same look.
    look = (await api.get(f"/v3/avatars/looks/{look_id}")).json()["data"]
    heygen_id = look["greenroom"]["heygen_avatar_id"]
    for named in (look_id, heygen_id):
        later = await create_video(api, avatar_id=named)
        assert (await asked_of(served, later)).look_id == look_id
        assert await waits_for(served, later) is None
    unsupported = VIDEO | {"avatar_id": look_id, "engine": {"type": "avatar_v"}}
    assert error_of(await api.post(CREATE, json=unsupported)) == (400, "invalid_parameter", "engine.type")
    voiceless = {key: value for key, value in VIDEO.items() if key != "voice_id"} | {"avatar_id": look_id}
    assert error_of(await api.post(CREATE, json=voiceless)) == (400, "invalid_parameter", "voice_id")


async def test_a_look_that_failed_cannot_be_used_and_its_reason_is_told(
    api: httpx.AsyncClient, served: Context, simulator: Simulator, clock: ManualClock
) -> None:
    simulator.set_scenario("look_fails", message="No face was found.")
    look_id = await create_look(api)
    waiting = await create_video(api, avatar_id=look_id)
    await render(served, clock)
    video = await read_video(api, waiting)
    assert (video["failure_code"], video["failure_message"]) == ("avatar_not_usable", "No face was found.")
    refused = await api.post(CREATE, json=VIDEO | {"avatar_id": look_id})
    assert error_of(refused) == (400, "avatar_not_usable", "avatar_id")
    assert refused.json()["error"]["message"] == "No face was found."
    assert creates_at(simulator) == 0


async def test_looks_and_files_of_another_tenant_do_not_exist(
    api: httpx.AsyncClient, served: Context, account: Account, simulator: Simulator
) -> None:
    async with caller(served, account, "other") as other:
        look_id = await create_look(other)
        asset_id = (await upload(other, PHOTO.read_bytes()))["asset_id"]
    named: list[tuple[dict[str, Any], str, str]] = [
        (VIDEO | {"avatar_id": look_id}, "avatar_not_found", "avatar_id"),
        (IMAGE | {"image": {"type": "asset_id", "asset_id": asset_id}}, "asset_not_found", "image.asset_id"),
        (
            IMAGE | {"type": "avatar", "image_asset_id": asset_id},
            "asset_not_found",
            "image_asset_id",
        ),
        (
            VIDEO | {"background": {"type": "image", "asset_id": asset_id}},
            "asset_not_found",
            "background.asset_id",
        ),
        (
            VIDEO | {"watermark": {"image": {"type": "asset_id", "asset_id": asset_id}}},
            "asset_not_found",
            "watermark.image.asset_id",
        ),
    ]
    for body, code, param in named:
        assert error_of(await api.post(CREATE, json=body)) == (404, code, param)


async def test_a_picture_may_come_as_link_as_file_of_ours_or_inside_the_request(
    api: httpx.AsyncClient, served: Context, simulator: Simulator, clock: ManualClock
) -> None:
    asset = await upload(api, PHOTO.read_bytes())
    sources = [
        {"image": {"type": "url", "url": asset["url"]}},
        {"image": {"type": "asset_id", "asset_id": asset["asset_id"]}},
        {"image": PORTRAIT},
    ]
    bodies = [IMAGE | source for source in sources]
    bodies.append({**IMAGE, "type": "avatar", "image_asset_id": asset["asset_id"]})
    ids = []
    for body in bodies:
        answer = await api.post(CREATE, json=body)
        assert answer.status_code == 200, answer.text
        ids.append(answer.json()["data"]["video_id"])
        asked = await asked_of(served, ids[-1])
        assert asked.body["image"] == {"type": "asset_id", "asset_id": asset["asset_id"]}
        assert [list(path) for path, _ in asked.assets] == [["image", "asset_id"]]
    await render(served, clock)
    assert {(await read_video(api, video_id))["status"] for video_id in ids} == {"completed"}
    assert len(simulator.requests("POST", "/v3/assets")) == 1, "the same bytes go to HeyGen once"


async def test_a_video_may_come_inside_the_request_where_a_video_will_do(
    api: httpx.AsyncClient, served: Context, simulator: Simulator, clock: ManualClock
) -> None:
    clip = {"type": "base64", "media_type": "video/mp4", "data": base64.b64encode(CLIP.read_bytes()).decode()}
    cinematic = {"type": "cinematic_avatar", "avatar_id": [LOOK], "prompt": "Two friends meet."}
    bodies: list[tuple[dict[str, Any], list[str]]] = [
        (cinematic | {"references": [PORTRAIT, clip]}, ["references", "1"]),
        ({"type": "studio", "scenes": [{"type": "video", "source": clip}]}, ["scenes", "0", "source"]),
    ]
    kept = (await upload(api, CLIP.read_bytes()))["asset_id"]
    for body, place in bodies:
        answer = await api.post(CREATE, json=body)
        assert answer.status_code == 200, answer.text
        asked = await asked_of(served, answer.json()["data"]["video_id"])
        assert kept in [asset_id for path, asset_id in asked.assets if [*path] == [*place, "asset_id"]]
    await render(served, clock)
    videos = (await api.get(CREATE)).json()["data"]
    assert [video["status"] for video in videos] == ["completed"] * 2
    for body, param in (
        (cinematic | {"references": [clip] * 4}, "references"),
        (cinematic | {"references": [clip | {"media_type": "video/webm"}]}, "references.0.data"),
        (IMAGE | {"image": clip}, "image.media_type"),
    ):
        assert error_of(await api.post(CREATE, json=body)) == (400, "invalid_parameter", param)


async def test_a_bad_picture_is_refused_and_nothing_is_kept_of_it(
    api: httpx.AsyncClient, served: Context
) -> None:
    small = io.BytesIO()
    Image.new("RGB", (64, 64)).save(small, "PNG")
    too_small = await upload(api, small.getvalue())
    unreachable = f"{served.links.api_url}/nothing.png"
    answer = await api.post(CREATE, json=IMAGE | {"image": {"type": "url", "url": unreachable}})
    assert error_of(answer) == (400, "download_failed", "image.url")
    stored = IMAGE | {"image": {"type": "asset_id", "asset_id": too_small["asset_id"]}}
    assert error_of(await api.post(CREATE, json=stored)) == (400, "invalid_parameter", "image.asset_id")
    older = IMAGE | {"type": "avatar"}
    answer = await api.post(CREATE, json=older | {"image_url": unreachable})
    assert error_of(answer) == (400, "download_failed", "image_url")
    assert answer.json()["error"]["message"].startswith("'image_url' could not be fetched")
    answer = await api.post(CREATE, json=older | {"image_asset_id": too_small["asset_id"]})
    assert error_of(answer) == (400, "invalid_parameter", "image_asset_id")
    assert answer.json()["error"]["errors"][0]["path"] == "image_asset_id"
    async with served.database.begin() as session:
        assert (await session.scalars(select(col(Job.id)))).all() == []
        assert (await session.scalars(select(col(Asset.id)))).all() == [too_small["asset_id"]]


async def test_files_of_ours_are_translated_where_they_are_named_and_must_fit(
    api: httpx.AsyncClient, served: Context, simulator: Simulator, clock: ManualClock
) -> None:
    photo = (await upload(api, PHOTO.read_bytes()))["asset_id"]
    sound = (await upload(api, WAV))["asset_id"]
    silent = {key: value for key, value in VIDEO.items() if key not in {"script", "voice_id"}}
    wrong = silent | {"audio_asset_id": photo}
    assert error_of(await api.post(CREATE, json=wrong)) == (400, "invalid_parameter", "audio_asset_id")
    wrong = VIDEO | {"background": {"type": "image", "asset_id": sound}}
    assert error_of(await api.post(CREATE, json=wrong)) == (400, "invalid_parameter", "background.asset_id")
    wrong = VIDEO | {"watermark": {"image": PORTRAIT | {"media_type": "image/jpeg"}}}
    assert error_of(await api.post(CREATE, json=wrong)) == (400, "invalid_parameter", "watermark.image.data")

    body = silent | {
        "audio_asset_id": sound,
        "background": {"type": "image", "asset_id": photo},
        "watermark": {"image": PORTRAIT, "scale": 0.5},
    }
    answer = await api.post(CREATE, json=body)
    assert answer.status_code == 200, answer.text
    asked = await asked_of(served, answer.json()["data"]["video_id"])
    assert {tuple(path): asset_id for path, asset_id in asked.assets} == {
        ("audio_asset_id",): sound,
        ("background", "asset_id"): photo,
        ("watermark", "image", "asset_id"): photo,
    }
    assert asked.body["watermark"] == {"image": {"type": "asset_id", "asset_id": photo}, "scale": 0.5}


INSIDE = {"type": "url", "url": "https://10.0.0.1/x.mp4"}
SILENT = {key: value for key, value in VIDEO.items() if key not in {"script", "voice_id"}}
NAMED: list[tuple[str, dict[str, Any], str]] = [
    (CREATE, SILENT | {"audio_url": "https://10.0.0.1/x.mp3"}, "audio_url"),
    (CREATE, VIDEO | {"background": {"type": "image", "url": "http://10.0.0.1/x.png"}}, "background.url"),
    (CREATE, VIDEO | {"watermark": {"image": INSIDE}}, "watermark.image.url"),
    (CREATE, IMAGE | {"image": INSIDE}, "image.url"),
    (CREATE, {**IMAGE, "type": "avatar", "image_url": "https://10.0.0.1/x.png"}, "image_url"),
    (
        CREATE,
        {"type": "cinematic_avatar", "avatar_id": [LOOK], "prompt": "Hi.", "references": [INSIDE]},
        "references.0.url",
    ),
    (CREATE, {"type": "studio", "scenes": [{"type": "video", "source": INSIDE}]}, "scenes.0.source.url"),
    (f"{CREATE}/batches", {"videos": [IMAGE | {"image": INSIDE}]}, "videos.0.image.url"),
    ("/v3/avatars", {"type": "digital_twin", "name": "Sarah", "file": INSIDE}, "file.url"),
    ("/v3/avatars", {"type": "photo", "name": "Sarah", "file": INSIDE}, "file.url"),
    ("/v3/avatars/g1/consent", {"consent_video": INSIDE}, "consent_video.url"),
    ("/v3/voices/clone", {"voice_name": "Mine", "audio": INSIDE}, "audio.url"),
]


@pytest.mark.parametrize("engine_name", ["sqlite"])
async def test_a_file_that_heygen_would_not_fetch_is_refused_at_once_wherever_it_is_named(
    context: Context, account: Account, simulator: Simulator
) -> None:
    terms = replace(context.terms, allow_private_destinations=False)
    async with (
        serving(replace(context, terms=terms)) as served,
        caller(served, account, "strict", account_wide=True) as strict,
    ):
        for path, body, param in NAMED:
            assert error_of(await strict.post(path, json=body)) == (400, "invalid_parameter", param)
    assert simulator.requests("POST") == []


async def test_files_that_only_heygen_knows_are_passed_on_for_who_sees_the_account(
    api: httpx.AsyncClient, served: Context, account: Account, heygen_url: str
) -> None:
    async with at_heygen(heygen_url) as direct:
        theirs = (await upload(direct, PHOTO.read_bytes()))["asset_id"]
    background = {"background": {"type": "image", "asset_id": theirs}}
    asked = await asked_of(served, await create_video(api, **background))
    assert (asked.body["background"]["asset_id"], list(asked.assets)) == (theirs, [])
    async with caller(served, account, "narrow") as narrow:
        refused = await narrow.post(CREATE, json=VIDEO | background)
    assert error_of(refused) == (404, "asset_not_found", "background.asset_id")
