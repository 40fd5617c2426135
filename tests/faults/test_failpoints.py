"""Whatever strikes at whichever boundary: no promise is broken, and everything comes to rest by itself."""

from itertools import product
from random import Random

import pytest

from app.failpoints import NAMES
from tests.faults import sources
from tests.faults.injection import FAULTS, Shot
from tests.faults.scenes import BATCH_MOMENTS, WITHDRAWN, play, scenes_of
from tests.faults.stage import Stage

POINTS = sorted(NAMES)
PAIRS = list(product(POINTS, repeat=2))
CRASH = "crash"
ELSEWHERE = tuple(fault for fault in FAULTS if fault != CRASH)
GROUPS, IN_A_GROUP = 3, 4
"""How many pairs a change is tried with on each database; `python -m tests.faults failpoints` tries all."""


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> int:
    """Another one each time, told by pytest's first lines."""
    return int(getattr(request.config.option, "randomly_seed", 0))


def chosen(is_sqlite: bool, number: int) -> tuple[str, ...]:
    """A crash, and on SQLite three of the others in turn, on PostgreSQL one: `make chaos` tries them all on both."""
    first = number % len(ELSEWHERE)
    return (CRASH, *(ELSEWHERE + ELSEWHERE)[first : first + (3 if is_sqlite else 1)])


async def test_without_a_fault_every_boundary_is_reached_and_no_promise_broken(stage: Stage) -> None:
    assert await play(stage, ()) == []
    assert NAMES - set(stage.armed.reached) == set()


async def test_what_is_in_doubt_keeps_its_slot(stage: Stage) -> None:
    for shots in ([], [Shot("submit.sent")], [Shot("unsure.sent")]):
        assert await play(stage, shots, ("doubtful", "plain", "found"), slots=1) == []


@pytest.mark.parametrize("point", POINTS)
async def test_no_fault_at_a_boundary_breaks_a_promise(stage: Stage, point: str, seed: int) -> None:
    for fault in chosen(stage.database.is_sqlite, POINTS.index(point) + seed):
        found = await play(stage, [Shot(point, fault)], scenes_of([point]))
        assert (fault, found, stage.unmet) == (fault, [], [])


@pytest.mark.parametrize("scene", WITHDRAWN)
async def test_no_fault_undoes_what_a_caller_withdrew(stage: Stage, scene: str, seed: int) -> None:
    for fault in chosen(stage.database.is_sqlite, WITHDRAWN.index(scene) + seed):
        found = await play(stage, [Shot("withdraw.stored", fault)], [scene])
        assert (fault, found, stage.unmet) == (fault, [], [])
        jobs = (await sources.read_tables(stage.database)).jobs
        assert [job.status for job in jobs] == ["canceled"], fault


@pytest.mark.parametrize("moment", BATCH_MOMENTS, ids=lambda it: it[0])
async def test_no_fault_breaks_a_batch_or_keeps_an_end_from_a_registered_endpoint(
    stage: Stage, moment: tuple[str, int], seed: int
) -> None:
    point, nth = moment
    for fault in chosen(False, POINTS.index(point) + seed):
        found = await play(stage, [Shot(point, fault, nth)], ["batch"])
        assert (fault, found, stage.unmet) == (fault, [], [])


@pytest.mark.parametrize("group", range(GROUPS))
async def test_no_two_crashes_break_a_promise(stage: Stage, group: int, seed: int) -> None:
    sample = Random(seed).sample(PAIRS, GROUPS * IN_A_GROUP)[group::GROUPS]
    for pair in sample:
        found = await play(stage, [Shot(point) for point in pair], scenes_of(pair))
        assert (pair, found, stage.unmet) == (pair, [], [])
