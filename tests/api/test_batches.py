"""`/v3/videos/batches`: many videos in one request, all of them stored or none."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select, update
from sqlmodel import col

from app.context import Context
from app.models import Account, Batch, Event, Job
from app.simulator.app import Simulator
from tests.api.callers import (
    LOOK,
    PHOTO,
    PORTRAIT,
    STUDIO_LOOK,
    VIDEO,
    VOICE,
    at_heygen,
    caller,
    error_of,
    render,
)
from tests.clocks import ManualClock
from tests.services import Receiver, serving

BATCHES = "/v3/videos/batches"
FAILING = VIDEO | {"script": "[[fail: rendering_failed]] Hello."}
NOBODY = "0" * 32


async def create(api: httpx.AsyncClient, *videos: dict[str, Any], **fields: Any) -> dict[str, Any]:
    answer = await api.post(BATCHES, json={"videos": list(videos)} | fields)
    assert answer.status_code == 200, answer.text
    made: dict[str, Any] = answer.json()["data"]
    return made


async def read(api: httpx.AsyncClient, batch_id: str, **query: Any) -> dict[str, Any]:
    answer = await api.get(f"{BATCHES}/{batch_id}", params=query)
    assert answer.status_code == 200, answer.text
    batch: dict[str, Any] = answer.json()["data"]
    return batch


async def stored(served: Context) -> int:
    """Rows of jobs and batches."""
    async with served.database.begin() as session:
        counts = [await session.scalar(select(func.count()).select_from(table)) for table in (Job, Batch)]
    return sum(filter(None, counts))


async def test_a_batch_is_many_videos_and_one_event_at_its_end(
    api: httpx.AsyncClient,
    served: Context,
    simulator: Simulator,
    clock: ManualClock,
    receiver: Receiver,
    account: Account,
) -> None:
    asset = (await api.post("/v3/assets", files={"file": ("a.png", PHOTO.read_bytes())})).json()["data"]
    picture = {"type": "image", "image": {"type": "asset_id", "asset_id": asset["asset_id"]}, "script": "Hi."}
    videos = [VIDEO, picture | {"voice_id": VOICE}, FAILING | {"greenroom": {"priority": 3}}]
    hook = {"callback_url": receiver.url, "callback_id": "4711"}
    options = {"priority": -5, "metadata": {"order": 7}}
    body = {"videos": videos, "title": "Monday", "folder_id": "f1", "greenroom": options} | hook
    first = await api.post(BATCHES, json=body, headers={"Idempotency-Key": "monday"})
    again = await api.post(BATCHES, json=body, headers={"Idempotency-Key": "monday"})
    assert (first.status_code, again.content) == (200, first.content)
    made = first.json()["data"]
    assert first.headers["Location"].endswith(f"{BATCHES}/{made['batch_id']}")
    assert [item["item_index"] for item in made["items"]] == [0, 1, 2]
    assert (made["status"], made["total_items"]) == ("processing", 3)
    async with served.database.begin() as session:
        ranks = {job.batch_index: job.rank for job in await session.scalars(select(Job))}
    assert ranks == {0: 5, 1: 5, 2: -3}, "what the batch says holds for those that say nothing"

    ids = [item["video_id"] for item in made["items"]]
    page = await read(api, made["batch_id"], limit=2)
    assert ([item["video_id"] for item in page["items"]], page["has_more"]) == (ids[:2], True)
    rest = await read(api, made["batch_id"], limit=2, token=page["next_token"])
    assert ([item["video_id"] for item in rest["items"]], rest["next_token"]) == (ids[2:], None)
    assert page["counts_by_status"] == {"queued": 3, "processing": 0, "completed": 0, "failed": 0}
    for wrong in ({"token": page["next_token"] + "x"}, {"limit": 0}, {"limit": 101}):
        assert (await api.get(f"{BATCHES}/{made['batch_id']}", params=wrong)).status_code == 400

    await render(served, clock)
    await render(served, clock)
    batch = await read(api, made["batch_id"])
    assert batch["status"] == "completed"
    assert batch["counts_by_status"] == {"queued": 0, "processing": 0, "completed": 2, "failed": 1}
    assert [item["status"] for item in batch["items"]] == ["completed", "completed", "failed"]
    assert batch["items"][2]["error"]["code"] == "rendering_failed"
    assert batch["greenroom"]["metadata"] == {"order": 7}

    (event,) = (await api.get("/v3/webhooks/events?event_type=batch.finished")).json()["data"]
    assert event["event_data"]["batch_id"] == made["batch_id"]
    of_batch = f"/v3/webhooks/events?entity_id={made['batch_id']}"
    for path in (of_batch, f"{of_batch}&event_type=batch.finished", f"{of_batch}&undelivered=false"):
        assert (await api.get(path)).json()["data"] == [event]
    assert (await api.get(f"{of_batch}&event_type=avatar_video.success")).json()["data"] == []
    async with caller(served, account, "other") as other:
        assert (await other.get(of_batch)).json()["data"] == []
    assert len(simulator.ledger()) == 3
    video = (await api.get(f"/v3/videos/{ids[0]}")).json()["data"]
    assert (video["folder_id"], video["greenroom"]["metadata"]) == ("f1", None)
    (told,) = [httpx.Response(200, content=body).json() for body in receiver.bodies]
    assert told == {
        "event_type": "batch.finished",
        "event_data": {
            "batch_id": made["batch_id"],
            "status": "completed",
            "title": "Monday",
            "total_items": 3,
            "counts_by_status": {"completed": 2, "failed": 1},
            "callback_id": "4711",
        },
    }

    asked = {"video_ids": ids[0], "batch_ids": f"{made['batch_id']},{NOBODY}"}
    entries = (await api.get("/v3/videos/statuses", params=asked)).json()["data"]
    assert [(it["video_id"], it["batch_id"], it["item_index"], it["status"]) for it in entries] == [
        (ids[0], made["batch_id"], 0, "completed"),
        *((video_id, made["batch_id"], index, word) for index, (video_id, word) in enumerate(
            zip(ids, ("completed", "completed", "failed"), strict=True)
        )),
        (None, NOBODY, None, "not_found"),
    ]  # fmt: skip
    too_many = {"video_ids": ",".join(map(str, range(100))), "batch_ids": NOBODY}
    assert error_of(await api.get("/v3/videos/statuses", params=too_many))[0] == 400


@pytest.mark.parametrize("engine_name", ["sqlite"])
async def test_no_answer_tells_of_more_items_than_it_can_hold(
    api: httpx.AsyncClient, served: Context
) -> None:
    batch_ids = [(await create(api, VIDEO))["batch_id"] for _ in range(2)]
    asked = {"batch_ids": ",".join(batch_ids)}
    for size, status in ((2_500, 200), (2_501, 400)):
        async with served.database.begin() as session:
            await session.execute(update(Batch).values(total=size))
        answer = await api.get("/v3/videos/statuses", params=asked)
        assert answer.status_code == status, answer.text
    assert error_of(answer)[2] == "batch_ids"
    assert "5000 items" in answer.json()["error"]["message"]


@pytest.mark.parametrize("engine_name", ["sqlite"])
async def test_one_bad_item_stores_none_and_every_fault_is_named(
    api: httpx.AsyncClient, served: Context, simulator: Simulator
) -> None:
    async def faults(*videos: Any, **fields: Any) -> list[tuple[str, str, str]]:
        answer = await api.post(BATCHES, json={"videos": list(videos)} | fields)
        assert answer.status_code == 400, answer.text
        error = answer.json()["error"]
        told = error.get("errors") or [error | {"path": error["param"]}]
        return [(fault["path"], fault["code"], fault["message"]) for fault in told]

    bad = "invalid_parameter"
    assert await faults(VIDEO, VIDEO | {"script": "", "fit": "x"}, 7) == [
        ("videos.2", bad, "'videos.2' must be an object.")
    ]
    assert await faults(VIDEO, VIDEO | {"script": "", "fit": "x"}, VIDEO | {"script": None}, {}) == [
        ("videos.1.script", bad, "'videos.1.script' must not be empty."),
        ("videos.1.fit", bad, "'videos.1.fit' must be 'contain' or 'cover'."),
        (
            "videos.2.script",
            bad,
            "In 'videos.2': Exactly one of 'script', 'audio_url' or 'audio_asset_id' must be provided.",
        ),
        (
            "videos.3.type",
            bad,
            "'videos.3.type' is required: it must be 'avatar', 'image', 'cinematic_avatar' or 'studio'.",
        ),
    ]
    assert [path for path, *_ in await faults(*[VIDEO | {"script": ""}] * 30)] == [
        f"videos.{index}.script" for index in range(20)
    ]
    image = {"type": "image", "image": PORTRAIT, "script": "Hi.", "voice_id": VOICE}
    assert [path for path, *_ in await faults(VIDEO, image, VIDEO | {"folder_id": "f"})] == [
        "videos.1.image",
        "videos.2.folder_id",
    ]
    unknown = await faults(
        VIDEO | {"avatar_id": NOBODY},
        VIDEO,
        VIDEO | {"voice_id": NOBODY},
        VIDEO | {"avatar_id": STUDIO_LOOK, "expressiveness": "high"},
        VIDEO | {"callback_url": "ftp://example.com"},
    )
    assert [fault[:2] for fault in unknown] == [("videos.4.callback_url", bad)]
    unknown = await faults(
        VIDEO | {"avatar_id": NOBODY},
        VIDEO,
        VIDEO | {"voice_id": NOBODY},
        VIDEO | {"avatar_id": STUDIO_LOOK, "expressiveness": "high"},
        VIDEO | {"greenroom": {"deadline": "2026-03-02T09:30:59Z"}},
    )
    assert [fault[:2] for fault in unknown] == [
        ("videos.0.avatar_id", "avatar_not_found"),
        ("videos.2.voice_id", "voice_not_found"),
        ("videos.3.expressiveness", bad),
        ("videos.4.greenroom.deadline", bad),
    ]
    assert [path for path, *_ in await faults()] == ["videos"]
    assert [path for path, *_ in await faults(*[VIDEO] * 1001)] == ["videos"]
    assert [path for path, *_ in await faults(VIDEO, mood="good", title="a\nb")] == ["title", "mood"]
    assert [path for path, *_ in await faults(VIDEO, callback_url="https://user@example.com/")] == [
        "callback_url"
    ]
    assert await stored(served) == 0
    assert simulator.ledger() == []


@pytest.mark.parametrize("engine_name", ["sqlite"])
async def test_a_batch_of_another_tenant_does_not_exist_and_one_of_heygens_is_shown_to_its_account(
    api: httpx.AsyncClient, served: Context, account: Account, heygen_url: str
) -> None:
    made = await create(api, VIDEO)
    async with at_heygen(heygen_url) as direct:
        theirs = await create(direct, VIDEO, VIDEO)
    async with caller(served, account, "other") as other:
        assert error_of(await other.get(f"{BATCHES}/{made['batch_id']}")) == (404, "resource_not_found", None)
        asked = {"batch_ids": made["batch_id"]}
        (entry,) = (await other.get("/v3/videos/statuses", params=asked)).json()["data"]
        assert (entry["status"], entry["video_id"]) == ("not_found", None)
        assert (await other.get(f"{BATCHES}/{theirs['batch_id']}")).status_code == 404
    page = await read(api, theirs["batch_id"], limit=1)
    assert (page["total_items"], len(page["items"]), page["has_more"]) == (2, 1, True)
    assert len((await read(api, theirs["batch_id"], token=page["next_token"]))["items"]) == 1
    asked = {"batch_ids": f"{made['batch_id']},{theirs['batch_id']}"}
    entries = (await api.get("/v3/videos/statuses", params=asked)).json()["data"]
    assert [entry["batch_id"] for entry in entries] == [made["batch_id"], *[theirs["batch_id"]] * 2]
    assert error_of(await api.get(f"{BATCHES}/{NOBODY}")) == (404, "resource_not_found", None)


@pytest.mark.parametrize("engine_name", ["sqlite"])
async def test_each_item_takes_a_place_in_the_queue(context: Context, account: Account) -> None:
    narrow = replace(context, terms=replace(context.terms, queue_limit=3))
    async with serving(narrow) as served, caller(served, account, "narrow") as api:
        await create(api, VIDEO, VIDEO)
        refused = await api.post(BATCHES, json={"videos": [VIDEO, VIDEO]})
        assert (refused.status_code, refused.headers["Retry-After"]) == (429, "30")
        await create(api, VIDEO)
        assert await stored(served) == 5


async def test_whatever_ends_an_item_counts_once_and_the_last_one_ends_the_batch(
    api: httpx.AsyncClient, served: Context, simulator: Simulator, clock: ManualClock, receiver: Receiver
) -> None:
    """Deleted while it waits, canceled while HeyGen renders it, too late, and completed: then what comes late."""
    simulator.set_timeline(render_seconds=7200)
    simulator.set_scenario("stuck", match="[stuck]")
    soon = {"deadline": (clock.now() + timedelta(hours=1)).isoformat()}
    made = await create(
        api,
        VIDEO,
        VIDEO,
        VIDEO | {"script": "[stuck] Hi.", "greenroom": soon},
        VIDEO,
        callback_url=receiver.url,
    )
    deleted, canceled, late, last = (item["video_id"] for item in made["items"])

    async def left() -> int:
        async with served.database.begin() as session:
            return (await session.scalars(select(col(Batch.open)))).one()

    assert (await api.delete(f"/v3/videos/{deleted}")).status_code == 200
    assert await left() == 3
    await render(served, clock)
    assert (await api.post(f"/v3/videos/{canceled}/cancel")).json()["data"]["greenroom"]["billable"]
    assert await left() == 2
    assert (await api.delete(f"/v3/videos/{canceled}")).status_code == 200, "it has ended already"
    assert await left() == 2
    clock.advance(timedelta(hours=1))
    await render(served, clock)
    assert await left() == 1
    assert receiver.bodies == []
    clock.advance(timedelta(hours=2))
    await render(served, clock)
    await render(served, clock)
    batch = await read(api, made["batch_id"])
    assert (batch["status"], await left()) == ("completed", 0)
    assert [item["status"] for item in batch["items"]] == ["not_found", "not_found", "failed", "completed"]
    assert batch["items"][2]["error"]["code"] == "deadline_exceeded"
    assert (await api.get(f"/v3/videos/{late}")).json()["data"]["status"] == "failed"
    assert (await api.get(f"/v3/videos/{last}")).json()["data"]["status"] == "completed"
    assert len(receiver.bodies) == 1
    async with served.database.begin() as session:
        finished = select(func.count()).select_from(Event).where(col(Event.type) == "batch.finished")
        assert await session.scalar(finished) == 1


@pytest.mark.parametrize("engine_name", ["sqlite"])
async def test_a_batch_of_failures_has_failed(
    api: httpx.AsyncClient, served: Context, clock: ManualClock
) -> None:
    made = await create(api, FAILING, FAILING | {"avatar_id": LOOK})
    await render(served, clock)
    await render(served, clock)
    assert (await read(api, made["batch_id"]))["status"] == "failed"
