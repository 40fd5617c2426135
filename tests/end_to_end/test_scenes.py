"""Cinematic and studio videos: what a caller names deep inside is what HeyGen finds there, once it is ready."""

import json
from typing import Any

import pytest
from sqlalchemy import select

from app.models import AssetUpload
from app.simulator.filming import ASSETS
from tests.api.callers import LOOK, PHOTO, PORTRAIT, VOICE, fetch
from tests.end_to_end.conftest import Story
from tests.end_to_end.test_fields import spoken

CLIP = ASSETS / "clip.mp4"


async def upload(story: Story, content: bytes) -> str:
    answer = await story.api.post("/v3/assets", files={"file": ("file", content)})
    return str(answer.json()["data"]["asset_id"])


async def create(story: Story, **body: Any) -> str:
    answer = await story.api.post("/v3/videos", json=body)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["data"]["video_id"])


async def sent(story: Story, video_id: str) -> dict[str, Any]:
    """What HeyGen was asked for."""
    (send,) = [it for it in await story.submissions() if it.job_id == video_id]
    assert send.body_encrypted is not None
    body: dict[str, Any] = json.loads(story.context.secrets.decrypt(send.body_encrypted))
    return body


def asset(asset_id: str) -> dict[str, str]:
    return {"type": "asset_id", "asset_id": asset_id}


async def test_what_stands_in_scenes_and_lists_is_translated_and_waited_for(story: Story) -> None:
    photo, sound, clip = [
        await upload(story, content) for content in (PHOTO.read_bytes(), spoken(), CLIP.read_bytes())
    ]
    first = await story.create_look()
    story.simulator.set_scenario("look_not_ready", seconds=60, match="Later")
    second = await story.create_look(name="Later", greenroom={"reuse": False})
    story.simulator.set_timeline(render_seconds=120)
    cinematic = await create(
        story,
        type="cinematic_avatar",
        prompt="Two friends meet.",
        avatar_id=[first, LOOK, second],
        references=[asset(photo), asset(clip), PORTRAIT],
        duration=8,
        title="Friends",
    )
    actor = {"type": "avatar", "voice_id": VOICE, "script": "Hi."}
    studio = await create(
        story,
        type="studio",
        title="Scenes",
        callback_id="mine",
        watermark={"image": asset(photo), "scale": 0.5},
        caption={"file_format": "srt", "style": "default"},
        scenes=[
            {"type": "avatar_video", "input": actor | {"avatar_id": first}},
            {"type": "image", "source": PORTRAIT, "audio_asset_id": sound},
            {"type": "avatar_video", "input": actor | {"avatar_id": second}},
            {"type": "video", "source": asset(clip), "playback": {"mute": True}},
        ],
    )  # fmt: skip
    waits = {job.id: job.waits_for_id for job in await story.jobs()}
    assert (waits[cinematic], waits[studio]) == (first, first)
    await story.work()
    await story.pass_time(20)
    waits = {job.id: job.waits_for_id for job in await story.jobs()}
    assert (waits[cinematic], waits[studio]) == (second, second), "the first is ready, the next is not"
    await story.pass_time(80)
    bodies = await sent(story, cinematic), await sent(story, studio)

    looks = [(await story.api.get(f"/v3/avatars/looks/{it}")).json()["data"] for it in (first, second)]
    heygens = [look["greenroom"]["heygen_avatar_id"] for look in looks]
    async with story.context.database.begin() as session:
        files = {it.asset_id: it.heygen_asset_id for it in await session.scalars(select(AssetUpload))}
    assert bodies[0]["avatar_id"] == [heygens[0], LOOK, heygens[1]]
    assert bodies[0]["references"] == [asset(files[it]) for it in (photo, clip, photo)]
    assert {"callback_url", "callback_id"}.isdisjoint(bodies[0]), "HeyGen would refuse them"
    scenes = bodies[1]["scenes"]
    assert [scenes[index]["input"]["avatar_id"] for index in (0, 2)] == heygens
    assert (scenes[1]["source"], scenes[1]["audio_asset_id"]) == (asset(files[photo]), files[sound])
    assert scenes[3] == {"type": "video", "source": asset(files[clip]), "playback": {"mute": True}}
    assert bodies[1]["watermark"] == {"image": asset(files[photo]), "scale": 0.5}
    assert bodies[1]["callback_id"] == studio
    await story.settle()
    for video_id in (cinematic, studio):
        assert (await story.read(video_id))["status"] == "completed"
    assert len(story.bills()) == 2


