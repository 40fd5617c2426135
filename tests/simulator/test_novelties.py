"""A HeyGen that moves on: what its answers and callbacks hold beyond what anybody knows."""

from __future__ import annotations

from app.simulator.app import Simulator
from tests.simulator.conftest import Api, Clock, Receiver
from tests.simulator.scenes import shows


@shows("unknown_field")
async def test_an_unknown_field_stands_in_every_kind_of_answer(api: Api, simulator: Simulator) -> None:
    video_id = await api.video()
    simulator.set_scenario("unknown_field", field="mood", path="/v3/videos")
    for path in (f"/v3/videos/{video_id}", "/v3/videos", f"/v3/videos/statuses?video_ids={video_id}"):
        data = (await api.call("GET", path)).json()["data"]
        item = data[0] if isinstance(data, list) else data
        assert item["mood"], path
        assert item["status"]
    assert "mood" not in (await api.data("/v3/users/me"))


@shows("unknown_code")
async def test_an_unknown_code_refuses_a_call(api: Api, simulator: Simulator) -> None:
    simulator.set_scenario("unknown_code", times=1)
    answer = await api.call("GET", "/v3/users/me")
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "moon_phase")
    assert (await api.call("GET", "/v3/users/me")).status_code == 200


@shows("unknown_event")
async def test_an_unknown_event_is_called_back(
    api: Api, simulator: Simulator, clock: Clock, receiver: Receiver
) -> None:
    video_id = await api.video("[[unknown_event: avatar_video.painted]]", callback_url=receiver.url)
    clock.advance(8)
    assert await simulator.send_due_callbacks() == 1
    assert receiver.seen == [("avatar_video.painted", video_id)]


@shows("deprecated")
async def test_a_farewell_stands_in_the_headers_of_any_answer(api: Api, simulator: Simulator) -> None:
    simulator.set_scenario("deprecated", method="GET")
    for path, status in (("/v3/users/me", 200), ("/v3/videos/none", 404)):
        answer = await api.call("GET", path)
        assert answer.status_code == status
        assert {"deprecation", "sunset"} <= set(answer.headers)
