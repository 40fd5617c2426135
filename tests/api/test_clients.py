"""What an unmodified HeyGen client demands of the server it talks to."""

import asyncio
import json
from dataclasses import replace
from datetime import timedelta

import httpx
import pytest

from app.context import Context
from app.models import Account, Asset, Endpoint, Event, Group, Job, Look
from app.simulator.app import Simulator
from tests.api.callers import (
    LOOK,
    PHOTO,
    PORTRAIT,
    VIDEO,
    caller,
    create_video,
    creates_at,
    error_of,
    fetch,
    read_video,
    render,
)
from tests.api.test_voice_making import SAY, SPEECH, clone
from tests.clocks import ManualClock
from tests.services import run_worker, serving
from tests.worker.test_plans import ID, NEW, copy


async def test_a_client_needs_no_header_but_its_key_and_may_send_any_other(served: Context, key: str) -> None:
    request = (
        "POST /v3/videos HTTP/1.1\r\nHost: greenroom\r\nX-API-KEY: {key}\r\nX-Heygen-Source: cli\r\n"
        "X-Heygen-Client-Version: 9.9.9\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n"
        "Connection: close\r\n\r\n{body}"
    )
    body = json.dumps(VIDEO | {"folder_id": None, "script": "a < b"}, sort_keys=True).replace("<", "\\u003c")
    status, answer = await spoken(served, request.format(key=key, length=len(body), body=body))
    assert status == 200
    assert isinstance(answer["data"]["video_id"], str)
    assert isinstance(answer["data"]["status"], str)


async def test_fifty_readers_find_a_video_right_after_it_was_created(api: httpx.AsyncClient) -> None:
    video_id = await create_video(api)
    answers = await asyncio.gather(*(api.get(f"/v3/videos/{video_id}") for _ in range(50)))
    assert {answer.status_code for answer in answers} == {200}
    assert {answer.json()["data"]["status"] for answer in answers} == {"pending"}


async def test_another_replica_finds_a_video_right_after_it_was_created(
    context: Context, api: httpx.AsyncClient
) -> None:
    async with serving(context) as replica:
        video_id = await create_video(api)
        elsewhere = await asyncio.gather(
            *(api.get(f"{replica.links.api_url}/v3/videos/{video_id}") for _ in range(50))
        )
    assert {answer.status_code for answer in elsewhere} == {200}


async def test_waiting_costs_nothing_upstream_and_nothing_of_the_creates(
    api: httpx.AsyncClient, served: Context, simulator: Simulator
) -> None:
    video_id = await create_video(api)
    await run_worker(served)
    before = len(simulator.requests())
    for _ in range(30):
        assert (await read_video(api, video_id))["status"] in {"pending", "processing"}
    assert len(simulator.requests()) == before


# How long a page is that nobody asked to be of any length.
PAGES = {
    "videos": 10,
    "assets?username=acme": 20,
    "avatars": 20,
    "avatars/looks": 20,
    "webhooks/endpoints": 10,
    "webhooks/events": 10,
}


@pytest.mark.parametrize("engine_name", ["sqlite"])
async def test_a_list_without_a_limit_is_as_long_as_at_heygen(
    api: httpx.AsyncClient, served: Context, simulator: Simulator
) -> None:
    batch = (await api.post("/v3/videos/batches", json={"videos": [VIDEO] * 101})).json()["data"]
    await api.post("/v3/assets", files={"file": ("a.png", PHOTO.read_bytes())})
    await api.post("/v3/webhooks/endpoints", json={"url": "https://hooks.example.com/heygen"})
    await api.post("/v3/avatars", json={"type": "prompt", "name": "Ann", "prompt": "A pilot."})
    await api.post(f"/v3/videos/{batch['items'][0]['video_id']}/cancel")
    async with served.database.begin() as session:
        await copy(session, Job, 1, 20, **NEW)
        await copy(session, Group, 1, 20, id=ID)
        await copy(session, Look, 1, 20, id=ID, group_id=ID, reuse_hash=None)
        await copy(session, Asset, 1, 20, id=ID, sha256=ID)
        await copy(session, Endpoint, 1, 10, id=ID)
        await copy(session, Event, 1, 10, id=ID, number=lambda number: number + 100)
    for path, length in PAGES.items():
        page = (await api.get(f"/v3/{path}")).json()
        assert (len(page["data"]), page["has_more"]) == (length, True), path
    items = (await api.get(f"/v3/videos/batches/{batch['batch_id']}")).json()["data"]
    assert (len(items["items"]), items["has_more"]) == (100, True)
    await api.get("/v3/voices")
    assert "limit=20" in simulator.requests("GET", "/v3/voices")[-1].path, "HeyGen has them all"


