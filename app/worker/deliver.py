"""Make the attempts that deliveries are due: claimed, counted, posted, recorded."""

import asyncio
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog
from sqlalchemy import ColumnElement, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col
from uuid_utils.compat import uuid7

from app.context import Context
from app.models import Attempt, Delivery, DeliveryStatus, Endpoint, Event, WebhookSecret, is_status
from app.secrets import CannotDecrypt
from app.webhooks import destination, schedule, signing
from app.webhooks.outbox import CALLBACK
from app.worker import receivers

log = structlog.get_logger(__name__)

LEASE = timedelta(seconds=60)  # an attempt takes 15 s at most
AT_ONCE_A_TENANT = 8
AT_ONCE_AN_ENDPOINT = 4
SLOW = timedelta(seconds=3)
"""Who takes so long to fail has one place from then on, until it takes an event well."""
SLOW_AT_ONCE = 16
"""Those have so many places together with who takes so long to take an event, and these share them out evenly."""
LATELY = timedelta(
    minutes=1
)  # an attempt takes a quarter of it at most: who has work left makes one within that
MOST_SECRETS = 10
"""So many live secrets sign at most, the newest ones."""


@dataclass(frozen=True)
class Due:
    """A claimed delivery, and what to post."""

    delivery: Delivery
    body: bytes
    secrets: list[str]
    endpoint: Endpoint | None  # None: a job's own callback_url

    @property
    def url(self) -> str:
        """Where to: an endpoint's address may have changed since it was owed."""
        return self.endpoint.url if self.endpoint is not None else self.delivery.url


