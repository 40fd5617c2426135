"""What `make chaos` adds up: nothing that is broken may be missing in its last rows."""

from typing import Literal

import pytest

from tests.faults.blindness import saw
from tests.faults.chaos import table
from tests.faults.mutants import Caught
from tests.faults.result import OTHER, ZEROS, Result, zeros
from tests.mutants.harnesses import BLINDFOLDS, Blindfold
from tests.processes import PROJECT


def test_what_is_broken_is_counted_once_under_its_promise() -> None:
    result = Result(
        "kills", {"kills": 2}, ["two renders of one job", "mutant not caught: a guard", "anything"]
    )
    counted = zeros([result])
    assert {kind: count for kind, count in counted.items() if count} == {
        "doubled renders": 1,
        "mutants not caught": 1,
        "other broken promises": 1,
    }
    rows = [line.split("  ") for line in table([result], 3.0, 7).splitlines()]
    told = {row[0]: row[-1].strip() for row in rows}
    assert told["seed"] == "7"
    assert told["kills: kills"] == "2"
    assert told["doubled renders"] == "1"
    assert told["lost jobs"] == "0"


@pytest.mark.parametrize(
    ("test", "outcome", "mutants", "broken"),
    [
        ("test_a_guard_that_is_taken_out_is_missed[a guard]", "passed", 1, []),
        ("test_a_guard_that_is_taken_out_is_missed[a guard]", "failed", 0, ["mutant not caught: a guard"]),
        ("test_the_guard_stands[a guard]", "passed", 0, []),
        ("test_the_guard_stands[a guard]", "failed", 0, ["of the mutants: test_the_guard_stands[a guard]"]),
    ],
)
def test_a_mutant_is_caught_where_its_tests_fail(
    test: str, outcome: Literal["passed", "failed"], mutants: int, broken: list[str]
) -> None:
    caught = Caught()
    caught.pytest_runtest_logreport(pytest.TestReport(test, (test, 1, test), {}, outcome, None, "call"))
    assert (caught.mutants, caught.broken) == (mutants, broken)


@pytest.mark.parametrize("blindfold", BLINDFOLDS, ids=lambda it: it.name)
def test_the_guard_stands_where_the_harness_must_miss_it(blindfold: Blindfold) -> None:
    found = [(PROJECT / file).read_text().count(text) for file, text, _ in blindfold.edits]
    assert found == [1] * len(blindfold.edits)
    assert blindfold.reports in {*ZEROS, OTHER}


@pytest.mark.parametrize(
    ("violations", "seen"), [(["two renders of one job"], 1), (["accepted job lost"], 0), ([], 0)]
)
def test_a_harness_is_blind_unless_it_reports_what_its_mutant_breaks(
    violations: list[str], seen: int
) -> None:
    blindfold = Blindfold("a mutant", (), ("kills",), "doubled renders")
    assert saw(blindfold, f"progress\n{Result('kills', {}, violations).to_json()}\n") == seen


@pytest.mark.parametrize("said", ["", "Traceback", "{}", "[1]"])
def test_a_harness_that_falls_over_has_seen_nothing(said: str) -> None:
    assert saw(BLINDFOLDS[0], said) == 0
