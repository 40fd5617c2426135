"""What HeyGen says that this version does not know is counted and told once; what it knows is neither."""

from datetime import timedelta
from typing import Any

import httpx
import pytest
import structlog

from app.context import Context
from app.heygen.contract import drift
from app.simulator.app import Simulator
from app.watchdog import MOST_NAMES, Watchdog
from tests.api.callback_bodies import event
from tests.api.callers import PORTRAIT, at_heygen, create_video, read_video, render
from tests.api.callers import VIDEO as BODY
from tests.api.callers import VOICE as VOICE_ID
from tests.api.photos import picture
from tests.clocks import ManualClock
from tests.services import run_worker

VIDEO = {"id": "v", "status": "pending", "title": None}
VOICE = {"voice_id": "v", "name": "Ada", "type": "public"}
LOOK = {"id": "l", "name": "Sarah", "avatar_type": "photo_avatar", "status": "processing"}


def names(watchdog: Watchdog) -> set[tuple[str, str, str]]:
    return {(row["kind"], row["operation"], row["name"]) for row in watchdog.report()["unknown"]}


@pytest.mark.parametrize("engine_name", ["sqlite"])
async def test_a_look_and_a_video_are_made_without_meeting_anything_unknown(
    api: httpx.AsyncClient, served: Context, clock: ManualClock, simulator: Simulator
) -> None:
    made = await api.post("/v3/avatars", json={"type": "photo", "name": "Sarah", "file": PORTRAIT})
    look_id = made.json()["data"]["avatar_item"]["id"]
    done, failed = await create_video(api, avatar_id=look_id), await create_video(api, title="[[fail]]")
    await render(served, clock)
    await simulator.send_due_callbacks()
    await render(served, clock)
    assert [(await read_video(api, video_id))["status"] for video_id in (done, failed)] == [
        "completed",
        "failed",
    ]
    asked = {request.path.partition("?")[0] for request in simulator.requests()}
    assert {"/v3/avatars", "/v3/videos", "/v3/assets"} <= asked, "the witness heard of it"
    assert served.watchdog.report() == {"unknown": [], "ignored_callbacks": {}}


@pytest.mark.parametrize("engine_name", ["sqlite"])
async def test_a_field_more_is_all_that_is_new_in_voices_assets_batches_and_lists(
    api: httpx.AsyncClient, served: Context, simulator: Simulator, heygen_url: str
) -> None:
    async with at_heygen(heygen_url) as direct:
        batch = (await direct.post("/v3/videos/batches", json={"videos": [BODY]})).json()["data"]["batch_id"]
        upload = await direct.post("/v3/assets", files={"file": ("a.png", picture(), "image/png")})
    asset = upload.json()["data"]["asset_id"]
    simulator.set_scenario("unknown_field", field="mood")
    calls: dict[str, tuple[str, Any]] = {
        "GET /v3/videos": ("/v3/videos", None),
        "GET /v3/videos/statuses": (f"/v3/videos/statuses?batch_ids={batch},none", None),
        "GET /v3/videos/batches/{id}": (f"/v3/videos/batches/{batch}", None),
        "GET /v3/avatars": ("/v3/avatars", None),
        "GET /v3/avatars/looks": ("/v3/avatars/looks", None),
        "GET /v3/voices": ("/v3/voices", None),
        "GET /v3/voices/{id}": (f"/v3/voices/{VOICE_ID}", None),
        "POST /v3/voices": ("/v3/voices", {"prompt": "A calm narrator."}),
        "POST /v3/voices/speech": ("/v3/voices/speech", {"text": "Good morning.", "voice_id": VOICE_ID}),
        "GET /v3/assets": ("/v3/assets?username=simulator", None),
        "GET /v3/assets/{id}": (f"/v3/assets/{asset}", None),
    }
    for operation, (path, body) in calls.items():
        answer = await api.request(operation.partition(" ")[0], path, json=body)
        assert answer.status_code == 200, (operation, answer.text)
    assert names(served.watchdog) == {("field", operation, "mood") for operation in calls}


@pytest.mark.parametrize("engine_name", ["sqlite"])
async def test_whatever_is_new_is_counted_told_once_and_stops_nothing(
    api: httpx.AsyncClient, served: Context, clock: ManualClock, simulator: Simulator
) -> None:
    simulator.set_scenario("deprecated", method="POST", path="/v3/videos")
    simulator.set_scenario("unknown_field", field="mood", path="/v3/videos/")
    for scenario in ("unknown_status", "unknown_event"):
        simulator.set_scenario(scenario)
    with structlog.testing.capture_logs() as lines:
        first, second = await create_video(api), await create_video(api)
        simulator.set_timeline(render_seconds=120)
        await run_worker(served)
        clock.advance(timedelta(seconds=100))
        await run_worker(served)
        clock.advance(timedelta(seconds=30))
        assert await simulator.send_due_callbacks() == 2
        await render(served, clock)
    for video_id in (first, second):
        assert (await read_video(api, video_id))["status"] == "completed"
    assert names(served.watchdog) == {
        ("header", "POST /v3/videos", "deprecation"),
        ("header", "POST /v3/videos", "sunset"),
        ("field", "GET /v3/videos/{id}", "mood"),
        ("field", "GET /v3/videos/statuses", "mood"),
        ("status", "GET /v3/videos/statuses", "composing"),
        ("event", "callback", "avatar_video.explained"),
    }
    told = [line["name"] for line in lines if line["event"] == "contract_drift"]
    assert sorted(told) == ["avatar_video.explained", "composing", "deprecation", "mood", "mood", "sunset"]
    ready = (await api.get("/readyz")).json()
    assert ready["status"] == "ready"
    assert {row["name"]: row["times"] for row in ready["contract"]["unknown"]}["sunset"] == 2


