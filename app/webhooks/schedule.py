"""When to try a delivery again, and when an endpoint counts as dead; pure."""

from datetime import datetime, timedelta

# The wait after the first failure, the second, and so on.
_WAITS = (
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
    timedelta(hours=10),
    timedelta(hours=24),
    timedelta(hours=24),
)
_JITTER = 0.1
# A tenth of every wait could take 7.6 h off the whole; so little leaves it above 72 h whatever the dice say.
_LARGEST_JITTER = timedelta(minutes=30)

_DISABLED_AFTER = timedelta(days=5)


def next_attempt(failures: int, now: datetime, jitter: float) -> datetime | None:
    """When to try after so many failures, the last of them `now`; None once ten attempts have failed.

    `jitter` from -1 to 1 spreads receivers' recovery: it moves a wait by up to a tenth, at most 30 minutes.
    """
    if failures == 0:
        return now
    if failures > len(_WAITS):
        return None
    wait = _WAITS[failures - 1]
    return now + wait + jitter * min(_JITTER * wait, _LARGEST_JITTER)


def disabled_after(failing_since: datetime, now: datetime) -> bool:
    """Whether an endpoint whose attempts have all failed since that instant is disabled now: after five days."""
    return now - failing_since >= _DISABLED_AFTER
