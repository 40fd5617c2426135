"""Batches from end to end: as many renders as items, whatever happens, and one word at the end."""

import asyncio
import json
import os
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlmodel import col

from app.models import Batch, Event, Job
from app.worker import expire
from tests.api.callers import VIDEO
from tests.end_to_end.conftest import Story
from tests.services import Receiver

BATCHES = "/v3/videos/batches"
RENDERED = int(os.environ.get("BATCH_ITEMS", "25"))
"""Rendering a thousand takes minutes: BATCH_ITEMS=1000 does."""


async def create(story: Story, count: int, **fields: Any) -> dict[str, Any]:
    videos = [VIDEO | {"title": f"No. {number}"} for number in range(count)]
    answer = await story.api.post(BATCHES, json={"videos": videos} | fields)
    assert answer.status_code == 200, answer.text
    made: dict[str, Any] = answer.json()["data"]
    return made


async def finished(story: Story) -> list[bytes | None]:
    """The bodies of the events that batches ended with."""
    async with story.context.database.begin() as session:
        return list(await session.scalars(select(col(Event.body)).where(col(Event.type) == "batch.finished")))


async def test_a_thousand_videos_are_one_request_and_one_row_each(story: Story) -> None:
    made = await create(story, 1_000)
    jobs = await story.jobs()
    assert [(job.id, job.title) for job in jobs] == [
        (item["video_id"], f"No. {item['item_index']}") for item in made["items"]
    ]
    assert [job.batch_index for job in jobs] == list(range(1_000))
    entries = (await story.api.get("/v3/videos/statuses", params={"batch_ids": made["batch_id"]})).json()
    assert Counter(entry["status"] for entry in entries["data"]) == {"queued": 1_000}
    async with story.context.database.begin() as session:
        assert await session.scalar(select(func.count()).select_from(Event)) == 1_000


async def test_every_item_is_rendered_once_and_the_batch_ends_once(story: Story, receiver: Receiver) -> None:
    story.simulator.set_timeline(render_seconds=0)
    # Answers that are lost, and callbacks that come twice, are of single items.
    story.simulator.set_scenario("drop_after_accept", times=3)
    story.simulator.set_scenario("callbacks_doubled")
    made = await create(story, RENDERED, callback_url=receiver.url, callback_id="4711")
    for _ in range(2 * RENDERED):
        await story.work()
        story.clock.advance(timedelta(seconds=6))
        await story.simulator.send_due_callbacks()
        if not await story.unfinished():
            break
    await story.work()
    assert await story.unfinished() == 0
    bills = Counter(bill.title for bill in story.bills())
    assert (len(bills), set(bills.values())) == (RENDERED, {1}), "one ledger entry an item"
    (body,) = await finished(story)
    assert receiver.bodies == [body]
    assert json.loads(body or b"")["event_data"]["counts_by_status"] == {"completed": RENDERED, "failed": 0}
    batch = (await story.api.get(f"{BATCHES}/{made['batch_id']}", params={"limit": 1})).json()["data"]
    assert (batch["status"], batch["counts_by_status"]["completed"]) == ("completed", RENDERED)


@pytest.mark.parametrize("engine_name", ["postgresql"])
async def test_ends_that_come_together_neither_wait_for_each_other_nor_count_twice(story: Story) -> None:
    """Deadlines end many at once while callers withdraw the same ones, in the other order."""
    soon = {"greenroom": {"deadline": (story.clock.now() + timedelta(hours=1)).isoformat()}}
    ids = [item["video_id"] for _ in range(2) for item in (await create(story, 15, **soon))["items"]]
    story.clock.advance(timedelta(hours=2))

    async def cancel(video_id: str) -> int:
        return (await story.api.post(f"/v3/videos/{video_id}/cancel")).status_code

    withdrawing = asyncio.gather(*(cancel(video_id) for video_id in reversed(ids)))
    sweeps = await asyncio.gather(*(expire.expire(story.context) for _ in range(3)))
    assert set(await withdrawing) <= {200, 409}
    assert any(sweeps)
    await expire.expire(story.context)
    async with story.context.database.begin() as session:
        assert list(await session.scalars(select(col(Batch.open)))) == [0, 0]
    assert len(await finished(story)) == 2


@pytest.mark.parametrize("engine_name", ["postgresql"])
async def test_what_a_deadline_ends_is_locked_before_the_first_batch_is(story: Story) -> None:
    """Else whoever ends one of them meanwhile holds its job and waits for its batch, and we the other way round."""
    soon = {"greenroom": {"deadline": (story.clock.now() + timedelta(hours=1)).isoformat()}}
    await create(story, 3, **soon)
    story.clock.advance(timedelta(hours=2))
    free: list[list[str]] = []

    async def look(name: str) -> None:
        if name == "sweep.read":
            unlocked = select(col(Job.id)).with_for_update(skip_locked=True)
            async with story.context.database.engine.connect() as other:
                free.append(await asyncio.create_task(_ids(other, unlocked)))

    await expire.expire(replace(story.context, failpoint=look))
    assert free[0] == [], "with the deadlines that passed; what waits for its file is looked for after them"
    assert len(await finished(story)) == 1


async def _ids(connection: Any, statement: Any) -> list[str]:
    return [row[0] for row in await connection.execute(statement)]
