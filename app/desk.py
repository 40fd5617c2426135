"""What the commands beside a service work on: short writers on the same tables."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from app import tenancy
from app.clock import Clock
from app.database import Database
from app.main import find_account, open_secrets
from app.secrets import Secrets
from app.settings import Settings


@dataclass(frozen=True)
class Desk:
    """The parts a command needs; no network, no worker."""

    settings: Settings
    database: Database
    secrets: Secrets
    clock: Clock


@asynccontextmanager
async def at_desk(settings: Settings) -> AsyncIterator[Desk]:
    """A desk for one command; raises SchemaBehind on PostgreSQL."""
    database = Database(settings.database_url)
    try:
        # A SQLite file is the service's own; on PostgreSQL an operator decides when to migrate.
        await (database.migrate() if database.is_sqlite else database.check_schema())
        yield Desk(settings, database, open_secrets(settings), Clock())
    finally:
        await database.close()


async def development_key(settings: Settings) -> str | None:
    """What to tell on the first start of a simulated service: a key, and the secret of its webhooks."""
    if not settings.simulated:
        return None
    async with at_desk(settings) as desk:
        account = await find_account(settings, desk.database, desk.clock)
        async with desk.database.begin() as session:
            if await tenancy.list_tenants(session):
                return None
            now = desk.clock.now()
            tenant, secret = await tenancy.create_tenant(
                session, "development", account.id, account_wide=True, secrets=desk.secrets, now=now
            )
            key = await tenancy.create_key(session, tenant.id, "development", now)
    return f"A development key, shown once:\n  {key}\nIts webhooks are signed with:\n  {secret}"