@pytest.mark.parametrize(
    ("operation", "payload", "found"),
    [
        ("GET /v3/videos/{id}", {"data": VIDEO}, []),
        ("GET /v3/videos/{id}", {"data": VIDEO | {"status": "Completed"}}, []),
        ("GET /v3/videos/{id}", {"data": VIDEO | {"status": "composing"}}, [("status", "composing")]),
        ("GET /v3/videos/{id}", {"data": VIDEO | {"status": 7}}, [("status", "(no word)")]),
        ("GET /v3/videos/{id}", {"data": {"status": "failed"}}, [("unreadable", "id")]),
        ("GET /v3/videos/{id}", {"data": []}, [("unreadable", "data")]),
        ("GET /v3/videos/{id}", None, [("unreadable", "body")]),
        ("GET /v3/avatars/looks/{id}", {"data": LOOK}, []),
        ("GET /v3/avatars/looks/{id}", {"data": LOOK | {"status": None}}, []),
        ("GET /v3/avatars/looks/{id}", {"data": LOOK | {"x\n": "a person's"}}, [("field", "(no word)")]),
        ("POST /v3/videos", {"data": {"video_id": "v", "status": "waiting"}}, []),
        ("POST /v3/videos", {"data": {"video_id": "v", "status": "asleep"}}, [("status", "asleep")]),
        ("POST /v3/avatars", {"data": {"avatar_item": LOOK, "avatar_group": None}}, []),
        ("POST /v3/avatars", {"data": {"avatar_item": None}}, [("unreadable", "avatar_item")]),
        (
            "POST /v3/avatars",
            {"data": {"avatar_item": LOOK | {"mood": 1}, "avatar_group": {"id": "g", "x": 1}, "y": 1}},
            [("field", "y"), ("field", "avatar_item.mood"), ("field", "avatar_group.x")],
        ),
        ("GET /v3/videos/statuses", {"data": [{"video_id": "v", "status": "queued"}]}, []),
        (
            "GET /v3/videos/statuses",
            {"data": [{"video_id": "v", "status": "dreaming"}]},
            [("status", "dreaming")],
        ),
        (
            "GET /v3/videos/statuses",
            {"data": [{"video_id": None, "batch_id": "b", "status": "not_found"}]},
            [],
        ),
        ("GET /v3/videos/statuses", {"data": {"entries": []}}, []),
        ("GET /v3/videos/statuses", {"data": [{"status": "failed"}]}, [("unreadable", "video_id")]),
        ("GET /v3/voices/{id}", {"data": {"voice_id": "v", "status": "complete"}}, []),
        ("GET /v3/voices/{id}", {"data": {"voice_id": "v", "status": "done"}}, [("status", "done")]),
        ("GET /v3/voices", {"data": {"voices": []}}, [("unreadable", "data")]),
        ("GET /v3/voices", {"data": [VOICE, "v"]}, [("unreadable", "data")]),
        ("GET /v3/assets", {"data": [{"name": "a"}]}, [("unreadable", "id")]),
        ("GET /v3/users/me", {"data": {"anything": 1}}, []),
    ],
)
def test_an_answer_is_compared_with_what_is_known(
    operation: str, payload: dict[str, Any] | None, found: list[tuple[str, str]]
) -> None:
    assert list(drift(operation, 200, {}, payload)) == found


@pytest.mark.parametrize(
    ("payload", "found"),
    [
        ({"error": {"code": "rate_limit_exceeded"}}, []),
        ({"error": {"code": "Not_Found"}}, []),
        ({"error": {"code": "moon_phase"}}, [("code", "moon_phase")]),
        ({"error": {"code": "c" * 10_000}}, [("code", "c" * 60)]),
        ({"error": {"code": "Dear Sarah, no."}}, [("code", "(no word)")]),
        ({"error": "text"}, []),
        ({"code": 400_123}, []),
        (None, []),
    ],
)
def test_a_refusal_is_compared_by_its_code(
    payload: dict[str, Any] | None, found: list[tuple[str, str]]
) -> None:
    assert list(drift("GET /v3/voices", 403, {}, payload)) == found


def test_names_without_end_are_counted_together_and_told_once() -> None:
    watchdog = Watchdog()
    with structlog.testing.capture_logs() as lines:
        for number in range(3 * MOST_NAMES):
            watchdog.met("field", "GET /v3/videos/{id}", f"f{number}")
        watchdog.met("field", "GET /v3/videos/{id}", "f0")
    rows = watchdog.report()["unknown"]
    assert (rows[0]["kind"], rows[0]["times"]) == ("others", 2 * MOST_NAMES)
    assert (rows[1]["name"], rows[1]["times"]) == ("f0", 2)
    assert len(rows) == len(lines) == MOST_NAMES + 1


@pytest.mark.parametrize("engine_name", ["sqlite"])
async def test_a_stranger_cannot_fill_the_counts(api: httpx.AsyncClient, served: Context) -> None:
    assert (await api.post("/callbacks/heygen/no-token", content=event("new"))).status_code == 200
    assert served.watchdog.report()["unknown"] == []
