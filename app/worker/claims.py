"""Taking due rows: each claim raises the epoch and holds a lease, whatever the row's status."""

from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, case, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.context import Context
from app.models import Job


async def take_due(
    ctx: Context, session: AsyncSession, *conditions: ColumnElement[bool], before: datetime, limit: int
) -> list[Job]:
    """Claim up to `limit` jobs that meet the conditions and are due before an instant.

    Their `due_at` becomes the end of the lease, so that they come up again by themselves if this process dies.
    """
    now = ctx.clock.now()
    lease_until = now + ctx.pace.lease
    free = col(Job.lease_until).is_(None) | (col(Job.lease_until) <= now)
    known = col(Job.account_id).in_(list(ctx.connections))
    due = (
        select(col(Job.id))
        .where(*conditions, known, col(Job.due_at) <= before, free)
        .order_by(col(Job.due_at))
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    rows = await session.scalars(
        update(Job)
        .where(col(Job.id).in_(due))
        .values(epoch=col(Job.epoch) + 1, lease_until=lease_until, due_at=lease_until)
        .returning(Job)
        .execution_options(populate_existing=True)
    )
    return list(rows)


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
