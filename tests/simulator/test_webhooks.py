"""Registered endpoints: how they are managed, what is posted there and how it is signed, and what is kept of it."""

from __future__ import annotations

import hmac
from typing import Any

import pytest

from app.simulator.app import Options, Simulator
from app.simulator.server import running
from tests.simulator.conftest import PUBLIC_LOOK, VOICE, Api, Clock, Receiver
from tests.simulator.scenes import shows

ENDPOINTS = "/v3/webhooks/endpoints"
EVENTS = "/v3/webhooks/events"


async def register(api: Api, url: str, **fields: Any) -> dict[str, Any]:
    answer = await api.call("POST", ENDPOINTS, json={"url": url, **fields})
    assert answer.status_code == 200, answer.text
    made: dict[str, Any] = answer.json()["data"]
    return made


def header(receiver: Receiver, name: str) -> str | None:
    """A header of the last request."""
    lines = receiver.headers[-1].split("\r\n")[1:]
    found = dict(line.split(": ", 1) for line in lines if line)
    return {key.lower(): value for key, value in found.items()}.get(name.lower())


def is_signed(receiver: Receiver, name: str, secret: str) -> bool:
    """Whether the last body's HMAC, keyed with the whole secret as text, stands in this header."""
    return header(receiver, name) == hmac.digest(secret.encode(), receiver.bodies[-1], "sha256").hex()


