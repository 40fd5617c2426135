"""The files behind the links: for whoever holds one, whole or in part, archived or not."""

from dataclasses import replace
from datetime import timedelta

import httpx
import pytest

from app.api.file_answers import Range, RangeNotSatisfiable, parse_range
from app.context import Context
from app.models import Account
from app.simulator.app import Simulator
from app.webhooks.destination import guarded_client
from tests.api.callers import caller, create_video, error_of, fetch, read_video, render
from tests.clocks import ManualClock
from tests.services import serving


@pytest.mark.parametrize(
    ("header", "wanted"),
    [
        (None, None),
        ("bytes=0-9", Range(0, 10)),
        ("bytes=10-", Range(10, 100)),
        ("bytes=90-1000", Range(90, 100)),
        ("bytes=-10", Range(90, 100)),
        ("bytes=-1000", Range(0, 100)),
        ("Bytes = 0-0", Range(0, 1)),
        ("bytes=-", None),
        ("bytes=9-0", None),
        ("bytes=a-b", None),
        ("items=0-9", None),
        ("bytes=0-0," * 100_000, None),
        ("bytes=0-1,5-6", None),
        ("bytes=١-٢", None),
        ("bytes=" + "9" * 5_000 + "-", None),
    ],
)
def test_of_the_ranges_one_is_served_and_everything_else_is_the_whole_file(
    header: str | None, wanted: Range | None
) -> None:
    assert parse_range(header, 100) == wanted


@pytest.mark.parametrize("header", ["bytes=100-", "bytes=100-200", "bytes=-0"])
def test_a_part_that_the_file_does_not_have_is_refused(header: str) -> None:
    with pytest.raises(RangeNotSatisfiable) as refused:
        parse_range(header, 100)
    assert refused.value.headers["Content-Range"] == "bytes */100"


@pytest.mark.parametrize("archive", [True, False])
@pytest.mark.parametrize("engine_name", ["sqlite"])
async def test_a_link_gives_the_file_whole_and_in_parts_to_whoever_holds_it(
    api: httpx.AsyncClient, served: Context, simulator: Simulator, clock: ManualClock, archive: bool
) -> None:
    video_id = await create_video(api, caption={"file_format": "srt"}, greenroom={"archive": archive})
    await render(served, clock)
    video = await read_video(api, video_id)
    assert (video["greenroom"]["archived_at"] is not None) == archive
    link = video["video_url"]
    before = len(simulator.requests(files=True))

    whole = await fetch(link)
    assert (whole.status_code, whole.headers["content-type"]) == (200, "video/mp4")
    assert whole.content[4:8] == b"ftyp"
    size = len(whole.content)
    assert int(whole.headers["content-length"]) == size
    assert whole.headers["content-disposition"] == f'inline; filename="{video_id}.mp4"'
    assert whole.headers["accept-ranges"] == "bytes"

    part = await fetch(link, Range="bytes=10-19")
    assert (part.status_code, part.content) == (206, whole.content[10:20])
    assert part.headers["content-range"] == f"bytes 10-19/{size}"
    tail = await fetch(link, Range="bytes=-5")
    assert (tail.status_code, tail.content) == (206, whole.content[-5:])
    several = await fetch(link, Range="bytes=0-0,5-6")
    assert (several.status_code, several.content) == (200, whole.content)
    other = await fetch(link, Range="bytes=10-19", If_Range='"another version"')
    assert (other.status_code, other.content) == (200, whole.content)
    same = await fetch(link, Range="bytes=10-19", If_Range=whole.headers["etag"])
    assert same.status_code == 206
    beyond = await fetch(link, Range=f"bytes={size}-")
    assert error_of(beyond) == (416, "invalid_parameter", "Range")

    head = await fetch(link, "HEAD")
    assert (head.status_code, head.content) == (200, b"")
    assert int(head.headers["content-length"]) == size
    assert (len(simulator.requests(files=True)) == before) == archive, "an archived file is ours to serve"

    subtitle = await fetch(video["subtitle_url"])
    assert (subtitle.status_code, subtitle.headers["content-type"]) == (200, "application/x-subrip")
    assert b"-->" in subtitle.content