async def test_every_success_is_a_json_object(
    api: httpx.AsyncClient, served: Context, clock: ManualClock
) -> None:
    video_id, other = await create_video(api), await create_video(api)
    upload = await api.post(
        "/v3/assets", files={"file": ('odd name;"é.bin', PHOTO.read_bytes(), "application/octet-stream")}
    )
    asset_id = upload.json()["data"]["asset_id"]
    answers = [
        upload,
        await api.post(f"/v3/videos/{other}/cancel"),
        await api.delete(f"/v3/videos/{other}"),
        await api.delete(f"/v3/videos/{other}"),  # repeated after a lost answer
        await api.delete(f"/v3/assets/{asset_id}"),
        *[
            await api.get(f"/v3/{path}")
            for path in ("videos", "voices", "avatars", "avatars/looks", "users/me")
        ],
        await api.get(f"/v3/videos/statuses?video_ids={video_id}%2C{other}"),
    ]
    for answer in answers:
        check_object(answer)
    assert len(answers[-1].json()["data"]) == 2, "an encoded comma is a comma"


@pytest.mark.parametrize("engine_name", ["sqlite"])
async def test_every_delete_and_every_202_is_a_json_object_too(api: httpx.AsyncClient) -> None:
    pilot = {"type": "prompt", "prompt": "A pilot.", "name": "Ann", "greenroom": {"reuse": False}}
    looks = [(await api.post("/v3/avatars", json=pilot)).json()["data"]["avatar_item"] for _ in range(2)]
    hook = (await api.post("/v3/webhooks/endpoints", json={"url": "https://example.com/hook"})).json()["data"]
    announced = {"filename": "a.pdf", "content_type": "application/pdf", "size_bytes": 9}
    batch = (await api.post("/v3/assets/direct-uploads/batches", json={"files": [announced]})).json()["data"]
    [item] = batch["items"]
    check_object(await fetch(item["upload_url"], "PUT", b"%PDF-1.7\n", Content_Type="application/pdf"))
    named = {"batch_id": batch["batch_id"]}
    check_object(await api.post("/v3/assets/complete/batches", json=named), 202)
    check_object(await api.post("/v3/videos", json=VIDEO, headers={"Prefer": "respond-async"}), 202)
    for path in (
        f"assets/{item['asset_id']}",
        f"avatars/looks/{looks[0]['id']}",
        f"avatars/{looks[1]['group_id']}",
        f"voices/{await clone(api)}",
        f"webhooks/endpoints/{hook['endpoint_id']}",
    ):
        check_object(await api.delete(f"/v3/{path}"))


def check_object(answer: httpx.Response, status: int = 200) -> None:
    """It is an object in JSON, without a byte-order mark."""
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/json"), answer.url
    assert answer.content.startswith(b"{")


# What the client's tables show of each list; whole seconds where its schema says integer.
COLUMNS = {
    "videos": ("id", "title", "status", "created_at"),
    "avatars": ("id", "name", "looks_count", "created_at"),
    "avatars/looks": ("id", "name", "avatar_type"),
    "voices": ("voice_id", "name", "language", "gender"),
    "webhooks/endpoints": ("endpoint_id", "url", "events", "status"),
    "webhooks/event-types": ("event_type", "description"),
    "webhooks/events": ("event_id", "event_type", "created_at"),
    "assets?username=acme": ("id", "name", "type", "owner", "uploaded_at"),
}


async def test_every_list_fills_the_columns_that_the_client_shows(
    api: httpx.AsyncClient, served: Context, clock: ManualClock
) -> None:
    await api.post("/v3/assets", files={"file": ("portrait.png", PHOTO.read_bytes())})
    await api.post("/v3/avatars", json={"type": "photo", "name": "Sarah", "file": PORTRAIT})
    endpoint = {"url": "https://hooks.example.com/heygen"}
    assert (await api.post("/v3/webhooks/endpoints", json=endpoint)).status_code == 200
    await create_video(api)
    for _ in range(2):
        await render(served, clock)
    for path, columns in COLUMNS.items():
        items = (await api.get(f"/v3/{path}")).json()["data"]
        assert items, path
        for item in items:
            assert all(item[column] not in (None, "") for column in columns), (path, item)
            whole = [column for column in ("looks_count", "uploaded_at") if column in columns]
            assert all(isinstance(item[column], int) for column in whole), (path, item)


