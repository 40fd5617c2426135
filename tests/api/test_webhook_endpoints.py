"""`/v3/webhooks`: endpoints as HeyGen has them, their secrets, and what happened."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx
import pytest

from app.context import Context, Terms
from app.models import Account
from tests.api.callers import VIDEO, caller, create_video, error_of
from tests.clocks import ManualClock
from tests.conftest import threaded
from tests.services import serving

ENDPOINTS = "/v3/webhooks/endpoints"
HOOK = "https://hooks.example.com/heygen"
NOBODY = "f" * 32


@pytest.fixture
async def guarded_api(context: Context, account: Account) -> AsyncIterator[httpx.AsyncClient]:
    """A caller of a service that lets nobody name private addresses."""
    async with serving(replace(context, terms=Terms())) as served, caller(served, account, "guarded") as api:
        yield api


async def register(api: httpx.AsyncClient, **fields: Any) -> dict[str, Any]:
    answer = await api.post(ENDPOINTS, json={"url": HOOK} | fields)
    assert answer.status_code == 200, answer.text
    endpoint: dict[str, Any] = answer.json()["data"]
    return endpoint


async def listed(api: httpx.AsyncClient, path: str = ENDPOINTS) -> list[dict[str, Any]]:
    answer = await api.get(path)
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json()["data"]
    return items


async def test_an_endpoint_shows_its_secret_once_and_then_is_listed_changed_and_deleted(
    api: httpx.AsyncClient, clock: ManualClock
) -> None:
    made = await register(api, events=["avatar_video.success"], entity_id=None)
    assert made["secret"].startswith("whsec_")
    assert made["created_at"] == "2026-03-02T09:30:00.000Z"
    assert (made["url"], made["events"], made["status"]) == (HOOK, ["avatar_video.success"], "enabled")
    everything = await register(api)
    assert len(everything["events"]) == 30
    assert [it["endpoint_id"] for it in await listed(api)] == [everything["endpoint_id"], made["endpoint_id"]]
    assert (await listed(api))[1] == made | {"secret": None}

    path = f"{ENDPOINTS}/{made['endpoint_id']}"
    changed = await api.patch(path, json={"events": ["batch.finished"], "url": f"{HOOK}/2"})
    assert changed.json()["data"] == made | {"secret": None, "url": f"{HOOK}/2", "events": ["batch.finished"]}
    assert (await api.get(path)).json() == changed.json()

    for _ in range(2):
        gone = await api.delete(path)
        assert (gone.status_code, gone.json()) == (200, {"error": None, "data": {}})
        clock.advance(timedelta(hours=23))
    assert [it["endpoint_id"] for it in await listed(api)] == [everything["endpoint_id"]]
    clock.advance(timedelta(hours=2))
    for answer in (await api.delete(path), await api.patch(path, json={"url": HOOK}), await api.get(path)):
        assert error_of(answer) == (404, "webhook_not_found", None)


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "url"),
        ({"url": None}, "url"),
        ({"url": 7}, "url"),
        ({"url": HOOK, "events": "batch.finished"}, "events"),
        ({"url": HOOK, "events": ["batch.started"]}, "events.0"),
        ({"url": HOOK, "entity_id": ""}, "entity_id"),
        ({"url": HOOK, "status": "disabled"}, "status"),
        ({"url": HOOK, "secret": "whsec_mine"}, "secret"),
    ],
)
async def test_a_wrong_endpoint_is_refused_with_the_field_at_fault(
    api: httpx.AsyncClient, body: dict[str, Any], param: str
) -> None:
    assert error_of(await api.post(ENDPOINTS, json=body)) == (400, "invalid_parameter", param)
    assert await listed(api) == []


async def test_an_empty_list_of_events_is_a_list_and_not_all_of_them(api: httpx.AsyncClient) -> None:
    quiet, loud = await register(api, events=[]), await register(api)
    assert quiet["events"] == []
    assert (await listed(api))[1]["events"] == []
    unheard = "/v3/webhooks/events?undelivered=true"

    async def end() -> None:
        await api.post(f"/v3/videos/{await create_video(api)}/cancel")

    await end()
    assert len(await listed(api, unheard)) == 1
    changed = await api.patch(f"{ENDPOINTS}/{loud['endpoint_id']}", json={"events": []})
    assert changed.json()["data"] == loud | {"secret": None, "events": []}
    await end()
    assert len(await listed(api, unheard)) == 1, "nobody is told of the second"
    assert len(await listed(api, "/v3/webhooks/events")) == 2


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.example.com/heygen",
        "https://127.0.0.1/hook",
        "https://[::1]/hook",
        "https://0x7f.1/hook",
        "https://localhost/hook",
        "https://db.internal/hook",
        "https://user:password@hooks.example.com/",
        "ftp://hooks.example.com/",
        "hooks.example.com",
        "",
    ],
)
@pytest.mark.parametrize("engine_name", ["sqlite"])
async def test_an_address_must_be_public_and_https_as_heygen_says(
    guarded_api: httpx.AsyncClient, url: str
) -> None:
    made = await register(guarded_api)
    for answer in (
        await guarded_api.post(ENDPOINTS, json={"url": url}),
        await guarded_api.patch(f"{ENDPOINTS}/{made['endpoint_id']}", json={"url": url}),
    ):
        assert error_of(answer) == (400, "invalid_parameter", "url")
        assert answer.json()["error"]["message"] == "'url' must be a publicly accessible HTTPS URL."


async def test_a_change_of_nothing_is_told_what_may_be_changed(api: httpx.AsyncClient) -> None:
    made = await register(api)
    for body in ({}, {"url": None, "events": None}):
        answer = await api.patch(f"{ENDPOINTS}/{made['endpoint_id']}", json=body)
        assert error_of(answer) == (400, "invalid_parameter", None)
        message = "At least one of 'url', 'events' or 'status' must be provided."
        assert answer.json()["error"]["message"] == message


@threaded
async def test_a_create_and_a_rotation_happen_once_for_each_key(api: httpx.AsyncClient) -> None:
    key = {"Idempotency-Key": "once"}
    first, again = await asyncio.gather(
        *(api.post(ENDPOINTS, json={"url": HOOK}, headers=key) for _ in range(2))
    )
    assert first.content == again.content
    assert first.headers["location"].endswith(f"{ENDPOINTS}/{first.json()['data']['endpoint_id']}")
    other = await api.post(ENDPOINTS, json={"url": f"{HOOK}/2"}, headers=key)
    assert error_of(other)[:2] == (422, "idempotency_key_reused")
    assert len(await listed(api)) == 1

    path = f"{ENDPOINTS}/{first.json()['data']['endpoint_id']}/rotate-secret"
    rotated, replayed = await api.post(path, headers=key), await api.post(path, headers=key)
    assert rotated.request.headers["content-length"] == "0"
    assert rotated.content == replayed.content
    assert replayed.headers["idempotent-replayed"] == "true"
    secrets = {first.json()["data"]["secret"], rotated.json()["data"]["secret"]}
    secrets.add((await api.post(path)).json()["data"]["secret"])
    assert len(secrets) == 3


async def test_an_endpoint_of_another_tenant_does_not_exist(
    api: httpx.AsyncClient, served: Context, account: Account
) -> None:
    made = await register(api)
    path = f"{ENDPOINTS}/{made['endpoint_id']}"
    async with caller(served, account, "other", account_wide=True) as other:
        assert await listed(other) == []
        for answer in (
            await other.get(path),
            await other.patch(path, json={"url": "https://elsewhere.example.com/"}),
            await other.patch(path, json={"status": "disabled"}),
            await other.post(f"{path}/rotate-secret"),
            await other.delete(path),
        ):
            assert error_of(answer) == (404, "webhook_not_found", None), answer.request.method
    assert await listed(api) == [made | {"secret": None}]


async def test_pages_hold_ten_and_go_on_where_the_last_one_ended(api: httpx.AsyncClient) -> None:
    made = [(await register(api))["endpoint_id"] for _ in range(12)]
    first = (await api.get(ENDPOINTS)).json()
    assert (len(first["data"]), first["has_more"]) == (10, True)
    rest = (await api.get(ENDPOINTS, params={"token": first["next_token"], "limit": 2})).json()
    assert (rest["has_more"], rest["next_token"]) == (False, None)
    assert [it["endpoint_id"] for it in (*first["data"], *rest["data"])] == made[::-1]
    for path, wrong in ((ENDPOINTS, "limit=0"), ("/v3/webhooks/events", "limit=101")):
        assert error_of(await api.get(f"{path}?{wrong}")) == (400, "invalid_parameter", "limit")
    events = await api.get("/v3/webhooks/events", params={"token": first["next_token"]})
    assert error_of(events) == (400, "invalid_parameter", "token")


@pytest.mark.parametrize("engine_name", ["sqlite"])
async def test_a_tenant_has_at_most_fifty_endpoints(api: httpx.AsyncClient) -> None:
    made = [await register(api) for _ in range(50)]
    assert error_of(await api.post(ENDPOINTS, json={"url": HOOK}))[:2] == (400, "resource_limit_reached")
    await api.delete(f"{ENDPOINTS}/{made[0]['endpoint_id']}")
    await register(api)


async def test_every_event_type_has_a_sentence_of_its_own(api: httpx.AsyncClient) -> None:
    types = await listed(api, "/v3/webhooks/event-types")
    assert len({it["event_type"] for it in types}) == len({it["description"] for it in types}) == 30
    assert all(it["description"].endswith(".") for it in types)


async def test_what_happened_is_told_to_the_tenant_alone_by_type_and_by_video_or_batch(
    api: httpx.AsyncClient, served: Context, account: Account
) -> None:
    canceled = [await create_video(api, callback_id=f"c{number}") for number in range(3)]
    for video_id in canceled:
        await api.post(f"/v3/videos/{video_id}/cancel")
    path = "/v3/webhooks/events"
    events = await listed(api, path)
    assert [it["event_data"]["video_id"] for it in events] == canceled[::-1]
    assert {it["event_type"] for it in events} == {"avatar_video.fail"}
    assert events[0]["event_data"]["callback_id"] == "c2"
    assert events[0]["created_at"] == "2026-03-02T09:30:00.000Z"
    first = (await api.get(f"{path}?limit=2")).json()
    assert first["data"] == events[:2]
    assert await listed(api, f"{path}?limit=2&token={first['next_token']}") == events[2:]
    assert await listed(api, f"{path}?entity_id={canceled[1]}") == [events[1]]
    assert await listed(api, f"{path}?event_type=avatar_video.success") == []
    assert await listed(api, f"{path}?event_type=avatar_video.fail&limit=1") == events[:1]
    wrong = await api.get(f"{path}?event_type=avatar_video.done")
    assert error_of(wrong) == (400, "invalid_parameter", "event_type")
    batch = await api.post("/v3/videos/batches", json={"videos": [VIDEO]})
    batch_id = batch.json()["data"]["batch_id"]
    [item] = (await api.get(f"/v3/videos/batches/{batch_id}")).json()["data"]["items"]
    await api.post(f"/v3/videos/{item['video_id']}/cancel")
    [finished] = await listed(api, f"{path}?entity_id={batch_id}")
    assert (finished["event_type"], finished["event_data"]["batch_id"]) == ("batch.finished", batch_id)
    async with caller(served, account, "other", account_wide=True) as other:
        assert await listed(other, path) == []
        assert await listed(other, f"{path}?entity_id={batch_id}") == []
        assert await listed(other, f"{path}?entity_id={canceled[1]}") == []
        stolen = await other.get(path, params={"token": first["next_token"]})
        assert error_of(stolen) == (400, "invalid_parameter", "token")
