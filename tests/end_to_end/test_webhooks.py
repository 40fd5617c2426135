"""Callers' endpoints that are down, gone or stuck: what is owed arrives unchanged, and nobody else waits for them."""

import asyncio
import json
from datetime import UTC, datetime, timedelta

import httpx
from sqlalchemy import select, update
from sqlmodel import col
from standardwebhooks import Webhook

from app.models import Account, Attempt, DeliveryStatus, WebhookSecret
from app.worker import deliver, loop
from tests.api.callers import caller, create_video
from tests.end_to_end.conftest import Story
from tests.services import Receiver
from tests.webhooks.loopback import loopback, ok

WAITS = [timedelta(seconds=5), timedelta(minutes=5), timedelta(minutes=30), timedelta(hours=2)]


async def owe(api: httpx.AsyncClient, url: str) -> str:
    """A canceled video, whose caller is owed one webhook."""
    video_id = await create_video(api, callback_url=url)
    assert (await api.post(f"/v3/videos/{video_id}/cancel")).status_code == 200
    return video_id


async def test_a_receiver_that_was_down_gets_the_same_bytes_freshly_signed_on_schedule(
    story: Story, receiver: Receiver
) -> None:
    receiver.statuses = [500, 302, 429, 503]
    await owe(story.api, receiver.url)
    attempted_at = []
    for wait in WAITS:
        attempted_at.append(story.clock.now())
        await story.work()
        [delivery] = await story.deliveries()
        assert delivery.due_at is not None
        assert wait * 0.9 <= delivery.due_at - story.clock.now() <= wait * 1.1
        story.clock.advance(delivery.due_at - story.clock.now() - timedelta(seconds=1))
        await story.work()
        assert len(receiver.requests) == len(attempted_at), "no attempt before its time"
        story.clock.advance(timedelta(seconds=1))
    attempted_at.append(story.clock.now())
    await story.work()
    await story.pass_time(6 * 24 * 3600, step=2 * 24 * 3600)

    assert len(receiver.requests) == 5, "and none after it was taken"
    assert len(set(receiver.bodies)) == 1
    assert len({headers["webhook-id"] for headers, _ in receiver.requests}) == 1
    for at, (headers, body) in zip(attempted_at, receiver.requests, strict=True):
        assert headers["webhook-timestamp"] == str(int(at.timestamp()))
        signed_at = datetime.fromtimestamp(int(headers["webhook-timestamp"]), UTC)
        signature = Webhook(story.secret).sign(headers["webhook-id"], signed_at, body.decode())
        assert headers["webhook-signature"] == signature


async def test_a_receiver_that_says_gone_is_left_alone(story: Story, receiver: Receiver) -> None:
    receiver.statuses = [410]
    await owe(story.api, receiver.url)
    await story.work()
    await story.pass_time(3 * 24 * 3600, step=12 * 3600)
    assert len(receiver.requests) == 1
    [delivery] = await story.deliveries()
    assert (delivery.status, delivery.due_at) == (DeliveryStatus.DEAD, None)


async def test_without_a_live_secret_nothing_leaves_until_there_is_one(
    story: Story, receiver: Receiver
) -> None:
    async with story.context.database.begin() as session:
        await session.execute(update(WebhookSecret).values(expires_at=story.clock.now()))
    await owe(story.api, receiver.url)
    await story.work()
    await story.pass_time(60)
    assert receiver.requests == []
    async with story.context.database.begin() as session:
        reasons = set(await session.scalars(select(col(Attempt.reason))))
        await session.execute(update(WebhookSecret).values(expires_at=None))
    assert reasons == {"no_secret"}
    await story.pass_time(3600, step=60)
    assert len(receiver.requests) == 1


async def test_a_failed_video_is_told_with_heygens_words(story: Story, receiver: Receiver) -> None:
    script = "Hello. [[fail: rendering_failed]]"
    video_id = await story.create(script=script, callback_url=receiver.url, callback_id="c1")
    await story.settle()
    [body] = receiver.bodies
    assert json.loads(body) == {
        "event_type": "avatar_video.fail",
        "event_data": {
            "video_id": video_id,
            "msg": "Avatar rendering timed out",
            "failure_code": "rendering_failed",
            "failure_message": "Avatar rendering timed out",
            "callback_id": "c1",
        },
    }


async def test_a_receiver_that_hangs_takes_its_own_share_and_holds_up_nobody_else(
    story: Story, account: Account
) -> None:
    asked: list[str] = []
    full, came, release, stopping = (asyncio.Event() for _ in range(4))

    async def hang(writer: asyncio.StreamWriter) -> None:
        asked.append("")
        if len(asked) == deliver.AT_ONCE_A_TENANT:
            full.set()
        await release.wait()
        await ok()(writer)

    async def answer(writer: asyncio.StreamWriter) -> None:
        await ok()(writer)
        came.set()

    async with (
        loopback(hang) as stuck,
        loopback(answer) as well,
        caller(story.context, account, "other") as other,
    ):
        for _ in range(deliver.AT_ONCE_A_TENANT + 4):
            await owe(story.api, f"http://127.0.0.1:{stuck.port}/hook")
        working = asyncio.create_task(loop.run(story.context, stopping))
        try:
            async with asyncio.timeout(20):
                await full.wait()
                await owe(other, f"http://127.0.0.1:{well.port}/hook")
                await came.wait()
            assert len(asked) == deliver.AT_ONCE_A_TENANT
        finally:
            release.set()
            stopping.set()
            await working
