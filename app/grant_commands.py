"""What an operator lets tenants see and use of the private things of a HeyGen account."""

from typing import Annotated

import typer

from app import grants, tenancy
from app.console import Listing, err, instant, printable_name
from app.desk import Desk
from app.desk_commands import beside
from app.models import GrantKind

commands = typer.Typer(no_args_is_help=True, help="Private looks, groups and voices that a tenant may use.")

TenantName = Annotated[str, typer.Argument(metavar="TENANT", help="Name or id of the tenant.")]
Kind = Annotated[GrantKind, typer.Argument(help="A group covers its looks.")]
HeyGenId = Annotated[str, typer.Argument(metavar="HEYGEN_ID", help="Its id at HeyGen.")]


@commands.command("add")
def add_grant(
    tenant: TenantName,
    kind: Kind,
    heygen_id: Annotated[
        str, typer.Argument(callback=printable_name, metavar="HEYGEN_ID", help="Its id at HeyGen.")
    ],
) -> None:
    """Let a tenant see and use a private thing of its HeyGen account."""

    async def add(desk: Desk) -> bool:
        async with desk.database.begin() as session:
            found = await tenancy.named(session, tenant)
            return await grants.grant(session, found, kind, heygen_id, desk.clock.now())

    new = beside(add)
    err.print(f"{tenant} may use the {kind} {heygen_id}{'' if new else ' already'}.", soft_wrap=True)


@commands.command("list")
def list_grants(
    tenant: Annotated[
        str | None, typer.Argument(metavar="[TENANT]", help="Name or id of the tenant.")
    ] = None,
) -> None:
    """List what tenants were granted, of all tenants or one."""

    async def read(desk: Desk) -> Listing:
        table = Listing("tenant", "kind", "HeyGen's id", "since")
        async with desk.database.begin() as session:
            only = (await tenancy.named(session, tenant)).id if tenant is not None else None
            names = {it.id: it.name for it in await tenancy.list_tenants(session)}
            for row in await grants.list_granted(session, only):
                table.row(names[row.tenant_id], row.kind, row.heygen_id, instant(row.created_at))
        return table

    beside(read).show()


@commands.command("remove")
def remove_grant(tenant: TenantName, kind: Kind, heygen_id: HeyGenId) -> None:
    """Take a grant back; what was ordered already is still made."""

    async def remove(desk: Desk) -> bool:
        async with desk.database.begin() as session:
            return await grants.revoke(session, await tenancy.named(session, tenant), kind, heygen_id)

    if not beside(remove):
        err.print(f"{tenant} has no grant of the {kind} {heygen_id}.", soft_wrap=True)
        raise typer.Exit(1)
    err.print(f"{tenant} may use the {kind} {heygen_id} no more.", soft_wrap=True)
