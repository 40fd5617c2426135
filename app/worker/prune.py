"""Forget what nobody may ask for any more, in small batches; the bills and the jobs themselves stay."""

from datetime import datetime, timedelta

from sqlalchemy import delete, select
from sqlmodel import col

from app.context import Context
from app.models import Attempt, Callback, CallUnderWay, Delivery, DeliveryStatus, IdempotencyKey

KEYS_KEPT = timedelta(hours=48)  # callers are promised 24
LEFTOVERS_KEPT = timedelta(days=1)
BATCH = 500


async def prune(ctx: Context) -> bool:
    """Delete one batch of everything that is past its time; False when nothing was."""
    now = ctx.clock.now()
    before = _id_at(now - ctx.terms.retention)
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
    leftovers = await ctx.storage.remove_leftovers(now - LEFTOVERS_KEPT)
    return bool(keys or deliveries or callbacks or leftovers)


def _id_at(instant: datetime) -> str:
    """The lowest UUIDv7 of an instant, as 32 hex characters (RFC 9562 §5.7)."""
    return f"{int(instant.timestamp() * 1000):012x}7" + "0" * 19
