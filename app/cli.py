"""The command line: `greenroom serve`, and what an operator does beside it."""

import asyncio
import errno
import socket
import sqlite3
from pathlib import Path
from typing import Annotated

import typer

from app import account_commands, desk_commands, grant_commands, render_commands
from app import main as program
from app.console import err, out, run_or_exit, settings_or_exit
from app.database import Database
from app.demo import DemoFailed, run_demo
from app.desk import development_key
from app.doctor.command import doctor
from app.main import Address
from app.observability import configure_logs
from app.serving import answer, listen, stopped_by
from app.simulator.app import Options, Simulator
from app.simulator.filming import BundledClip, ChildFilmer, can_film
from app.simulator.server import running

app = typer.Typer(no_args_is_help=True, add_completion=False, help="A durable render gateway for HeyGen.")
app.add_typer(desk_commands.tenants, name="tenants")
app.add_typer(desk_commands.keys, name="keys")
app.add_typer(account_commands.accounts, name="accounts")
app.add_typer(grant_commands.commands, name="grants")
app.add_typer(render_commands.renders, name="renders")
app.command()(doctor)

Host = Annotated[str, typer.Option(help="Address to listen on.")]
Port = Annotated[int, typer.Option(min=0, max=65_535, help="Port to listen on; 0 takes any that is free.")]


@app.command()
def serve(
    host: Host = "127.0.0.1",
    port: Port = 8080,
    worker: Annotated[bool, typer.Option(help="Run the worker in this process too.")] = True,
) -> None:
    """Serve the API, and work."""
    settings = settings_or_exit()
    with _listening("serve", host, port) as listener:
        address = Address(host, listener.getsockname()[1])
        _told(run_or_exit(development_key(settings)))

        async def run() -> None:
            async with (
                program.service(settings, address) as context,
                program.working(context, worker=worker) as stopping,
            ):
                for url in {each.url for each in context.connections.values() if each.simulated}:
                    err.print(
                        f"A simulator renders, for free: {url}/simulator tells of its scenarios and its ledger",
                        soft_wrap=True,
                    )
                err.print(f"Greenroom serves at http://{host}:{address.port} (stop with Ctrl-C)")
                await answer(context, listener, stopping)

        run_or_exit(run())


@app.command()
def worker() -> None:
    """Work without serving the API: one more replica on PostgreSQL."""
    settings = settings_or_exit()

    async def work() -> None:
        async with program.service(settings, Address()) as context, program.working(context):
            await _interrupted()

    run_or_exit(work())


@app.command()
def migrate() -> None:
    """Bring the database schema up to this version."""
    settings = settings_or_exit()

    async def upgrade() -> None:
        database = Database(settings.database_url)
        try:
            await database.migrate()
        finally:
            await database.close()

    run_or_exit(upgrade())
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
    real_settings = settings_or_exit(quiet=True) if real else None
    try:
        asyncio.run(run_demo(folder, out, real_settings))
    except DemoFailed as error:
        err.print("The demo failed:", style="red", end=" ")
        err.print(str(error), soft_wrap=True)
        raise typer.Exit(1) from None


@app.command()
def simulate(
    host: Host = "127.0.0.1",
    port: Port = 8090,
    folder: Annotated[Path, typer.Option(help="Where the simulator keeps its ledger and files.")] = Path(
        "var/simulator"
    ),
    film: Annotated[bool, typer.Option(help="Film real videos; else a short bundled clip is served.")] = True,
    concurrency: Annotated[
        int, typer.Option(min=1, help="Jobs at once before creates are answered 429.")
    ] = 10,
    render_seconds: Annotated[float, typer.Option(min=0, max=86_400, help="How long a render takes.")] = 8,
) -> None:
    """Serve a HeyGen that costs nothing: point HEYGEN_BASE_URL at it, with any key."""
    configure_logs("INFO")

    async def run(listener: socket.socket) -> None:
        filmer = ChildFilmer(folder / "films") if film and can_film() else BundledClip()
        if film and not can_film():
            err.print("The film libraries are not installed: every video is the bundled clip.")
        options = Options(
            folder=folder, concurrency=concurrency, render_seconds=render_seconds, filmer=filmer
        )
        simulator = _simulator(options)
        try:
            async with running(simulator, listener) as url:
                err.print(f"The simulator serves at {url}; scenarios and the ledger are at {url}/simulator")
                await _interrupted()
        finally:
            await simulator.close()
            await filmer.close()

    with _listening("simulate", host, port) as listener:
        run_or_exit(run(listener))


def _simulator(options: Options) -> Simulator:
    try:
        return Simulator(options)
    except sqlite3.Error as error:
        err.print(f"The simulator cannot keep its ledger in {options.folder}: {error}", soft_wrap=True)
        raise typer.Exit(1) from None


def _told(text: str | None) -> None:
    if text is not None:
        err.print(text, soft_wrap=True)


def _listening(command: str, host: str, port: int) -> socket.socket:
    """A socket that listens; ends the command with code 1, and says what to do, where there can be none."""
    try:
        return listen(host, port)
    except (OSError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "this is no name of a host"
        told = f"Cannot listen on {host}:{port}: {reason}."
        if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
            other = port + 1 if port < 65_535 else port - 1
            told += f" Take another port: greenroom {command} --port {other}"
        err.print(told, soft_wrap=True)
        raise typer.Exit(1) from None


async def _interrupted() -> None:
    """Until the process is told to stop, by Ctrl-C or by SIGTERM."""
    stop = asyncio.Event()
    with stopped_by(stop.set):
        await stop.wait()


def main() -> None:
    """The console script."""
    app()
