"""The command line: `greenroom serve`, and what an operator does beside it."""

import asyncio
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import nullcontext, suppress
from datetime import UTC
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from rich.console import Console
from rich.table import Table

from app import main as program
from app import tenancy
from app.accounts import AccountUnknown
from app.database import Database, DatabaseInUse, SchemaBehind
from app.demo import DemoFailed, run_demo
from app.desk import Desk, at_desk, development_key
from app.main import Address, find_account, listen
from app.observability import configure_logs
from app.settings import InvalidSettings, Settings, read_settings
from app.simulator.app import Options, Simulator
from app.simulator.filming import BundledClip, ChildFilmer, can_film
from app.simulator.server import running

T = TypeVar("T")

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)

app = typer.Typer(no_args_is_help=True, add_completion=False, help="A durable render gateway for HeyGen.")
tenants = typer.Typer(no_args_is_help=True, help="Who may call, and is billed.")
keys = typer.Typer(no_args_is_help=True, help="The API keys of tenants.")
app.add_typer(tenants, name="tenants")
app.add_typer(keys, name="keys")

Host = Annotated[str, typer.Option(help="Address to listen on.")]
Port = Annotated[int, typer.Option(help="Port to listen on; 0 takes any that is free.")]
TenantOption = Annotated[str | None, typer.Option("--tenant", help="Name or id of the tenant.")]


@app.command()
def serve(
    host: Host = "127.0.0.1",
    port: Port = 8080,
    worker: Annotated[bool, typer.Option(help="Run the worker in this process too.")] = True,
) -> None:
    """Serve the API, and work."""
    settings = _settings()
    with _listening(host, port) as listener:
        address = Address(host, listener.getsockname()[1])
        _told(_run(development_key(settings)))

        async def answer() -> None:
            async with (
                program.service(settings, address) as context,
                program.working(context) if worker else nullcontext(),
            ):
                err.print(f"Greenroom serves at http://{host}:{address.port} (stop with Ctrl-C)")
                await program.answer(context, listener)

        _run(answer())


@app.command()
def worker() -> None:
    """Work without serving the API: one more replica on PostgreSQL."""
    settings = _settings()

    async def work() -> None:
        async with program.service(settings, Address()) as context, program.working(context):
            await _interrupted()

    _run(work())


@app.command()
def migrate() -> None:
    """Bring the database schema up to this version."""
    settings = _settings()

    async def upgrade() -> None:
        database = Database(settings.database_url)
        try:
            await database.migrate()
        finally:
            await database.close()

    _run(upgrade())
    err.print("The schema is up to date.")


@app.command()
def demo(
    real: Annotated[
        bool, typer.Option(help="Render at HeyGen with HEYGEN_API_KEY, for money; asks first.")
    ] = False,
    folder: Annotated[Path, typer.Option(help="Where the demo keeps its files.")] = Path("var/demo"),
) -> None:
    """Turn the bundled photo and a script into a talking video, end to end."""
    configure_logs("ERROR")
    real_settings = _settings(quiet=True) if real else None
    try:
        asyncio.run(run_demo(folder, out, real_settings))
    except DemoFailed as error:
        err.print(f"[red]The demo failed:[/red] {error}")
        raise typer.Exit(1) from None


@app.command()
def simulate(
    host: Host = "127.0.0.1",
    port: Port = 8090,
    folder: Annotated[Path, typer.Option(help="Where the simulator keeps its ledger and files.")] = Path(
        "var/simulator"
    ),
    film: Annotated[bool, typer.Option(help="Film real videos; else a short bundled clip is served.")] = True,
    concurrency: Annotated[int, typer.Option(help="Jobs at once before creates are answered 429.")] = 10,
    render_seconds: Annotated[float, typer.Option(help="How long a render takes.")] = 8,
) -> None:
    """Serve a HeyGen that costs nothing: point HEYGEN_BASE_URL at it, with any key."""
    configure_logs("INFO")

    async def run() -> None:
        filmer = ChildFilmer(folder / "films") if film and can_film() else BundledClip()
        if film and not can_film():
            err.print("The film libraries are not installed: every video is the bundled clip.")
        options = Options(
            folder=folder, concurrency=concurrency, render_seconds=render_seconds, filmer=filmer
        )
        simulator = Simulator(options)
        try:
            async with running(simulator, host, port) as url:
                err.print(f"The simulator serves at {url}; scenarios and the ledger are at {url}/simulator")
                await _interrupted()
        finally:
            await simulator.close()
            await filmer.close()

    _run(run())


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


def _beside(work: Callable[[Desk], Awaitable[T]]) -> T:
    """Run a short command on the tables, beside a service or without one."""
    settings = _settings(quiet=True)

    async def run() -> T:
        async with at_desk(settings) as desk:
            return await work(desk)

    return _run(run())


def _told(text: str | None) -> None:
    if text is not None:
        err.print(text, soft_wrap=True)


def _print_secret(secret: str, heading: str) -> None:
    """The heading for people, the secret alone on standard output for programs."""
    err.print(heading)
    sys.stdout.write(f"{secret}\n")


def _settings(*, quiet: bool = False) -> Settings:
    try:
        settings = read_settings()
    except InvalidSettings as error:
        err.print(f"Greenroom cannot start:\n{error}", soft_wrap=True)
        raise typer.Exit(2) from None
    configure_logs("WARNING" if quiet else settings.log_level)
    return settings


def _run(work: Coroutine[Any, Any, T]) -> T:
    try:
        return asyncio.run(work)
    except (SchemaBehind, DatabaseInUse, AccountUnknown, LookupError, ValueError) as error:
        err.print(f"Greenroom cannot do that: {error}", soft_wrap=True)
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


def _listening(host: str, port: int) -> socket.socket:
    try:
        return listen(host, port)
    except OSError as error:
        err.print(f"Cannot listen on {host}:{port}: {error.strerror}")
        raise typer.Exit(1) from None


async def _interrupted() -> None:
    """Until the process is told to stop, by Ctrl-C or by SIGTERM."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        with suppress(NotImplementedError):
            loop.add_signal_handler(name, stop.set)
    await stop.wait()


def main() -> None:
    """The console script."""
    app()
