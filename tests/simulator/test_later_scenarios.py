"""What can go wrong after a job was accepted."""

from __future__ import annotations

import pytest

from app.simulator.app import Simulator
from tests.simulator.conftest import Api, Clock, Receiver
from tests.simulator.scenes import shows


async def call_back_after(simulator: Simulator, clock: Clock, seconds: float) -> int:
    clock.advance(seconds)
    return await simulator.send_due_callbacks()


@shows("callbacks_lost")
async def test_lost_callbacks_never_come(
    api: Api, simulator: Simulator, clock: Clock, receiver: Receiver
) -> None:
    video_id = await api.video("[[callbacks_lost]]", callback_url=receiver.url)
    assert await call_back_after(simulator, clock, 86400) == 0
    assert (await api.data(f"/v3/videos/{video_id}"))["status"] == "completed"


@shows("callbacks_doubled")
async def test_doubled_callbacks_come_twice(
    api: Api, simulator: Simulator, clock: Clock, receiver: Receiver
) -> None:
    video_id = await api.video("[[callbacks_doubled]]", callback_url=receiver.url)
    assert await call_back_after(simulator, clock, 8) == 2
    assert receiver.seen == [("avatar_video.success", video_id)] * 2


@shows("callbacks_delayed")
async def test_delayed_callbacks_come_that_much_later(
    api: Api, simulator: Simulator, clock: Clock, receiver: Receiver
) -> None:
    await api.video("[[callbacks_delayed: 100]]", callback_url=receiver.url)
    assert await call_back_after(simulator, clock, 107) == 0
    assert await call_back_after(simulator, clock, 1) == 1


@shows("callback_before_answer")
async def test_a_callback_can_overtake_the_answer(api: Api, receiver: Receiver) -> None:
    video_id = await api.video("[[callback_before_answer]]", callback_url=receiver.url)
    assert receiver.seen == [("avatar_video.success", video_id)]
    assert (await api.data(f"/v3/videos/{video_id}"))["status"] == "completed"


@shows("callback_forged")
async def test_a_forged_success_names_another_video_before_the_true_one(
    api: Api, simulator: Simulator, clock: Clock, receiver: Receiver
) -> None:
    other = await api.video()
    video_id = await api.video("[[callback_forged]]", callback_url=receiver.url)
    assert await simulator.send_due_callbacks() == 1
    assert (await api.data(f"/v3/videos/{video_id}"))["status"] == "pending"
    assert await call_back_after(simulator, clock, 8) == 1
    assert receiver.seen == [("avatar_video.success", other), ("avatar_video.success", video_id)]


@shows("fail")
async def test_a_render_fails_with_the_code_asked_for(
    api: Api, simulator: Simulator, clock: Clock, receiver: Receiver
) -> None:
    video_id = await api.video("[[fail: script_too_long]]", callback_url=receiver.url, callback_id="mine")
    assert (await api.data(f"/v3/videos/{video_id}"))["failure_code"] is None
    await call_back_after(simulator, clock, 8)
    video = await api.data(f"/v3/videos/{video_id}")
    assert (video["status"], video["failure_code"]) == ("failed", "script_too_long")
    assert video["failure_message"]
    assert video["video_url"] is None
    said = {"video_id": video_id, "msg": "Avatar rendering timed out", "callback_id": "mine"}
    assert receiver.events == [{"event_type": "avatar_video.fail", "event_data": said}]


@shows("late_failure")
async def test_a_late_failure_contradicts_a_success_only_in_callbacks(
    api: Api, simulator: Simulator, clock: Clock, receiver: Receiver
) -> None:
    video_id = await api.video("[[late_failure: 5]]", callback_url=receiver.url)
    assert await call_back_after(simulator, clock, 8) == 1
    assert await call_back_after(simulator, clock, 5) == 1
    assert [kind for kind, _ in receiver.seen] == ["avatar_video.success", "avatar_video.fail"]
    assert (await api.data(f"/v3/videos/{video_id}"))["status"] == "completed"