@pytest.mark.parametrize("engine_name", ["sqlite"])
async def test_one_look_that_fails_ends_a_video_that_waits_for_another(story: Story) -> None:
    first = await story.create_look()
    story.simulator.set_scenario("look_fails", match="Bad", message="No face was found.")
    bad = await story.create_look(name="Bad", greenroom={"reuse": False})
    video_id = await create(story, type="cinematic_avatar", prompt="Two meet.", avatar_id=[first, bad])
    await story.settle()
    video = await story.read(video_id)
    assert (video["failure_code"], video["failure_message"]) == ("avatar_not_usable", "No face was found.")
    assert story.bills() == []


@pytest.mark.parametrize("engine_name", ["sqlite"])
async def test_what_a_scene_names_must_be_there_and_fit(story: Story) -> None:
    photo, clip = await upload(story, PHOTO.read_bytes()), await upload(story, CLIP.read_bytes())
    refused: list[tuple[dict[str, Any], int, str]] = [
        ({"scenes": [{"type": "video", "source": asset(photo)}]}, 400, "scenes.0.source.asset_id"),
        ({"scenes": [{"type": "image", "source": asset(clip), "duration": 1}]}, 400, "scenes.0.source.asset_id"),
        (
            {"scenes": [{"type": "avatar_video", "input": {"type": "avatar", "avatar_id": "nobody", "script": "Hi."}}]},
            404,
            "scenes.0.input.avatar_id",
        ),
        (
            {"scenes": [{"type": "video", "source": asset(clip), "script": "Hi.", "voice_id": "nobodys"}]},
            404,
            "scenes.0.voice_id",
        ),
    ]  # fmt: skip
    for body, status, param in refused:
        answer = await story.api.post("/v3/videos", json={"type": "studio"} | body)
        assert (answer.status_code, answer.json()["error"]["param"]) == (status, param)
    many = {"type": "cinematic_avatar", "prompt": "Hi.", "avatar_id": [LOOK]}
    for references in ([asset(clip)] * 4, [asset(photo)] * 10, [asset(photo)] * 9 + [PORTRAIT]):
        answer = await story.api.post("/v3/videos", json=many | {"references": references})
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, "references")
    assert await story.jobs() == []


@pytest.mark.parametrize("engine_name", ["sqlite"])
async def test_every_file_that_heygen_made_has_a_link_of_ours_and_outlives_heygens(story: Story) -> None:
    fields = {"captioned_video_url", "subtitle_url", "thumbnail_url", "gif_url"}
    plain = await story.create()
    await story.settle()
    video = await story.read(plain)
    assert {field for field in fields if video[field]} == {"thumbnail_url"}, "only what HeyGen made"
    story.simulator.set_scenario("gif")
    rich = await story.create(caption={"file_format": "srt", "style": "default"})
    await story.settle()
    video = await story.read(rich)
    told = (await story.api.get("/v3/webhooks/events")).json()["data"]
    assert [event["event_data"]["gif_download_url"] for event in told] == [video["gif_url"], None]
    files = {field: await fetch(video[field]) for field in fields}
    assert {field: (it.status_code, it.headers["content-type"].partition(";")[0]) for field, it in files.items()} == {
        "captioned_video_url": (200, "video/mp4"),
        "subtitle_url": (200, "application/x-subrip"),
        "thumbnail_url": (200, "image/jpeg"),
        "gif_url": (200, "image/gif"),
    }  # fmt: skip
    story.simulator.set_scenario("outage")
    for field, before in files.items():
        after = await fetch((await story.read(rich))[field])
        assert (after.status_code, after.content) == (200, before.content), field
