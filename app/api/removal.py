"""What callers delete: hidden at once, HeyGen's copies left to the worker. A group goes with its last look."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import case, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.api import own_looks
from app.lifecycle import By, Canceled, apply
from app.models import UNFINISHED, Group, Job, Look

DELETED_KNOWN = timedelta(hours=24)
"""How long a repeated DELETE is told that it is done: the answer to the first one may have been lost."""


async def remove_looks(session: AsyncSession, looks: Sequence[Look], by: By) -> None:
    """Withdraw or hide them; videos that wait for one find it gone. A group of ours goes with its last look."""
    for look in sorted(looks, key=lambda it: it.id):
        job = await session.get_one(Job, look.id)
        if job.status not in UNFINISHED or not await apply(session, job.id, Canceled(deleted=True), by):
            await hide(session, job.id, by)
        gone = update(Look).where(col(Look.id) == look.id)
        await session.execute(gone.values(deleted_at=by.now, reuse_hash=None))
    for group_id in sorted({look.group_id for look in looks}):
        group = await _held(session, group_id)
        # What else there is in a group of HeyGen's, only HeyGen knows.
        if not own_looks.is_adopted(group) and not await living_looks(session, [group_id]):
            group.deleted_at = by.now
    await session.flush()


async def remove_group(session: AsyncSession, group: Group, by: By) -> None:
    """All its looks, those that came while the others went too, and the group."""
    await remove_looks(session, await living_looks(session, [group.id]), by)
    held = await _held(session, group.id)
    await remove_looks(session, await living_looks(session, [group.id]), by)
    held.deleted_at = held.deleted_at or by.now
    await session.flush()


async def hide(session: AsyncSession, job_id: str, by: By) -> None:
    """Delete a job that has ended; where HeyGen has a copy and is done with it, the worker sees to that now."""
    at_heygen = col(Job.heygen_id).isnot(None) & col(Job.slot_account_id).is_(None)
    changes: dict[str, Any] = {
        "deleted_at": by.now,
        "due_at": case((at_heygen, by.now), else_=col(Job.due_at)),
    }
    await session.execute(
        update(Job).where(col(Job.id) == job_id, col(Job.deleted_at).is_(None)).values(**changes)
    )


async def living_looks(session: AsyncSession, group_ids: Iterable[str]) -> Sequence[Look]:
    """The looks in groups, of whatever tenant."""
    rows = select(Look).where(col(Look.group_id).in_(list(group_ids)), col(Look.deleted_at).is_(None))
    return (await session.scalars(rows)).all()


async def _held(session: AsyncSession, group_id: str) -> Group:
    """The group's row, locked: no look joins it meanwhile. After the locks of jobs, as the worker has it."""
    rows = select(Group).where(col(Group.id) == group_id).with_for_update()
    return (await session.scalars(rows.execution_options(populate_existing=True))).one()
