"""The document of promises tells of tests and mutants that there are."""

import ast
from functools import cache
from pathlib import Path

import pytest

from tests.invariants import DOCUMENT, INVARIANTS, Invariant, document
from tests.mutants.guards import AREAS

TESTS = Path(__file__).parent
MUTANTS = {mutant.name for area in AREAS.values() for mutant in area}


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
    assert set(invariant.mutants) <= MUTANTS, set(invariant.mutants) - MUTANTS


def test_promises_are_numbered_once_and_in_order() -> None:
    numbers = [it.number for it in INVARIANTS]
    assert numbers == sorted(set(numbers))
