"""How often calls may be repeated: an outage must not multiply the traffic that meets it."""

from collections import deque
from datetime import datetime, timedelta

WINDOW = timedelta(minutes=2)
SHARE = 0.1
FLOOR = 1.0  # a second


class RetryBudget:
    """The repeats of one process, whoever they are for: one a second, and a tenth of the first sends of 2 min."""

    def __init__(self) -> None:
        self._firsts: deque[datetime] = deque()
        self._tokens = 1.0
        self._filled_at: datetime | None = None
        self._turn: datetime | None = None

    def first(self, now: datetime) -> None:
        """Count a first send."""
        self._fill(now)
        self._firsts.append(now)
        self._tokens += SHARE

    def take(self, now: datetime) -> timedelta:
        """Zero where one repeat may be sent now; else how long to wait, each who asks longer than the one before."""
        self._fill(now)
        if self._tokens >= 1:
            self._tokens -= 1
            return timedelta()
        self._turn = max(self._turn or now, now) + timedelta(seconds=1 / FLOOR)
        return self._turn - now

    def _fill(self, now: datetime) -> None:
        elapsed = now - (self._filled_at or now)
        self._filled_at = now
        if elapsed < timedelta():
            # The clock was set back: what was counted is as long ago as before, and who waits waits no longer.
            self._firsts = deque(at + elapsed for at in self._firsts)
            self._turn = self._turn + elapsed if self._turn is not None else None
        while self._firsts and self._firsts[0] <= now - WINDOW:
            self._firsts.popleft()
        # What was saved up for longer than the window would come as a burst.
        most = 1 + SHARE * len(self._firsts)
        self._tokens = min(self._tokens + max(elapsed.total_seconds(), 0) * FLOOR, most)
