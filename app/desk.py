"""What the commands beside a service work on: short writers on the same tables."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC

from sqlalchemy import select
from sqlmodel import col

from app import accounts, tenancy
from app.accounts import EMBEDDED, NO_ACCOUNT, AccountUnknown, Offer
from app.clock import Clock
from app.database import Database
from app.main import open_secrets
from app.models import Account
from app.secrets import CannotDecrypt, Secrets, digest
from app.settings import HEYGEN, Settings, http_url


@dataclass(frozen=True)
class Desk:
    """The parts a command needs; no network, no worker."""

    settings: Settings
    database: Database
    secrets: Secrets
    clock: Clock
    made: str | None = None  # the SQLite file, where there was none before


@asynccontextmanager
async def at_desk(settings: Settings) -> AsyncIterator[Desk]:
    """A desk for one command; raises SchemaBehind on PostgreSQL."""
    database = Database(settings.database_url)
    try:
        made = None if database.there() else database.engine.url.database
        # A SQLite file is the service's own; on PostgreSQL an operator decides when to migrate.
        await (database.migrate() if database.is_sqlite else database.check_schema())
        yield Desk(settings, database, open_secrets(settings), Clock(), made)
    finally:
        await database.close()


async def find_account(desk: Desk, name: str | None = None) -> Account:
    """The account of that name, or else the one these settings pay with, its row made where it is new.

    Raises LookupError where it has to be named, and AccountUnknown where there is none.
    """
    settings = desk.settings
    async with desk.database.begin() as session:
        if name is not None:
            return await accounts.named(session, name)
        stored = await accounts.with_keys(session)
    if settings.heygen_api_key is not None:
        key = settings.heygen_api_key.get_secret_value()
        identity = await accounts.identify(desk.database, settings.heygen_base_url or HEYGEN, key)
    elif settings.simulated and not accounts.any_pays(stored):
        identity = EMBEDDED
    elif len(stored) == 1:
        return stored[0]
    elif stored:
        names = ", ".join(account.name for account in stored)
        raise LookupError(f"several accounts pay ({names}): greenroom tenants create NAME --account ACCOUNT")
    else:
        raise AccountUnknown(NO_ACCOUNT)
    async with desk.database.begin() as session:
        return await accounts.settle(session, identity, settings.heygen_concurrency, desk.clock.now())


async def add_account(desk: Desk, offer: Offer, base_url: str | None) -> tuple[Account, bool]:
    """Ask HeyGen whose key this is, and store it; True where only the key of a known account is new.

    Raises ValueError where the account of that name must not be called yet by HeyGen's own word. Whose account a key of
    another name is only HeyGen can tell; a pause for a refused key is what a new one ends.
    """
    url = http_url(base_url or desk.settings.heygen_base_url) or HEYGEN
    now = desk.clock.now()
    async with desk.database.begin() as session:
        same = select(col(Account.gate_until)).where(
            col(Account.name) == offer.name, col(Account.base_url) == url
        )
        gate_until = await session.scalar(same)
    if gate_until is not None and gate_until > now:
        until = gate_until.astimezone(UTC).isoformat(timespec="seconds")
        raise ValueError(f"HeyGen wants {offer.name} left alone until {until}; try again then")
    identity = await accounts.identify(desk.database, url, offer.key)
    async with desk.database.begin() as session:
        return await accounts.store(session, identity, offer, desk.secrets, desk.clock.now())


def key_of(desk: Desk, account: Account) -> str | None:
    """The account's key, stored or in the environment of this command; None where it is not here."""
    if account.key_encrypted is not None:
        try:
            return desk.secrets.decrypt(account.key_encrypted).decode()
        except CannotDecrypt:
            return None
    key = desk.settings.heygen_api_key
    ours = key is not None and account.key_digest == digest(key.get_secret_value())
    return key.get_secret_value() if key is not None and ours else None


def where_key_is(desk: Desk, account: Account) -> str:
    """Where this account's key comes from, as far as a command beside the service can tell."""
    if account.base_url == EMBEDDED.base_url:
        return "none needed"
    here = key_of(desk, account) is not None
    if account.key_encrypted is not None:
        return "stored" if here else "unreadable"
    return "environment" if here else "not here"


async def development_key(settings: Settings) -> str | None:
    """What to tell on the first start of a simulated service: a key, and the secret of its webhooks."""
    if not settings.simulated:
        return None
    async with at_desk(settings) as desk:
        account = await find_account(desk)
        if account.base_url != EMBEDDED.base_url:
            return None
        async with desk.database.begin() as session:
            if await tenancy.list_tenants(session):
                return None
            now = desk.clock.now()
            tenant, secret = await tenancy.create_tenant(
                session, "development", account.id, account_wide=True, secrets=desk.secrets, now=now
            )
            key = await tenancy.create_key(session, tenant.id, "development", now)
    return f"A development key, shown once:\n  {key}\nIts webhooks are signed with:\n  {secret}"
