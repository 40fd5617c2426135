"""What an operator does beside a service: tenants, and their keys."""

import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from app import governor, tenancy
from app.console import Listing, err, instant, printable_name, run_or_exit, settings_or_exit
from app.desk import Desk, at_desk, find_account
from app.models import Tenant

T = TypeVar("T")

tenants = typer.Typer(no_args_is_help=True, help="Who may call, and is billed.")
keys = typer.Typer(no_args_is_help=True, help="The API keys of tenants.")

TenantName = Annotated[str, typer.Argument(help="Name or id of the tenant.")]
TenantOption = Annotated[str | None, typer.Option("--tenant", help="Name or id of the tenant.")]
AccountOption = Annotated[str | None, typer.Option("--account", help="Name of the HeyGen account that pays.")]
Weight = Annotated[int | None, typer.Option(min=1, max=1000, help="Its share, beside the others' weights.")]
SlotCap = Annotated[str | None, typer.Option(help="Slots it may hold at most: a number, or none.")]


@tenants.command("create")
def create_tenant(
    name: Annotated[str, typer.Argument(callback=printable_name, help="Name of the new tenant.")],
    account_wide: Annotated[
        bool, typer.Option(help="Sees everything that the HeyGen account holds.")
    ] = False,
    account: AccountOption = None,
) -> None:
    """Make a tenant, which stays with one HeyGen account; prints the secret that signs its webhooks."""

    async def create(desk: Desk) -> str:
        payer = await find_account(desk, account)
        async with desk.database.begin() as session:
            _, secret = await tenancy.create_tenant(
                session,
                name,
                payer.id,
                account_wide=account_wide,
                secrets=desk.secrets,
                now=desk.clock.now(),
            )
        return secret

    _print_secret(beside(create), f"The webhook secret of {name}, shown once:")


@tenants.command("set")
def set_tenant(
    name: TenantName,
    weight: Weight = None,
    slot_cap: SlotCap = None,
) -> None:
    """Change a tenant's share of its account's slots."""
    cap = _slot_cap(slot_cap)

    async def change(desk: Desk) -> str:
        async with desk.database.begin() as session:
            tenant = await tenancy.named(session, name)
            if weight is not None:
                tenant.weight = weight
            if slot_cap is not None:
                tenant.slot_cap = cap
            return (
                f"{tenant.name}: weight {tenant.weight}, at most {tenant.slot_cap or 'any number of'} slots."
            )

    err.print(beside(change), soft_wrap=True)


def _slot_cap(text: str | None) -> int | None:
    """A number of slots, or None for as many as there are; ends the command for anything else."""
    if text is None or text == "none":
        return None
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 10_000:
        raise typer.BadParameter("must be a number from 1 to 10000, or none", param_hint="--slot-cap")
    return int(text)


@tenants.command("rotate-secret")
def rotate_secret(name: TenantName) -> None:
    """Make a new secret that signs what goes to a callback_url; the old one goes on to sign beside it for 24 hours."""

    async def rotate(desk: Desk) -> str:
        async with desk.database.begin() as session:
            tenant = await tenancy.named(session, name)
            return await tenancy.rotate_secret(session, desk.secrets, desk.clock.now(), tenant.id)

    _print_secret(
        beside(rotate),
        f"The new webhook secret of {name}, shown once; the old one signs beside it for 24 hours:",
    )


@tenants.command("disable")
def disable_tenant(name: TenantName) -> None:
    """Refuse a tenant's keys, within five seconds; what it was promised is still made, and told of."""

    async def disable(desk: Desk) -> None:
        async with desk.database.begin() as session:
            tenant = await tenancy.named(session, name)
            tenant.disabled_at = tenant.disabled_at or desk.clock.now()

    beside(disable)
    err.print(f"{name} is disabled; enable it by: greenroom tenants enable {name}", soft_wrap=True)


@tenants.command("enable")
def enable_tenant(name: TenantName) -> None:
    """Take a tenant's keys again."""

    async def enable(desk: Desk) -> None:
        async with desk.database.begin() as session:
            (await tenancy.named(session, name)).disabled_at = None

    beside(enable)
    err.print(f"{name} is enabled.", soft_wrap=True)


