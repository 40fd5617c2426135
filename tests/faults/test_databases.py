"""Databases that go away for a while cost nothing that was promised; `make chaos` takes them away more often."""

from pathlib import Path

import pytest

from tests.faults.databases import break_postgresql, break_sqlite
from tests.faults.result import Result

SEED = 1


def check(result: Result, faults: int) -> None:
    assert not result.violations, "\n".join([*result.violations, result.log])
    assert result.counts["faults"] == faults
    assert result.counts["promised"] > 0


@pytest.mark.timeout(400)
@pytest.mark.xdist_group("kills")
async def test_a_postgresql_that_crashes_under_load_costs_nothing_that_was_promised(tmp_path: Path) -> None:
    check(await break_postgresql(tmp_path, 3, SEED), 3)


@pytest.mark.timeout(400)
@pytest.mark.xdist_group("kills")
async def test_a_locked_file_and_a_full_disk_cost_nothing_that_was_promised(tmp_path: Path) -> None:
    check(await break_sqlite(tmp_path, 2, SEED, locked=3), 2)
