"""Make the attempts that deliveries are due: claimed, counted, posted, recorded."""

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta

import structlog
from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col
from uuid_utils.compat import uuid7

from app.context import Context
from app.models import Attempt, Delivery, DeliveryStatus, Event, WebhookSecret, is_status
from app.secrets import CannotDecrypt
from app.webhooks import destination, schedule, signing

log = structlog.get_logger(__name__)

LEASE = timedelta(seconds=60)  # an attempt takes 15 s at most
AT_ONCE_A_TENANT = 8
GONE = 410


@dataclass(frozen=True)
class Due:
    """A claimed delivery, and what to post."""

    delivery: Delivery
    body: bytes
    secrets: list[str]


@dataclass(frozen=True)
class UnderWay:
    """How many attempts this process is making for each tenant: a dead receiver must not take every place."""

    counts: Counter[str] = field(default_factory=Counter)
    claiming: asyncio.Lock = field(
        default_factory=asyncio.Lock
    )  # held from the count to the place that is taken

    def busy(self) -> list[str]:
        """The tenants that have all the places they may have."""
        return [tenant_id for tenant_id, count in self.counts.items() if count >= AT_ONCE_A_TENANT]


async def deliver_next(ctx: Context, under_way: UnderWay) -> bool:
    """Make one attempt of the most overdue delivery; False when none is due."""
    due = await claim(ctx, under_way)
    if due is None:
        return False
    await deliver(ctx, due, under_way)
    return True


async def claim(ctx: Context, under_way: UnderWay) -> Due | None:
    """Take the most overdue delivery, and count the attempt before it is made."""
    async with under_way.claiming:
        due = await _take(ctx, under_way.busy())
        if due is None:
            return None
        under_way.counts[due.delivery.tenant_id] += 1
    await ctx.failpoint("deliver.claimed")
    return due


async def _take(ctx: Context, busy: list[str]) -> Due | None:
    async with ctx.database.begin() as session:
        now = ctx.clock.now()
        lease_until = now + LEASE
        owed = (
            select(col(Delivery.id))
            .where(
                is_status(DeliveryStatus.OWED),
                col(Delivery.due_at) <= now,
                col(Delivery.tenant_id).notin_(busy),
            )
            .order_by(col(Delivery.due_at))
            .limit(1)
            .with_for_update(skip_locked=True)
            .cte("owed")
        )
        delivery = await session.scalar(
            update(Delivery)
            .where(col(Delivery.id).in_(select(owed.c.id)))
            .values(
                epoch=col(Delivery.epoch) + 1,
                attempts=col(Delivery.attempts) + 1,
                lease_until=lease_until,
                due_at=lease_until,
            )
            .returning(Delivery)
            .execution_options(populate_existing=True)
        )
        if delivery is None:
            return None
        await session.execute(
            insert(Attempt).values(
                id=uuid7().hex, delivery_id=delivery.id, number=delivery.attempts, started_at=now
            )
        )
        body = await session.scalar(select(col(Event.body)).where(col(Event.id) == delivery.event_id))
        return Due(delivery, body or b"", await _live_secrets(ctx, session, delivery.tenant_id))


async def deliver(ctx: Context, due: Due, under_way: UnderWay) -> None:
    """Post once and record what came of it."""
    delivery, answer, reason = due.delivery, None, None
    try:
        answer = await _post(ctx, due)
    except destination.DeliveryFailed as failure:
        reason = failure.reason
    finally:
        under_way.counts[delivery.tenant_id] -= 1
    await ctx.failpoint("deliver.posted")
    status = answer.status if answer is not None else None
    async with ctx.database.begin() as session:
        await session.execute(
            update(Attempt)
            .where(col(Attempt.delivery_id) == delivery.id, col(Attempt.number) == delivery.attempts)
            .values(
                ended_at=ctx.clock.now(),
                http_status=status,
                reason=reason or (None if status is not None and 200 <= status < 300 else f"http_{status}"),
                answer=answer.body if answer is not None else None,
            )
        )
        await _settle(ctx, session, delivery, status)
    await ctx.failpoint("deliver.recorded")
    ctx.wake.hint("deliver")


async def _post(ctx: Context, due: Due) -> destination.Answer:
    if not due.secrets:
        raise destination.DeliveryFailed("no_secret")  # nothing leaves unsigned
    headers = signing.headers(due.secrets, due.delivery.event_id, ctx.clock.now(), due.body)
    headers["Content-Type"] = "application/json"
    return await destination.post(ctx.webhooks, due.delivery.url, headers, due.body)


async def _settle(ctx: Context, session: AsyncSession, delivery: Delivery, status: int | None) -> None:
    now = ctx.clock.now()
    again_at = schedule.next_attempt(delivery.attempts, now, ctx.random.uniform(-1, 1))
    if status is not None and 200 <= status < 300:
        outcome, due_at = DeliveryStatus.DELIVERED, None
    elif status == GONE or again_at is None:
        outcome, due_at = DeliveryStatus.DEAD, None
        log.error("delivery_dead", delivery_id=delivery.id, attempts=delivery.attempts)
    else:
        outcome, due_at = DeliveryStatus.OWED, again_at
    await session.execute(
        update(Delivery)
        .where(
            col(Delivery.id) == delivery.id,
            col(Delivery.epoch) == delivery.epoch,
            col(Delivery.status) == DeliveryStatus.OWED,
        )
        .values(
            status=outcome,
            due_at=due_at,
            lease_until=None,
            finished_at=now if due_at is None else None,
        )
    )


async def _live_secrets(ctx: Context, session: AsyncSession, tenant_id: str) -> list[str]:
    """Newest first."""
    rows = await session.scalars(
        select(WebhookSecret)
        .where(
            col(WebhookSecret.tenant_id) == tenant_id,
            col(WebhookSecret.expires_at).is_(None) | (col(WebhookSecret.expires_at) > ctx.clock.now()),
        )
        .order_by(col(WebhookSecret.id).desc())
    )
    readable = []
    for row in rows:
        try:
            readable.append(ctx.secrets.decrypt(row.secret_encrypted).decode())
        except CannotDecrypt:
            # Another tenant's deliveries must not wait for the operator to bring the key back.
            log.error("secret_unreadable", tenant_id=tenant_id, secret_id=row.id)  # noqa: TRY400 -- no trace of secrets
    return readable
