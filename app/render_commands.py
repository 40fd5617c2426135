"""What an operator asks about the renders at HeyGen."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import typer

from app import accounts, gates
from app.accounts import EMBEDDED
from app.console import Listing, err, instant
from app.desk import Desk, key_of
from app.desk_commands import beside
from app.governor import overview
from app.heygen.client import HeyGen
from app.heygen.errors import HeyGenError
from app.models import Account
from app.orphans import Orphan, TooMany, orphans

renders = typer.Typer(no_args_is_help=True, help="What HeyGen has made for this service.")


@renders.command("unknown")
def unknown() -> None:
    """List the renders at HeyGen that carry this service's token and that no job holds.

    After a backup was restored, these are what was ordered since it was made. Nothing is changed.
    """

    table = beside(unknown_renders)
    table.show()
    err.print(f"Renders that no job holds: {table.row_count}.")


async def unknown_renders(desk: Desk) -> Listing:
    """A row for each, of every account that may be asked; says which may not, and why."""
    table = Listing("account", "kind", "HeyGen's id", "title", "job", "status")
    async with desk.database.begin() as session:
        known = [account for account, _ in await overview(session) if account.base_url != EMBEDDED.base_url]
        shut = await gates.shut(session, [account.id for account in known], desk.clock.now())
    for account in known:
        key = key_of(desk, account)
        if key is None:
            err.print(f"{account.name} is not looked at: its key is not here.", soft_wrap=True)
            continue
        if account.id in shut:
            until = instant(shut[account.id])
            err.print(
                f"{account.name} is not looked at: HeyGen is to be left alone until {until}.", soft_wrap=True
            )
            continue
        for orphan in await _found(desk, account, key):
            of_job = (orphan.job_id or "unknown here", orphan.status or "")
            table.row(account.name, orphan.kind, orphan.heygen_id, orphan.title, *of_job)
    return table


async def _found(desk: Desk, account: Account, key: str) -> list[Orphan]:
    """As many as HeyGen shows; says so where that is not all."""
    found = []
    async with _heygen(account.base_url, key) as heygen:
        try:
            async for orphan in orphans(desk.database, account.id, heygen):
                found.append(orphan)  # noqa: PERF401 -- what came before an error is kept
        except TooMany:
            err.print(f"{account.name} has more: only the newest were looked at.", soft_wrap=True)
        except HeyGenError as error:
            await gates.StoredGate(desk.database, desk.clock, account.id).met(error)
            err.print(f"{account.name} could not be read to its end ({error.reason}).", soft_wrap=True)
    return found


@asynccontextmanager
async def _heygen(base_url: str, key: str) -> AsyncIterator[HeyGen]:
    async with httpx.AsyncClient(trust_env=False) as http:
        yield HeyGen(
            http, base_url, key, create_timeout=accounts.READ_WITHIN, read_timeout=accounts.READ_WITHIN
        )
