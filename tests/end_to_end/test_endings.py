"""Videos that do not come to their caller: what HeyGen still does for them, holds of them and is told."""

import json
from datetime import timedelta

from tests.api.callers import fetch
from tests.end_to_end.conftest import Story
from tests.services import Receiver


async def test_a_canceled_render_keeps_its_slot_until_heygen_is_done_with_it(
    story: Story, receiver: Receiver
) -> None:
    story.simulator.set_timeline(render_seconds=300)
    running = [await story.create(callback_url=receiver.url) for _ in range(10)]
    await story.work()
    waiting = await story.create()
    for video_id in running[:3]:
        canceled = (await story.api.post(f"/v3/videos/{video_id}/cancel")).json()["data"]
        assert canceled["greenroom"]["billable"] is True
    await story.pass_time(240, step=80)
    assert (await story.read(waiting))["greenroom"]["phase"] == "queued"
    assert len(story.bills()) == 10
    assert [json.loads(body)["event_data"]["failure_code"] for body in receiver.bodies] == ["canceled"] * 3
    await story.settle(step=80)
    await story.pass_time(600, step=300)
    assert (await story.read(waiting))["status"] == "completed"
    assert story.simulator.peak_in_flight() == 10
    assert {job.slot_account_id for job in await story.jobs()} == {None}
    assert len(receiver.requests) == 10, "a late result is nobody's news"
    late = await story.read(running[0])
    assert late["status"] == "failed"
    assert (await fetch(late["greenroom"]["late_video_url"])).status_code == 200


async def test_a_deleted_render_is_deleted_at_heygen_once_it_is_over(
    story: Story, receiver: Receiver
) -> None:
    story.simulator.set_timeline(render_seconds=300)
    video_id = await story.create(callback_url=receiver.url)
    await story.work()
    assert (await story.api.delete(f"/v3/videos/{video_id}")).status_code == 200
    await story.pass_time(270, step=90)
    assert story.calls("DELETE") == 0
    assert (await story.job()).slot_account_id is not None
    await story.pass_time(900, step=300)
    assert story.calls("DELETE", f"/v3/videos/{(await story.job()).heygen_id}") == 1
    assert (await story.job()).slot_account_id is None
    assert len(story.bills()) == len(receiver.requests) == 1
    assert (await story.api.get(f"/v3/videos/{video_id}")).status_code == 404


async def test_a_deadline_ends_the_waiting_and_what_comes_after_it_is_kept(
    story: Story, receiver: Receiver
) -> None:
    deadline = story.clock.now() + timedelta(minutes=10)
    video_id = await story.create(
        script="Hello. [[stuck]]",
        callback_url=receiver.url,
        greenroom={"deadline": deadline.isoformat()},
    )
    await story.pass_time(9 * 60, step=180)
    assert (await story.read(video_id))["status"] == "processing"
    await story.pass_time(120, step=60)
    video = await story.read(video_id)
    assert (video["status"], video["failure_code"]) == ("failed", "deadline_exceeded")
    [body] = receiver.bodies
    assert json.loads(body)["event_data"]["failure_code"] == "deadline_exceeded"

    story.simulator.finish(video["greenroom"]["heygen_video_id"])
    await story.pass_time(600, step=300)
    video = await story.read(video_id)
    assert (video["status"], video["video_url"]) == ("failed", None)
    assert (await fetch(video["greenroom"]["late_video_url"])).status_code == 200
    assert len(receiver.requests) == 1
    assert (await story.job()).slot_account_id is None


async def test_a_video_whose_deadline_passes_in_the_queue_costs_nothing(story: Story) -> None:
    story.simulator.set_timeline(render_seconds=1800)
    for _ in range(10):
        await story.create()
    await story.work()
    deadline = story.clock.now() + timedelta(minutes=5)
    video_id = await story.create(greenroom={"deadline": deadline.isoformat()})
    await story.pass_time(360, step=180)
    video = await story.read(video_id)
    assert (video["failure_code"], video["greenroom"]["billable"]) == ("deadline_exceeded", False)
    await story.settle(step=1000)
    assert len(story.bills()) == 10
