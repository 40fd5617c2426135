"""The copy of a finished file: tried for a week, then given up, and its caller told."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError
from sqlmodel import col

from app.models import Event, File
from app.storage import Storage, Stored
from app.worker import archive, poll
from tests.worker.conftest import Bench

REFUSE = (
    "CREATE TRIGGER full BEFORE INSERT ON events WHEN NEW.fact = 'ArchiveGivenUp'"
    " BEGIN SELECT RAISE(ABORT, 'no room'); END"
)


@dataclass
class SlowFolder(Storage):
    """A folder that a file goes into piece by piece, with something happening after each."""

    folder: Path
    after_a_piece: Callable[[], Awaitable[object]]
    pieces: int = 0

    def __post_init__(self) -> None:
        super().__init__(self.folder)

    async def put(self, key: str, chunks: AsyncIterator[bytes], **limits: Any) -> Stored:
        async def slowly() -> AsyncIterator[bytes]:
            async for piece in chunks:
                yield piece
                self.pieces += 1
                await self.after_a_piece()

        return await super().put(key, slowly(), **limits)


async def finished(bench: Bench) -> None:
    """A finished video whose files are due."""
    await bench.queue(archive=True)
    await bench.work()
    bench.clock.advance(poll.GRACE)
    await poll.poll(bench.context, await poll.claim(bench.context))


async def only_the_film(bench: Bench) -> archive.Owed:
    """The film of a finished video, claimed; its other files are copied."""
    await finished(bench)
    claimed = []
    while (owed := await archive.claim(bench.context)) is not None:
        claimed.append(owed)
    (film,) = (owed for owed in claimed if owed.file.variant == "video")
    for owed in claimed:
        if owed is not film:
            await archive.archive(bench.context, owed)
    return film


async def left_behind(bench: Bench) -> None:
    """A finished video whose file HeyGen has not given for a week."""
    await finished(bench)
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


async def test_a_file_that_takes_longer_than_a_lease_is_copied_once(bench: Bench, tmp_path: Path) -> None:
    film = await only_the_film(bench)

    async def take_long() -> None:
        bench.clock.advance(archive.LEASE * 2 / 3)
        assert await archive.claim(bench.context) is None, "another worker began it, too"

    slow = SlowFolder(tmp_path / "files", take_long)
    await archive.archive(replace(bench.context, storage=slow), film)
    assert slow.pieces > 1
    async with bench.context.database.begin() as session:
        (file,) = await session.scalars(select(File).where(col(File.variant) == "video"))
    assert (file.tries, file.due_at, file.lease_until) == (1, None, None)
    assert await bench.context.storage.size(file.storage_key or "") == file.size


async def test_a_copy_that_another_worker_took_over_is_not_read_to_its_end(
    bench: Bench, tmp_path: Path
) -> None:
    film = await only_the_film(bench)

    async def be_overtaken() -> None:
        bench.clock.advance(archive.LEASE + timedelta(seconds=1))
        await archive.archive_next(bench.context)

    slow = SlowFolder(tmp_path / "files", be_overtaken)
    await archive.archive(replace(bench.context, storage=slow), film)
    assert slow.pieces == 1
    async with bench.context.database.begin() as session:
        (file,) = await session.scalars(select(File).where(col(File.variant) == "video"))
    assert (file.tries, file.due_at) == (2, None)
    assert await bench.context.storage.size(file.storage_key or "") == file.size


async def test_a_copy_that_fails_for_whatever_reason_is_tried_again_soon_and_not_for_ever(
    bench: Bench, tmp_path: Path
) -> None:
    async def break_down() -> None:
        raise LookupError("a storage that nobody expected")

    film = await only_the_film(bench)
    broken = replace(bench.context, storage=SlowFolder(tmp_path / "broken", break_down))
    await archive.archive(broken, film)
    bench.clock.advance(archive.DELAYS[0] * 2)
    again = await archive.claim(bench.context)
    assert again is not None, "its lease is half an hour"
    bench.clock.advance(archive.GIVEN_UP)
    await archive.archive(broken, again)
    assert await given_up(bench) == (["video"], ["video"])
