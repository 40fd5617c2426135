"""The control plane over HTTP: what the Python handle can do, another process can do."""

from __future__ import annotations

from typing import Any

import pytest

from app.simulator.app import Simulator
from tests.simulator.conftest import Api, Clock, Receiver


async def control(api: Api, method: str, path: str = "", **more: Any) -> Any:
    answer = await api.http.request(method, f"{api.base_url}/simulator{path}", **more)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_it_explains_itself(api: Api) -> None:
    assert "control" in await control(api, "GET")


async def test_the_ledger_and_the_requests_can_be_read(api: Api, simulator: Simulator) -> None:
    video_id = await api.video(title="T", key="k")
    await api.call("GET", "/v3/videos?limit=1")
    (bill,) = (await control(api, "GET", "/ledger"))["data"]
    assert (bill["job_id"], bill["title"], bill["at"]) == (video_id, "T", "2026-05-04T12:00:00Z")
    rows = (await control(api, "GET", "/requests"))["data"]
    assert [(row["method"], row["path"]) for row in rows] == [
        ("POST", "/v3/videos"),
        ("GET", "/v3/videos?limit=1"),
    ]
    assert len((await control(api, "GET", "/requests?method=GET&path_prefix=/v3/vi"))["data"]) == 1
    assert [row.path for row in simulator.requests("GET", "/v3/vi")] == ["/v3/videos?limit=1"]


async def test_scenarios_are_switched_on_listed_and_off(api: Api, simulator: Simulator) -> None:
    await control(api, "PUT", "/scenarios/fail", json={"times": 2, "match": "x", "options": {"code": "c"}})
    rows = {row["name"]: row for row in (await control(api, "GET", "/scenarios"))["data"]}
    assert rows["fail"]["on"] == {
        "times": 2,
        "match": "x",
        "options": {"code": "c", "message": "Avatar rendering timed out"},
    }
    await control(api, "DELETE", "/scenarios/fail")
    await control(api, "PUT", "/scenarios/unauthorized")
    await control(api, "DELETE", "/scenarios")
    rows = (await control(api, "GET", "/scenarios"))["data"]
    assert [row["name"] for row in rows if row["on"]] == []


@pytest.mark.parametrize(
    ("name", "body", "status"),
    [
        ("meteorite", {}, 404),
        ("fail", {"times": 0}, 400),
        ("fail", {"often": 1}, 400),
        ("fail", {"options": {"speed": 1}}, 400),
        ("stuck", {"options": []}, 400),
    ],
)
async def test_what_cannot_be_switched_on_is_refused(
    api: Api, name: str, body: dict[str, object], status: int
) -> None:
    answer = await api.http.put(f"{api.base_url}/simulator/scenarios/{name}", json=body)
    assert (answer.status_code, "error" in answer.json()) == (status, True)


async def test_the_timeline_holds_for_what_is_made_afterwards(api: Api, clock: Clock) -> None:
    old = await api.video()
    await control(api, "PUT", "/timeline", json={"render_seconds": 2, "look_seconds": 1})
    new, look_id = await api.video(), await api.look()
    clock.advance(2)
    assert (await api.data(f"/v3/videos/{old}"))["status"] == "processing"
    assert (await api.data(f"/v3/videos/{new}"))["status"] == "completed"
    assert (await api.data(f"/v3/avatars/looks/{look_id}"))["status"] == "completed"


async def test_a_video_and_a_look_are_finished_and_called_back_on_demand(
    api: Api, receiver: Receiver
) -> None:
    video_id, look_id = await api.video(callback_url=receiver.url), await api.look()
    for job_id in (video_id, look_id):
        await control(api, "POST", f"/videos/{job_id}/finish")
    assert (await api.data(f"/v3/videos/{video_id}"))["status"] == "completed"
    assert (await api.data(f"/v3/avatars/looks/{look_id}"))["status"] == "completed"
    assert await control(api, "POST", "/callbacks") == {"data": {"sent": 1}}
    assert len(receiver.events) == 1
    assert (await api.http.post(f"{api.base_url}/simulator/videos/nobody/finish")).status_code == 404


async def test_numbers_add_up(api: Api) -> None:
    await api.video()
    await api.look()
    assert (await control(api, "GET", "/stats"))["data"] == {
        "videos": 1,
        "looks": 1,
        "renders": 1,
        "in_flight": 2,
        "peak_in_flight": 2,
    }
