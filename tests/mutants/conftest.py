"""Which of the mutants are tried."""

import os
from itertools import chain

import pytest

from tests.mutants.guards import AREAS


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With `MUTANTS=half`, as in `make test`: every second one, the others where the seed of the random order is odd."""
    if os.environ.get("MUTANTS") != "half":
        return
    seed = int(getattr(config.option, "randomly_seed", 0))
    names = [it.name for it in chain.from_iterable(AREAS.values())]
    others = {f"test_a_guard_that_is_taken_out_is_missed[{name}]" for name in names[seed % 2 :: 2]}
    config.hook.pytest_deselected(items=[item for item in items if item.name in others])
    items[:] = [item for item in items if item.name not in others]
