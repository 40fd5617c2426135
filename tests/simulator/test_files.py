"""The file host: signed links, ranges, expiry."""

from __future__ import annotations

import io
import re
from typing import Any

import pytest
from PIL import Image

from app.simulator.app import Simulator
from tests.simulator.conftest import PUBLIC_LOOK, VOICE, Api, Clock, OneClip

CAPTION = {"style": "default"}


async def finished(api: Api, clock: Clock, script: str = "Hello.", **fields: Any) -> dict[str, Any]:
    video_id = await api.video(script, **fields)
    clock.advance(8)
    video: dict[str, Any] = await api.data(f"/v3/videos/{video_id}")
    return video


async def test_a_link_needs_no_key_and_gives_the_whole_film(api: Api, clock: Clock, filmer: OneClip) -> None:
    video = await finished(api, clock)
    answer = await api.http.get(video["video_url"])
    assert (answer.status_code, answer.content) == (200, filmer.clip.read_bytes())
    head = await api.http.head(video["video_url"])
    assert (head.status_code, head.headers["content-length"], head.content) == (200, "10240", b"")


async def test_a_part_of_a_file_can_be_asked_for(api: Api, clock: Clock) -> None:
    video = await finished(api, clock)
    part = await api.http.get(video["video_url"], headers={"Range": "bytes=1-3"})
    assert (part.status_code, part.content, part.headers["content-range"]) == (
        206,
        b"\1\2\3",
        "bytes 1-3/10240",
    )


async def test_a_link_expires_after_seven_days_and_is_made_anew_by_a_read(api: Api, clock: Clock) -> None:
    video = await finished(api, clock)
    clock.advance(7 * 86400 - 1)
    assert (await api.http.get(video["video_url"])).status_code == 200
    clock.advance(1)
    assert (await api.http.get(video["video_url"])).status_code == 403
    fresh = await api.data(f"/v3/videos/{video['id']}")
    assert fresh["video_url"] != video["video_url"]
    assert (await api.http.get(fresh["video_url"])).status_code == 200


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (r"Expires=\d+", "Expires=99999999999"),
        (r"Expires=\d+", "Expires=soon"),
        (r"Signature=\w+", "Signature=00"),
        (r"Signature=\w+", "Signature=%C3%A4"),
        (r"video\.mp4", "captioned.mp4"),
        (r"\?.*", ""),
    ],
)
async def test_an_altered_link_opens_nothing(api: Api, clock: Clock, old: str, new: str) -> None:
    link = (await finished(api, clock, caption=CAPTION))["video_url"]
    assert (await api.http.get(re.sub(old, new, link))).status_code == 403


async def test_captions_are_real_subtitles(api: Api, clock: Clock) -> None:
    words = "Here are so many words that they do not fit into one single line of any subtitle."
    video = await finished(api, clock, f"{words} <break time='1s'/> [[callbacks_lost]]", caption=CAPTION)
    text = (await api.http.get(video["subtitle_url"])).text
    cues = re.findall(r"^(\d+)\n(\d\d:\d\d:\d\d,\d{3}) --> (\d\d:\d\d:\d\d,\d{3})\n(.+)$", text, re.MULTILINE)
    assert [number for number, *_ in cues] == ["1", "2"]
    assert (cues[0][1], cues[0][2]) == ("00:00:00,000", cues[1][1])
    assert " ".join(line for *_, line in cues) == words


@pytest.mark.parametrize("kind", ["avatar", "studio"])
async def test_captions_are_burned_into_a_cut_of_its_own(
    api: Api, clock: Clock, filmer: OneClip, kind: str
) -> None:
    scene = {"type": "avatar", "avatar_id": PUBLIC_LOOK, "voice_id": VOICE, "script": "Hello."}
    scenes = [{"type": "avatar_video", "input": scene}] * 2
    body = {"type": "studio", "scenes": scenes} if kind == "studio" else scene
    made = await api.call("POST", "/v3/videos", json=body | {"caption": CAPTION})
    clock.advance(8)
    video = await api.data(f"/v3/videos/{made.json()['data']['video_id']}")
    for field, film in (("video_url", filmer.clip), ("captioned_video_url", filmer.captioned)):
        assert (await api.http.get(video[field])).content == film.read_bytes(), field
    plain, captioned = filmer.asked
    assert {it.caption for it in (plain, *plain.then)} == {False}
    assert {it.caption for it in (captioned, *captioned.then)} == {True}


async def test_a_sidecar_alone_burns_nothing_in(api: Api, clock: Clock, filmer: OneClip) -> None:
    video = await finished(api, clock, caption={})
    assert video["subtitle_url"]
    assert (video["captioned_video_url"], filmer.asked[0].caption) == (None, False)


async def test_the_thumbnail_is_a_small_jpeg(api: Api, clock: Clock) -> None:
    video = await finished(api, clock)
    answer = await api.http.get(video["thumbnail_url"])
    assert answer.headers["content-type"] == "image/jpeg"
    with Image.open(io.BytesIO(answer.content)) as thumbnail:
        assert (thumbnail.format, thumbnail.size) == ("JPEG", (360, 640))


async def test_downloads_are_logged_apart_from_api_calls(
    api: Api, simulator: Simulator, clock: Clock
) -> None:
    video = await finished(api, clock)
    await api.http.get(video["video_url"])
    assert [row.path for row in simulator.requests(path_prefix="/files/")] == []
    (download,) = simulator.requests(files=True)
    assert (download.method, download.status) == ("GET", 200)
    assert download.path == video["video_url"].removeprefix(api.base_url)
