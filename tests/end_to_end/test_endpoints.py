"""Registered endpoints: who is told of what, with whose signature, and what becomes of one that does not answer."""

import asyncio
import contextvars
import hmac
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import select, update
from sqlmodel import col
from standardwebhooks import Webhook

from app import lifecycle, tenancy
from app.lifecycle import By, Canceled
from app.models import Account, Attempt, DeliveryStatus, Endpoint, WebhookSecret
from app.worker import deliver, loop
from tests.api.callers import caller, create_video
from tests.end_to_end.conftest import Story
from tests.services import Receiver, receiving
from tests.webhooks.loopback import loopback, ok

ENDPOINTS = "/v3/webhooks/endpoints"
DAY = timedelta(days=1)


async def register(api: httpx.AsyncClient, url: str, **fields: Any) -> tuple[str, str]:
    """An endpoint's path and its secret."""
    answer = await api.post(ENDPOINTS, json={"url": url} | fields)
    assert answer.status_code == 200, answer.text
    made = answer.json()["data"]
    return f"{ENDPOINTS}/{made['endpoint_id']}", made["secret"]


async def cancel_one(api: httpx.AsyncClient, **fields: Any) -> str:
    """The id of a video that has ended: its tenant is owed an event."""
    video_id = await create_video(api, **fields)
    assert (await api.post(f"/v3/videos/{video_id}/cancel")).status_code == 200
    return video_id


def told(receiver: Receiver) -> list[str]:
    """The videos it was told of, in order."""
    return [json.loads(body)["event_data"]["video_id"] for body in receiver.bodies]


def signatures(receiver: Receiver) -> int:
    """How many secrets signed the last attempt."""
    return len(receiver.requests[-1][0]["webhook-signature"].split())


def verifies(receiver: Receiver, secret: str, number: int = -1) -> bool:
    """Whether this secret made one of an attempt's signatures, the last one's, by the rules of Standard Webhooks."""
    headers, body = receiver.requests[number]
    at = datetime.fromtimestamp(int(headers["webhook-timestamp"]), UTC)
    return (
        Webhook(secret).sign(headers["webhook-id"], at, body.decode()) in headers["webhook-signature"].split()
    )


def heygens_signature(receiver: Receiver, secret: str) -> bool:
    """Whether the last attempt verifies as HeyGen's page says."""
    headers, body = receiver.requests[-1]
    return headers["heygen-signature"] == hmac.digest(secret.encode(), body, "sha256").hex()


async def test_an_event_goes_to_everybody_who_asked_for_it_and_is_signed_for_each(
    story: Story, account: Account
) -> None:
    async with (
        receiving() as all_of_it,
        receiving() as failures,
        receiving() as one_video,
        receiving() as callback,
        receiving() as strangers,
        caller(story.context, account, "other") as other,
    ):
        _, secret = await register(story.api, all_of_it.url)
        await register(story.api, failures.url, events=["avatar_video.fail"])
        await register(other, strangers.url)
        done = await story.create(callback_url=callback.url, callback_id="c1")
        await register(story.api, one_video.url, entity_id=done)
        await story.settle()
        failed = await cancel_one(story.api)
        await story.work()
        assert told(all_of_it) == [done, failed]
        assert (told(failures), told(one_video), told(callback)) == ([failed], [done], [done])
        assert strangers.requests == []
        undelivered = await story.api.get("/v3/webhooks/events?undelivered=true")
        assert undelivered.json()["data"] == [], "nor is anything owed to them"

        event = json.loads(all_of_it.bodies[0])
        assert (event["event_type"], event["event_data"]["callback_id"]) == ("avatar_video.success", "c1")
        assert all_of_it.bodies[0] == callback.bodies[0] == one_video.bodies[0]
        ids = {it.requests[0][0]["webhook-id"] for it in (all_of_it, callback, one_video)}
        history = (await story.api.get("/v3/webhooks/events")).json()["data"]
        assert ids == {history[1]["event_id"]}
        assert heygens_signature(all_of_it, secret)
        assert heygens_signature(callback, story.secret)
        assert not heygens_signature(failures, secret)


