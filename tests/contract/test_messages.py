"""What our client, the simulator and our API really say keeps the contract: ours, and HeyGen's own where it is named."""

import hashlib
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import timedelta
from typing import Any

import httpx
import pytest

from app.context import Context
from app.heygen.client import HeyGen
from app.heygen.errors import Refused
from tests.api.callers import LOOK, PHOTO, PORTRAIT, VIDEO, VOICE, at_heygen, render
from tests.api.photos import FOOTAGE
from tests.api.test_voice_making import INLINE as RECORDING
from tests.clocks import ManualClock
from tests.contract.contract import ours
from tests.contract.exchanges import Exchanges
from tests.services import TLS, Receiver

PICTURE = {"type": "image", "image": PORTRAIT, "script": "Hello.", "voice_id": VOICE}
CINEMATIC = {
    "type": "cinematic_avatar",
    "prompt": "They meet.",
    "avatar_id": [LOOK],
    "references": [PORTRAIT],
}
STUDIO = {
    "type": "studio",
    "scenes": [
        {"type": "avatar_video", "input": {"type": "avatar", "avatar_id": LOOK, "script": "Hello."}},
        {"type": "image", "source": PORTRAIT, "duration": 2},
    ],
}
FAILING = VIDEO | {"script": "[[fail: rendering_failed]] Hello."}
NOBODY = "0" * 32

HOOK = {"url": "https://example.com/hook", "events": ["avatar_video.success"]}

VOICES: dict[str, dict[str, Any]] = {
    "/v3/voices": {"prompt": "A calm narrator.", "seed": 1},
    "/v3/voices/clone": {"voice_name": "Me", "audio": RECORDING, "remove_background_noise": False},
    "/v3/voices/speech": {"text": "Good morning.", "voice_id": VOICE, "speed": 1.5},
}

NOT_SERVED = {"GET /v3/assets"}


async def keep_endpoints(client: httpx.AsyncClient) -> None:
    """All that is done with webhook endpoints and events."""
    made = (await client.post("/v3/webhooks/endpoints", json=HOOK)).json()["data"]
    one = f"/v3/webhooks/endpoints/{made['endpoint_id']}"
    await client.post("/v3/webhooks/endpoints", json=HOOK | {"events": None})
    await client.get("/v3/webhooks/endpoints?limit=1")
    await client.patch(one, json={"events": ["avatar_video.fail"]})
    rotated = (await client.post(f"{one}/rotate-secret")).json()["data"]
    assert rotated["secret"] != made["secret"]
    await client.get("/v3/webhooks/event-types")
    told = (await client.get("/v3/webhooks/events?limit=1")).json()
    assert told["data"], "there is an event to show"
    await client.get(f"/v3/webhooks/events?event_type=avatar_video.success&token={told['next_token']}")
    await client.delete(one)


async def photo() -> AsyncIterator[bytes]:
    yield PHOTO.read_bytes()


async def footage() -> AsyncIterator[bytes]:
    yield FOOTAGE


async def keep_uploads(client: httpx.AsyncClient) -> None:
    """All that is done with files which are sent by a signed link."""
    content = PHOTO.read_bytes()
    sha = hashlib.sha256(content).hexdigest()
    file = {"filename": "a.png", "content_type": "image/png", "size_bytes": len(content)}
    one = (await client.post("/v3/assets/direct-uploads", json=file | {"checksum_sha256": sha})).json()[
        "data"
    ]
    batch = (await client.post("/v3/assets/direct-uploads/batches", json={"files": [file, file]})).json()[
        "data"
    ]
    async with httpx.AsyncClient(verify=TLS) as bare:
        for told in (one, batch["items"][0]):
            sent = await bare.put(told["upload_url"], content=content, headers=told["upload_headers"])
            assert sent.status_code < 300, sent.text
    await client.post(f"/v3/assets/{one['asset_id']}/complete", json={"checksum_sha256": sha})
    await client.post(f"/v3/assets/{one['asset_id']}/complete")
    await client.post("/v3/assets/complete/batches", json={"batch_id": batch["batch_id"]})
    await client.get(f"/v3/assets/batches/{batch['batch_id']}?limit=1")
    await client.get(
        f"/v3/assets/statuses?asset_ids={one['asset_id']},{NOBODY}&batch_ids={batch['batch_id']}"
    )


