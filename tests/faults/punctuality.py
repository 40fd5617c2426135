"""Whether a service kept its times: nothing early, and nothing later than its sweeps allow."""

import sqlite3
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from app.webhooks.schedule import next_attempt
from app.worker import deliver
from tests.faults.records import Bill

COMING = """
SELECT due_at FROM jobs WHERE due_at IS NOT NULL
UNION ALL SELECT deadline_at FROM jobs WHERE finished_at IS NULL AND rendered_at IS NULL
UNION ALL SELECT lease_until FROM jobs WHERE lease_until IS NOT NULL
UNION ALL SELECT due_at FROM deliveries WHERE status = 'owed' AND due_at IS NOT NULL
UNION ALL SELECT due_at FROM files WHERE due_at IS NOT NULL
UNION ALL SELECT gate_until FROM accounts WHERE EXISTS (SELECT 1 FROM jobs WHERE finished_at IS NULL)
    AND gate_until IS NOT NULL
UNION ALL SELECT probe_at FROM accounts WHERE paused_at IS NOT NULL
    AND EXISTS (SELECT 1 FROM jobs WHERE finished_at IS NULL)
"""
"""Every instant at which something is due, past ones too, while there is anything to do."""

ANYTHING = f"""
SELECT EXISTS (SELECT 1 FROM jobs WHERE status = 'queued' AND (due_at IS NULL OR waits_for_id IS NOT NULL))
    OR EXISTS (SELECT 1 FROM ({COMING}) WHERE due_at <= ?)
"""  # noqa: S608 -- of constants
"""Whether anything may be due at an instant."""

WAITING = "SELECT EXISTS (SELECT 1 FROM jobs WHERE waits_for_id IS NOT NULL)"

CLOCKS_DIFFER = timedelta(seconds=2)
"""Two replicas' clocks are each up to a second off."""
SWEEPS = timedelta(seconds=120)


def tardy(tables: sqlite3.Connection, slack: timedelta, *, alone: bool) -> list[str]:
    """What came too early or too late.

    `slack`: the longest time in which nobody worked; `alone`: a new process ends the leases of the one before.
    """
    return [*_deadlines(tables, slack), *_attempts(tables, timedelta() if alone else deliver.LEASE)]


def attached_within(tables: sqlite3.Connection, bills: Iterable[Bill]) -> timedelta:
    """The longest time from a bill until its job knew of it."""
    rows = tables.execute("SELECT job_id, min(at) FROM events WHERE fact IN ('Accepted', 'late') GROUP BY 1")
    known = {job_id: _at(at).replace(tzinfo=UTC) for job_id, at in rows}
    return max((known[bill.job_id] - bill.at for bill in bills if bill.job_id in known), default=timedelta())


def _deadlines(tables: sqlite3.Connection, slack: timedelta) -> Iterator[str]:
    # A caller's request may itself have stood still until its deadline had passed.
    rows = tables.execute(
        "SELECT jobs.id, failure_code, max(deadline_at, at), finished_at, rendered_at FROM jobs"
        " JOIN events ON job_id = jobs.id AND events.number = 1 WHERE finished_at IS NOT NULL"
    )
    for job_id, code, deadline, finished, rendered in rows:
        after = _at(finished) - _at(deadline)
        if code == "deadline_exceeded" and after < -CLOCKS_DIFFER:
            yield f"expired early: {job_id} by {-after}"
        if rendered is None and after > SWEEPS + slack + CLOCKS_DIFFER:
            yield f"ended late: {job_id}, {after} after its deadline"


def _attempts(tables: sqlite3.Connection, lease: timedelta) -> Iterator[str]:
    rows = tables.execute(
        "SELECT delivery_id, number, started_at, ended_at FROM attempts JOIN deliveries ON delivery_id = deliveries.id"
        # What was owed afresh began its schedule again.
        " WHERE attempts_before = 0 ORDER BY delivery_id, number"
    ).fetchall()
    for (delivery, number, started, ended), (other, _, again, _) in pairwise(rows):
        if delivery != other:
            continue
        earliest: datetime | None = _at(started) + lease
        if ended is not None:
            earliest = next_attempt(number, _at(ended), -1)
        if earliest is None:
            yield f"attempted beyond the schedule: {delivery}"
        # An attempt that outlasted its lease was taken over: its end says nothing of the next.
        elif _at(again) < min(earliest, _at(started) + lease) - CLOCKS_DIFFER:
            yield f"attempted early: {delivery}, number {number + 1} at {again}, due {earliest}"


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text)