async def test_an_end_is_told_to_each_endpoint_of_its_tenant_that_asked_and_is_signed_with_its_own_secret(
    story: Story, account: Account, receiver: Receiver
) -> None:
    secrets = [(await register(story.api, receiver.url))[1] for _ in range(2)]
    await register(story.api, receiver.url, events=["avatar_video.success"])
    await register(story.api, receiver.url, entity_id="0" * 32)
    async with caller(story.context, account, "other") as other:
        await register(other, receiver.url)
    video_id = await cancel_one(story.api)
    await story.work()
    assert told(receiver) == [video_id] * 2
    signed = [[verifies(receiver, secret, number) for secret in secrets] for number in range(2)]
    assert sorted(signed) == [[False, True], [True, False]]
    assert (await story.api.get("/v3/webhooks/events?undelivered=true")).json()["data"] == []


async def test_a_look_is_told_of_like_a_video(story: Story, receiver: Receiver) -> None:
    await register(story.api, receiver.url, events=["photo_avatar_generation.success"])
    look_id = await story.create_look()
    await story.settle()
    [body] = receiver.bodies
    event = json.loads(body)
    assert (event["event_type"], event["event_data"]["avatar_id"]) == (
        "photo_avatar_generation.success",
        look_id,
    )


async def test_a_secret_that_was_rotated_away_signs_for_another_day(story: Story, receiver: Receiver) -> None:
    path, first = await register(story.api, receiver.url)
    await cancel_one(story.api)
    await story.work()
    assert [signatures(receiver), heygens_signature(receiver, first)] == [1, True]

    answer = await story.api.post(f"{path}/rotate-secret")
    second = answer.json()["data"]["secret"]
    story.clock.advance(DAY - timedelta(minutes=1))
    await cancel_one(story.api)
    await story.work()
    assert signatures(receiver) == 2
    assert verifies(receiver, first)
    assert verifies(receiver, second)
    assert heygens_signature(receiver, second), "the newest alone"
    assert not verifies(receiver, story.secret)

    story.clock.advance(timedelta(minutes=2))
    await cancel_one(story.api)
    await story.work()
    assert signatures(receiver) == 1
    assert verifies(receiver, second)
    assert not verifies(receiver, first)


async def test_a_tenants_own_secret_that_was_rotated_away_signs_for_another_day_and_its_endpoints_stay(
    story: Story, receiver: Receiver
) -> None:
    async with receiving() as callback:
        path, endpoints_own = await register(story.api, receiver.url)
        async with story.context.database.begin() as session:
            now, secrets = story.clock.now(), story.context.secrets
            second = await tenancy.rotate_secret(session, secrets, now, story.tenant.id)
        story.clock.advance(DAY - timedelta(minutes=1))
        await cancel_one(story.api, callback_url=callback.url)
        await story.work()
        assert [signatures(callback), signatures(receiver)] == [2, 1]
        assert [verifies(callback, story.secret), verifies(callback, second)] == [True, True]
        assert heygens_signature(callback, second), "the newest alone"
        assert verifies(receiver, endpoints_own)

        story.clock.advance(timedelta(minutes=2))
        await cancel_one(story.api, callback_url=callback.url)
        await story.work()
        assert [signatures(callback), verifies(callback, second)] == [1, True]
        assert [signatures(receiver), verifies(receiver, endpoints_own)] == [1, True]
        rotated = (await story.api.post(f"{path}/rotate-secret")).json()["data"]["secret"]
        await cancel_one(story.api, callback_url=callback.url)
        await story.work()
        assert [signatures(callback), verifies(callback, second)] == [1, True]
        assert [signatures(receiver), verifies(receiver, rotated)] == [2, True]


async def test_an_endpoint_that_is_gone_is_disabled_and_what_it_is_owed_is_held(
    story: Story, receiver: Receiver
) -> None:
    receiver.statuses = [410]
    path, _ = await register(story.api, receiver.url)
    videos = [await cancel_one(story.api)]
    await story.work()
    endpoint = (await story.api.get(path)).json()["data"]
    assert (endpoint["status"], endpoint["greenroom"]["disabled_reason"]) == ("disabled", "gone")
    videos += [await cancel_one(story.api) for _ in range(2)]
    await story.pass_time(3 * 24 * 3600, step=24 * 3600)
    assert told(receiver) == videos[:1], "one attempt, and no other"
    feed = (await story.api.get("/v3/webhooks/events?undelivered=true")).json()["data"]
    assert [it["event_data"]["video_id"] for it in feed] == videos[::-1]

    enabled = await story.api.patch(path, json={"status": "enabled"})
    assert enabled.json()["data"]["status"] == "enabled"
    await story.work()
    assert sorted(told(receiver)[1:]) == sorted(videos)
    assert (await story.api.get("/v3/webhooks/events?undelivered=true")).json()["data"] == []


