"""What is posted to `callback_url`, when, and how often."""

from __future__ import annotations

from app.simulator.app import Simulator
from tests.simulator.conftest import Api, Clock, Receiver


async def test_a_callback_says_what_heygens_says_and_is_not_signed(
    api: Api, simulator: Simulator, clock: Clock, receiver: Receiver
) -> None:
    video_id = await api.video(callback_url=receiver.url, callback_id="mine")
    assert await simulator.send_due_callbacks() == 0
    clock.advance(8)
    assert await simulator.send_due_callbacks() == 1
    assert await simulator.send_due_callbacks() == 0
    (event,) = receiver.events
    assert event["event_type"] == "avatar_video.success"
    assert set(event["event_data"]) == {
        "video_id",
        "url",
        "gif_download_url",
        "video_page_url",
        "video_share_page_url",
        "folder_id",
        "callback_id",
    }
    assert (event["event_data"]["video_id"], event["event_data"]["callback_id"]) == (video_id, "mine")
    assert (await api.http.get(event["event_data"]["url"])).status_code == 200
    assert receiver.headers[0].startswith("POST /callbacks?token=k HTTP/1.1")
    assert "signature" not in receiver.headers[0].lower()


async def test_a_refused_callback_comes_again_with_growing_gaps(
    api: Api, simulator: Simulator, clock: Clock, receiver: Receiver
) -> None:
    receiver.statuses = [500, 302, 404]
    await api.video(callback_url=receiver.url)
    sent = []
    for gap in (8, 4, 1, 14, 1, 44, 1, 86400):
        clock.advance(gap)
        sent.append(await simulator.send_due_callbacks())
    assert sent == [1, 0, 1, 0, 1, 0, 1, 0]


async def test_a_callback_is_given_up_after_a_day(api: Api, simulator: Simulator, clock: Clock) -> None:
    await api.video(callback_url="http://127.0.0.1:9/nobody")
    clock.advance(8)
    tries = 0
    for _ in range(48):
        tries += await simulator.send_due_callbacks()
        clock.advance(1800)
    assert 5 < tries < 20
    clock.advance(30 * 86400)
    assert await simulator.send_due_callbacks() == 0


async def test_a_callback_to_a_url_that_is_none_harms_nobody(
    api: Api, simulator: Simulator, clock: Clock, receiver: Receiver
) -> None:
    await api.video(callback_url="http://")
    await api.video(callback_url="http://[::1/x")
    await api.video(callback_url=receiver.url)
    clock.advance(8)
    assert await simulator.send_due_callbacks() == 3
    assert len(receiver.events) == 1


async def test_a_deleted_video_is_not_called_back(
    api: Api, simulator: Simulator, clock: Clock, receiver: Receiver
) -> None:
    video_id = await api.video(callback_url=receiver.url)
    await api.call("DELETE", f"/v3/videos/{video_id}")
    clock.advance(8)
    assert await simulator.send_due_callbacks() == 0


async def test_a_finished_video_is_called_back_at_once(
    api: Api, simulator: Simulator, receiver: Receiver
) -> None:
    simulator.finish(await api.video(callback_url=receiver.url))
    assert await simulator.send_due_callbacks() == 1
