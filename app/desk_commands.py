"""What an operator does beside a service: tenants, their keys, and the HeyGen accounts that pay."""

import sys
from collections.abc import Awaitable, Callable
from datetime import UTC
from typing import Annotated, TypeVar

import typer
from rich.table import Table
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app import governor, tenancy
from app.console import err, out, run_or_exit, settings_or_exit
from app.desk import Desk, at_desk
from app.main import find_account
from app.models import Account

T = TypeVar("T")

OPERATOR = "operator"
"""The reason of a pause that only an operator ends."""

tenants = typer.Typer(no_args_is_help=True, help="Who may call, and is billed.")
keys = typer.Typer(no_args_is_help=True, help="The API keys of tenants.")
accounts = typer.Typer(no_args_is_help=True, help="The HeyGen accounts that pay.")

TenantOption = Annotated[str | None, typer.Option("--tenant", help="Name or id of the tenant.")]
AccountName = Annotated[str, typer.Argument(help="Name of the account.")]


@tenants.command("create")
def create_tenant(
    name: Annotated[str, typer.Argument(help="Name of the new tenant.")],
    account_wide: Annotated[
        bool, typer.Option(help="Sees everything that the HeyGen account holds.")
    ] = False,
) -> None:
    """Make a tenant; prints the secret that signs its webhooks."""

    async def create(desk: Desk) -> str:
        account = await find_account(desk.settings, desk.database, desk.clock)
        async with desk.database.begin() as session:
            _, secret = await tenancy.create_tenant(
                session,
                name,
                account.id,
                account_wide=account_wide,
                secrets=desk.secrets,
                now=desk.clock.now(),
            )
        return secret

    _print_secret(_beside(create), f"The webhook secret of {name}, shown once:")


@tenants.command("list")
def list_tenants() -> None:
    """List the tenants."""

    async def read(desk: Desk) -> Table:
        table = Table("id", "name", "account-wide", "created", "disabled")
        async with desk.database.begin() as session:
            for tenant in await tenancy.list_tenants(session):
                disabled = tenant.disabled_at.isoformat() if tenant.disabled_at else ""
                wide = "yes" if tenant.account_wide else ""
                table.add_row(tenant.id, tenant.name, wide, tenant.created_at.isoformat(), disabled)
        return table

    out.print(_beside(read))


@keys.command("create")
def create_key(
    name: Annotated[str, typer.Argument(help="What the key is for.")],
    tenant: TenantOption = None,
) -> None:
    """Make a key; prints it alone. Without --tenant, the tenant of that name is used, and made where it is missing."""

    async def create(desk: Desk) -> str:
        account = await find_account(desk.settings, desk.database, desk.clock)
        async with desk.database.begin() as session:
            now = desk.clock.now()
            found = await tenancy.find_tenant(session, tenant or name)
            if found is None and tenant is not None:
                raise LookupError(f"there is no tenant {tenant!r}")
            if found is None:
                first = not await tenancy.list_tenants(session)
                found, secret = await tenancy.create_tenant(
                    session, name, account.id, account_wide=first, secrets=desk.secrets, now=now
                )
                err.print(f"Made the tenant {name}. Its webhook secret, shown once: {secret}", soft_wrap=True)
            return await tenancy.create_key(session, found.id, name, now)

    _print_secret(_beside(create), f"The key {name}, shown once:")


@keys.command("list")
def list_keys(tenant: Annotated[str, typer.Option("--tenant", help="Name or id of the tenant.")]) -> None:
    """List a tenant's keys; the secret parts are not stored."""

    async def read(desk: Desk) -> Table:
        table = Table("id", "name", "created", "last used", "revoked")
        async with desk.database.begin() as session:
            found = await tenancy.find_tenant(session, tenant)
            if found is None:
                raise LookupError(f"there is no tenant {tenant!r}")
            for key in await tenancy.list_keys(session, found.id):
                instants = (key.created_at, key.last_used_at, key.revoked_at)
                table.add_row(
                    key.id, key.name, *(at.astimezone(UTC).isoformat() if at else "" for at in instants)
                )
        return table

    out.print(_beside(read))


@keys.command("revoke")
def revoke_key(key_id: Annotated[str, typer.Argument(help="The key's id: the part after gr_.")]) -> None:
    """End a key, within five seconds."""

    async def revoke(desk: Desk) -> bool:
        async with desk.database.begin() as session:
            return await tenancy.revoke_key(session, key_id, desk.clock.now())

    if not _beside(revoke):
        err.print(f"There is no key {key_id} in use.")
        raise typer.Exit(1)
    err.print(f"The key {key_id} is revoked.")


@accounts.command("list")
def list_accounts() -> None:
    """List the accounts, with the slots in use and what keeps them from sending."""

    async def read(desk: Desk) -> Table:
        table = Table("name", "kind", "in use", "limit", "waits until", "paused", "address")
        async with desk.database.begin() as session:
            for account, used in await governor.overview(session):
                limit = str(account.limit_now)
                if account.limit_now != account.concurrency:
                    limit += f" of {account.concurrency}"
                gated = account.gate_until is not None and account.gate_until > desk.clock.now()
                until = account.gate_until.astimezone(UTC).isoformat() if account.gate_until and gated else ""
                table.add_row(
                    account.name,
                    account.kind,
                    str(used),
                    limit,
                    until,
                    account.paused_reason or "",
                    account.base_url,
                )
        return table

    out.print(_beside(read))


@accounts.command("pause")
def pause_account(name: AccountName) -> None:
    """Send nothing more on an account until it is resumed; what HeyGen has goes on to its end."""

    async def pause(desk: Desk) -> None:
        async with desk.database.begin() as session:
            account = await _account(session, name)
            await governor.pause(session, account.id, OPERATOR, desk.clock.now(), probe_after=None)

    _beside(pause)
    err.print(f"{name} is paused; resume it by: greenroom accounts resume {name}")


@accounts.command("resume")
def resume_account(name: AccountName) -> None:
    """Let an account send again, whatever paused it."""

    async def resume(desk: Desk) -> None:
        async with desk.database.begin() as session:
            await governor.resume(session, (await _account(session, name)).id)

    _beside(resume)
    err.print(f"{name} sends again.")


async def _account(session: AsyncSession, name: str) -> Account:
    account = await session.scalar(select(Account).where(col(Account.name) == name))
    if account is None:
        raise LookupError(f"there is no account {name!r}")
    return account


def _beside(work: Callable[[Desk], Awaitable[T]]) -> T:
    """Run a short command on the tables, beside a service or without one."""
    settings = settings_or_exit(quiet=True)

    async def run() -> T:
        async with at_desk(settings) as desk:
            return await work(desk)

    return run_or_exit(run())


def _print_secret(secret: str, heading: str) -> None:
    """The heading for people, the secret alone on standard output for programs."""
    err.print(heading)
    sys.stdout.write(f"{secret}\n")
