"""The breaker opens when most of many calls fail within a minute, and at nothing less."""

from datetime import timedelta

import pytest

from app.breaker import Breaker
from tests.conftest import START

SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("calls", "apart", "opens_at"),
    [
        ("f" * 19, SECOND, None),
        ("f" * 20, SECOND, 20),
        ("f" * 40, SECOND, 20),
        ("f" * 100, 4 * SECOND, None),  # never twenty within a minute
        ("s" * 30 + "f" * 29, SECOND, None),
        ("s" * 30 + "f" * 30, SECOND, 60),
        ("sf" * 10, SECOND, 20),
        ("ssf" * 40, SECOND, None),
        ("s" * 20 + "f" * 60, 3 * SECOND, 30),  # the twenty of its minute: ten of them failed
    ],
)
def test_it_opens_at_half_of_twenty_or_more(calls: str, apart: timedelta, opens_at: int | None) -> None:
    breaker = Breaker()
    opened = [
        number
        for number, call in enumerate(calls, 1)
        if breaker.count(START + number * apart, failed=call == "f")
    ]
    assert opened[:1] == ([] if opens_at is None else [opens_at])


def test_once_open_it_counts_from_the_beginning() -> None:
    breaker = Breaker()
    opened = [breaker.count(START, failed=True) for _ in range(40)]
    assert [number for number, opens in enumerate(opened, 1) if opens] == [20, 40]
