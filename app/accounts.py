"""The HeyGen accounts that pay: rows, told apart by address and user name, whatever their keys."""

import asyncio
import re
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count

import httpx
import structlog
from sqlalchemy import Select, func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col
from uuid_utils.compat import uuid7

from app import governor
from app.database import Database
from app.heygen.client import HeyGen
from app.heygen.errors import AccountBlocked, HeyGenError
from app.models import Account, Job, Tenant
from app.secrets import Secrets, digest

log = structlog.get_logger(__name__)

NO_ACCOUNT = (
    "no HeyGen account can be used. Set HEYGEN_API_KEY, or store a key: greenroom accounts add NAME "
    "(required on PostgreSQL; the built-in simulator runs on SQLite only)"
)
NEW_CONCURRENCY = 10

_KEY = re.compile(r"[!-~]{1,1000}")  # what a header can carry

_WAITS = (0.0, 0.25, 0.5, 1.0, 2.0)  # seconds before each try: HeyGen may be back in a moment
READ_WITHIN = timedelta(seconds=10)


class AccountUnknown(Exception):
    """Nobody knows which account pays: no key, or none that HeyGen knows; the message says what to do."""


class KeyUnusable(ValueError):
    """This cannot be a key of HeyGen's; the message says why, and does not repeat it."""


@dataclass(frozen=True)
class Identity:
    """What tells one HeyGen account from another."""

    base_url: str
    username: str
    key_digest: str | None
    simulated: bool


EMBEDDED = Identity("embedded", "simulator", None, simulated=True)
"""The built-in simulator, which renders while no key pays. Its port changes with every start, its account does not."""


async def identify(database: Database, base_url: str, key: str) -> Identity:
    """Whose key this is: from the tables where the key was seen before, else from HeyGen; raises AccountUnknown."""
    key_digest = digest(key)
    async with database.begin() as session:
        seen = select(Account).where(col(Account.base_url) == base_url, col(Account.key_digest) == key_digest)
        known = await session.scalar(seen)
    if known is not None:
        return Identity(base_url, known.username, key_digest, known.kind == "simulator")
    async with httpx.AsyncClient(trust_env=False) as http:
        heygen = HeyGen(http, base_url, key, create_timeout=READ_WITHIN, read_timeout=READ_WITHIN)
        for wait in _WAITS:
            await asyncio.sleep(wait)
            try:
                me = await heygen.users_me()
                return Identity(base_url, me.username, key_digest, me.simulated)
            except AccountBlocked as error:
                raise AccountUnknown(f"{base_url} refuses the HeyGen key ({error.code})") from error
            except HeyGenError as error:
                log.warning("heygen_unreachable", reason=error.reason)
    raise AccountUnknown(
        f"{base_url} does not answer. A new key needs it once, to learn which account it belongs to; try again later"
    )


def usable(key: str) -> str:
    """The key without the space around it; raises KeyUnusable."""
    key = key.strip()
    if key.startswith("gr_"):
        raise KeyUnusable("this is a Greenroom key; give the key of your HeyGen account")
    if not _KEY.fullmatch(key):
        raise KeyUnusable("a HeyGen key is one line of printable characters without spaces")
    return key


async def settle(session: AsyncSession, identity: Identity, concurrency: int, now: datetime) -> Account:
    """The row of the environment's account, made where it is new.

    An account with a stored key has a concurrency of its own, which the environment's does not change.
    """
    # Most starts change nothing. They take no lock either: a replica that stands still may hold it longer than we wait.
    account = await session.scalar(_of(identity))
    if account is not None and _as_told(account, identity, concurrency):
        return account
    while (account := await _known(session, identity)) is None:
        # Of replicas that start at once with a new key one makes the row, and the others read it.
        with suppress(IntegrityError):
            async with session.begin_nested():
                name = await _free_name(session, identity.username)
                await _made(session, identity, name, concurrency, now)
    if account.key_encrypted is None:
        if account.concurrency != concurrency:
            account.concurrency = account.limit_now = concurrency
        account.key_digest = identity.key_digest
    await session.flush()
    return account


