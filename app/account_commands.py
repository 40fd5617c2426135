"""What an operator does about the HeyGen accounts that pay."""

import os
import sys
from datetime import datetime
from typing import Annotated

import typer

from app import governor
from app.accounts import KeyUnusable, Offer, named, usable
from app.console import Listing, err, instant, printable_name
from app.desk import Desk, add_account, where_key_is
from app.desk_commands import beside
from app.models import Account

OPERATOR = "operator"
"""The reason of a pause that only an operator ends."""

accounts = typer.Typer(no_args_is_help=True, help="The HeyGen accounts that pay.")

AccountName = Annotated[str, typer.Argument(help="Name of the account.")]


@accounts.command("add")
def add(
    name: Annotated[str, typer.Argument(callback=printable_name, help="Name of the account.")],
    base_url: Annotated[
        str | None, typer.Option(help="HeyGen's API, or a simulator. Default: HEYGEN_BASE_URL.")
    ] = None,
    concurrency: Annotated[
        int | None, typer.Option(min=1, max=10_000, help="Jobs at once; 10 for a new account.")
    ] = None,
) -> None:
    """Store the key of a HeyGen account, encrypted; the key of an account that is known is replaced.

    The key is read from standard input, else from HEYGEN_API_KEY in the environment of this command, never from an
    argument: shells keep those. A running service takes it up within seconds.
    """
    try:
        key = usable(_given_key())
    except KeyUnusable as error:
        err.print(f"Greenroom cannot do that: {error}", soft_wrap=True)
        raise typer.Exit(1) from None

    async def store(desk: Desk) -> tuple[Account, bool]:
        return await add_account(desk, Offer(name, key, concurrency), base_url)

    account, known = beside(store)
    who = f"HeyGen user {account.username} at {account.base_url}"
    if known:
        err.print(f"The key of {account.name} is replaced ({who}).", soft_wrap=True)
    else:
        err.print(f"Added {account.name} ({who}), {account.concurrency} jobs at once.", soft_wrap=True)


def _given_key() -> str:
    """From standard input where something comes: the environment may be the service's own."""
    environment = os.environ.get("HEYGEN_API_KEY", "")
    if sys.stdin.isatty():
        return environment or str(typer.prompt("HeyGen API key", hide_input=True, err=True))
    return sys.stdin.readline().strip() or environment


@accounts.command("list")
def list_accounts() -> None:
    """List the accounts, with where their keys are, the slots in use and what keeps them from sending."""

    async def read(desk: Desk) -> Listing:
        table = Listing("name", "kind", "key", "in use", "limit", "waits until", "paused", "address")
        async with desk.database.begin() as session:
            for account, used in await governor.overview(session):
                limit = str(account.limit_now)
                if account.limit_now != account.concurrency:
                    limit += f" of {account.concurrency}"
                table.row(
                    account.name,
                    account.kind,
                    where_key_is(desk, account),
                    str(used),
                    limit,
                    instant(_gated_until(account, desk.clock.now())),
                    account.paused_reason or ("on trial" if account.on_trial else ""),
                    account.base_url,
                )
        return table

    beside(read).show()


@accounts.command("pause")
def pause_account(name: AccountName) -> None:
    """Send nothing more on an account until it is resumed; what HeyGen has goes on to its end."""

    async def pause(desk: Desk) -> None:
        async with desk.database.begin() as session:
            account = await named(session, name)
            await governor.pause(session, account.id, OPERATOR, desk.clock.now(), probe_after=None)

    beside(pause)
    err.print(f"{name} is paused; resume it by: greenroom accounts resume {name}", soft_wrap=True)


@accounts.command("resume")
def resume_account(name: AccountName) -> None:
    """Let an account send again, whatever paused it; what HeyGen's Retry-After asks for is waited for all the same."""

    async def resume(desk: Desk) -> datetime | None:
        async with desk.database.begin() as session:
            account = await named(session, name)
            await governor.resume(session, account.id)
            return _gated_until(account, desk.clock.now())

    until = beside(resume)
    when = "" if until is None else f" from {instant(until)} on: until then HeyGen has asked it to wait"
    err.print(f"{name} sends again{when}.", soft_wrap=True)


def _gated_until(account: Account, now: datetime) -> datetime | None:
    return account.gate_until if account.gate_until is not None and account.gate_until > now else None
