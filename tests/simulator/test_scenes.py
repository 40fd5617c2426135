"""The simulator's cinematic and studio videos, and its batches."""

from __future__ import annotations

from typing import Any

import pytest

from app.simulator.app import Simulator
from tests.api.callers import PORTRAIT
from tests.simulator.conftest import PUBLIC_LOOK, VOICE, Api, Clock
from tests.simulator.scenes import shows

VIDEO = {"type": "avatar", "avatar_id": PUBLIC_LOOK, "script": "Hello.", "voice_id": VOICE}
CINEMATIC = {"type": "cinematic_avatar", "prompt": "They meet.", "avatar_id": [PUBLIC_LOOK]}
ACTOR = {"type": "avatar", "avatar_id": PUBLIC_LOOK, "script": "Hello."}
STILL = {"type": "image", "source": PORTRAIT, "duration": 2}


def studio(*scenes: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"type": "studio", "scenes": list(scenes)} | fields


@pytest.mark.parametrize(
    "body",
    [
        CINEMATIC | {"duration": 15, "references": [PORTRAIT], "resolution": "1080p"},
        studio({"type": "avatar_video", "input": ACTOR}, STILL, title="Two", caption={"file_format": "srt"}),
    ],
    ids=["cinematic", "studio"],
)
async def test_the_other_types_are_rendered(api: Api, clock: Clock, body: dict[str, Any]) -> None:
    answer = await api.call("POST", "/v3/videos", json=body)
    assert answer.status_code == 200, answer.text
    made = answer.json()["data"]
    assert (made["status"], made["output_format"]) == ("waiting", "mp4")
    clock.advance(8)
    video = await api.data(f"/v3/videos/{made['video_id']}")
    assert video["status"] == "completed"
    assert (await api.http.get(video["video_url"])).status_code == 200


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (CINEMATIC | {"callback_url": "https://example.com"}, "callback_url"),
        (CINEMATIC | {"prompt": ""}, "prompt"),
        (CINEMATIC | {"avatar_id": []}, "avatar_id"),
        (CINEMATIC | {"duration": 3}, "duration"),
        (CINEMATIC | {"duration": 4, "auto_duration": True}, "duration"),
        (CINEMATIC | {"references": [PORTRAIT] * 10}, "references"),
        (CINEMATIC | {"aspect_ratio": "auto"}, "aspect_ratio"),
        (studio(), "scenes"),
        (studio(STILL, output_format="webm"), "output_format"),
        (studio(STILL | {"duration": 301}), "scenes.0.image.duration"),
        (studio(STILL | {"script": "Hello."}), "scenes.0.image.duration"),
        (studio({"type": "video", "source": PORTRAIT}), "scenes.0.source"),
        (studio({"type": "avatar_video", "input": ACTOR | {"script": None}}), "scenes.0.avatar_video.input.script"),
        (
            studio({"type": "avatar_video", "input": ACTOR | {"engine": {"type": "avatar_v"}}}),
            "scenes.0.input.engine",
        ),
    ],
)  # fmt: skip
async def test_what_breaks_a_rule_is_refused(
    api: Api, simulator: Simulator, body: dict[str, Any], param: str
) -> None:
    answer = await api.call("POST", "/v3/videos", json=body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)
    assert simulator.ledger() == []


async def test_a_batch_is_made_whole_or_not_at_all_and_told_of_once(
    api: Api, simulator: Simulator, clock: Clock
) -> None:
    bad = await api.call("POST", "/v3/videos/batches", json={"videos": [VIDEO, VIDEO | {"fit": "x"}]})
    assert (bad.status_code, bad.json()["error"]["param"]) == (400, "videos.1.fit")
    assert simulator.ledger() == []
    body = {"videos": [VIDEO] * 3, "title": "Monday"}
    made = (await api.call("POST", "/v3/videos/batches", json=body)).json()["data"]
    assert (made["status"], made["total_items"], len(simulator.ledger())) == ("processing", 3, 3)
    page = await api.data(f"/v3/videos/batches/{made['batch_id']}?limit=2")
    assert ([item["item_index"] for item in page["items"]], page["has_more"]) == ([0, 1], True)
    rest = await api.data(f"/v3/videos/batches/{made['batch_id']}?limit=2&token={page['next_token']}")
    assert ([item["item_index"] for item in rest["items"]], rest["next_token"]) == ([2], None)
    clock.advance(8)
    batch = await api.data(f"/v3/videos/batches/{made['batch_id']}")
    assert (batch["status"], batch["counts_by_status"]) == ("completed", {"completed": 3})
    entries = await api.data(f"/v3/videos/statuses?batch_ids={made['batch_id']},unknown")
    assert [(entry["item_index"], entry["status"]) for entry in entries] == [
        (0, "completed"),
        (1, "completed"),
        (2, "completed"),
        (None, "not_found"),
    ]


@shows("gif")
async def test_a_gif_comes_where_it_is_asked_for(api: Api, simulator: Simulator, clock: Clock) -> None:
    video_id = await api.video()
    clock.advance(8)
    simulator.set_scenario("gif", times=1)
    link = (await api.data(f"/v3/videos/{video_id}"))["gif_url"]
    answer = await api.http.get(link)
    assert (answer.status_code, answer.content[:6]) == (200, b"GIF89a")
    assert (await api.data(f"/v3/videos/{video_id}"))["gif_url"] is None
