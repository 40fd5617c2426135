"""Every guard of the core has a test that notices when it is gone."""

import asyncio
import json
import os
import shutil
import signal
import sys
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from tests.mutants.guards import AREAS
from tests.mutants.mutant import Mutant

PROJECT = Path(__file__).resolve().parents[2]
TESTS_FAILED = 1
"""pytest's exit code: tests ran, and some failed. Anything higher means that they could not run."""


@pytest.mark.parametrize(
    "mutant", [mutant for area in AREAS.values() for mutant in area], ids=lambda it: it.name
)
def test_the_guard_stands_where_its_mutant_says(mutant: Mutant) -> None:
    text = (PROJECT / mutant.file).read_text()
    assert [text.count(before) for before, _ in mutant.edits] == [1] * len(mutant.edits)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("area", AREAS)
async def test_each_guard_that_is_taken_out_is_missed(area: str, tmp_path: Path) -> None:
    mutants = AREAS[area]
    nothing = replace(
        mutants[0],
        name="nothing is taken out",
        edits=(),
        killers=tuple({killer: None for mutant in mutants for killer in mutant.killers}),
    )
    for part in ("app", "migrations", "tests"):
        shutil.copytree(PROJECT / part, tmp_path / part, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(PROJECT / "pyproject.toml", tmp_path)
    (tmp_path / "mutants.json").write_text(json.dumps([asdict(it) for it in (nothing, *mutants)]))
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        tmp_path / "tests" / "mutants" / "nursery.py",
        tmp_path,
        stdout=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    try:
        output, _ = await process.communicate()
    finally:
        # A mutant may have sent its test round in circles: nothing of it outlives this test.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    said = (tmp_path / "said.txt").read_text()
    codes = [json.loads(line)[1] for line in output.splitlines()]
    assert len(codes) == 1 + len(mutants), said
    assert codes[0] == 0, f"the tests fail with every guard in place:\n{said}"
    survivors = [it.name for it, code in zip(mutants, codes[1:], strict=True) if code != TESTS_FAILED]
    assert not survivors, said
