"""Who may use HeyGen next: slots, fair shares, gates and pauses of each account.

A slot is `jobs.slot_account_id`: counted, never kept as a number that could drift. Whoever counts holds the lock of the
account's row until the new slot is committed, so that no two processes can take the last one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

import structlog
from sqlalchemy import CTE, ColumnElement, func, or_, select, true, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.models import Account, Job, JobStatus, Tenant, is_status

log = structlog.get_logger(__name__)

PROBE_EVERY = timedelta(minutes=5)
REFUSALS_TO_PAUSE = 3
GATE_WITHOUT_WORD = timedelta(seconds=5)
LONG = timedelta(minutes=15)  # a longer Retry-After is obeyed too, but an operator should know
DELAYS_AT_ONCE = 100
CREDIT = 2.0
"""How many starts, for a weight of 1, a tenant may catch up on. Without any, shares miss their weights by up to 60 %."""


async def lock(session: AsyncSession, account_id: str) -> Account:
    """The account, locked until the transaction ends."""
    # FOR NO KEY UPDATE: a plain FOR UPDATE would block every insert that references the account.
    statement = select(Account).where(col(Account.id) == account_id)
    statement = statement.with_for_update(key_share=True).execution_options(populate_existing=True)
    return (await session.scalars(statement)).one()


async def next_job(session: AsyncSession, account_id: str, now: datetime) -> str | None:
    """The queued job that gets the account's next free slot, or None; locks the account's row.

    Tenants that hold less than their share of the slots go before the others. Among them it is the turn of who has
    started least for its weight since it has work; then the highest priority of that tenant goes first, then who came
    first. The tenant's turn is counted as taken.
    """
    account = await lock(session, account_id)
    if shut_until(account, now) is not None:
        return None
    if account.on_trial and await _is_submitting(session, account_id, now):
        return None
    held = await _slots(session, account_id)
    if sum(held.values()) >= account.limit_now:
        return None
    await _end_delays(session, account_id, now)
    line = [
        first
        for first in await _first_in_line(session, account_id)
        if first.slot_cap is None or held.get(first.tenant_id, 0) < first.slot_cap
    ]
    if not line:
        return None
    share = account.limit_now / sum(first.weight for first in line)

    def start_of(first: First) -> float:
        # No start leaves a tenant further ahead than that: its turn is one of another account, which it was moved from.
        furthest = account.turn + CREDIT + 1 / first.weight
        return max(min(first.turn, furthest), account.turn)

    def place(first: First) -> tuple[bool, float, str]:
        has_its_share = held.get(first.tenant_id, 0) >= share * first.weight
        return has_its_share, start_of(first), first.job_id

    chosen = min(line, key=place)
    start = start_of(chosen)
    # Who comes back after a while does not catch up on all that it did not want; who was kept waiting since it held its
    # share may do so, a little.
    account.turn = max(account.turn, start - CREDIT)
    turn = start + 1 / chosen.weight
    await session.execute(update(Tenant).where(col(Tenant.id) == chosen.tenant_id).values(turn=turn))
    await session.flush()
    return chosen.job_id


def shut_until(account: Account, now: datetime) -> datetime | None:
    """When a gated or paused account may be asked again at the soonest; None when it may be now."""
    if account.paused_at is not None:
        return max(account.probe_at or now + PROBE_EVERY, now + GATE_WITHOUT_WORD)
    return account.gate_until if account.gate_until is not None and account.gate_until > now else None


async def _slots(session: AsyncSession, account_id: str) -> dict[str, int]:
    # Tenant by tenant: a GROUP BY would compare two tenants' ids at each of the slots, which takes half as long again.
    held = col(Job.slot_account_id) == account_id
    tenants = _tenants_with(held)
    count = select(func.count()).where(held, col(Job.tenant_id) == tenants.c.tenant_id).scalar_subquery()
    counted = await session.execute(select(tenants.c.tenant_id, count).where(tenants.c.tenant_id.isnot(None)))
    return {row[0]: row[1] for row in counted}


def _tenants_with(*jobs: ColumnElement[bool]) -> CTE:
    """Each tenant that has such a job, by steps in an index: the many jobs of one tenant cost one step.

    The last row is NULL.
    """
    tenants = select(col(Job.tenant_id)).where(*jobs).order_by(col(Job.tenant_id)).limit(1)
    found = select(tenants.scalar_subquery().label("tenant_id")).cte("found", recursive=True)
    following = tenants.where(col(Job.tenant_id) > found.c.tenant_id).scalar_subquery()
    return found.union_all(select(following).where(found.c.tenant_id.isnot(None)))


async def _is_submitting(session: AsyncSession, account_id: str, now: datetime) -> bool:
    """Whether somebody sends a job of the account to HeyGen, or prepares it. A lease that is over is nobody's."""
    # Not the bare column: SQLite would look up by account, and read every job that the account ever had.
    ours = (col(Job.account_id) + "") == account_id
    held = select(col(Job.id)).where(is_status(JobStatus.SUBMITTING), col(Job.lease_until) > now, ours)
    return await session.scalar(held.limit(1)) is not None