@tenants.command("list")
def list_tenants() -> None:
    """List the tenants, with the account that pays for each and their share of its slots."""

    async def read(desk: Desk) -> Listing:
        table = Listing("id", "name", "account", "weight", "cap", "account-wide", "created", "disabled")
        async with desk.database.begin() as session:
            names = {account.id: account.name for account, _ in await governor.overview(session)}
            for tenant in await tenancy.list_tenants(session):
                wide = "yes" if tenant.account_wide else ""
                share = (str(tenant.weight), str(tenant.slot_cap or ""))
                instants = (instant(tenant.created_at), instant(tenant.disabled_at))
                table.row(tenant.id, tenant.name, names[tenant.account_id], *share, wide, *instants)
        return table

    beside(read).show()


@keys.command("create")
def create_key(
    name: Annotated[str, typer.Argument(callback=printable_name, help="What the key is for.")],
    tenant: TenantOption = None,
) -> None:
    """Make a key; prints it alone. Without --tenant, the tenant of that name is used, and made where it is missing."""

    async def create(desk: Desk) -> str:
        account = await find_account(desk)
        async with desk.database.begin() as session:
            now = desk.clock.now()
            if tenant is not None:
                found: Tenant | None = await tenancy.named(session, tenant)
            else:
                found = await tenancy.find_tenant(session, name)
            if found is None:
                first = not await tenancy.list_tenants(session)
                found, secret = await tenancy.create_tenant(
                    session, name, account.id, account_wide=first, secrets=desk.secrets, now=now
                )
                err.print(f"Made the tenant {name}. Its webhook secret, shown once: {secret}", soft_wrap=True)
            return await tenancy.create_key(session, found.id, name, now)

    _print_secret(beside(create), f"The key {name}, shown once:")


@keys.command("list")
def list_keys(tenant: Annotated[str, typer.Option("--tenant", help="Name or id of the tenant.")]) -> None:
    """List a tenant's keys; the secret parts are not stored."""

    async def read(desk: Desk) -> Listing:
        table = Listing("id", "name", "created", "last used", "revoked")
        async with desk.database.begin() as session:
            found = await tenancy.named(session, tenant)
            for key in await tenancy.list_keys(session, found.id):
                instants = (key.created_at, key.last_used_at, key.revoked_at)
                table.row(key.id, key.name, *map(instant, instants))
        return table

    beside(read).show()


@keys.command("revoke")
def revoke_key(
    key_id: Annotated[str, typer.Argument(help="The key's id, as `keys list` tells it; or the whole key.")],
) -> None:
    """End a key, within five seconds."""
    public_id = key_id.removeprefix("gr_").partition("_")[0]

    async def revoke(desk: Desk) -> bool:
        async with desk.database.begin() as session:
            return await tenancy.revoke_key(session, public_id, desk.clock.now())

    if not beside(revoke):
        # What was given may be a secret: it is not repeated.
        err.print("There is no such key in use; greenroom keys list --tenant NAME shows the ids.")
        raise typer.Exit(1)
    err.print(f"The key {public_id} is revoked.")


def beside(work: Callable[[Desk], Awaitable[T]]) -> T:
    """Run a short command on the tables, beside a service or without one."""
    settings = settings_or_exit(quiet=True)

    async def run() -> T:
        async with at_desk(settings) as desk:
            if desk.made is not None:
                _tell_where(desk.made)
            return await work(desk)

    return run_or_exit(run())


def _tell_where(database: str) -> None:
    """Somebody who stands in another folder than the service would get keys that it refuses."""
    made = Path(database).resolve()
    err.print(f"Made a new database at {made}; the service must use the same one.", soft_wrap=True)


def _print_secret(secret: str, heading: str) -> None:
    """The heading for people, the secret alone on standard output for programs."""
    err.print(heading, soft_wrap=True)
    sys.stdout.write(f"{secret}\n")
