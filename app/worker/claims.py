"""Taking due rows: each claim raises the epoch and holds a lease, whatever the row's status."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, bindparam, case, literal, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import SQLModel, col
from sqlmodel.sql.sqltypes import UTCDateTime

from app.context import Context
from app.models import Job

JOBS = SQLModel.metadata.tables["jobs"]
HINT_GAP = timedelta(seconds=30)


class LeaseOver(Exception):
    """Another worker has taken the row over."""


def served(account_ids: Iterable[str]) -> ColumnElement[bool]:
    """The jobs of accounts that this process has a key for."""
    # Not the bare column: SQLite would then look up by account, and read every job that the account ever had.
    return (col(Job.account_id) + "").in_(list(account_ids))


def hinted(job: Job) -> bool:
    """Whether a callback came since HeyGen was last asked because of one."""
    return job.called_back_at is not None and (
        job.hint_after is None or job.called_back_at > job.hint_after - HINT_GAP
    )


async def heed_hints(session: AsyncSession, jobs: Sequence[Job], now: datetime) -> None:
    """A callback costs at most one read in thirty seconds, however often it is repeated or forged.

    The rows in memory stay as they were claimed: `hinted` still tells which were.
    """
    asked = [job.id for job in jobs if hinted(job)]
    if asked:
        postpone = update(Job).where(col(Job.id).in_(asked)).values(hint_after=now + HINT_GAP)
        await session.execute(postpone.execution_options(synchronize_session=False))


async def take_due(
    ctx: Context, session: AsyncSession, *conditions: ColumnElement[bool], before: datetime, limit: int
) -> list[Job]:
    """Claim up to `limit` jobs that meet the conditions and are due before an instant.

    Their `due_at` becomes the end of the lease, so that they come up again by themselves if this process dies.
    """
    now = ctx.clock.now()
    lease_until = now + ctx.pace.lease
    free = col(Job.lease_until).is_(None) | (col(Job.lease_until) <= now)
    due = (
        select(col(Job.id))
        .where(*conditions, served(ctx.connections), col(Job.due_at) <= before, free)
        # Many are due at one instant where their account was shut: the first come goes first, on any database.
        .order_by(col(Job.due_at), col(Job.id))
        .limit(limit)
        .with_for_update(skip_locked=True)
        .cte("due")  # a subquery could run more than once, and lock more rows than the limit
    )
    rows = await session.scalars(
        update(Job)
        .where(col(Job.id).in_(select(due.c.id)))
        .values(epoch=col(Job.epoch) + 1, lease_until=lease_until, due_at=lease_until)
        .returning(Job)
        .execution_options(populate_existing=True)
    )
    return list(rows)


async def renew(ctx: Context, session: AsyncSession, job: Job) -> bool:
    """Hold a claimed job for one more lease from now; False when it was taken over."""
    lease_until = ctx.clock.now() + ctx.pace.lease
    # Where the end of the lease is what brings the job up again, that moves along; a callback's hint stays.
    tied = col(Job.due_at) == col(Job.lease_until)
    renewed = await session.scalar(
        update(Job)
        .where(col(Job.id) == job.id, col(Job.epoch) == job.epoch, col(Job.status) == job.status)
        .values(
            lease_until=lease_until,
            due_at=case((tied, literal(lease_until, UTCDateTime())), else_=col(Job.due_at)),
        )
        .returning(col(Job.id))
        .execution_options(synchronize_session=False)
    )
    return renewed is not None


class Hold:
    """Keeps what was claimed through work that may take longer than its lease."""

    def __init__(
        self, ctx: Context, lease: timedelta, extend: Callable[[AsyncSession], Awaitable[bool]]
    ) -> None:
        self._ctx = ctx
        self._lease = lease
        self._extend = extend
        self._extend_at = ctx.clock.now()

    async def keep(self) -> None:
        """Call it as the work goes on: extends the lease at once and after each third of it.

        Raises LeaseOver where `extend` answers that the row was taken over.
        """
        if self._ctx.clock.now() < self._extend_at:
            return
        async with self._ctx.database.begin() as session:
            if not await self._extend(session):
                raise LeaseOver
        self._extend_at = self._ctx.clock.now() + self._lease / 3


def hold(ctx: Context, job: Job) -> Hold:
    """Keeps a claimed job."""
    return Hold(ctx, ctx.pace.lease, lambda session: renew(ctx, session, job))


async def renewing(
    ctx: Context,
    pieces: AsyncIterator[bytes],
    lease: timedelta,
    extend: Callable[[AsyncSession], Awaitable[bool]],
) -> AsyncIterator[bytes]:
    """The pieces of a file that may take longer than a lease, which is kept as they go; raises LeaseOver."""
    held = Hold(ctx, lease, extend)
    async for piece in pieces:
        await held.keep()
        yield piece


async def put_back(session: AsyncSession, job: Job, due_at: datetime | None, **changes: Any) -> bool:
    """Give a claimed job back, due later; sooner where a callback came meanwhile. False when it was taken over."""
    hinted = col(Job.due_at) < col(Job.lease_until)
    returned = await session.scalar(
        update(Job)
        .where(col(Job.id) == job.id, col(Job.epoch) == job.epoch, col(Job.status) == job.status)
        .values(due_at=case((hinted, col(Job.due_at)), else_=due_at), lease_until=None, **changes)
        .returning(col(Job.id))
    )
    return returned is not None


async def put_all_back(session: AsyncSession, waits: Iterable[tuple[Job, datetime]], *, asked: bool) -> None:
    """Give many claimed jobs back in one round trip, as `put_back` gives one; `asked` counts a look at each."""
    rows = [
        {"its_id": job.id, "its_epoch": job.epoch, "its_status": job.status, "its_due_at": due_at}
        for job, due_at in waits
    ]
    if not rows:
        return
    hinted = JOBS.c.due_at < JOBS.c.lease_until
    later = bindparam("its_due_at", type_=JOBS.c.due_at.type)
    back = (
        update(JOBS)
        .where(
            JOBS.c.id == bindparam("its_id"),
            JOBS.c.epoch == bindparam("its_epoch"),
            JOBS.c.status == bindparam("its_status"),
        )
        .values(
            due_at=case((hinted, JOBS.c.due_at), else_=later),
            lease_until=None,
            asks=JOBS.c.asks + (1 if asked else 0),
        )
    )
    # Not the session's own: it would take a list of rows for updates by primary key alone.
    await (await session.connection()).execute(back, rows)
