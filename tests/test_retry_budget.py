"""An outage must not multiply the traffic that meets it."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from app.retry_budget import RetryBudget
from tests.conftest import START

STEPS = st.lists(st.tuples(st.sampled_from(["first", "take"]), st.floats(0, 20)), max_size=300)


@given(STEPS)
def test_repeats_are_at_most_a_tenth_of_the_first_sends_and_one_a_second(
    steps: list[tuple[str, float]],
) -> None:
    budget, elapsed, firsts, repeats = RetryBudget(), 0.0, 0, 0
    for what, pause in steps:
        elapsed += pause
        now = START + timedelta(seconds=elapsed)
        if what == "first":
            budget.first(now)
            firsts += 1
        else:
            repeats += not budget.take(now)
    assert repeats <= 1 + elapsed + 0.1 * firsts + 1e-6


def test_what_is_saved_up_in_quiet_hours_is_no_burst() -> None:
    budget = RetryBudget()
    for _ in range(100):
        budget.first(START)
    later = START + timedelta(hours=1)
    assert [bool(budget.take(later)) for _ in range(3)] == [False, True, True]


def test_a_clock_that_is_set_back_lets_nobody_wait_longer() -> None:
    budget = RetryBudget()
    for _ in range(10):
        budget.first(START)
    waits = [budget.take(START) for _ in range(4)]
    back = START - timedelta(hours=1)
    assert budget.take(back) - waits[-1] == timedelta(seconds=1)
    later = back + timedelta(minutes=3)
    assert [bool(budget.take(later)) for _ in range(2)] == [False, True], "nor is anything saved up longer"


def test_who_has_to_wait_comes_back_one_after_the_other() -> None:
    budget = RetryBudget()
    waits = [budget.take(START).total_seconds() for _ in range(4)]
    assert waits == [0, 1, 2, 3]
