"""Between the claim and the send: files go up, ids are looked up, and meanwhile the world changes."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import cast

import pytest
from sqlalchemy import delete, select

from app import governor
from app.context import Context
from app.governor import Told
from app.heygen.catalog import Catalog
from app.heygen.schemas import Look
from app.models import Account, Asset, AssetCopy, AssetUpload, Group, JobStatus
from app.storage import Storage
from app.worker import expire, submit, unsure
from tests.end_to_end.conftest import Story
from tests.services import run_worker

UNCHECKED = {"unchecked": [["look", "100c0000000000000000000000000001"]]}


def at(name: str, act: Callable[[], Awaitable[object]]) -> Callable[[str], Awaitable[None]]:
    """A failpoint at which something happens."""

    async def reach(reached: str) -> None:
        if reached == name:
            await act()

    return reach


@dataclass
class SlowFolder(Storage):
    """Files that take a minute and a half a piece, while other workers look for lost leases."""

    folder: Path
    context: Context
    story: Story

    def __post_init__(self) -> None:
        super().__init__(self.folder)

    async def read(self, key: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        whole = b"".join([piece async for piece in super().read(key, start, end)])
        step = len(whole) // 4 + 1
        for begin in range(0, len(whole), step):
            self.story.clock.advance(timedelta(seconds=90))
            yield whole[begin : begin + step]
            await expire.reap(self.context)


async def test_a_file_that_takes_longer_than_a_lease_is_sent_by_the_worker_that_began(
    story: Story, tmp_path: Path
) -> None:
    await story.create_look()
    slow = replace(story.context, storage=SlowFolder(tmp_path / "files", story.context, story))
    await run_worker(slow)
    assert "Released" not in await story.facts((await story.job()).id)
    assert story.calls("POST", "/v3/assets") == 1
    await story.settle()
    assert len(story.bills("look")) == 1


class SlowCatalog:
    """A HeyGen that takes eighty seconds to tell of a look, while other workers look for lost leases."""

    def __init__(self, catalog: Catalog, story: Story) -> None:
        self._catalog, self._story = catalog, story

    async def look(self, heygen_id: str) -> Look:
        self._story.clock.advance(timedelta(seconds=80))
        await expire.reap(self._story.context)
        return await self._catalog.look(heygen_id)


async def test_look_ups_that_take_longer_than_a_lease_are_made_by_the_worker_that_began(
    story: Story, account: Account
) -> None:
    (job,) = await story.queue(asked={"unchecked": UNCHECKED["unchecked"] * 4})
    connection = story.context.connections[account.id]
    slow = replace(connection, catalog=cast("Catalog", SlowCatalog(connection.catalog, story)))
    await run_worker(replace(story.context, connections={account.id: slow}))
    assert "Released" not in await story.facts(job.id)
    assert len(story.bills()) == 1


async def test_however_long_the_preparation_took_the_lease_outlasts_the_send(story: Story) -> None:
    await story.queue(asked=UNCHECKED)
    leases = []

    async def take_long() -> None:
        story.clock.advance(timedelta(seconds=170))

    async def note() -> None:
        leases.append((await story.job()).lease_until)

    points = {"submit.prepared": take_long, "submit.intended": note}

    async def reach(name: str) -> None:
        if name in points:
            await points[name]()

    await run_worker(replace(story.context, failpoint=reach))
    assert leases == [story.clock.now() + story.context.pace.lease]
    assert len(story.bills()) == 1


async def test_a_gate_that_closes_while_a_video_is_prepared_holds_it_back(story: Story) -> None:
    (job,) = await story.queue(asked=UNCHECKED)

    async def close() -> None:
        async with story.context.database.begin() as session:
            await governor.gate(session, job.account_id, Told(timedelta(seconds=60)), story.clock.now())

    await run_worker(replace(story.context, failpoint=at("submit.prepared", close)))
    assert story.calls("POST", "/v3/videos") == 0
    assert (await story.job()).status == JobStatus.QUEUED
    await story.pass_time(55)
    assert story.calls("POST", "/v3/videos") == 0
    await story.settle()
    assert len(story.bills()) == 1


async def holds_all_back(story: Story, shut: str) -> None:
    """What the worker meets shuts the whole account, until HeyGen is well again; then everything is made."""
    await run_worker(story.context)
    assert getattr(await story.account(), shut) is not None
    await story.queue()
    await story.work()
    assert story.calls("POST", "/v3/videos") == 0
    story.simulator.clear_scenarios()
    await story.settle()


SHUT = [("rate_limited", "gate_until"), ("unauthorized", "paused_reason")]


@pytest.mark.parametrize(("scenario", "shut"), SHUT)
async def test_what_an_upload_tells_of_the_account_counts_for_all(
    story: Story, scenario: str, shut: str
) -> None:
    story.simulator.set_scenario(scenario, method="POST", path="/v3/assets")
    await story.create_look()
    await holds_all_back(story, shut)
    assert (await story.account()).limit_now == 10, "HeyGen counts renders, not uploads"
    assert (len(story.bills()), len(story.bills("look"))) == (1, 1)


@pytest.mark.parametrize(("scenario", "shut"), SHUT)
async def test_what_a_look_up_tells_of_the_account_counts_for_all(
    story: Story, scenario: str, shut: str
) -> None:
    story.simulator.set_scenario(scenario, method="GET", path="/v3/avatars")
    await story.queue(asked=UNCHECKED)
    await holds_all_back(story, shut)
    assert len(story.bills()) == 2


async def test_an_upload_that_is_forgotten_while_a_look_is_prepared_gives_the_slot_back_at_once(
    story: Story,
) -> None:
    await story.create_look()

    async def forget() -> None:  # as another job does whose refusal names the file
        async with story.context.database.begin() as session:
            await session.execute(delete(AssetUpload))

    await submit.submit_next(replace(story.context, failpoint=at("submit.prepared", forget)))
    job = await story.job()
    assert (job.status, job.slot_account_id) == (JobStatus.QUEUED, None)
    await story.settle()
    assert len(story.bills("look")) == 1


async def test_a_file_whose_row_is_gone_once_a_look_is_prepared_gives_the_slot_back_at_once(
    story: Story,
) -> None:
    await story.create_look()

    async def lose() -> None:
        async with story.context.database.begin() as session:
            for table in (AssetCopy, AssetUpload, Asset):
                await session.execute(delete(table))

    await submit.submit_next(replace(story.context, failpoint=at("submit.prepared", lose)))
    job = await story.job()
    assert (job.status, job.slot_account_id) == (JobStatus.QUEUED, None)
    assert story.calls("POST", "/v3/avatars") == 0


async def test_a_look_whose_answer_was_lost_is_found_with_its_group(story: Story) -> None:
    story.simulator.set_scenario("replay_errors")
    story.simulator.set_scenario("gateway_timeout_after_accept", times=1)
    await story.create_look()
    await story.work()
    assert (await story.job()).status == JobStatus.UNSURE
    story.clock.advance(timedelta(seconds=10))
    assert await unsure.resolve_next(story.context)
    assert (await story.job()).status == JobStatus.PROCESSING
    async with story.context.database.begin() as session:
        group = (await session.scalars(select(Group))).one()
    assert group.heygen_group_id is not None


async def test_a_canceled_video_that_heygen_does_not_show_yet_keeps_its_slot_for_the_grace(
    story: Story,
) -> None:
    story.simulator.set_timeline(render_seconds=7200)
    (job,) = await story.queue()
    await story.work()
    heygen = story.context.connections[job.account_id].heygen
    await heygen.delete_video((await story.job()).heygen_id or "")
    await story.cancel(job.id)
    await story.pass_time(240, step=20)
    assert (await story.job()).slot_account_id is not None
    await story.pass_time(600, step=20)
    assert (await story.job()).slot_account_id is None


async def test_a_video_that_takes_its_worker_along_each_time_comes_up_ever_more_seldom(story: Story) -> None:
    await story.queue(asked=UNCHECKED)
    waits = []
    for _ in range(4):
        assert await submit.claim(story.context) is not None  # and the process is gone
        story.clock.advance(timedelta(seconds=181))
        assert await expire.reap(story.context)
        due_at = (await story.job()).due_at
        assert due_at is not None
        waits.append((due_at - story.clock.now()).total_seconds())
        story.clock.advance(timedelta(seconds=waits[-1]))
    assert waits == [pytest.approx(seconds, rel=0.21) for seconds in (5, 10, 20, 40)]
