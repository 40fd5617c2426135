"""Which HeyGen account this process pays with: a row, told apart by address and user name, whatever its key."""

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta

import httpx
import structlog
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col
from uuid_utils.compat import uuid7

from app.database import Database
from app.heygen.client import HeyGen
from app.heygen.errors import AccountBlocked, HeyGenError
from app.models import Account, Job, Tenant
from app.secrets import digest

log = structlog.get_logger(__name__)

EMBEDDED = "embedded"
"""The address of the built-in simulator's account: its port changes with every start, the account does not."""

_TRIES = 5
_READ_WITHIN = timedelta(seconds=10)


class AccountUnknown(Exception):
    """HeyGen could not be asked, or refused to say, whose key this is; the message says what to do."""


@dataclass(frozen=True)
class Identity:
    """What tells one HeyGen account from another."""

    base_url: str
    username: str
    key_digest: str | None
    simulated: bool


async def identify(database: Database, base_url: str, key: str) -> Identity:
    """Whose key this is: from the tables where the key was seen before, else from HeyGen; raises AccountUnknown."""
    key_digest = digest(key)
    async with database.begin() as session:
        seen = select(Account).where(col(Account.base_url) == base_url, col(Account.key_digest) == key_digest)
        known = await session.scalar(seen)
    if known is not None:
        return Identity(base_url, known.username, key_digest, known.kind == "simulator")
    async with httpx.AsyncClient(trust_env=False) as http:
        heygen = HeyGen(http, base_url, key, create_timeout=_READ_WITHIN, read_timeout=_READ_WITHIN)
        for failures in range(_TRIES):
            try:
                me = await heygen.users_me()
                return Identity(base_url, me.username, key_digest, me.simulated)
            except AccountBlocked as error:
                raise AccountUnknown(f"HEYGEN_API_KEY: {base_url} refuses this key ({error.code})") from error
            except HeyGenError as error:
                log.warning("heygen_unreachable", reason=error.reason)
                await asyncio.sleep(2.0**failures / 4)
    raise AccountUnknown(
        f"{base_url} does not answer. A new key needs it once, to learn which account it belongs to; try again later"
    )


async def settle(session: AsyncSession, identity: Identity, concurrency: int, now: datetime) -> Account:
    """The account's row, made where it is new; tenants of the environment's former account move to it.

    Jobs stay with the account they were accepted for: a queue of the simulator is never rendered for money.
    """
    known = select(Account).where(
        col(Account.base_url) == identity.base_url, col(Account.username) == identity.username
    )
    account = await session.scalar(known.with_for_update(key_share=True))
    if account is None:
        count = await session.scalar(select(func.count()).select_from(Account)) or 0
        name = identity.username if count == 0 else f"{identity.username}-{count + 1}"
        account = Account(
            id=uuid7().hex,
            name=name,
            kind="simulator" if identity.simulated else "heygen",
            base_url=identity.base_url,
            username=identity.username,
            concurrency=concurrency,
            limit_now=concurrency,
            created_at=now,
        )
        session.add(account)
    if account.concurrency != concurrency:
        account.concurrency = account.limit_now = concurrency
    account.key_digest = identity.key_digest
    await session.flush()
    former = select(col(Account.id)).where(
        col(Account.key_encrypted).is_(None), col(Account.id) != account.id
    )
    moved = update(Tenant).where(col(Tenant.account_id).in_(former)).values(account_id=account.id)
    await session.execute(moved)
    return account


async def held(session: AsyncSession, account_ids: list[str]) -> dict[str, int]:
    """Unfinished jobs of accounts this process has no key for, by the account's name: they wait for that key."""
    rows = await session.execute(
        select(col(Account.name), func.count())
        .join(Job, col(Job.account_id) == col(Account.id))
        .where(col(Job.finished_at).is_(None), col(Account.id).notin_(account_ids))
        .group_by(col(Account.name))
    )
    return {row[0]: row[1] for row in rows}
