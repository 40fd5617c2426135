"""When HeyGen is expected to be done, and what that may do to the schedule of looks."""

from datetime import timedelta
from itertools import accumulate

from hypothesis import given
from hypothesis import strategies as st

from app.forecast import FEWEST, by_rule, next_look, spread_of

FIRST, SLOWEST = timedelta(seconds=60), timedelta(minutes=5)
SPANS = st.timedeltas(min_value=timedelta(), max_value=timedelta(days=2))
POSITIVE = st.timedeltas(min_value=timedelta(seconds=1), max_value=timedelta(hours=1))


def test_left_alone_the_schedule_grows_by_half_from_the_first_to_the_slowest() -> None:
    intervals = [60, 90, 135, 202.5, 300, 300]
    ages = accumulate(intervals, initial=0)
    told = [
        by_rule(FIRST, SLOWEST, asks, timedelta(seconds=age)).total_seconds()
        for asks, age in zip(range(6), ages, strict=False)
    ]
    assert told == intervals


def test_looks_that_came_in_between_do_not_slow_the_schedule_down() -> None:
    assert by_rule(FIRST, SLOWEST, 10, timedelta(seconds=60)) == timedelta(seconds=90)


@given(first=POSITIVE, slowest=POSITIVE, asks=st.integers(0, 10_000), age=SPANS)
def test_the_schedule_is_never_slower_than_its_rule(
    first: timedelta, slowest: timedelta, asks: int, age: timedelta
) -> None:
    wait = by_rule(first, slowest, asks, age)
    assert min(first, slowest) <= wait <= min(first * 1.5 ** min(asks, 20), slowest) or wait == slowest


@given(scheduled=POSITIVE, age=SPANS, expected=st.lists(SPANS, max_size=3), floor=POSITIVE)
def test_an_expected_end_only_brings_a_look_forward_and_never_below_the_floor(
    scheduled: timedelta, age: timedelta, expected: list[timedelta], floor: timedelta
) -> None:
    wait = next_look(scheduled, age, expected, floor)
    assert min(scheduled, floor) <= wait <= scheduled
    if not any(instant * 1.05 > age for instant in expected):
        assert wait == scheduled


def test_a_look_comes_just_after_the_next_expected_end() -> None:
    expected = [timedelta(seconds=seconds) for seconds in (40, 60, 100)]
    wait = next_look(FIRST, timedelta(seconds=45), expected, timedelta(seconds=1))
    assert wait == timedelta(seconds=18)


@given(st.lists(POSITIVE, min_size=FEWEST))
def test_a_spread_is_made_of_the_sample_and_in_order(sample: list[timedelta]) -> None:
    spread = spread_of(sample)
    assert spread is not None
    assert spread.half <= spread.most <= spread.nearly_all
    assert {spread.half, spread.most, spread.nearly_all} <= set(sample)


def test_too_few_tell_nothing() -> None:
    assert spread_of([FIRST] * (FEWEST - 1)) is None
