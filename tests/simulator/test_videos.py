"""The life of a simulated video, and what it costs."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from app.simulator.app import Options, Simulator
from app.simulator.filming import FilmRequest
from app.simulator.server import running
from tests.simulator.conftest import PUBLIC_LOOK, VOICE, Api, Clock, OneClip, Receiver, picture


async def test_a_video_goes_through_heygens_words(api: Api, clock: Clock) -> None:
    created = await api.create_video(title="First")
    assert created.json()["data"] == {
        "video_id": created.json()["data"]["video_id"],
        "status": "waiting",
        "output_format": "mp4",
    }
    video_id = created.json()["data"]["video_id"]
    words = []
    for seconds in (0, 3, 5):
        clock.advance(seconds)
        bulk = await api.data(f"/v3/videos/statuses?video_ids={video_id}")
        words.append(((await api.data(f"/v3/videos/{video_id}"))["status"], bulk[0]["status"]))
    assert words == [("pending", "queued"), ("processing", "processing"), ("completed", "completed")]
    video = await api.data(f"/v3/videos/{video_id}")
    assert (video["title"], video["completed_at"] - video["created_at"]) == ("First", 8)
    assert video["duration"] > 0


async def test_each_render_and_each_look_is_one_bill(api: Api, simulator: Simulator, clock: Clock) -> None:
    look_id = await api.look("Sarah", key="look-1")
    clock.advance(4)
    video_id = await api.video(avatar_id=look_id, title="Hello", key="video-1")
    bills = [(row.kind, row.job_id, row.idempotency_key, row.title) for row in simulator.ledger()]
    assert bills == [("look", look_id, "look-1", "Sarah"), ("video", video_id, "video-1", "Hello")]
    sent = simulator.requests("POST", "/v3/videos")[0]
    assert (sent.body_sha256, sent.status) == (simulator.ledger()[1].body_sha256, 200)


async def test_videos_are_found_by_a_part_of_their_title(api: Api) -> None:
    wanted = await api.video(title="a [gr:token] b")
    await api.video(title="another")
    await api.video()
    assert [video["id"] for video in await api.data("/v3/videos?title=[gr:token]")] == [wanted]


async def test_videos_are_found_by_their_folder(api: Api) -> None:
    inside, outside = await api.video(folder_id="f1"), await api.video()
    assert [video["id"] for video in await api.data("/v3/videos?folder_id=f1")] == [inside]
    assert [video["id"] for video in await api.data("/v3/videos?folder_id=")] == [outside]


async def test_statuses_keep_the_order_and_name_the_unknown(api: Api) -> None:
    first, second = await api.video(), await api.video()
    rows = await api.data(f"/v3/videos/statuses?video_ids={second}%2Cnobody,{first}")
    assert [(row["video_id"], row["status"]) for row in rows] == [
        (second, "queued"),
        ("nobody", "not_found"),
        (first, "queued"),
    ]
    assert (await api.call("GET", "/v3/videos/statuses")).status_code == 400
    many = ",".join(["x"] * 101)
    assert (await api.call("GET", f"/v3/videos/statuses?video_ids={many}")).status_code == 400


async def test_a_failed_status_carries_its_error(api: Api, clock: Clock) -> None:
    video_id = await api.video("[[fail: rendering_failed]]")
    clock.advance(8)
    (row,) = await api.data(f"/v3/videos/statuses?video_ids={video_id}")
    assert row["error"] == {"code": "rendering_failed", "message": "Avatar rendering timed out"}


async def test_a_deleted_video_is_gone_and_frees_its_place(api: Api, simulator: Simulator) -> None:
    video_id = await api.video()
    deleted = await api.call("DELETE", f"/v3/videos/{video_id}")
    assert deleted.json() == {"data": {"id": video_id, "deleted": True}}
    gone = await api.call("GET", f"/v3/videos/{video_id}")
    assert (gone.status_code, gone.json()["error"]["code"]) == (404, "video_not_found")
    assert (await api.call("DELETE", f"/v3/videos/{video_id}")).status_code == 404
    assert simulator.stats()["in_flight"] == 0
    assert len(simulator.ledger()) == 1


async def test_no_more_than_ten_jobs_are_in_flight(api: Api, simulator: Simulator, clock: Clock) -> None:
    await api.look()
    answers = await asyncio.gather(*(api.create_video() for _ in range(12)))
    refused = [answer for answer in answers if answer.status_code == 429]
    assert len(refused) == 3
    assert {answer.headers["retry-after"] for answer in refused} == {"8"}
    assert {answer.json()["error"]["code"] for answer in refused} == {"rate_limit_exceeded"}
    assert simulator.peak_in_flight() == 10
    clock.advance(4)  # the look is trained
    assert [(await api.create_video()).status_code for _ in range(2)] == [200, 429]
    clock.advance(8)
    assert (await api.create_video()).status_code == 200
    assert (simulator.peak_in_flight(), len(simulator.ledger())) == (10, 12)


@pytest.mark.parametrize(
    ("resolution", "ratio", "size"),
    [
        (None, None, (1920, 1080)),
        ("720p", "9:16", (720, 1280)),
        ("4k", "1:1", (2160, 2160)),
        ("1080p", "4:5", (1080, 1350)),
        ("720p", "5:4", (900, 720)),
        ("720p", "auto", (720, 900)),  # 600 × 800 is nearest to 4:5
    ],
)
async def test_the_film_is_asked_for_in_the_size_of_the_request(
    api: Api, filmer: OneClip, resolution: str | None, ratio: str | None, size: tuple[int, int]
) -> None:
    image = {"type": "asset_id", "asset_id": await api.upload(picture(600, 800))}
    await api.video(avatar_id=None, type="image", image=image, resolution=resolution, aspect_ratio=ratio)
    assert (filmer.asked[0].width, filmer.asked[0].height) == size


async def test_the_film_is_asked_for_with_everything_the_request_says(api: Api, filmer: OneClip) -> None:
    await api.video(
        "[[callbacks_delayed: 3]] Good day.",
        voice_settings={"speed": 1.25, "pitch": -3, "locale": "en-AU"},
        background={"type": "color", "value": "#0a0b0c"},
        remove_background=True,
        motion_prompt="nods",
        expressiveness="high",
        caption={"file_format": "srt", "style": "default"},
    )
    asked = filmer.asked[-1]
    assert (asked.script, asked.speed, asked.pitch, asked.locale) == ("Good day.", 1.25, -3, "en-AU")
    assert (asked.background, asked.remove_background, asked.caption) == ("#0a0b0c", True, True)
    assert (asked.motion_prompt, asked.expressiveness, asked.fps) == ("nods", "high", 25)
    assert asked.photo is not None
    assert asked.photo.read_bytes().startswith(b"\x89PNG")


async def test_audio_and_background_files_reach_the_film(api: Api, filmer: OneClip) -> None:
    sound = b"RIFF\x24\0\0\0WAVEfmt "
    background = {"type": "image", "asset_id": await api.upload(picture())}
    audio_id = await api.upload(sound)
    by_id: dict[str, Any] = {
        "audio_asset_id": audio_id,
        "script": None,
        "voice_id": None,
        "background": background,
    }
    assert (await api.create_video(**by_id)).status_code == 200
    link = (await api.data(f"/v3/assets/{audio_id}"))["url"]
    assert (await api.create_video(**{**by_id, "audio_asset_id": None, "audio_url": link})).status_code == 200
    for asked in filmer.asked:
        assert asked.audio is not None
        assert (asked.audio.read_bytes(), asked.script) == (sound, None)
        assert isinstance(asked.background, Path)


class PatientFilmer:
    """Films when it is told to."""

    def __init__(self, clip: Path) -> None:
        self.clip = clip
        self.may_go_on = asyncio.Event()
        self.error: Exception | None = None

    async def film(self, request: FilmRequest) -> Path:  # noqa: ARG002
        await self.may_go_on.wait()
        if self.error is not None:
            raise self.error
        return self.clip


@pytest.mark.parametrize("error", [None, RuntimeError("no light")])
async def test_a_video_ends_only_when_its_film_is_there_or_failed(
    api: Api, options: Options, filmer: OneClip, clock: Clock, error: Exception | None
) -> None:
    patient = PatientFilmer(filmer.clip)
    patient.error = error
    simulator = Simulator(replace(options, folder=options.folder / "patient", filmer=patient, concurrency=1))
    async with running(simulator) as base_url:
        slow = Api(api.http, base_url)
        video_id = await slow.video()
        clock.advance(60)
        assert (await slow.data(f"/v3/videos/{video_id}"))["status"] == "processing"
        assert (await slow.create_video()).status_code == 429
        patient.may_go_on.set()
        await slow.until(lambda: simulator.stats()["in_flight"] == 0)
        video = await slow.data(f"/v3/videos/{video_id}")
    await simulator.close()
    expected = ("completed", None, None) if error is None else ("failed", "rendering_failed", "no light")
    assert (video["status"], video["failure_code"], video["failure_message"]) == expected
    assert video["completed_at"] - video["created_at"] == (60 if error is None else 8)


BASE = {"type": "avatar", "avatar_id": PUBLIC_LOOK, "script": "Hello.", "voice_id": VOICE}


async def test_a_callback_before_the_answer_waits_for_the_film(
    api: Api, options: Options, filmer: OneClip, receiver: Receiver
) -> None:
    class ThreadFilmer:
        async def film(self, request: FilmRequest) -> Path:  # noqa: ARG002
            return await asyncio.to_thread(lambda: filmer.clip)

    simulator = Simulator(replace(options, folder=options.folder / "thread", filmer=ThreadFilmer()))
    async with running(simulator) as base_url:
        video_id = await Api(api.http, base_url).video(
            "[[callback_before_answer]]", callback_url=receiver.url
        )
    await simulator.close()
    assert receiver.seen == [("avatar_video.success", video_id)]


async def test_every_documented_field_is_accepted(api: Api, clock: Clock) -> None:
    image = {"type": "asset_id", "asset_id": await api.upload(picture())}
    shared = {
        "title": "T",
        "voice_settings": {
            "speed": 1,
            "pitch": 0,
            "volume": 1,
            "locale": "en-US",
            "engine_settings": {"engine_type": "starfish"},
        },
        "resolution": "4k",
        "aspect_ratio": "auto",
        "fit": "cover",
        "background": {"type": "color", "value": "#ffffff"},
        "remove_background": False,
        "output_format": "mp4",
        "caption": {"file_format": "srt", "style": None},
        "motion_prompt": "waves",
        "expressiveness": "low",
        "watermark": {"image": image, "scale": 1, "opacity": 0.5, "placement": {"position": "top_left"}},
        "callback_url": "https://example.com/c?k=1",
        "callback_id": "c",
        "folder_id": None,
        "audio_url": None,
    }
    avatar = await api.call("POST", "/v3/videos", json={**BASE, **shared, "engine": {"type": "avatar_iv"}})
    assert avatar.status_code == 200, avatar.text
    picture_body = {**BASE, **shared, "type": "image", "image": image}
    del picture_body["avatar_id"]
    assert (await api.call("POST", "/v3/videos", json=picture_body)).status_code == 200