async def test_our_client_and_the_simulator_keep_the_contract(
    heygen: HeyGen, heygen_url: str, exchanges: Exchanges, clock: ManualClock
) -> None:
    size = PHOTO.stat().st_size
    asset_id = await heygen.upload_asset(photo(), filename="a.png", mime="image/png", size=size, key="upload")
    await heygen.get_asset(asset_id)
    body = {"type": "photo", "name": "Sarah", "file": {"type": "asset_id", "asset_id": asset_id}}
    look = await heygen.create("/v3/avatars", json.dumps(body).encode(), "look")
    clock.advance(timedelta(minutes=5))
    await heygen.get_look(look.id)
    await heygen.get_group(look.group_id or "")
    await heygen.rename_look(look.id, "Tom")
    film_id = await heygen.upload_asset(
        footage(), filename="a.mp4", mime="video/mp4", size=len(FOOTAGE), key="footage"
    )
    told = {"type": "digital_twin", "name": "Sarah", "file": {"type": "asset_id", "asset_id": film_id}}
    twin = await heygen.create("/v3/avatars", json.dumps(told).encode(), "twin")
    for number, consent in enumerate(({}, {"consent_video": told["file"]})):
        await heygen.create_consent(twin.group_id or "", consent, f"consent-{number}")
    await heygen.get_look(twin.id)
    await heygen.delete_group(twin.group_id or "")
    words = {"type": "prompt", "name": "Sarah", "prompt": "A pilot.", "avatar_id": look.id}
    await heygen.create("/v3/avatars", json.dumps(words).encode(), "words")
    await heygen.list_groups(ownership="private")
    await heygen.list_looks(avatar_type="photo_avatar", ownership="private", group_id=look.group_id)
    await heygen.list_voices(language="English", gender="female", limit=2)
    await heygen.get_voice(VOICE)
    for number, (path, told) in enumerate(VOICES.items()):
        answer = await heygen.make_voice(path, json.dumps(told).encode(), f"voice-{number}")
        if path.endswith("clone"):
            await heygen.delete_voice(answer["voice_clone_id"])
    await heygen.users_me()
    made = [
        await heygen.create("/v3/videos", json.dumps(video).encode(), f"video-{number}")
        for number, video in enumerate((VIDEO, VIDEO | {"avatar_id": look.id}, PICTURE, CINEMATIC, STUDIO))
    ]
    async with at_heygen(heygen_url) as direct:
        direct.event_hooks["response"].append(exchanges.keep)
        batch = (await direct.post("/v3/videos/batches", json={"videos": [VIDEO], "title": "One"})).json()
        batch_id = batch["data"]["batch_id"]
        clock.advance(timedelta(minutes=10))
        await keep_endpoints(direct)
        await keep_uploads(direct)
    await heygen.video_statuses([video.id for video in made])
    for video in made:
        assert (await heygen.get_video(video.id)).status == "completed"
    await heygen.list_videos(title="Greeting", limit=2)
    assert [entry["status"] for entry in await heygen.batch_statuses([batch_id])] == ["completed"]
    assert (await heygen.get_batch(batch_id, limit=100))["status"] == "completed"
    await heygen.delete_video(made[0].id)
    await heygen.delete_look(look.id)
    for wrong in ({}, {"type": "avatar", "avatar_id": NOBODY, "script": "Hello.", "voice_id": VOICE}):
        with suppress(Refused):
            await heygen.create("/v3/videos", json.dumps(wrong).encode(), "wrong")
    with pytest.raises(Refused):
        await heygen.get_video(NOBODY)

    assert exchanges.faults == []
    assert exchanges.statuses == {200, 202, 400, 404}
    assert exchanges.seen == {
        "POST /v3/assets",
        "GET /v3/assets/{asset_id}",
        "POST /v3/assets/direct-uploads",
        "POST /v3/assets/direct-uploads/batches",
        "POST /v3/assets/{asset_id}/complete",
        "POST /v3/assets/complete/batches",
        "GET /v3/assets/batches/{batch_id}",
        "GET /v3/assets/statuses",
        "POST /v3/avatars",
        "GET /v3/avatars",
        "GET /v3/avatars/{group_id}",
        "GET /v3/avatars/looks",
        "GET /v3/avatars/looks/{look_id}",
        "PATCH /v3/avatars/looks/{look_id}",
        "DELETE /v3/avatars/looks/{look_id}",
        "DELETE /v3/avatars/{group_id}",
        "POST /v3/avatars/{group_id}/consent",
        "GET /v3/voices",
        "POST /v3/voices",
        "POST /v3/voices/clone",
        "POST /v3/voices/speech",
        "DELETE /v3/voices/{voice_id}",
        "GET /v3/voices/{voice_id}",
        "GET /v3/users/me",
        "POST /v3/videos",
        "GET /v3/videos",
        "POST /v3/videos/batches",
        "GET /v3/videos/batches/{batch_id}",
        "GET /v3/videos/statuses",
        "GET /v3/videos/{video_id}",
        "DELETE /v3/videos/{video_id}",
        "POST /v3/webhooks/endpoints",
        "GET /v3/webhooks/endpoints",
        "PATCH /v3/webhooks/endpoints/{endpoint_id}",
        "DELETE /v3/webhooks/endpoints/{endpoint_id}",
        "POST /v3/webhooks/endpoints/{endpoint_id}/rotate-secret",
        "GET /v3/webhooks/event-types",
        "GET /v3/webhooks/events",
    }