@shows("stuck")
async def test_a_stuck_render_never_ends_unless_it_is_made_to(
    api: Api, simulator: Simulator, clock: Clock, receiver: Receiver
) -> None:
    video_id = await api.video("[[stuck]]", callback_url=receiver.url)
    assert await call_back_after(simulator, clock, 90 * 86400) == 0
    assert (await api.data(f"/v3/videos/{video_id}"))["status"] == "processing"
    assert simulator.stats()["in_flight"] == 1
    simulator.finish(video_id)
    assert (await api.data(f"/v3/videos/{video_id}"))["status"] == "completed"
    assert await simulator.send_due_callbacks() == 1


@shows("no_credit")
async def test_missing_credit_can_show_only_at_the_end(api: Api, clock: Clock) -> None:
    video_id = await api.video("[[no_credit]]")
    clock.advance(8)
    video = await api.data(f"/v3/videos/{video_id}")
    assert (video["status"], video["failure_code"]) == ("failed", "MOVIO_PAYMENT_INSUFFICIENT_CREDIT")


@shows("unknown_status")
async def test_an_unknown_status_is_read_while_it_runs(api: Api, clock: Clock) -> None:
    video_id = await api.video("[[unknown_status]]")
    assert (await api.data(f"/v3/videos/{video_id}"))["status"] == "composing"
    assert (await api.data(f"/v3/videos/statuses?video_ids={video_id}"))[0]["status"] == "composing"
    clock.advance(8)
    assert (await api.data(f"/v3/videos/{video_id}"))["status"] == "completed"


@shows("look_not_ready")
async def test_a_look_can_take_longer(api: Api, clock: Clock) -> None:
    look_id = await api.look("[[look_not_ready: 30]] Sarah")
    clock.advance(33)
    assert (await api.data(f"/v3/avatars/looks/{look_id}"))["status"] == "processing"
    clock.advance(1)
    assert (await api.data(f"/v3/avatars/looks/{look_id}"))["status"] == "completed"


@shows("look_fails")
async def test_a_look_without_a_face_fails_late_and_makes_no_video(
    api: Api, simulator: Simulator, clock: Clock
) -> None:
    look_id = await api.look("[[look_fails]] Sarah")
    clock.advance(4)
    look = await api.data(f"/v3/avatars/looks/{look_id}")
    assert (look["status"], look["error"]["message"]) == ("failed", "No face was found.")
    refused = await api.create_video(avatar_id=look_id)
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "avatar_not_usable")
    assert [row.kind for row in simulator.ledger()] == ["look"]


@shows("look_unready")
@pytest.mark.parametrize(
    ("answer", "status", "code"),
    [("not_found", 404, "avatar_not_found"), ("not_ready", 409, "resource_not_ready")],
)
async def test_a_video_on_an_unready_look_is_refused_as_asked(
    api: Api, simulator: Simulator, answer: str, status: int, code: str
) -> None:
    simulator.set_scenario("look_unready", answer=answer)
    refused = await api.create_video(avatar_id=await api.look())
    assert (refused.status_code, refused.json()["error"]["code"]) == (status, code)


@shows("look_unready")
async def test_a_video_on_an_unready_look_can_fail_later(api: Api, clock: Clock) -> None:
    video_id = await api.video("[[look_unready: late]]", avatar_id=await api.look())
    clock.advance(8)
    video = await api.data(f"/v3/videos/{video_id}")
    assert (video["status"], video["failure_code"]) == ("failed", "avatar_not_usable")


async def test_an_unready_look_is_not_ready_by_default(api: Api) -> None:
    refused = await api.create_video(avatar_id=await api.look())
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "resource_not_ready")


@shows("file_late")
async def test_a_late_file_answers_404_for_a_while(api: Api, clock: Clock) -> None:
    video_id = await api.video("[[file_late: 20]]")
    clock.advance(8)
    link = (await api.data(f"/v3/videos/{video_id}"))["video_url"]
    clock.advance(19)
    assert (await api.http.get(link)).status_code == 404
    clock.advance(1)
    assert (await api.http.get(link)).status_code == 200


@shows("link_expired")
async def test_links_can_be_expired_when_handed_out(api: Api, simulator: Simulator, clock: Clock) -> None:
    video_id = await api.video()
    clock.advance(8)
    simulator.set_scenario("link_expired", times=1)
    stale = (await api.data(f"/v3/videos/{video_id}"))["video_url"]
    fresh = (await api.data(f"/v3/videos/{video_id}"))["video_url"]
    assert (await api.http.get(stale)).status_code == 403
    assert (await api.http.get(fresh)).status_code == 200
