"""The one source of `now`: aware UTC that runs evenly, whatever happens to this machine's wall clock."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta


def _wall() -> datetime:
    return datetime.now(UTC)


def _elapsed() -> float:
    # On Linux CLOCK_MONOTONIC stands still while a laptop sleeps; CLOCK_BOOTTIME does not.
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class Clock:
    """Tells the time from one reading of the wall clock, or of the database's, plus the time elapsed since."""

    def __init__(self, wall: Callable[[], datetime] = _wall, elapsed: Callable[[], float] = _elapsed) -> None:
        self._elapsed = elapsed
        self._base = wall()
        self._base_elapsed = elapsed()
        self._since: datetime | None = self._base

    def now(self) -> datetime:
        """The present instant, aware UTC."""
        return self._base + timedelta(seconds=self._elapsed() - self._base_elapsed)

    def saw(self, instant: datetime) -> bool:
        """Whether the time since that instant is known; who set the wall clock before or after it was read is not."""
        return self._since is None or instant >= self._since

    def elapsed(self) -> float:
        """Seconds on the monotonic scale of this clock; only differences mean anything."""
        return self._elapsed()

    def follow(self, database_now: datetime, taken_at: float) -> None:
        """Take over the database's time, which was read when `elapsed()` showed `taken_at`.

        `taken_at` is the middle between asking and being answered; the error is at most half that round trip.
        """
        if database_now.tzinfo is None:
            raise ValueError("database_now has no time zone: read it as a timestamp with time zone")
        self._base = database_now.astimezone(UTC)
        self._base_elapsed = taken_at
        self._since = None

    def go_on_after(self, instant: datetime) -> None:
        """Show a later time than an instant that was told before this clock was made."""
        if self.now() <= instant:
            self._base = self._since = instant.astimezone(UTC) + timedelta(microseconds=1)
            self._base_elapsed = self._elapsed()