async def test_an_endpoint_is_registered_listed_changed_and_deleted(api: Api) -> None:
    made = await register(api, "https://hooks.example.com/h", events=["batch.finished"])
    assert made["endpoint_id"].startswith("ep_")
    assert made["secret"].startswith("whsec_")
    assert (made["events"], made["status"]) == (["batch.finished"], "enabled")
    assert made["created_at"] == "2026-05-04T12:00:00Z"
    path = f"{ENDPOINTS}/{made['endpoint_id']}"
    assert await api.data(ENDPOINTS) == [made | {"secret": None}]
    changed = await api.call("PATCH", path, json={"url": "https://hooks.example.com/2", "events": None})
    assert changed.json()["data"] == made | {"secret": None, "url": "https://hooks.example.com/2"}
    for body, param in (
        ({}, None),
        ({"url": "http://hooks.example.com"}, "url"),
        ({"events": ["x"]}, "events.0"),
    ):
        refused = await api.call("PATCH", path, json=body)
        assert (refused.status_code, refused.json()["error"]["param"]) == (400, param)
    assert (await api.call("DELETE", path)).json() == {"error": None, "data": {}}
    for method in ("PATCH", "DELETE"):
        gone = await api.call(method, path, json={"url": "https://hooks.example.com"})
        assert (gone.status_code, gone.json()["error"]["code"]) == (404, "webhook_not_found")


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "url"),
        ({"url": "http://hooks.example.com"}, "url"),
        ({"url": "hooks"}, "url"),
        ({"url": "https://a.example", "events": ["avatar_video.done"]}, "events.0"),
        ({"url": "https://a.example", "status": "enabled"}, "status"),
    ],
)
async def test_a_wrong_endpoint_is_refused(api: Api, body: dict[str, Any], param: str) -> None:
    answer = await api.call("POST", ENDPOINTS, json=body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


async def test_a_key_makes_one_endpoint_and_one_new_secret(api: Api) -> None:
    body = {"url": "https://hooks.example.com/h"}
    made = [await api.call("POST", ENDPOINTS, "k", json=body) for _ in range(2)]
    assert made[0].content == made[1].content
    path = f"{ENDPOINTS}/{made[0].json()['data']['endpoint_id']}/rotate-secret"
    rotated = [await api.call("POST", path, "k") for _ in range(2)]
    assert rotated[0].content == rotated[1].content
    assert rotated[0].json()["data"]["secret"] != made[0].json()["data"]["secret"]
    assert (await api.call("POST", f"{ENDPOINTS}/ep_1/rotate-secret")).status_code == 404


async def test_an_endpoint_and_a_callback_url_hear_of_a_video_at_the_same_time_but_only_one_signed(
    api: Api, simulator: Simulator, clock: Clock, receiver: Receiver
) -> None:
    made = await register(api, receiver.url)
    await register(api, receiver.url, events=["avatar_video.fail"])
    await register(api, receiver.url, events=[])
    await register(api, receiver.url, entity_id="another")
    video_id = await api.video(callback_url=receiver.url)
    clock.advance(8)
    assert await simulator.send_due_callbacks() == 2
    assert receiver.seen == [("avatar_video.success", video_id)] * 2
    signed = [head for head in receiver.headers if "heygen-signature" in head.lower()]
    assert len(signed) == 1
    position = receiver.headers.index(signed[0])
    receiver.headers.append(signed[0])
    receiver.bodies.append(receiver.bodies[position])
    assert is_signed(receiver, "Heygen-Signature", made["secret"])
    assert header(receiver, "Heygen-Timestamp") == str(int(clock().timestamp()))
    (event,) = await api.data(EVENTS)
    assert header(receiver, "Heygen-Event-Id") == event["event_id"]
    assert header(receiver, "Signature") is None


async def test_an_endpoint_and_a_callback_url_hear_once_that_a_batch_has_ended(
    api: Api, simulator: Simulator, clock: Clock, receiver: Receiver
) -> None:
    made = await register(api, receiver.url, events=["batch.finished"])
    await register(api, receiver.url, events=["avatar_video_gif.success"])
    await register(api, receiver.url, entity_id="another")
    video = {"type": "avatar", "avatar_id": PUBLIC_LOOK, "voice_id": VOICE}
    videos = [video | {"script": script} for script in ("Hello.", "[[fail]] Hello.")]
    body = {"videos": videos, "callback_url": receiver.url}
    batch_id = (await api.call("POST", "/v3/videos/batches", json=body)).json()["data"]["batch_id"]
    assert await simulator.send_due_callbacks() == 0
    clock.advance(8)
    sent = await api.call("POST", "/simulator/callbacks")
    assert sent.json()["data"] == {"sent": 2}
    assert await simulator.send_due_callbacks() == 0
    assert receiver.seen == [("batch.finished", batch_id)] * 2
    assert receiver.bodies[0] == receiver.bodies[1]
    told = receiver.events[0]["event_data"]
    assert (told["status"], told["counts_by_status"]) == ("completed", {"completed": 1, "failed": 1})
    receiver.headers.sort(key=lambda head: "heygen-signature" in head.lower())
    assert header(receiver, "Heygen-Event-Id")
    assert is_signed(receiver, "Heygen-Signature", made["secret"])
    assert "signature" not in receiver.headers[0].lower()


async def test_the_end_of_a_batch_without_a_callback_url_stands_in_the_history(
    api: Api, clock: Clock
) -> None:
    video = {"type": "avatar", "avatar_id": PUBLIC_LOOK, "voice_id": VOICE, "script": "Hello."}
    made = await api.call("POST", "/v3/videos/batches", json={"videos": [video]})
    batch_id = made.json()["data"]["batch_id"]
    assert await api.data(EVENTS) == []
    clock.advance(8)
    for _ in range(2):
        told = await api.data(EVENTS)
        assert [event["event_type"] for event in told] == ["batch.finished", "avatar_video.success"]
    (event,) = await api.data(f"{EVENTS}?entity_id={batch_id}")
    assert event == told[0]
    assert event["event_data"] == {
        "batch_id": batch_id,
        "status": "completed",
        "counts_by_status": {"completed": 1},
    }


@shows("signature_alone")
async def test_signed_with_one_header_as_it_was_seen(
    api: Api, simulator: Simulator, clock: Clock, receiver: Receiver
) -> None:
    made = await register(api, receiver.url)
    simulator.set_scenario("signature_alone", match="odd")
    await api.video(title="odd")
    clock.advance(8)
    assert await simulator.send_due_callbacks() == 1
    assert is_signed(receiver, "Signature", made["secret"])
    assert header(receiver, "Heygen-Signature") is header(receiver, "Heygen-Event-Id") is None


async def test_a_refused_delivery_comes_again_with_the_newest_secret(
    api: Api, simulator: Simulator, clock: Clock, receiver: Receiver
) -> None:
    receiver.statuses = [500]
    made = await register(api, receiver.url)
    simulator.finish(await api.video())
    assert await simulator.send_due_callbacks() == 1
    rotated = await api.call("POST", f"{ENDPOINTS}/{made['endpoint_id']}/rotate-secret")
    clock.advance(5)
    assert await simulator.send_due_callbacks() == 1
    assert is_signed(receiver, "Heygen-Signature", rotated.json()["data"]["secret"])
    assert receiver.bodies[0] == receiver.bodies[1]


async def test_what_an_endpoint_hears_can_be_lost_doubled_and_delayed(
    api: Api, simulator: Simulator, clock: Clock, receiver: Receiver
) -> None:
    await register(api, receiver.url)
    await api.video("[[callbacks_lost]] Hello.")
    await api.video("[[callbacks_doubled]] Hello.")
    late = await api.video("[[callbacks_delayed: 60]] Hello.")
    clock.advance(8)
    assert await simulator.send_due_callbacks() == 2
    clock.advance(60)
    assert await simulator.send_due_callbacks() == 1
    assert receiver.seen[-1] == ("avatar_video.success", late)
    assert len(await api.data(EVENTS)) == 3


async def test_a_deleted_endpoint_hears_nothing_more(
    api: Api, simulator: Simulator, clock: Clock, receiver: Receiver
) -> None:
    receiver.statuses = [500]
    made = await register(api, receiver.url)
    simulator.finish(await api.video())
    await simulator.send_due_callbacks()
    await api.call("DELETE", f"{ENDPOINTS}/{made['endpoint_id']}")
    simulator.finish(await api.video())
    clock.advance(3600)
    assert await simulator.send_due_callbacks() == 0


async def test_what_happened_is_kept_over_a_restart(
    api: Api, simulator: Simulator, options: Options, clock: Clock
) -> None:
    videos = [await api.video("Hello."), await api.video("[[fail]] Hello.")]
    assert await api.data(EVENTS) == []
    clock.advance(8)
    again = Simulator(options)
    async with running(again) as base_url:
        there = Api(api.http, base_url)
        told = await there.data(EVENTS)
        assert {it["event_data"]["video_id"] for it in told} == set(videos)
        for query, found in (
            (f"?entity_id={videos[1]}", ["avatar_video.fail"]),
            ("?event_type=avatar_video.success", ["avatar_video.success"]),
        ):
            assert [it["event_type"] for it in await there.data(EVENTS + query)] == found
        first = (await there.call("GET", f"{EVENTS}?limit=1")).json()
        rest = (await there.call("GET", f"{EVENTS}?limit=1&token={first['next_token']}")).json()
        assert [*first["data"], *rest["data"]] == told
        assert (await there.call("GET", f"{EVENTS}?event_type=x")).status_code == 400
        assert len(await there.data("/v3/webhooks/event-types")) == 30
    await again.close()