async def test_what_an_address_answered_counts_for_nothing_once_there_is_another(
    story: Story, receiver: Receiver
) -> None:
    async def gone(writer: asyncio.StreamWriter) -> None:
        assert (await story.api.patch(path, json={"url": receiver.url})).is_success
        await ok(status=b"410 Gone")(writer)

    async with loopback(gone) as old:
        path, _ = await register(story.api, f"http://127.0.0.1:{old.port}/")
        video_id = await cancel_one(story.api)
        await story.pass_time(120, step=60)
    assert told(receiver) == [video_id]
    assert (await story.api.get(path)).json()["data"]["status"] == "enabled"


async def test_what_is_held_for_an_enabled_endpoint_goes_out_with_the_next_sweep(
    story: Story, receiver: Receiver
) -> None:
    """As a crash between the two halves of enabling leaves it; what others hold stays held, or ends."""
    async with receiving() as off, receiving() as gone:
        paths = [(await register(story.api, it.url))[0] for it in (off, receiver, gone)]
        for path in paths:
            await story.api.patch(path, json={"status": "disabled"})
        videos = [await cancel_one(story.api) for _ in range(2)]
        await story.work()
        async with story.context.database.begin() as session:
            for path, values in (
                (paths[1], {"status": "enabled"}),
                (paths[2], {"deleted_at": story.clock.now()}),
            ):
                endpoint_id = path.rsplit("/", 1)[1]
                await session.execute(update(Endpoint).where(col(Endpoint.id) == endpoint_id).values(values))
        await story.pass_time(120, step=60)
        assert sorted(told(receiver)) == sorted(videos)
        assert off.requests == gone.requests == []
    by_endpoint = {f"{ENDPOINTS}/{it.target}": it.status for it in await story.deliveries()}
    assert [by_endpoint[path] for path in paths] == [
        DeliveryStatus.OWED,
        DeliveryStatus.DELIVERED,
        DeliveryStatus.DEAD,
    ]


@pytest.mark.parametrize("engine_name", ["postgresql"])
async def test_an_event_that_is_written_while_its_endpoint_is_enabled_arrives(
    story: Story, receiver: Receiver
) -> None:
    path, _ = await register(story.api, receiver.url)
    await story.api.patch(path, json={"status": "disabled"})
    video_id = await create_video(story.api)
    async with story.context.database.begin() as session:
        assert await lifecycle.apply(session, video_id, Canceled(), By("caller", story.clock.now()))
        asking = story.api.patch(path, json={"status": "enabled"})
        # Of its own context variables: this task holds a transaction, the caller does not.
        enabled = await asyncio.create_task(asking, context=contextvars.Context())
        assert enabled.json()["data"]["status"] == "enabled"
    await story.pass_time(60, step=60)
    assert told(receiver) == [video_id]


async def test_an_endpoint_that_fails_for_five_days_is_disabled_and_nothing_kept_is_lost(
    story: Story, receiver: Receiver
) -> None:
    receiver.statuses = [500] * 40
    path, _ = await register(story.api, receiver.url)
    videos = []
    for _ in range(6):
        videos.append(await cancel_one(story.api))
        await story.pass_time(24 * 3600, step=12 * 3600)
    status = (await story.api.get(path)).json()["data"]
    assert (status["status"], status["greenroom"]["disabled_reason"]) == ("disabled", "failing")
    assert {it.status for it in await story.deliveries()} >= {DeliveryStatus.OWED}
    receiver.statuses = []
    before = len(receiver.requests)
    await story.pass_time(2 * 24 * 3600, step=24 * 3600)
    assert len(receiver.requests) == before

    await story.api.patch(path, json={"status": "enabled"})
    await story.work()
    assert sorted(told(receiver)[before:]) == sorted(videos)


async def test_one_success_ends_the_count_of_days(story: Story, receiver: Receiver) -> None:
    receiver.statuses = [500]
    path, _ = await register(story.api, receiver.url)
    await cancel_one(story.api)
    await story.work()
    assert (await story.api.get(path)).json()["data"]["greenroom"]["failing_since"] is not None
    await story.pass_time(10)
    assert (await story.api.get(path)).json()["data"]["greenroom"]["failing_since"] is None
    story.clock.advance(6 * DAY)
    receiver.statuses = [500]
    await cancel_one(story.api)
    await story.work()
    assert (await story.api.get(path)).json()["data"]["status"] == "enabled"