async def _end_delays(session: AsyncSession, account_id: str, now: datetime) -> None:
    """Give jobs that went back their places in the queue again, once they are due.

    Until then they stand in an index of their own: at the head of a queue, each claim would have to step over them.
    """
    over = (
        select(col(Job.id))
        .where(
            col(Job.account_id) == account_id,
            is_status(JobStatus.QUEUED),
            col(Job.waits_for_id).is_(None),
            col(Job.due_at) <= now,
        )
        .order_by(col(Job.due_at))
        .limit(DELAYS_AT_ONCE)
        .with_for_update(skip_locked=True)
        .cte("over")
    )
    back = update(Job).where(col(Job.id).in_(select(over.c.id))).values(due_at=None)
    await session.execute(back.execution_options(synchronize_session=False))


class First(NamedTuple):
    """A tenant that has work, and its next job."""

    tenant_id: str
    weight: int
    slot_cap: int | None
    turn: float
    job_id: str


async def _first_in_line(session: AsyncSession, account_id: str) -> list[First]:
    """Each tenant of the account that has work ready. Ids are UUIDv7: the lowest came first."""
    ready = (
        col(Job.account_id) == account_id,
        is_status(JobStatus.QUEUED),
        col(Job.waits_for_id).is_(None),
        col(Job.due_at).is_(None),
    )
    busy = _tenants_with(*ready)
    first = (
        select(col(Job.id))
        .where(*ready, col(Job.tenant_id) == col(Tenant.id))
        .order_by(col(Job.rank), col(Job.id))
        .limit(1)
        .scalar_subquery()
    )
    rows = await session.execute(
        select(col(Tenant.id), col(Tenant.weight), col(Tenant.slot_cap), col(Tenant.turn), first).join(
            busy, busy.c.tenant_id == col(Tenant.id)
        )
    )
    return [First(*row) for row in rows]


@dataclass(frozen=True)
class Told:
    """What a 429 says: when to come back, where it says so, and when the call was sent that it refused."""

    retry_after: timedelta | None = None
    sent_at: datetime | None = None


async def gate(
    session: AsyncSession, account_id: str, told: Told, now: datetime, *, lowers: bool = True
) -> None:
    """HeyGen said 429: send nothing before it allows, and keep fewer jobs in flight.

    Of calls that were under way together each may be refused: that is one reason to keep fewer, not many. A read that is
    refused is none: it tells nothing of how many jobs HeyGen takes at once (`lowers`).
    """
    account = await lock(session, account_id)
    retry_after = told.retry_after
    until = now + (retry_after or GATE_WITHOUT_WORD)
    account.gate_until = max(until, account.gate_until or until)
    if retry_after is not None and retry_after > LONG:
        log.error("retry_after_long", account_id=account_id, seconds=int(retry_after.total_seconds()))
    if lowers and (account.lowered_at is None or told.sent_at is None or told.sent_at > account.lowered_at):
        account.limit_now = max(1, int(account.limit_now * 0.7))
        account.successes = 0
        account.lowered_at = now
    await session.flush()


