"""How registered endpoints fare: which may be posted to, when one that keeps failing is disabled, what is held for it."""

from datetime import datetime

import structlog
from sqlalchemy import ColumnElement, Select, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.context import Context
from app.models import Delivery, DeliveryStatus, Endpoint, EndpointStatus, is_status
from app.webhooks import schedule

log = structlog.get_logger(__name__)

GONE = 410
AT_ONCE = 1_000  # deliveries let go in one transaction
HELD = (is_status(DeliveryStatus.OWED), col(Delivery.due_at).is_(None))


async def put_aside(
    session: AsyncSession, delivery: Delivery, endpoint: Endpoint | None, now: datetime
) -> bool:
    """Take back the claim of a delivery that may not leave; False where it may.

    It is held for an endpoint that is disabled, and ends with one that was deleted.
    """
    if endpoint is None or endpoint.deleted_at is not None:
        outcome, finished_at = DeliveryStatus.DEAD, now
    elif endpoint.status == EndpointStatus.DISABLED:
        outcome, finished_at = DeliveryStatus.OWED, None
    else:
        return False
    back = (
        update(Delivery)
        .where(col(Delivery.id) == delivery.id)
        .values(
            status=outcome,
            attempts=col(Delivery.attempts) - 1,
            due_at=None,
            lease_until=None,
            finished_at=finished_at,
        )
    )
    await session.execute(back.execution_options(synchronize_session=False))
    return True


async def went_well(session: AsyncSession, endpoint: Endpoint) -> None:
    """An attempt was taken: what failed before counts no more."""
    if endpoint.failing_since is not None:
        well = update(Endpoint).where(*_still(endpoint)).values(failing_since=None)
        await session.execute(well.execution_options(synchronize_session=False))


async def failed(session: AsyncSession, endpoint: Endpoint, status: int | None, now: datetime) -> bool:
    """An attempt failed, with this status if there was an answer; False where what is owed is held now.

    That is so where the endpoint is disabled; and until the next sweep where its address was changed meanwhile, as what
    the old one said counts for nothing.
    """
    since = await session.scalar(
        update(Endpoint)
        .where(
            *_still(endpoint),
            col(Endpoint.status) == EndpointStatus.ENABLED,
            col(Endpoint.deleted_at).is_(None),
        )
        .values(failing_since=func.coalesce(col(Endpoint.failing_since), now))
        .returning(col(Endpoint.failing_since))
        .execution_options(synchronize_session=False)
    )
    if since is None:
        return False
    reason = "gone" if status == GONE else "failing" if schedule.disabled_after(since, now) else None
    if reason is None:
        return True
    await session.execute(
        update(Endpoint)
        .where(col(Endpoint.id) == endpoint.id)
        .values(status=EndpointStatus.DISABLED, disabled_reason=reason)
        .execution_options(synchronize_session=False)
    )
    log.error("endpoint_disabled", endpoint_id=endpoint.id, tenant_id=endpoint.tenant_id, reason=reason)
    return False


def _still(endpoint: Endpoint) -> tuple[ColumnElement[bool], ...]:
    """The endpoint, as long as its address is the one that was posted to."""
    return col(Endpoint.id) == endpoint.id, col(Endpoint.url) == endpoint.url


async def free_held(ctx: Context) -> bool:
    """The guarantee behind every enabling: nothing is held for an endpoint that is not disabled.

    An event may be written by who saw its endpoint disabled, and be committed after it was enabled.
    """
    async with ctx.database.begin() as session:
        target = await session.scalar(_held_in_vain())
        if target is None:
            return False
        some = select(col(Delivery.id)).where(*HELD, col(Delivery.target) == target).limit(AT_ONCE)
        # Held, once more: whoever did the same meanwhile may have been followed by the claim of an attempt.
        freed = update(Delivery).where(col(Delivery.id).in_(some), *HELD)
        await session.execute(
            freed.values(due_at=ctx.clock.now(), attempts_before=col(Delivery.attempts)).execution_options(
                synchronize_session=False
            )
        )
    ctx.wake.hint("deliver")
    return True


def _held_in_vain() -> Select[str]:
    """An endpoint that deliveries are held for, though it is enabled, or was deleted: then their claim ends them."""
    # From one target to the next, not from row to row: very much may be held for one.
    targets = (
        select(func.min(col(Delivery.target)).label("target")).where(*HELD).cte("targets", recursive=True)
    )
    following = select(func.min(col(Delivery.target))).where(*HELD, col(Delivery.target) > targets.c.target)
    targets = targets.union_all(select(following.scalar_subquery()).where(targets.c.target.isnot(None)))
    # No join: PostgreSQL would read all endpoints for it.
    holds_nothing = (
        select((col(Endpoint.status) == EndpointStatus.ENABLED) | col(Endpoint.deleted_at).isnot(None))
        .where(col(Endpoint.id) == targets.c.target)
        .scalar_subquery()
    )
    return select(targets.c.target).where(holds_nothing).limit(1)
