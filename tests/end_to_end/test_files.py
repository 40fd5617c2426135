"""The finished file: never promised before it is there, and still there when HeyGen's own is not."""

from dataclasses import replace

import httpx
import pytest

from app.context import Context
from tests.api.callers import create_video, fetch
from tests.end_to_end.conftest import Story
from tests.services import TLS, Receiver, serving
from tests.worker.conftest import Bench


async def test_a_video_is_neither_completed_nor_told_before_its_link_answers(
    story: Story, receiver: Receiver
) -> None:
    story.simulator.set_scenario("file_late", seconds=20)
    video_id = await story.create(callback_url=receiver.url)
    await story.pass_time(24, step=3)
    video = await story.read(video_id)
    assert (video["status"], video["video_url"], receiver.requests) == ("processing", None, [])
    assert (await story.job()).slot_account_id is None, "HeyGen is done with it"
    await story.settle()
    link = (await story.read(video_id))["video_url"]
    assert (await fetch(link)).status_code == 200
    assert len(receiver.requests) == 1


async def test_an_archived_video_outlives_heygens_links_and_heygen(story: Story) -> None:
    video_id = await story.create()
    await story.settle()
    film = (await fetch((await story.read(video_id))["video_url"])).content
    story.simulator.set_scenario("link_expired")
    story.simulator.set_scenario("outage")
    await story.pass_time(9 * 24 * 3600, step=3 * 24 * 3600)
    fresh = await fetch((await story.read(video_id))["video_url"])
    assert (fresh.status_code, fresh.content) == (200, film)


@pytest.mark.parametrize("engine_name", ["sqlite"])
async def test_with_archiving_off_the_file_comes_through_from_heygen(
    context: Context, story: Story, key: str
) -> None:
    terms = replace(context.terms, archive=False)
    async with (
        serving(replace(context, terms=terms)) as served,
        httpx.AsyncClient(base_url=served.links.api_url, headers={"x-api-key": key}, verify=TLS) as api,
    ):
        video_id = await create_video(api)
        bench = Bench(served, story.simulator, story.clock, story.tenant)
        await bench.settle()
        before = len(story.simulator.requests(files=True))
        video = (await api.get(f"/v3/videos/{video_id}")).json()["data"]
        assert (await fetch(video["video_url"])).status_code == 200
        assert video["greenroom"]["archived_at"] is None
        assert len(story.simulator.requests(files=True)) == before + 1
