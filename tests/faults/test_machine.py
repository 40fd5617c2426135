"""Any rule after any other: a small part of what `make chaos` tries."""

import pytest

from tests.faults.machine import play


@pytest.mark.timeout(300)
@pytest.mark.parametrize("number", range(1, 4))
def test_no_order_of_events_breaks_a_promise(number: int) -> None:
    assert play(number, examples=3, most=40) > 60
