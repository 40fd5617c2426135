"""Forget what nobody may ask for any more, in small batches; the bills and the jobs themselves stay.

Of what its caller deleted a job keeps what it was and cost, and loses what the caller wrote.
"""

from datetime import datetime, timedelta

from sqlalchemy import delete, null, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.context import Context
from app.models import (
    Attempt,
    Callback,
    CallUnderWay,
    Delivery,
    DeliveryStatus,
    Group,
    IdempotencyKey,
    Job,
    Look,
    Submission,
)
from app.models.ids import lowest_id_at

KEYS_KEPT = timedelta(hours=48)  # callers are promised 24
LEFTOVERS_KEPT = timedelta(days=1)
DELETED_KEPT = timedelta(days=8)
"""A day longer than any job lives: one that was ordered before may still have to send a file that was deleted."""
BATCH = 500
REQUESTS_AT_ONCE = 100  # each may be of megabytes, and SQLite gives every page of them back


async def prune(ctx: Context) -> bool:
    """Delete one batch of everything that is past its time; False when nothing was."""
    now = ctx.clock.now()
    before = lowest_id_at(now - ctx.terms.retention)
    async with ctx.database.begin() as session:
        # Each condition is a range of an index: the ids of rows rise with time.
        old_keys = select(IdempotencyKey).where(col(IdempotencyKey.created_at) < now - KEYS_KEPT).limit(BATCH)
        # No index here: this table holds no more than what is under way, and what was lost lately.
        old_calls = select(CallUnderWay).where(col(CallUnderWay.until) < now - KEYS_KEPT).limit(BATCH)
        keys = [*await session.scalars(old_keys), *await session.scalars(old_calls)]
        for key in keys:
            await session.delete(key)
        old_deliveries = (
            select(col(Delivery.id))
            .where(
                col(Delivery.id) < before,
                # What is held is owed, and due never.
                (col(Delivery.status) != DeliveryStatus.OWED) | col(Delivery.due_at).is_(None),
            )
            .order_by(col(Delivery.id))
            .limit(BATCH)
        )
        deliveries = list(await session.scalars(old_deliveries))
        await session.execute(delete(Attempt).where(col(Attempt.delivery_id).in_(deliveries)))
        await session.execute(delete(Delivery).where(col(Delivery.id).in_(deliveries)))
        old_callbacks = select(col(Callback.id)).where(col(Callback.id) < before).order_by(col(Callback.id))
        callbacks = list(await session.scalars(old_callbacks.limit(BATCH)))
        await session.execute(delete(Callback).where(col(Callback.id).in_(callbacks)))
        emptied = await _empty_deleted(session, now - DELETED_KEPT)
    leftovers = await ctx.storage.remove_leftovers(now - LEFTOVERS_KEPT)
    return bool(keys or deliveries or callbacks or emptied or leftovers)


async def _empty_deleted(session: AsyncSession, before: datetime) -> bool:
    """Take the callers' words out of jobs deleted before an instant, be it that HeyGen still owes their end."""
    deleted = (
        select(col(Job.id))
        .where(col(Job.deleted_at) < before, col(Job.request_encrypted).isnot(None))
        .order_by(col(Job.deleted_at))
        .limit(REQUESTS_AT_ONCE)
        .with_for_update(skip_locked=True, key_share=True)
    )
    ids = list(await session.scalars(deleted))
    if not ids:
        return False
    jobs = update(Job).where(col(Job.id).in_(ids))
    await session.execute(
        jobs.values(
            request_encrypted=None, title=None, callback_url=None, callback_id=None, job_metadata=null()
        )
    )
    # Those of a job that holds its slot were kept: but what was withdrawn is looked up, never sent again.
    bodies = update(Submission).where(col(Submission.job_id).in_(ids))
    await session.execute(bodies.values(body_encrypted=None))
    looks = update(Look).where(col(Look.id).in_(ids)).values(name="").returning(col(Look.group_id))
    group_ids = list(await session.scalars(looks))
    groups = update(Group).where(col(Group.id).in_(group_ids), col(Group.deleted_at).isnot(None))
    await session.execute(groups.values(name=""))
    return True