@dataclass
class UnderWay:
    """How many attempts this process is making for whom: who is dead or hangs must not take every place.

    A line is one endpoint of a tenant, or all of its callback addresses together.
    """

    tenants: Counter[str] = field(default_factory=Counter)
    lines: Counter[tuple[str, str]] = field(default_factory=Counter)  # by tenant and target
    hanging: set[tuple[str, str]] = field(default_factory=set)  # lines that failed slowly
    slow: dict[tuple[str, str], datetime] = field(
        default_factory=dict
    )  # and that took an event slowly: when last
    claiming: asyncio.Lock = field(
        default_factory=asyncio.Lock
    )  # held from the count to the place that is taken

    def begin(self, delivery: Delivery) -> None:
        """Take a place."""
        self.tenants[delivery.tenant_id] += 1
        self.lines[delivery.tenant_id, delivery.target] += 1

    def end(self, delivery: Delivery) -> None:
        """Give it back; the counts of who has none are forgotten."""
        line = delivery.tenant_id, delivery.target
        self.tenants -= Counter([delivery.tenant_id])
        self.lines -= Counter([line])

    def learn(self, delivery: Delivery, took: timedelta, now: datetime, *, went_well: bool) -> None:
        """How an attempt went that ended just now."""
        line = delivery.tenant_id, delivery.target
        if not went_well and took < SLOW:
            return
        self.hanging.discard(line)
        self.slow.pop(line, None)
        if took >= SLOW:
            if went_well:
                self.slow[line] = now
            else:
                self.hanging.add(line)

    def free(self, now: datetime) -> tuple[ColumnElement[bool], ...]:
        """What holds of deliveries that may have a place."""
        sharing = sum(self.lines[line] > 0 or now - at < LATELY for line, at in self.slow.items())
        busy = {line for line, count in self.lines.items() if count >= self._most(line, max(1, sharing))}
        if sum(self.lines[line] for line in (*self.hanging, *self.slow)) >= SLOW_AT_ONCE:
            busy |= self.hanging | self.slow.keys()
        endpoints = [target for _, target in busy if target != CALLBACK]
        callbacks = [tenant for tenant, target in busy if target == CALLBACK]
        tenants = [name for name, count in self.tenants.items() if count >= AT_ONCE_A_TENANT]
        return (
            col(Delivery.tenant_id).notin_(tenants),
            col(Delivery.target).notin_(endpoints),
            (col(Delivery.target) != CALLBACK) | col(Delivery.tenant_id).notin_(callbacks),
        )

    def _most(self, line: tuple[str, str], sharing: int) -> int:
        if line in self.hanging:
            return 1
        most = AT_ONCE_A_TENANT if line[1] == CALLBACK else AT_ONCE_AN_ENDPOINT
        return min(most, max(1, SLOW_AT_ONCE // sharing)) if line in self.slow else most


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
        while (due := await _take(ctx, under_way)) is True:
            pass
        if due is False:
            return None
        under_way.begin(due.delivery)
    await ctx.failpoint("deliver.claimed")
    return due


async def _take(ctx: Context, under_way: UnderWay) -> Due | bool:
    """The delivery; True where one was put aside instead, False where none is due."""
    async with ctx.database.begin() as session:
        now = ctx.clock.now()
        lease_until = now + LEASE
        owed = (
            select(col(Delivery.id))
            .where(
                is_status(DeliveryStatus.OWED),
                col(Delivery.due_at) <= now,
                *under_way.free(now),
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
            return False
        endpoint = None
        if delivery.target != CALLBACK:
            endpoint = await session.get(Endpoint, delivery.target)
            if await receivers.put_aside(session, delivery, endpoint, now):
                return True
        await session.execute(
            insert(Attempt).values(
                id=uuid7().hex, delivery_id=delivery.id, number=delivery.attempts, started_at=now
            )
        )
        body = await session.scalar(select(col(Event.body)).where(col(Event.id) == delivery.event_id))
        return Due(delivery, body or b"", await _live_secrets(ctx, session, delivery), endpoint)


async def deliver(ctx: Context, due: Due, under_way: UnderWay) -> None:
    """Post once and record what came of it."""
    delivery, answer, reason, began = due.delivery, None, None, ctx.clock.now()
    if delivery.lease_until is None or delivery.lease_until <= ctx.clock.now():
        # This process slept through its lease: what it knows of the endpoint and its secrets is old.
        under_way.end(delivery)
        return
    try:
        answer = await _post(ctx, due)
    except destination.DeliveryFailed as failure:
        reason = failure.reason
    except Exception:
        # Whatever it is, it is no reason to try each minute and for ever.
        log.exception("attempt_crashed", delivery_id=delivery.id)
        reason = "internal"
    finally:
        under_way.end(delivery)
    status = answer.status if answer is not None else None
    ended = ctx.clock.now()
    under_way.learn(delivery, ended - began, ended, went_well=_is_success(status))
    await ctx.failpoint("deliver.posted")
    async with ctx.database.begin() as session:
        await session.execute(
            update(Attempt)
            .where(col(Attempt.delivery_id) == delivery.id, col(Attempt.number) == delivery.attempts)
            .values(
                ended_at=ctx.clock.now(),
                http_status=status,
                reason=reason or (None if _is_success(status) else f"http_{status}"),
                answer=answer.body if answer is not None else None,
            )
        )
        await _settle(ctx, session, due, status)
    await ctx.failpoint("deliver.recorded")
    ctx.wake.hint("deliver")


def _is_success(status: int | None) -> bool:
    return status is not None and 200 <= status < 300


async def _post(ctx: Context, due: Due) -> destination.Answer:
    if not due.secrets:
        raise destination.DeliveryFailed("no_secret")  # nothing leaves unsigned
    headers = signing.headers(due.secrets, due.delivery.event_id, ctx.clock.now(), due.body)
    headers["Content-Type"] = "application/json"
    return await destination.post(ctx.webhooks, due.url, headers, due.body)


async def _settle(ctx: Context, session: AsyncSession, due: Due, status: int | None) -> None:
    delivery, endpoint, now = due.delivery, due.endpoint, ctx.clock.now()
    failures = delivery.attempts - delivery.attempts_before
    again_at = schedule.next_attempt(failures, now, ctx.random.uniform(-1, 1))
    if _is_success(status):
        outcome, due_at, over = DeliveryStatus.DELIVERED, None, True
        if endpoint is not None:
            await receivers.went_well(session, endpoint)
    elif endpoint is not None and not await receivers.failed(session, endpoint, status, now):
        outcome, due_at, over = DeliveryStatus.OWED, None, False  # held
    elif status == receivers.GONE or again_at is None:
        outcome, due_at, over = DeliveryStatus.DEAD, None, True
        log.error("delivery_dead", delivery_id=delivery.id, attempts=delivery.attempts)
    else:
        outcome, due_at, over = DeliveryStatus.OWED, again_at, False
    await session.execute(
        update(Delivery)
        .where(
            col(Delivery.id) == delivery.id,
            col(Delivery.epoch) == delivery.epoch,
            col(Delivery.status) == DeliveryStatus.OWED,
        )
        .values(
            status=outcome,
            url=due.url,
            due_at=due_at,
            lease_until=None,
            finished_at=now if over else None,
        )
    )


async def _live_secrets(ctx: Context, session: AsyncSession, delivery: Delivery) -> list[str]:
    """Those of the endpoint, or the tenant's own for a `callback_url`; newest first."""
    endpoint_id = delivery.target if delivery.target != CALLBACK else None
    rows = await session.scalars(
        select(WebhookSecret)
        .where(
            col(WebhookSecret.tenant_id) == delivery.tenant_id,
            col(WebhookSecret.endpoint_id).is_not_distinct_from(endpoint_id),
            col(WebhookSecret.expires_at).is_(None) | (col(WebhookSecret.expires_at) > ctx.clock.now()),
        )
        .order_by(col(WebhookSecret.id).desc())
        .limit(MOST_SECRETS)
    )
    return _readable(ctx, rows)


def _readable(ctx: Context, rows: Iterable[WebhookSecret]) -> list[str]:
    readable = []
    for row in rows:
        try:
            readable.append(ctx.secrets.decrypt(row.secret_encrypted).decode())
        except (CannotDecrypt, UnicodeDecodeError):
            # Another tenant's deliveries must not wait for the operator to bring the key back.
            log.error("secret_unreadable", tenant_id=row.tenant_id, secret_id=row.id)  # noqa: TRY400 -- no trace of secrets
    return readable
