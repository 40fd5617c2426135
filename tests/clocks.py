"""A clock that stands still until a test moves it."""

from datetime import datetime, timedelta

from app.clock import Clock


class ManualClock(Clock):
    """Shows `start` (aware UTC) and then only what `advance` adds."""

    def __init__(self, start: datetime) -> None:
        self._seconds = 0.0
        super().__init__(wall=lambda: start, elapsed=lambda: self._seconds)

    def advance(self, by: timedelta) -> None:
        """Let that much time pass."""
        self._seconds += by.total_seconds()
