"""What `make chaos` adds up: nothing that is broken may be missing in its last rows."""

from typing import Literal

import pytest

from tests.faults.chaos import table
from tests.faults.mutants import Caught
from tests.faults.result import Result, zeros


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
    rows = [line.split("  ") for line in table([result], 3.0).splitlines()]
    told = {row[0]: row[-1].strip() for row in rows}
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