async def test_a_link_that_is_altered_expired_or_for_another_file_is_forbidden(
    api: httpx.AsyncClient, served: Context, clock: ManualClock
) -> None:
    video_id, other_id = await create_video(api), await create_video(api)
    await render(served, clock)
    link = (await read_video(api, video_id))["video_url"]
    forged = [
        link[:-1] + ("0" if link[-1] != "0" else "1"),
        link.replace("variant=video", "variant=thumbnail"),
        link.replace(video_id, other_id),
        link.replace("expires=1", "expires=2"),
        link.split("&signature=")[0],
        link.replace("expires=", "nothing="),
        link.replace("expires=1", "expires=%D9%A1"),
    ]
    for wrong in forged:
        assert error_of(await fetch(wrong)) == (403, "forbidden", None), wrong
    assert (await fetch(link)).status_code == 200
    clock.advance(timedelta(days=9))
    assert error_of(await fetch(link)) == (403, "forbidden", None)
    fresh = (await read_video(api, video_id))["video_url"]
    assert (await fetch(fresh)).status_code == 200, "the file outlives its links"


async def test_a_key_opens_the_files_of_its_tenant_alone(
    api: httpx.AsyncClient, served: Context, account: Account, clock: ManualClock
) -> None:
    video_id = await create_video(api)
    await render(served, clock)
    path = f"/v3/videos/{video_id}/content"
    assert (await api.get(path)).headers["content-type"] == "video/mp4"
    assert (await api.get(path, params={"variant": "thumbnail"})).headers["content-type"] == "image/jpeg"
    assert error_of(await fetch(f"{served.links.api_url}{path}")) == (401, "unauthorized", None)
    async with caller(served, account, "other", account_wide=True) as other:
        assert error_of(await other.get(path)) == (404, "video_not_found", None)
    wrong = await api.get(path, params={"variant": "../video"})
    assert error_of(wrong) == (400, "invalid_parameter", "variant")
    absent = await api.get(path, params={"variant": "captioned"})
    assert error_of(absent) == (404, "asset_not_available", None)


async def test_there_is_no_file_before_the_video_is_done(api: httpx.AsyncClient, served: Context) -> None:
    video_id = await create_video(api)
    answer = await api.get(f"/v3/videos/{video_id}/content")
    assert error_of(answer) == (404, "asset_not_available", None)


async def test_a_file_that_heygen_alone_has_depends_on_heygen(
    api: httpx.AsyncClient, served: Context, simulator: Simulator, clock: ManualClock
) -> None:
    video_id = await create_video(api, greenroom={"archive": False})
    await render(served, clock)
    link = (await read_video(api, video_id))["video_url"]
    assert (await fetch(link)).status_code == 200
    clock.advance(timedelta(seconds=10))
    simulator.set_scenario("outage")
    assert error_of(await fetch(link)) == (503, "service_unavailable", None)
    assert (await read_video(api, video_id))["status"] == "completed"
    simulator.clear_scenarios()
    assert (await fetch(link)).status_code == 200
    clock.advance(timedelta(seconds=10))
    simulator.set_scenario("link_expired")
    assert error_of(await fetch(link)) == (404, "asset_not_available", None)


async def test_a_file_that_our_storage_lost_comes_from_heygen(
    api: httpx.AsyncClient, served: Context, simulator: Simulator, clock: ManualClock
) -> None:
    video_id = await create_video(api)
    await render(served, clock)
    link = (await read_video(api, video_id))["video_url"]
    archived = await fetch(link)
    for epoch in range(3):
        await served.storage.delete(f"videos/{video_id}/video-{epoch}")
    assert (await fetch(link)).content == archived.content


@pytest.mark.parametrize("engine_name", ["sqlite"])
async def test_a_file_host_that_may_not_be_reached_is_a_503(
    api: httpx.AsyncClient, served: Context, clock: ManualClock
) -> None:
    video_id = await create_video(api, greenroom={"archive": False})
    await render(served, clock)
    link = (await read_video(api, video_id))["video_url"]
    async with (
        guarded_client(allow_private=False) as guarded,  # the simulator's files stand on the loopback address
        serving(replace(served, files=guarded)) as strict,
    ):
        answer = await fetch(link.replace(served.links.api_url, strict.links.api_url))
    assert error_of(answer) == (503, "service_unavailable", None)