async def test_a_video_that_reads_completed_can_be_downloaded_at_once_and_stays_as_it_is(
    api: httpx.AsyncClient, served: Context, clock: ManualClock
) -> None:
    video_id = await create_video(api)
    await render(served, clock)
    video = await read_video(api, video_id)
    assert video["status"] == "completed"
    for _ in range(2):
        film = await fetch(video["video_url"])
        assert film.status_code == 200
        assert int(film.headers["content-length"]) == len(film.content) > 0
    again = await read_video(api, video_id)
    assert again == video
    clock.advance(timedelta(days=1))
    fresh = (await read_video(api, video_id))["video_url"]
    assert fresh != video["video_url"]
    assert [(await fetch(link)).status_code for link in (fresh, video["video_url"])] == [200, 200]
    clock.advance(timedelta(days=7))
    expired = await fetch(video["video_url"])
    assert (expired.status_code, expired.json()["error"]["code"]) == (403, "forbidden")
    assert (await fetch((await read_video(api, video_id))["video_url"])).status_code == 200


async def test_a_create_that_was_turned_away_twice_makes_one_video(
    api: httpx.AsyncClient, served: Context, simulator: Simulator, clock: ManualClock
) -> None:
    simulator.set_scenario("rate_limited", times=2, seconds=1)
    video_id = await create_video(api)
    for _ in range(4):
        await render(served, clock)
    assert (await read_video(api, video_id))["status"] == "completed"
    assert creates_at(simulator) == 3
    assert len(simulator.ledger()) == 1


async def test_a_client_that_hangs_up_has_ordered_one_video_and_finds_it_by_its_title(
    context: Context, account: Account
) -> None:
    stored, gone = asyncio.Event(), asyncio.Event()

    async def hold(point: str) -> None:
        if point == "accept.stored":
            stored.set()
            await gone.wait()

    async with serving(replace(context, failpoint=hold)) as served, caller(served, account, "hasty") as api:
        body = json.dumps(VIDEO | {"title": "Hung up on"})
        host, port = served.links.api_url.removeprefix("http://").split(":")
        _, writer = await asyncio.open_connection(host, int(port))
        head = f"POST /v3/videos HTTP/1.1\r\nHost: greenroom\r\nX-Api-Key: {api.headers['x-api-key']}\r\n"
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write(f"{head}{body}".encode())
        await asyncio.wait_for(stored.wait(), 30)
        writer.close()
        await writer.wait_closed()
        gone.set()
        found = (await api.get("/v3/videos?title=Hung")).json()["data"]
    assert [video["title"] for video in found] == ["Hung up on"]


async def test_a_wait_that_failed_says_why(
    api: httpx.AsyncClient, served: Context, clock: ManualClock
) -> None:
    video_id = await create_video(api, script="[[fail: rendering_failed]] Hello.")
    await render(served, clock)
    video = await read_video(api, video_id)
    assert (video["status"], video["failure_code"]) == ("failed", "rendering_failed")
    assert video["failure_message"]


async def test_the_code_and_the_status_tell_the_client_what_to_do(
    api: httpx.AsyncClient, simulator: Simulator
) -> None:
    for path, code in (("videos", "video"), ("avatars/looks", "avatar"), ("voices", "voice")):
        assert error_of(await api.get(f"/v3/{path}/{'0' * 32}"))[:2] == (404, f"{code}_not_found")
    assert error_of(await api.delete(f"/v3/avatars/looks/{LOOK}"))[:2] == (403, "forbidden")
    simulator.set_scenario("unknown_code", code="plan_upgrade_required", status=402.0, path=SPEECH)
    assert error_of(await api.post(SPEECH, json=SAY))[:2] == (402, "plan_upgrade_required")
    simulator.set_scenario("unknown_code", code="ai_vendor_access_restricted", path=SPEECH)
    assert error_of(await api.post(SPEECH, json=SAY))[:2] == (403, "ai_vendor_access_restricted")


async def spoken(served: Context, request: str) -> tuple[int, dict[str, dict[str, object]]]:
    """The status and body of the answer to these very bytes."""
    host, port = served.links.api_url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(request.encode())
    head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    await writer.wait_closed()
    return int(head.split()[1]), json.loads(body)