async def test_our_api_keeps_the_contract(
    api: httpx.AsyncClient,
    served: Context,
    clock: ManualClock,
    receiver: Receiver,
    exchanges: Exchanges,
) -> None:
    api.event_hooks["response"].append(exchanges.keep)
    upload = await api.post("/v3/assets", files={"file": ("portrait.png", PHOTO.read_bytes())})
    asset_id = upload.json()["data"]["asset_id"]
    named = {"type": "photo", "name": "Sarah", "file": {"type": "asset_id", "asset_id": asset_id}}
    made = (await api.post("/v3/avatars", json=named)).json()["data"]
    look_id, group_id = made["avatar_item"]["id"], made["avatar_group"]["id"]
    words = {"type": "prompt", "name": "Ann", "prompt": "A pilot.", "avatar_id": look_id}
    await api.post("/v3/avatars", json=words)
    film = await api.post("/v3/assets", files={"file": ("me.mp4", FOOTAGE)})
    twin_of = {"type": "asset_id", "asset_id": film.json()["data"]["asset_id"]}
    twin = await api.post("/v3/avatars", json={"type": "digital_twin", "name": "Me", "file": twin_of})
    twin_group = f"/v3/avatars/{twin.json()['data']['avatar_group']['id']}"
    hook = {"callback_url": receiver.url, "callback_id": "4711"}
    videos = [
        (await api.post("/v3/videos", json=video | hook)).json()["data"]["video_id"]
        for video in (VIDEO, VIDEO | {"avatar_id": look_id}, PICTURE, STUDIO, FAILING)
    ]
    videos.append((await api.post("/v3/videos", json=CINEMATIC)).json()["data"]["video_id"])
    batch = (await api.post("/v3/videos/batches", json={"videos": [VIDEO]} | hook)).json()["data"]
    unfinished = (await api.post("/v3/videos", json=VIDEO)).json()["data"]["video_id"]
    paths = [
        f"/v3/assets/{asset_id}",
        "/v3/avatars?ownership=private",
        "/v3/avatars",
        f"/v3/avatars/{group_id}",
        "/v3/avatars/looks",
        "/v3/avatars/looks?ownership=private&avatar_type=photo_avatar",
        f"/v3/avatars/looks/{look_id}",
        f"/v3/avatars/looks/{LOOK}",
        "/v3/voices?limit=2",
        f"/v3/voices/{VOICE}",
        "/v3/users/me",
        "/v3/videos?limit=2",
        f"/v3/videos/statuses?video_ids={','.join((*videos, NOBODY))}",
        f"/v3/videos/statuses?batch_ids={batch['batch_id']}",
        f"/v3/videos/batches/{batch['batch_id']}?limit=1",
        *(f"/v3/videos/{video_id}" for video_id in (*videos, unfinished)),
        # refused
        f"/v3/videos/{NOBODY}",
        f"/v3/avatars/looks/{NOBODY}",
        f"/v3/voices/{NOBODY}",
        f"/v3/assets/{NOBODY}",
        "/v3/videos?limit=0",
    ]
    for path in paths:
        await api.get(path)
    await api.delete(f"/v3/videos/{unfinished}")
    await render(served, clock)
    await render(served, clock)
    for path in paths:
        await api.get(path)
    await api.post(f"{twin_group}/consent", json={"consent_text": "I agree."})
    await api.get(twin_group)
    await api.get("/v3/avatars/looks?avatar_type=digital_twin")
    await api.patch(f"/v3/avatars/looks/{look_id}", json={"name": "Tom"})
    await api.delete(f"/v3/avatars/looks/{look_id}")
    await api.delete(twin_group)
    for wrong in ({}, VIDEO | {"avatar_id": NOBODY}, VIDEO | {"script": ""}, VIDEO | {"resolution": "8k"}):
        await api.post("/v3/videos", json=wrong)
    await api.get("/v3/users/me", headers={"x-api-key": "nobody's"})
    await keep_endpoints(api)
    await keep_uploads(api)
    for path, words in VOICES.items():
        answer = await api.post(path, json=words)
        if path.endswith("clone"):
            await api.delete(f"/v3/voices/{answer.json()['data']['voice_clone_id']}")
    await api.delete(f"/v3/videos/{videos[0]}")
    await api.delete(f"/v3/assets/{asset_id}")

    assert exchanges.faults == []
    assert exchanges.statuses == {200, 202, 400, 401, 404}
    assert exchanges.seen == {str(operation) for operation in ours().operations()} - NOT_SERVED
    told = [json.loads(body) for body in receiver.bodies]
    assert {event["event_type"] for event in told} == {
        "avatar_video.success",
        "avatar_video.fail",
        "batch.finished",
    }
    assert [fault for event in told for fault in ours().webhook_faults(event)] == []
