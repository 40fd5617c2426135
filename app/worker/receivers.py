"""How registered endpoints fare: which may be posted to, and when one that keeps failing is disabled."""

from datetime import datetime

import structlog
from sqlalchemy import func, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.models import Delivery, DeliveryStatus, Endpoint, EndpointStatus
from app.webhooks import outbox, schedule

log = structlog.get_logger(__name__)

GONE = 410


async def put_aside(
    session: AsyncSession, delivery: Delivery, endpoint: Endpoint | None, now: datetime
) -> bool:
    """Take back the claim of a delivery that may not leave; False where it may.

    It is held for an endpoint that is disabled, and ends with one that was deleted.
    """
    if endpoint is None or endpoint.deleted_at is not None:
        outcome, finished_at = DeliveryStatus.DEAD, now
    elif endpoint.status == EndpointStatus.DISABLED and await outbox.disabled(session, [endpoint.id]):
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
        well = update(Endpoint).where(col(Endpoint.id) == endpoint.id).values(failing_since=None)
        await session.execute(well.execution_options(synchronize_session=False))


async def failed(session: AsyncSession, endpoint: Endpoint, status: int | None, now: datetime) -> bool:
    """An attempt failed, with this status if there was an answer; False where the endpoint is disabled now."""
    since = await session.scalar(
        update(Endpoint)
        .where(
            col(Endpoint.id) == endpoint.id,
            col(Endpoint.status) == EndpointStatus.ENABLED,
            col(Endpoint.deleted_at).is_(None),
        )
        .values(failing_since=func.coalesce(col(Endpoint.failing_since), now))
        .returning(col(Endpoint.failing_since))
        .execution_options(synchronize_session=False)
    )
    if since is None:
        return not await outbox.disabled(session, [endpoint.id])
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
