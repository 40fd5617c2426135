import itertools
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.webhooks.schedule import disabled_after, next_attempt

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
WAITS = [5, 300, 1800, 2 * 3600, 5 * 3600, 10 * 3600, 10 * 3600, 24 * 3600, 24 * 3600]  # seconds

jitters = st.floats(-1, 1)


def wait(failures: int, jitter: float) -> timedelta:
    at = next_attempt(failures, NOW, jitter)
    assert at is not None
    return at - NOW


def test_the_first_attempt_is_made_at_once() -> None:
    assert next_attempt(0, NOW, 1.0) == NOW


@pytest.mark.parametrize(("failures", "seconds"), list(enumerate(WAITS, start=1)))
def test_each_failure_waits_longer(failures: int, seconds: int) -> None:
    assert wait(failures, 0.0) == timedelta(seconds=seconds)


@given(failures=st.integers(1, 9), jitter=jitters)
def test_jitter_moves_an_attempt_by_a_tenth_of_its_wait_at_most(failures: int, jitter: float) -> None:
    seconds = wait(failures, jitter).total_seconds()
    assert WAITS[failures - 1] * 0.9 <= seconds + 1e-6
    assert seconds - 1e-6 <= WAITS[failures - 1] * 1.1


def test_jitter_goes_both_ways() -> None:
    assert wait(2, -1.0) == timedelta(seconds=270)
    assert wait(2, 1.0) == timedelta(seconds=330)


@given(st.lists(jitters, min_size=9, max_size=9))
def test_ten_attempts_over_at_least_72_hours_whatever_the_jitter(rolls: list[float]) -> None:
    at, attempts = NOW, 0
    for failures in itertools.count(1):
        attempts += 1
        following = next_attempt(failures, at, rolls[failures - 1] if failures <= 9 else 0.0)
        if following is None:
            break
        at = following
    assert attempts == 10
    assert at - NOW >= timedelta(hours=72)


def test_even_the_shortest_waits_make_72_hours() -> None:
    assert sum((wait(failures, -1.0) for failures in range(1, 10)), timedelta()) >= timedelta(hours=72)


@pytest.mark.parametrize("failures", [10, 11, 1000])
def test_after_ten_failures_there_is_no_further_attempt(failures: int) -> None:
    assert next_attempt(failures, NOW, 0.0) is None


def test_an_endpoint_is_disabled_after_five_days_of_failures() -> None:
    assert not disabled_after(NOW, NOW)
    assert not disabled_after(NOW, NOW + timedelta(days=5) - timedelta(seconds=1))
    assert disabled_after(NOW, NOW + timedelta(days=5))
