"""The document of promises tells of tests and mutants that there are."""

import ast
from functools import cache
from pathlib import Path

import pytest

from tests.faults import chaos
from tests.faults.result import OTHER, ZEROS
from tests.invariants import DOCUMENT, INVARIANTS, Invariant, document
from tests.mutants.guards import AREAS

TESTS = Path(__file__).parent
MUTANTS = {mutant.name: mutant for area in AREAS.values() for mutant in area}
KEPT_BY_GUARDS = {*range(1, 24), 25, *range(28, 39), 40}
"""Numbers that must be there, each with a mutant; the document tells of those that are missing."""
HARNESSES = {part.name for part in chaos.PARTS}


@cache
def functions(file: str) -> frozenset[str]:
    tree = ast.parse((TESTS / file).read_text())
    return frozenset(
        node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )


def test_the_document_is_as_the_list_says() -> None:
    assert DOCUMENT.read_text() == document(), "run: python -m tests.invariants"


@pytest.mark.parametrize("invariant", INVARIANTS, ids=lambda it: str(it.number))
def test_each_promise_names_tests_and_mutants_that_there_are(invariant: Invariant) -> None:
    assert invariant.tests
    for test in invariant.tests:
        file, _, name = test.partition("::")
        assert name in functions(file), f"{test} is not there"
    assert set(invariant.mutants) <= set(MUTANTS), set(invariant.mutants) - set(MUTANTS)


@pytest.mark.parametrize("invariant", INVARIANTS, ids=lambda it: str(it.number))
def test_each_mutant_of_a_promise_is_killed_by_one_of_its_tests(invariant: Invariant) -> None:
    killers = {
        name: {killer.removeprefix("tests/").partition("[")[0] for killer in MUTANTS[name].killers}
        for name in invariant.mutants
    }
    unseen = {name: tests for name, tests in killers.items() if tests.isdisjoint(invariant.tests)}
    assert not unseen, "they are killed by tests of which the promise does not tell"


@cache
def words(harness: str) -> frozenset[str]:
    """Every text in a harness, the names of what it counts among them."""
    tree = ast.parse((TESTS / "faults" / f"{harness}.py").read_text())
    constants = (node.value for node in ast.walk(tree) if isinstance(node, ast.Constant))
    return frozenset(value for value in constants if isinstance(value, str))


@pytest.mark.parametrize("invariant", INVARIANTS, ids=lambda it: str(it.number))
def test_what_counts_for_a_promise_is_what_chaos_prints(invariant: Invariant) -> None:
    assert len(set(invariant.counted)) == len(invariant.counted)
    for row in invariant.counted:
        harness, colon, name = row.partition(": ")
        if colon:
            assert harness in HARNESSES, row
            assert name in words(harness), f"{row} is counted nowhere"
        else:
            assert row in {*ZEROS, OTHER}, row


def test_promises_are_numbered_once_and_in_order() -> None:
    numbers = [it.number for it in INVARIANTS]
    assert numbers == sorted(set(numbers))


def test_no_promise_is_missing_and_none_is_without_a_mutant() -> None:
    assert {it.number for it in INVARIANTS if it.mutants} >= KEPT_BY_GUARDS
