"""How long HeyGen takes, told by what it finished lately: when a look at a job is worth most."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.models import Job, JobStatus, is_status

EVERY = timedelta(minutes=1)
WITHIN = timedelta(days=7)
SAMPLE = 500  # the newest of an account
FEWEST = 5  # fewer of a kind tell nothing
GROWTH = 1.5
SLACK = 1.05  # a look just before the end is a look wasted

Kind = tuple[str, str, str]
"""Account id, kind and type of a job."""


@dataclass(frozen=True)
class Spread:
    """How long jobs of one kind took from the create to the end: half of them, three quarters, nearly all."""

    half: timedelta
    most: timedelta
    nearly_all: timedelta


def spread_of(taken: Iterable[timedelta]) -> Spread | None:
    """The spread of a sample; None where it is too small."""
    ranked = sorted(taken)
    if len(ranked) < FEWEST:
        return None
    half, most, nearly_all = (ranked[ceil(share * len(ranked)) - 1] for share in (0.5, 0.75, 0.95))
    return Spread(half, most, nearly_all)


def by_rule(first: timedelta, slowest: timedelta, asks: int, age: timedelta) -> timedelta:
    """How long to wait after so many looks at a job that HeyGen has had for `age`: ever longer.

    A sum of intervals that grow by half is twice what the next one adds to the first: so the age alone tells the pace,
    and looks that came in between do not slow it down.
    """
    by_count: timedelta = first * GROWTH ** min(asks, 20)
    return min(by_count, first + max(age, timedelta()) * (GROWTH - 1), slowest)


def next_look(
    scheduled: timedelta, age: timedelta, expected: Sequence[timedelta], floor: timedelta
) -> timedelta:
    """How long to wait when HeyGen is expected to be done at these ages: never longer than scheduled.

    `floor` keeps expectations that lie close together from becoming a look each.
    """
    ahead = [instant * SLACK - age for instant in expected if instant * SLACK > age]
    return min(scheduled, max(min(ahead), floor)) if ahead else scheduled


class Forecast:
    """What one process knows of the pace of HeyGen; read from the tables once a minute."""

    def __init__(self) -> None:
        self._spreads: dict[Kind, Spread] = {}
        self._read_at: datetime | None = None

    def spread(self, account_id: str, kind: str, type: str) -> Spread | None:
        """The spread of jobs of this kind, where there is a history."""
        return self._spreads.get((account_id, kind, type))

    async def refresh(self, session: AsyncSession, account_ids: Iterable[str], now: datetime) -> None:
        """Read the newest finished jobs of each account, unless that was done within the last minute."""
        if self._read_at is not None and now - self._read_at < EVERY:
            return
        self._read_at = now
        taken: defaultdict[Kind, list[timedelta]] = defaultdict(list)
        for account_id in account_ids:
            newest = (
                select(
                    col(Job.kind), col(Job.type), col(Job.submitted_at), col(Job.finished_at), col(Job.result)
                )
                .where(
                    col(Job.account_id) == account_id,
                    is_status(JobStatus.COMPLETED),
                    col(Job.finished_at) > now - WITHIN,
                )
                .order_by(col(Job.finished_at).desc())
                .limit(SAMPLE)
            )
            for kind, type_, submitted_at, finished_at, result in await session.execute(newest):
                if submitted_at is not None:
                    taken[account_id, kind, type_].append(_took(finished_at - submitted_at, result))
        found = {kind: spread_of(sample) for kind, sample in taken.items()}
        self._spreads = {kind: spread for kind, spread in found.items() if spread is not None}


def _took(seen: timedelta, result: dict[str, object] | None) -> timedelta:
    """How long a job took: as HeyGen told it, for what a poll found may have been done since long."""
    told = (result or {}).get("rendering")
    return min(seen, timedelta(seconds=told)) if isinstance(told, int | float) and told >= 0 else seen
