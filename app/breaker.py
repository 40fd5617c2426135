"""When to stop asking a HeyGen that only fails."""

from collections import deque
from datetime import datetime, timedelta

WINDOW = timedelta(seconds=60)
FEWEST = 20
SHARE = 0.5


class Breaker:
    """Counts the calls of one account: open when, within 60 s, of 20 or more at least half got no answer or a 5xx."""

    def __init__(self) -> None:
        self._calls: deque[tuple[datetime, bool]] = deque()

    def count(self, now: datetime, *, failed: bool) -> bool:
        """Add a call; True when it opens the breaker, which then counts from the beginning."""
        self._calls.append((now, failed))
        while self._calls[0][0] <= now - WINDOW:
            self._calls.popleft()
        failures = sum(failed for _, failed in self._calls)
        if len(self._calls) < FEWEST or failures < len(self._calls) * SHARE:
            return False
        self._calls.clear()
        return True
