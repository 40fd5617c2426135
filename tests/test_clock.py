from datetime import UTC, datetime, timedelta, timezone

import pytest

from app.clock import Clock
from tests.clocks import ManualClock

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


class Machine:
    """A machine whose wall clock and uptime a test sets."""

    def __init__(self) -> None:
        self.wall = NOON
        self.uptime = 1000.0

    def clock(self) -> Clock:
        return Clock(wall=lambda: self.wall, elapsed=lambda: self.uptime)


def test_time_passes_with_the_uptime() -> None:
    machine = Machine()
    clock = machine.clock()
    machine.uptime += 90.5
    assert clock.now() == NOON + timedelta(seconds=90.5)


@pytest.mark.parametrize("jump", [timedelta(seconds=-1), timedelta(hours=25), timedelta(days=-365)])
def test_a_jump_of_the_wall_clock_changes_nothing(jump: timedelta) -> None:
    machine = Machine()
    clock = machine.clock()
    machine.wall += jump
    assert clock.now() == NOON


def test_it_follows_the_database_from_the_moment_the_database_was_asked() -> None:
    machine = Machine()
    clock = machine.clock()
    database_now = NOON + timedelta(minutes=7)
    asked = clock.elapsed()
    machine.uptime += 4
    answered = clock.elapsed()
    machine.uptime += 10
    clock.follow(database_now, (asked + answered) / 2)
    assert clock.now() == database_now + timedelta(seconds=12)
    assert clock.saw(NOON - timedelta(days=365)), "as the database did"


def test_the_database_may_speak_any_time_zone() -> None:
    clock = Machine().clock()
    clock.follow(NOON.astimezone(timezone(timedelta(hours=9))), clock.elapsed())
    assert clock.now() == NOON
    assert clock.now().tzinfo is UTC


def test_a_database_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="database_now"):
        Machine().clock().follow(NOON.replace(tzinfo=None), 0.0)


def test_the_real_clock_is_aware_near_the_wall_clock_and_never_goes_back() -> None:
    clock = Clock()
    readings = [clock.now() for _ in range(1000)]
    assert abs(readings[0] - datetime.now(UTC)) < timedelta(seconds=5)
    assert readings == sorted(readings)
    assert readings[0].utcoffset() == timedelta(0)


def test_a_manual_clock_moves_only_when_told() -> None:
    clock = ManualClock(NOON)
    assert clock.now() == clock.now() == NOON
    clock.advance(timedelta(days=5))
    assert clock.now() == NOON + timedelta(days=5)
