"""The copy of a finished file: tried for a week, then given up, and its caller told."""

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError
from sqlmodel import col

from app.models import Event, File
from app.worker import archive, poll
from tests.worker.conftest import Bench

REFUSE = (
    "CREATE TRIGGER full BEFORE INSERT ON events WHEN NEW.fact = 'ArchiveGivenUp'"
    " BEGIN SELECT RAISE(ABORT, 'no room'); END"
)


async def left_behind(bench: Bench) -> None:
    """A finished video whose file HeyGen has not given for a week."""
    await bench.queue(archive=True)
    await bench.work()
    bench.clock.advance(poll.GRACE)
    await poll.poll(bench.context, await poll.claim(bench.context))
    bench.simulator.set_scenario("outage")
    bench.clock.advance(archive.GIVEN_UP)


async def given_up(bench: Bench) -> tuple[list[str], list[str]]:
    """The files of which there will be no copy, and those of which the timeline says so."""
    async with bench.context.database.begin() as session:
        files = select(col(File.variant)).where(col(File.gave_up_at).isnot(None))
        notes = select(col(Event.detail)).where(col(Event.fact) == "ArchiveGivenUp")
        told = [(detail or {})["variant"] for detail in await session.scalars(notes)]
        return sorted(await session.scalars(files)), sorted(told)


async def test_a_file_that_cannot_be_had_for_a_week_is_given_up_and_the_timeline_tells(bench: Bench) -> None:
    await left_behind(bench)
    while await archive.archive_next(bench.context):
        pass
    files, told = await given_up(bench)
    assert files == told == ["thumbnail", "video"]


@pytest.mark.parametrize("engine_name", ["sqlite"])
async def test_no_file_is_given_up_in_silence(bench: Bench) -> None:
    await left_behind(bench)
    async with bench.context.database.begin() as session:
        await session.execute(text(REFUSE))
    with pytest.raises(DBAPIError):
        await archive.archive_next(bench.context)
    assert await given_up(bench) == ([], [])
