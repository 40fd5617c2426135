"""Whatever an endpoint is owed in the moment in which it is enabled is told to it, and not held for ever."""

import asyncio
import contextvars
from collections.abc import Coroutine
from typing import Any

import pytest
from sqlalchemy import text, update

from app.models import Endpoint
from tests.end_to_end.conftest import Story
from tests.end_to_end.test_endpoints import cancel_one, register, told
from tests.services import Receiver
from tests.webhooks.loopback import loopback, ok

pytestmark = pytest.mark.parametrize("engine_name", ["postgresql"])  # SQLite has one writer anyway


async def meanwhile(story: Story, doing: Coroutine[Any, Any, Any]) -> None:
    """Do it while the endpoint is being enabled: until it waits for that, or is done."""
    blocked = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
    async with story.context.database.begin() as session:
        await session.execute(update(Endpoint).values(status="enabled"))
        task = asyncio.create_task(doing, context=contextvars.Context())
        while not task.done() and not await session.scalar(blocked):
            pass
    await task


async def test_an_event_that_is_recorded_while_its_endpoint_is_enabled_is_told(
    story: Story, receiver: Receiver
) -> None:
    path, _ = await register(story.api, receiver.url)
    await story.api.patch(path, json={"status": "disabled"})
    await meanwhile(story, cancel_one(story.api))
    await story.work()
    assert len(told(receiver)) == 1


async def test_what_is_due_while_its_endpoint_is_enabled_is_not_put_aside(
    story: Story, receiver: Receiver
) -> None:
    path, _ = await register(story.api, receiver.url)
    video_id = await cancel_one(story.api)
    await story.api.patch(path, json={"status": "disabled"})
    await meanwhile(story, story.work())
    await story.work()
    assert told(receiver) == [video_id]


async def test_an_attempt_that_fails_while_its_endpoint_is_enabled_is_made_again(
    story: Story, receiver: Receiver
) -> None:
    asked, release = asyncio.Event(), asyncio.Event()

    async def hang(writer: asyncio.StreamWriter) -> None:
        asked.set()
        await release.wait()
        await ok(status=b"500 Internal Server Error")(writer)

    async with loopback(hang) as slow:
        path, _ = await register(story.api, f"http://127.0.0.1:{slow.port}/hook")
        video_id = await cancel_one(story.api)
        working = asyncio.create_task(story.work())
        await asked.wait()
        await story.api.patch(path, json={"status": "disabled", "url": receiver.url})

        async def fail() -> None:
            release.set()
            await working

        await meanwhile(story, fail())
    await story.pass_time(10)
    assert told(receiver) == [video_id]