async def test_a_new_address_gets_what_the_old_one_did_not_take_and_a_deleted_one_nothing(
    story: Story, receiver: Receiver
) -> None:
    async with receiving() as old:
        old.statuses = [500] * 3
        path, _ = await register(story.api, old.url)
        video_id = await cancel_one(story.api)
        await story.work()
        await story.api.patch(path, json={"url": receiver.url})
        await story.pass_time(10)
        assert (len(old.requests), told(receiver)) == (1, [video_id])

        receiver.statuses = [500]
        await cancel_one(story.api)
        await story.work()
        assert (await story.api.delete(path)).status_code == 200
        await cancel_one(story.api)
        await story.pass_time(3600, step=600)
        assert len(receiver.requests) == 2
    assert [it.status for it in await story.deliveries()] == [DeliveryStatus.DELIVERED, DeliveryStatus.DEAD]
    assert (await story.api.get("/v3/webhooks/events?undelivered=true")).json()["data"] == []


async def test_what_came_due_before_its_endpoint_went_is_not_attempted(
    story: Story, receiver: Receiver
) -> None:
    """The claim looks again: the event may have been written while the endpoint was being disabled or deleted."""
    await register(story.api, receiver.url)
    await register(story.api, receiver.url)
    await cancel_one(story.api)
    database, now = story.context.database, story.clock.now()
    async with database.begin() as session:
        first, second = (await session.scalars(select(col(Endpoint.id)).order_by(col(Endpoint.id)))).all()
        for endpoint_id, values in ((first, {"status": "disabled"}), (second, {"deleted_at": now})):
            await session.execute(update(Endpoint).where(col(Endpoint.id) == endpoint_id).values(values))
    await story.work()
    assert receiver.requests == []
    stand = {it.target: (it.status, it.due_at, it.attempts) for it in await story.deliveries()}
    assert stand == {first: (DeliveryStatus.OWED, None, 0), second: (DeliveryStatus.DEAD, None, 0)}


@pytest.mark.parametrize("engine_name", ["sqlite"])
async def test_an_attempt_that_crashes_follows_the_schedule_and_ends(
    story: Story, receiver: Receiver
) -> None:
    sealed = story.context.secrets.encrypt("whsec_é".encode())
    async with story.context.database.begin() as session:
        await session.execute(update(WebhookSecret).values(secret_encrypted=sealed))
    await cancel_one(story.api, callback_url=receiver.url)
    await story.work()
    [delivery] = await story.deliveries()
    assert delivery.due_at is not None
    assert delivery.due_at - story.clock.now() < timedelta(seconds=6)
    await story.pass_time(10 * 24 * 3600, step=12 * 3600)
    [delivery] = await story.deliveries()
    assert (delivery.status, delivery.attempts) == (DeliveryStatus.DEAD, 10)
    async with story.context.database.begin() as session:
        assert set(await session.scalars(select(col(Attempt.reason)))) == {"internal"}
    assert receiver.requests == []


async def test_an_endpoint_that_hangs_leaves_places_for_the_tenants_other_one(story: Story) -> None:
    asked: list[str] = []
    full, came, release, stopping = (asyncio.Event() for _ in range(4))

    async def hang(writer: asyncio.StreamWriter) -> None:
        asked.append("")
        if len(asked) == deliver.AT_ONCE_AN_ENDPOINT:
            full.set()
        await release.wait()
        await ok()(writer)

    async def answer(writer: asyncio.StreamWriter) -> None:
        await ok()(writer)
        came.set()

    async with loopback(hang) as stuck, loopback(answer) as well:
        await register(story.api, f"http://127.0.0.1:{stuck.port}/hook")
        for _ in range(deliver.AT_ONCE_A_TENANT + 1):
            await cancel_one(story.api)
        working = asyncio.create_task(loop.run(story.context, stopping))
        try:
            async with asyncio.timeout(20):
                await full.wait()
                await cancel_one(story.api, callback_url=f"http://127.0.0.1:{well.port}/hook")
                await came.wait()
            assert len(asked) == deliver.AT_ONCE_AN_ENDPOINT
        finally:
            release.set()
            stopping.set()
            await working