async def accepted(session: AsyncSession, account_id: str, now: datetime) -> None:
    """HeyGen accepted a create: after as many as the limit, it may rise by one."""
    account = await lock(session, account_id)
    account.accepted_at = now
    account.on_trial = False
    account.refused_code, account.refused_count = None, 0
    account.successes += 1
    if account.successes >= account.limit_now and account.limit_now < account.concurrency:
        account.limit_now += 1
        account.successes = 0
    await session.flush()


async def refused(session: AsyncSession, account_id: str, code: str, now: datetime) -> bool:
    """The same 402 or 403 on three different jobs in a row is about the account: pause it; True when it did."""
    account = await lock(session, account_id)
    account.refused_count = account.refused_count + 1 if account.refused_code == code else 1
    account.refused_code = code
    await session.flush()
    return account.refused_count >= REFUSALS_TO_PAUSE and await pause(session, account_id, code, now)


async def pause(
    session: AsyncSession,
    account_id: str,
    reason: str,
    now: datetime,
    probe_after: timedelta | None = PROBE_EVERY,
) -> bool:
    """Send nothing on this account until a probe finds it well; True when it was not paused already.

    Without a probe: until an operator resumes it, and whatever had paused it before. Any other pause is told here, so
    that none comes without an alarm, whoever met the refusal.
    """
    pausable = col(Account.paused_at).is_(None) if probe_after is not None else true()
    name = await session.scalar(
        update(Account)
        .where(col(Account.id) == account_id, pausable)
        .values(
            paused_reason=reason,
            paused_at=now,
            probe_at=now + probe_after if probe_after is not None else None,
        )
        .returning(col(Account.name))
    )
    if name is not None and probe_after is not None:
        log.error(
            "account_paused",
            account_id=account_id,
            account=name,
            reason=reason,
            meaning=f"Jobs wait. It is probed by itself in {probe_after.seconds} s, then every {PROBE_EVERY.seconds} s."
            f" Where the key is refused: greenroom accounts add {name}, with a new one."
            f" Where credit lacks: top up; greenroom accounts resume {name} does not wait for the next look.",
        )
    return name is not None


async def resume(
    session: AsyncSession, account_id: str, only: str | None = None, *, on_trial: bool = False
) -> None:
    """The account may send again. A probe names the reason it looked into: another pause may have come since.

    An operator, who names none, knows of it and is told nothing.

    On trial it sends one create at a time until one is accepted: an account without credit then costs one call in each
    probe interval, not one for each of its slots.
    """
    looked_into = col(Account.paused_reason) == only if only is not None else true()
    name = await session.scalar(
        update(Account)
        .where(col(Account.id) == account_id, looked_into)
        .values(
            paused_reason=None,
            paused_at=None,
            probe_at=None,
            refused_code=None,
            refused_count=0,
            on_trial=on_trial,
        )
        .returning(col(Account.name))
    )
    if name is not None and only is not None:
        log.warning("account_resumed", account_id=account_id, account=name, was=only, on_trial=on_trial)


async def overview(session: AsyncSession) -> list[tuple[Account, int]]:
    """Every account, oldest first, with its slots in use."""
    used = select(func.count()).where(col(Job.slot_account_id) == col(Account.id)).scalar_subquery()
    rows = await session.execute(select(Account, used).order_by(col(Account.id)))
    return [(account, count) for account, count in rows]


async def due_probes(session: AsyncSession, account_ids: Sequence[str], now: datetime) -> list[Account]:
    """Those of the accounts that are paused, may be asked and should be; each is taken for one probe interval."""
    taken = await session.scalars(
        update(Account)
        .where(
            col(Account.id).in_(account_ids),
            col(Account.paused_at).isnot(None),
            col(Account.probe_at) <= now,
            or_(col(Account.gate_until).is_(None), col(Account.gate_until) <= now),
        )
        .values(probe_at=now + PROBE_EVERY)
        .returning(Account)
    )
    return list(taken)
