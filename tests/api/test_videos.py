"""`/v3/videos`, as a caller meets it: what is accepted, what is shown, what ends a video."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import select, update
from sqlmodel import col

from app.context import Context
from app.models import Account, File, Job
from app.simulator.app import Simulator
from tests.api.callers import (
    VIDEO,
    caller,
    create_video,
    creates_at,
    error_of,
    fetch,
    read_video,
    render,
)
from tests.clocks import ManualClock
from tests.services import run_worker, serving

CREATE = "/v3/videos"
FIELDS = {
    "id",
    "title",
    "status",
    "created_at",
    "completed_at",
    "video_url",
    "captioned_video_url",
    "subtitle_url",
    "thumbnail_url",
    "gif_url",
    "duration",
    "folder_id",
    "output_language",
    "failure_code",
    "failure_message",
    "video_page_url",
    "greenroom",
}


async def test_a_video_is_accepted_at_once_and_followed_to_its_end(
    api: httpx.AsyncClient, served: Context, simulator: Simulator, clock: ManualClock
) -> None:
    asked = {"priority": 3, "metadata": {"order": 7, "note": None}, "deadline": "2026-03-02T12:00:00+01:00"}
    answer = await api.post(CREATE, json=VIDEO | {"output_format": "mp4", "greenroom": asked})
    data = answer.json()["data"]
    assert data == {"video_id": data["video_id"], "status": "waiting", "output_format": "mp4"}
    assert answer.headers["location"] == f"{served.links.api_url}/v3/videos/{data['video_id']}"
    assert creates_at(simulator) == 0, "the caller does not wait for HeyGen"

    reads = await asyncio.gather(*(read_video(api, data["video_id"]) for _ in range(50)))
    assert all(video == reads[0] for video in reads)
    assert set(reads[0]) == FIELDS
    assert (reads[0]["status"], reads[0]["greenroom"]["phase"]) == ("pending", "queued")
    assert (reads[0]["created_at"], reads[0]["completed_at"]) == (int(clock.now().timestamp()), None)

    await run_worker(served)
    rendering = await read_video(api, data["video_id"])
    assert (rendering["status"], rendering["greenroom"]["attempts"]) == ("processing", 1)

    clock.advance(timedelta(minutes=10))
    await run_worker(served)
    video = await read_video(api, data["video_id"])
    assert (video["status"], video["title"]) == ("completed", "Greeting")
    assert video["completed_at"] == int(clock.now().timestamp())
    assert video["duration"] > 0
    assert video["video_url"].startswith(f"{served.links.api_url}/v3/videos/{video['id']}/content?")
    assert (video["captioned_video_url"], video["subtitle_url"], video["failure_code"]) == (None, None, None)
    ours = video["greenroom"]
    assert len(ours.pop("heygen_video_id")) == 32
    assert ours == {
        "phase": "completed",
        "attempts": 1,
        "completed_by": "poll",
        "metadata": {"order": 7, "note": None},
        "archived_at": "2026-03-02T09:40:00Z",
        "expires_at": "2026-03-10T00:00:00Z",
        "simulated": True,
        "billable": True,
    }


async def test_what_was_asked_for_is_kept_for_the_worker(
    api: httpx.AsyncClient, served: Context, clock: ManualClock
) -> None:
    await create_video(
        api,
        folder_id="f1",
        callback_url="https://example.com/done",
        callback_id="c1",
        greenroom={"priority": 10, "deadline": "2026-03-09T09:30:00Z", "archive": False},
    )
    await create_video(api)
    async with served.database.begin() as session:
        asked, plain = (await session.scalars(select(Job).order_by(col(Job.id)))).all()
    assert (asked.rank, asked.archive, asked.folder_id) == (-10, False, "f1")
    assert (asked.callback_url, asked.callback_id) == ("https://example.com/done", "c1")
    assert (asked.deadline_at, plain.deadline_at) == (
        clock.now() + timedelta(days=7),
        clock.now() + timedelta(days=1),
    )
    assert (plain.rank, plain.archive, plain.callback_url) == (0, True, None)
    assert asked.title_token != asked.callback_token_sha256
    assert b"Hello there." not in (asked.request_encrypted or b"")


async def test_a_failed_render_says_why(api: httpx.AsyncClient, served: Context, clock: ManualClock) -> None:
    video_id = await create_video(api, script="Hello. [[fail: rendering_failed]]")
    await render(served, clock)
    video = await read_video(api, video_id)
    assert (video["status"], video["failure_code"]) == ("failed", "rendering_failed")
    assert video["failure_message"]
    assert (video["video_url"], video["completed_at"]) == (None, None)
    entry = (await api.get("/v3/videos/statuses", params={"video_ids": video_id})).json()["data"][0]
    assert entry["error"] == {"code": "rendering_failed", "message": video["failure_message"]}


@pytest.mark.parametrize("engine_name", ["sqlite"])
async def test_whatever_a_caller_can_get_wrong_is_refused_before_anything_is_stored(
    api: httpx.AsyncClient, simulator: Simulator, served: Context
) -> None:
    cases: list[tuple[dict[str, Any], tuple[int, str, str | None]]] = [
        ({"script": None}, (400, "invalid_parameter", "script")),
        ({"unknown": 1}, (400, "invalid_parameter", "unknown")),
        ({"type": "talking_photo"}, (400, "invalid_parameter", "type")),
        (
            {"expressiveness": "high", "engine": {"type": "avatar_iii"}},
            (400, "invalid_parameter", "expressiveness"),
        ),
        ({"avatar_id": "nobody"}, (404, "avatar_not_found", "avatar_id")),
        ({"avatar_id": "../looks"}, (404, "avatar_not_found", "avatar_id")),
        ({"voice_id": "nobodys"}, (404, "voice_not_found", "voice_id")),
        ({"engine": {"type": "avatar_v"}}, (400, "invalid_parameter", "engine.type")),
        (
            {"voice_settings": {"engine_settings": {"engine_type": "elevenlabs"}}},
            (400, "invalid_parameter", "voice_settings.engine_settings.engine_type"),
        ),
        ({"callback_url": "https://user@example.com/"}, (400, "invalid_parameter", "callback_url")),
        ({"callback_url": "ftp://example.com/"}, (400, "invalid_parameter", "callback_url")),
        (
            {"greenroom": {"deadline": "2026-03-02T09:30:59Z"}},
            (400, "invalid_parameter", "greenroom.deadline"),
        ),
        (
            {"greenroom": {"deadline": "2026-03-09T09:30:01Z"}},
            (400, "invalid_parameter", "greenroom.deadline"),
        ),
        ({"greenroom": {"tenant_id": "x"}}, (400, "invalid_parameter", "greenroom.tenant_id")),
        (
            {"engine": {"type": "avatar_v", "reference_look_id": "nobody"}},
            (404, "avatar_not_found", "engine.reference_look_id"),
        ),
    ]
    for changes, expected in cases:
        body = {key: value for key, value in (VIDEO | changes).items() if value is not None}
        assert error_of(await api.post(CREATE, json=body)) == expected, changes
    assert (await api.get(CREATE)).json()["data"] == []
    await run_worker(served)
    assert creates_at(simulator) == 0


async def test_private_callback_urls_are_refused_where_the_operator_does_not_allow_them(
    context: Context, account: Account
) -> None:
    terms = replace(context.terms, allow_private_destinations=False)
    async with (
        serving(replace(context, terms=terms)) as served,
        caller(served, account, "strict") as strict,
    ):
        for url in ("http://example.com/", "https://127.0.0.1/", "https://169.254.169.254/x"):
            answer = await strict.post(CREATE, json=VIDEO | {"callback_url": url})
            assert error_of(answer) == (400, "invalid_parameter", "callback_url"), url


async def test_test_renders_only_where_there_is_a_simulator(context: Context, account: Account) -> None:
    real = {account.id: replace(context.connections[account.id], simulated=False)}
    async with serving(replace(context, connections=real)) as served, caller(served, account, "x") as api:
        refused = await api.post(CREATE, json=VIDEO | {"test": True})
        assert error_of(refused) == (400, "invalid_parameter", "test")
        assert (await api.post(CREATE, json=VIDEO | {"test": False})).status_code == 200
    async with serving(context) as served, caller(served, account, "y") as api:
        assert (await api.post(CREATE, json=VIDEO | {"test": True})).status_code == 200


# --- what ends a video ---------------------------------------------------------------------------------------------


async def test_a_canceled_video_is_never_sent_and_reads_failed(
    api: httpx.AsyncClient, served: Context, simulator: Simulator
) -> None:
    video_id = await create_video(api)
    first = await api.post(f"/v3/videos/{video_id}/cancel")
    ours = {"phase": "canceled", "billable": False}
    assert first.json() == {"data": {"id": video_id, "status": "failed", "greenroom": ours}}
    again = await api.post(f"/v3/videos/{video_id}/cancel")
    assert (again.status_code, again.json()) == (200, first.json())
    video = await read_video(api, video_id)
    assert (video["status"], video["failure_code"]) == ("failed", "canceled")
    await run_worker(served)
    assert creates_at(simulator) == 0


async def test_canceling_what_heygen_has_is_billable_and_its_late_result_is_kept(
    api: httpx.AsyncClient, served: Context, clock: ManualClock
) -> None:
    video_id = await create_video(api)
    await run_worker(served)
    canceled = await api.post(f"/v3/videos/{video_id}/cancel")
    assert canceled.json()["data"]["greenroom"] == {"phase": "canceled", "billable": True}
    assert "late_video_url" not in (await read_video(api, video_id))["greenroom"]
    clock.advance(timedelta(minutes=10))
    await run_worker(served)
    video = await read_video(api, video_id)
    assert (video["status"], video["video_url"], video["failure_code"]) == ("failed", None, "canceled")
    file = await fetch(video["greenroom"]["late_video_url"])
    assert (file.status_code, file.headers["content-type"]) == (200, "video/mp4")


async def test_a_finished_video_cannot_be_canceled(
    api: httpx.AsyncClient, served: Context, clock: ManualClock
) -> None:
    video_id = await create_video(api)
    await render(served, clock)
    answer = await api.post(f"/v3/videos/{video_id}/cancel")
    assert error_of(answer) == (409, "conflict", None)
    assert "completed already" in answer.json()["error"]["message"]


async def test_a_deleted_video_is_hidden_at_once_and_deleted_at_heygen(
    api: httpx.AsyncClient, served: Context, simulator: Simulator, clock: ManualClock
) -> None:
    video_id = await create_video(api)
    await render(served, clock)
    link = (await read_video(api, video_id))["video_url"]
    heygen_id = (await read_video(api, video_id))["greenroom"]["heygen_video_id"]

    deleted = await api.delete(f"/v3/videos/{video_id}")
    assert deleted.json() == {"data": {"id": video_id, "deleted": True}}
    for path in (f"/v3/videos/{video_id}", f"/v3/videos/{heygen_id}", link):
        assert error_of(await api.get(path)) == (404, "video_not_found", None)
    assert (await api.get(CREATE)).json()["data"] == []
    assert error_of(await api.post(f"/v3/videos/{video_id}/cancel"))[0] == 404

    await run_worker(served)
    assert [row.path for row in simulator.requests("DELETE")] == [f"/v3/videos/{heygen_id}"]
    clock.advance(timedelta(hours=24))
    assert (await api.delete(f"/v3/videos/{video_id}")).json() == deleted.json()
    clock.advance(timedelta(seconds=1))
    assert error_of(await api.delete(f"/v3/videos/{video_id}")) == (404, "video_not_found", None)


async def test_deleting_what_waits_cancels_it(
    api: httpx.AsyncClient, served: Context, simulator: Simulator
) -> None:
    video_id = await create_video(api)
    for _ in range(2):
        assert (await api.delete(f"/v3/videos/{video_id}")).status_code == 200
    assert error_of(await api.get(f"/v3/videos/{video_id}"))[0] == 404
    await run_worker(served)
    assert creates_at(simulator) == 0


# --- caching -------------------------------------------------------------------------------------------------------


async def test_an_unchanged_video_has_an_unchanged_answer_and_a_changed_one_another(
    api: httpx.AsyncClient, served: Context, clock: ManualClock
) -> None:
    video_id = await create_video(api)
    path = f"/v3/videos/{video_id}"
    waiting = await api.get(path)
    await render(served, clock)
    done = await api.get(path, headers={"If-None-Match": waiting.headers["etag"]})
    assert done.status_code == 200
    clock.advance(timedelta(hours=2))
    for named in (done.headers["etag"], f'"x", W/{done.headers["etag"]}', "*"):
        same = await api.get(path, headers={"If-None-Match": named})
        assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", done.headers["etag"])
    assert (await api.get(path)).content == done.content
    clock.advance(timedelta(days=1))
    tomorrow = await api.get(path, headers={"If-None-Match": done.headers["etag"]})
    assert tomorrow.status_code == 200, "its links are new ones"


async def test_archiving_changes_the_answer_as_well(
    api: httpx.AsyncClient, served: Context, clock: ManualClock
) -> None:
    video_id = await create_video(api, greenroom={"archive": False})
    await render(served, clock)
    before = await api.get(f"/v3/videos/{video_id}")
    assert before.json()["data"]["greenroom"]["archived_at"] is None
    async with served.database.begin() as session:
        await session.execute(update(File).values(due_at=clock.now()))
    await run_worker(served)
    headers = {"If-None-Match": before.headers["etag"]}
    after = await api.get(f"/v3/videos/{video_id}", headers=headers)
    assert after.json()["data"]["greenroom"]["archived_at"] == "2026-03-02T09:40:00Z"
