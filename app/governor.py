"""Who may use HeyGen next: slots, fair shares, gates and pauses of each account.

A slot is `jobs.slot_account_id`: counted, never kept as a number that could drift. Whoever counts holds the lock of the
account's row until the new slot is committed, so that no two processes can take the last one.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

import structlog
from sqlalchemy import func, select, true, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.models import Account, Job, JobStatus, Tenant, is_status

log = structlog.get_logger(__name__)

PROBE_EVERY = timedelta(minutes=5)
REFUSALS_TO_PAUSE = 3
GATE_WITHOUT_WORD = timedelta(seconds=5)
LONG = timedelta(minutes=15)  # a longer Retry-After is obeyed too, but an operator should know


async def lock(session: AsyncSession, account_id: str) -> Account:
    """The account, locked until the transaction ends."""
    # FOR NO KEY UPDATE: a plain FOR UPDATE would block every insert that references the account.
    statement = select(Account).where(col(Account.id) == account_id)
    statement = statement.with_for_update(key_share=True).execution_options(populate_existing=True)
    return (await session.scalars(statement)).one()


async def next_job(session: AsyncSession, account_id: str, now: datetime) -> str | None:
    """The queued job that gets the account's next free slot, or None; locks the account's row.

    The slot goes to the tenant with the fewest slots for its weight, there to the highest priority, then to who came
    first.
    """
    account = await lock(session, account_id)
    if shut_until(account, now) is not None:
        return None
    held = await _slots(session, account_id)
    if sum(held.values()) >= account.limit_now:
        return None
    candidates = [
        (held.get(tenant.id, 0) / tenant.weight, job_id)
        for tenant, job_id in await _first_in_line(session, account_id, now)
        if tenant.slot_cap is None or held.get(tenant.id, 0) < tenant.slot_cap
    ]
    return min(candidates)[1] if candidates else None


def shut_until(account: Account, now: datetime) -> datetime | None:
    """When a gated or paused account may be asked again at the soonest; None when it may be now."""
    if account.paused_at is not None:
        return max(account.probe_at or now + PROBE_EVERY, now + GATE_WITHOUT_WORD)
    return account.gate_until if account.gate_until is not None and account.gate_until > now else None


async def _slots(session: AsyncSession, account_id: str) -> dict[str, int]:
    counted = await session.execute(
        select(col(Job.tenant_id), func.count())
        .where(col(Job.slot_account_id) == account_id)
        .group_by(col(Job.tenant_id))
    )
    return {row[0]: row[1] for row in counted}


async def _first_in_line(session: AsyncSession, account_id: str, now: datetime) -> list[tuple[Tenant, str]]:
    """Each tenant of the account that has work due, with its next job. Ids are UUIDv7: the lowest came first."""
    first = (
        select(col(Job.id))
        .where(
            col(Job.account_id) == account_id,
            col(Job.tenant_id) == col(Tenant.id),
            is_status(JobStatus.QUEUED),
            col(Job.waits_for_id).is_(None),
            col(Job.due_at).is_(None) | (col(Job.due_at) <= now),
        )
        .order_by(col(Job.rank), col(Job.id))
        .limit(1)
        .scalar_subquery()
    )
    rows = await session.execute(select(Tenant, first))
    return [(tenant, job_id) for tenant, job_id in rows if job_id is not None]


async def gate(session: AsyncSession, account_id: str, retry_after: timedelta | None, now: datetime) -> None:
    """HeyGen said 429: send nothing before it allows, and keep fewer jobs in flight."""
    account = await lock(session, account_id)
    until = now + (retry_after or GATE_WITHOUT_WORD)
    account.gate_until = max(until, account.gate_until or until)
    if retry_after is not None and retry_after > LONG:
        log.error("retry_after_long", account_id=account_id, seconds=int(retry_after.total_seconds()))
    account.limit_now = max(1, int(account.limit_now * 0.7))
    account.successes = 0
    await session.flush()


async def accepted(session: AsyncSession, account_id: str, now: datetime) -> None:
    """HeyGen accepted a create: after as many as the limit, it may rise by one."""
    account = await lock(session, account_id)
    account.accepted_at = now
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

    Without a probe: until an operator resumes it, and whatever had paused it before.
    """
    pausable = col(Account.paused_at).is_(None) if probe_after is not None else true()
    moved = await session.scalar(
        update(Account)
        .where(col(Account.id) == account_id, pausable)
        .values(
            paused_reason=reason,
            paused_at=now,
            probe_at=now + probe_after if probe_after is not None else None,
        )
        .returning(col(Account.id))
    )
    return moved is not None


async def resume(session: AsyncSession, account_id: str, only: str | None = None) -> None:
    """The account may send again. A probe names the reason it looked into: another pause may have come since."""
    looked_into = col(Account.paused_reason) == only if only is not None else true()
    await session.execute(
        update(Account)
        .where(col(Account.id) == account_id, looked_into)
        .values(paused_reason=None, paused_at=None, probe_at=None, refused_code=None, refused_count=0)
    )


async def overview(session: AsyncSession) -> list[tuple[Account, int]]:
    """Every account, oldest first, with its slots in use."""
    used = select(func.count()).where(col(Job.slot_account_id) == col(Account.id)).scalar_subquery()
    rows = await session.execute(select(Account, used).order_by(col(Account.id)))
    return [(account, count) for account, count in rows]


async def due_probes(session: AsyncSession, account_ids: Sequence[str], now: datetime) -> list[Account]:
    """Those of the accounts that are paused and should be looked at now; each is taken for one probe interval."""
    taken = await session.scalars(
        update(Account)
        .where(
            col(Account.id).in_(account_ids), col(Account.paused_at).isnot(None), col(Account.probe_at) <= now
        )
        .values(probe_at=now + PROBE_EVERY)
        .returning(Account)
    )
    return list(taken)
