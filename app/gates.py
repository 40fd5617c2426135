"""When HeyGen may be read: not before its Retry-After has passed, and not with a key that it refuses."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app import governor
from app.clock import Clock
from app.context import Context
from app.database import Database
from app.governor import Told
from app.heygen.errors import AccountBlocked, Held, HeyGenError, NoAnswer, NotSent, RateLimited
from app.models import Account

log = structlog.get_logger(__name__)

# Other pauses stop creates alone: what runs at HeyGen is followed to its end.
REFUSED_KEY = frozenset({"unauthorized", "authentication_failed", "http_401"})

FIRST_PROBE = timedelta(seconds=30)


async def shut(session: AsyncSession, account_ids: Iterable[str], now: datetime) -> dict[str, datetime]:
    """Those of the accounts that must not be read now, each with the instant from which it may be."""
    accounts = await session.scalars(select(Account).where(col(Account.id).in_(set(account_ids))))
    found = {account.id: shut_until(account, now) for account in accounts}
    return {account_id: until for account_id, until in found.items() if until is not None}


def shut_until(account: Account, now: datetime) -> datetime | None:
    """When the account may be read again; None when it may be now."""
    if account.gate_until is not None and account.gate_until > now:
        return account.gate_until
    if account.paused_at is not None and account.paused_reason in REFUSED_KEY:
        return max(account.probe_at or now, now + governor.GATE_WITHOUT_WORD)
    return None


async def heed(ctx: Context, account_id: str, error: HeyGenError) -> None:
    """A read may tell that the whole account is refused or throttled."""
    await StoredGate(ctx.database, ctx.clock, account_id).met(error)


async def count(ctx: Context, account_id: str, failure: HeyGenError | None) -> None:
    """Pause an account whose creates mostly fail, until HeyGen answers again: each of them may cost a slot for long."""
    if isinstance(failure, Held):
        return
    now = ctx.clock.now()
    failed = isinstance(failure, NotSent | NoAnswer) and failure.reason != "in_progress"
    if not ctx.connections[account_id].breaker.count(now, failed=failed):
        return
    async with ctx.database.begin() as session:
        await governor.pause(session, account_id, "heygen_failing", now, FIRST_PROBE)


@dataclass(frozen=True)
class StoredGate:
    """One account's gate as all processes see it, for a catalog: nobody has claimed what callers read through it."""

    database: Database
    clock: Clock
    account_id: str

    async def until(self) -> datetime | None:
        """The instant before which HeyGen must not be read, whichever process was told it; None when it may be now."""
        async with self.database.begin() as session:
            now = self.clock.now()
            return (await shut(session, [self.account_id], now)).get(self.account_id)

    async def met(self, error: HeyGenError) -> None:
        """What a failed read tells of the whole account is kept."""
        log.warning("heygen_read_failed", account_id=self.account_id, reason=error.reason)
        if not isinstance(error, AccountBlocked | RateLimited):
            return
        async with self.database.begin() as session:
            now = self.clock.now()
            if isinstance(error, AccountBlocked):
                await governor.pause(session, self.account_id, error.code, now)
            else:
                told = Told(error.retry_after, error.sent_at)
                await governor.gate(session, self.account_id, told, now, lowers=False)