async def follow(session: AsyncSession, account: Account) -> None:
    """Tenants of the environment's former accounts move to its present one; those of stored keys stay.

    Jobs stay with the account they were accepted for: a queue of the simulator is never rendered for money.
    """
    former = select(col(Account.id)).where(
        col(Account.key_encrypted).is_(None), col(Account.id) != account.id
    )
    moved = update(Tenant).where(col(Tenant.account_id).in_(former)).values(account_id=account.id)
    await session.execute(moved)


@dataclass(frozen=True)
class Offer:
    """A key that an operator gives to be stored, and what to call its account."""

    name: str
    key: str
    concurrency: int | None = None  # None: as it is, ten for a new account


async def store(
    session: AsyncSession, identity: Identity, offer: Offer, secrets: Secrets, now: datetime
) -> tuple[Account, bool]:
    """Store a key, encrypted, with its account; True where the account was there before, and only its key is new."""
    account = await _known(session, identity)
    known = account is not None
    if account is None:
        if await session.scalar(select(Account).where(col(Account.name) == offer.name)) is not None:
            raise ValueError(f"there is an account named {offer.name!r} already, of another HeyGen user")
        account = await _made(session, identity, offer.name, offer.concurrency or NEW_CONCURRENCY, now)
    elif offer.concurrency is not None:
        account.concurrency = account.limit_now = offer.concurrency
    account.key_encrypted = secrets.encrypt(offer.key.encode())
    account.key_digest = identity.key_digest
    await session.flush()
    if account.probe_at is not None:  # not what an operator paused
        await governor.resume(session, account.id, only=account.paused_reason)
    return account, known


async def named(session: AsyncSession, name: str) -> Account:
    """The account of that name; raises LookupError."""
    account = await session.scalar(select(Account).where(col(Account.name) == name))
    if account is None:
        raise LookupError(f"there is no account {name!r}")
    return account


async def with_keys(session: AsyncSession) -> Sequence[Account]:
    """The accounts whose keys are stored, oldest first."""
    stored = select(Account).where(col(Account.key_encrypted).isnot(None)).order_by(col(Account.id))
    return (await session.scalars(stored)).all()


def any_pays(stored: Sequence[Account]) -> bool:
    """Whether one of them renders for money."""
    return any(account.kind != "simulator" for account in stored)


async def held(session: AsyncSession, account_ids: Collection[str]) -> dict[str, int]:
    """Unfinished jobs of accounts this process has no key for, by the account's name: they wait for that key."""
    rows = await session.execute(
        select(col(Account.name), func.count())
        .join(Job, col(Job.account_id) == col(Account.id))
        .where(col(Job.finished_at).is_(None), col(Account.id).notin_(account_ids))
        .group_by(col(Account.name))
    )
    return {row[0]: row[1] for row in rows}


def _of(identity: Identity) -> Select[Account]:
    return select(Account).where(
        col(Account.base_url) == identity.base_url, col(Account.username) == identity.username
    )


def _as_told(account: Account, identity: Identity, concurrency: int) -> bool:
    """Whether the environment tells nothing new of it."""
    stored = account.key_encrypted is not None
    return stored or (account.concurrency == concurrency and account.key_digest == identity.key_digest)


async def _known(session: AsyncSession, identity: Identity) -> Account | None:
    locked = _of(identity).with_for_update(key_share=True).execution_options(populate_existing=True)
    account: Account | None = await session.scalar(locked)
    return account


async def _made(
    session: AsyncSession, identity: Identity, name: str, concurrency: int, now: datetime
) -> Account:
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
    await session.flush()
    return account


async def _free_name(session: AsyncSession, username: str) -> str:
    taken = set(await session.scalars(select(col(Account.name))))
    return next(name for name in _names(username) if name not in taken)


def _names(username: str) -> Iterator[str]:
    yield username
    yield from (f"{username}-{number}" for number in count(2))
