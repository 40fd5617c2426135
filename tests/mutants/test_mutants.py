"""Every guard of the core has a test that notices when it is gone."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack

import pytest

from tests.mutants.guards import AREAS
from tests.mutants.mutant import Mutant
from tests.mutants.surgery import bodies
from tests.processes import PROJECT

PASSED, TESTS_FAILED = 0, 1
"""pytest's exit codes. Anything higher means that the tests could not run."""
MUTANTS = tuple(mutant for area in AREAS.values() for mutant in area)
FIRST_OF_A_FILE = {(it.killers[0].partition("::")[0], it.database): it for it in reversed(MUTANTS)}.values()

PROCESSES = 2  # each needs a nursery, which takes ten seconds to furnish
IN_GROUPS = [
    pytest.param(it, id=it.name, marks=pytest.mark.xdist_group(f"mutants {number % PROCESSES}"))
    for number, it in enumerate(MUTANTS)
]

Run = Callable[[Mutant, str, Sequence[str]], tuple[int, str]]


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Run]:
    """Runs tests where a mutant's file has another text: the code that pytest ends with, and what it says."""
    said = tmp_path_factory.mktemp("mutants") / "said.txt"
    running: dict[str, subprocess.Popen[str]] = {}
    with ExitStack() as stack:

        def nursery(kind: str) -> subprocess.Popen[str]:
            command = [sys.executable, "-W", "ignore", "-m", "tests.mutants.nursery", kind]
            pipe = subprocess.PIPE
            process = subprocess.Popen(command, cwd=PROJECT, stdin=pipe, stdout=pipe, text=True)  # noqa: S603 -- our own words
            stack.enter_context(process)
            stack.callback(process.kill)
            return process

        def run(mutant: Mutant, text: str, killers: Sequence[str]) -> tuple[int, str]:
            kind = "cold" if bodies(original(mutant), text) is None else "warm"
            process = running.get(kind) or running.setdefault(kind, nursery(kind))
            assert process.stdin is not None
            assert process.stdout is not None
            environment = {}
            if mutant.database == "postgresql":
                environment["TEST_POSTGRESQL_URL"] = request.getfixturevalue("postgresql")
            asked: dict[str, object] = {
                "file": mutant.file,
                "text": text,
                "killers": killers,
                "once": text == original(mutant),
                "database": mutant.database,
            }
            asked |= {"environment": environment, "said": str(said)}
            process.stdin.write(json.dumps(asked) + "\n")
            process.stdin.flush()
            try:
                return int(process.stdout.readline()), said.read_text()
            except BaseException:  # out of time: its answer would be taken for that to the next request
                running.pop(kind).kill()
                raise

        yield run


def original(mutant: Mutant) -> str:
    return (PROJECT / mutant.file).read_text()


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda it: it.name)
def test_the_guard_stands_where_its_mutant_says(mutant: Mutant) -> None:
    text = original(mutant)
    assert [text.count(before) for before, _ in mutant.edits] == [1] * len(mutant.edits)


@pytest.mark.parametrize("mutant", IN_GROUPS)
def test_a_guard_that_is_taken_out_is_missed(mutant: Mutant, run: Run) -> None:
    text = original(mutant)
    for before, after in mutant.edits:
        text = text.replace(before, after)
    code, said = run(mutant, text, mutant.killers)
    assert code == TESTS_FAILED, f"nobody missed it:\n{said}"


@pytest.mark.timeout(600)
@pytest.mark.xdist_group("mutants 0")
@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_with_every_guard_in_place_nothing_is_missed(database: str, run: Run) -> None:
    """One killer of each file tells whether its tests can run in a nursery at all."""
    some = [mutant for mutant in FIRST_OF_A_FILE if mutant.database == database]
    code, said = run(some[0], original(some[0]), [mutant.killers[0] for mutant in some])
    assert code == PASSED, said
