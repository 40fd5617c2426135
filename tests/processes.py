"""Greenroom's commands as real processes: started on free ports, watched through what they say, ended by their id."""

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar
from uuid import uuid4

import httpx
from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import create_async_engine

from tests.starter import Command, starter

PROJECT = Path(__file__).resolve().parent.parent
STARTS_WITHIN = 90.0  # seconds; a loaded machine imports slowly
LOOK_AGAIN = 0.1
CALLED_IN_A_TRANSACTION = 86  # how a process ends that makes a network call while it holds one

T = TypeVar("T")


@dataclass
class Program:
    """One running command; `lines` is what it wrote to standard error."""

    process: asyncio.subprocess.Process | Command
    lines: list[str] = field(default_factory=list)
    url: str = ""
    reading: list[asyncio.Task[None]] = field(default_factory=list)
    output: bytes = b""
    silent: bool = False  # it has closed its standard error, most often by ending
    _more: asyncio.Condition = field(default_factory=asyncio.Condition)

    @property
    def log(self) -> str:
        """Everything it said so far, for people."""
        return "".join(self.lines)

    async def said(self, pattern: str, within: float = STARTS_WITHIN) -> re.Match[str]:
        """Wait until it says something; fails with the whole log where it ends, or takes too long, before."""
        async with self._more:
            try:
                async with asyncio.timeout(within):
                    while (found := re.search(pattern, self.log)) is None:
                        assert not self.silent, f"ended without {pattern!r}:\n{self.log}"
                        await self._more.wait()
            except TimeoutError:
                raise AssertionError(f"not said within {within} s: {pattern!r}\n{self.log}") from None
        return found

    async def ended(self, within: float = STARTS_WITHIN) -> int:
        """Its exit code, once it has ended by itself and its last words are read."""
        try:
            async with asyncio.timeout(within):
                await asyncio.wait(self.reading)  # which is not cancelled with us: it goes on
                return await self.process.wait()
        except TimeoutError:
            raise AssertionError(f"still running after {within} s:\n{self.log}") from None

    async def stop(self, within: float = 30) -> int:
        """End it as an operator does; its exit code."""
        self.process.terminate()
        return await self.ended(within)

    async def kill(self) -> None:
        """End it as a lost machine does: without a last word."""
        self.process.kill()
        await self.ended()

    def freeze(self) -> None:
        """Let it stand still, as a suspended machine does."""
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on, as if no time had passed."""
        self.process.send_signal(signal.SIGCONT)

    async def hear(self, stream: asyncio.StreamReader) -> None:
        """Take down what it says until it ends."""
        async for line in stream:
            await self._add(line.decode())
        self.silent = True
        await self._add("")

    async def keep(self, stream: asyncio.StreamReader) -> None:
        """Take down its standard output."""
        self.output = await stream.read()

    async def _add(self, line: str) -> None:
        async with self._more:
            self.lines.append(line)
            self._more.notify_all()


@asynccontextmanager
async def run(folder: Path, *words: str, **environment: str) -> AsyncIterator[Program]:
    """`greenroom` with these words, in this folder and with nothing of our own environment; killed at the end.

    A process of its own, but forked from a warm one: importing everything takes longer than most commands.
    """
    ours = _inherited()
    order = {"argv": words, "cwd": str(folder), "environment": ours | environment}
    warm = starter(tuple(ours.items()), PROJECT)
    with _pipe() as nothing, _pipe() as output, _pipe() as errors:
        process = warm.start(order, [nothing.read, output.write, errors.write])
        os.close(nothing.read)
        streams = [await _reader(pipe) for pipe in (errors, output)]
    async with _followed(Program(process), *streams) as program:
        yield program


@asynccontextmanager
async def run_python(folder: Path, *words: str, **environment: str) -> AsyncIterator[Program]:
    """A Python process in this folder that finds the project; killed at the end."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *words,
        cwd=folder,
        env=_inherited() | environment,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    async with _followed(Program(process), process.stderr, process.stdout) as program:
        yield program


def _inherited() -> dict[str, str]:
    """What a program gets of our environment, and what lets it find the project."""
    # `python -m` looks in its working directory first, where a stranger's .env must not be read either.
    ours = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
    return ours | {"PYTHONPATH": str(PROJECT), "PYTHONUNBUFFERED": "1", "COLUMNS": "200"}


@dataclass
class _Pipe:
    read: int
    write: int


@contextmanager
def _pipe() -> Iterator[_Pipe]:
    """A pipe whose end for writing is the other process's alone afterwards."""
    pipe = _Pipe(*os.pipe())
    try:
        yield pipe
    finally:
        os.close(pipe.write)


async def _reader(pipe: _Pipe) -> asyncio.StreamReader:
    stream = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    file = os.fdopen(pipe.read, "rb")  # closed by its transport once it ends
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(stream), file)
    return stream


@asynccontextmanager
async def _followed(
    program: Program, errors: asyncio.StreamReader, output: asyncio.StreamReader
) -> AsyncIterator[Program]:
    """A program that is listened to, and killed at the end."""
    program.reading = [
        asyncio.create_task(program.hear(errors)),
        asyncio.create_task(program.keep(output)),
    ]
    try:
        yield program
    finally:
        with suppress(ProcessLookupError):
            program.process.kill()  # ends a frozen one too
        code = await program.ended()
    assert code != CALLED_IN_A_TRANSACTION, program.log


@asynccontextmanager
async def serve(folder: Path, *words: str, **environment: str) -> AsyncIterator[Program]:
    """`greenroom serve` on a free port, once it answers."""
    async with run(folder, "serve", "--port", "0", *words, **environment) as program:
        program.url = (await program.said(r"Greenroom serves at (http://\S+)"))[1]
        await answers(program, "/healthz")
        yield program


@asynccontextmanager
async def simulate(folder: Path, *words: str) -> AsyncIterator[Program]:
    """`greenroom simulate` on a free port, without films; its ledger stays in the folder."""
    async with run(folder, "simulate", "--port", "0", "--no-film", *words) as program:
        program.url = (await program.said(r"The simulator serves at (http://[^;\s]+)"))[1]
        yield program


async def answers(program: Program, path: str) -> None:
    """Wait until it answers 200; its port is open before it does, so that the first question may simply wait."""

    async def asked(client: httpx.AsyncClient) -> bool:
        with suppress(httpx.TransportError):
            return (await client.get(f"{program.url}{path}")).status_code == 200
        assert program.process.returncode is None, f"ended before it answered:\n{program.log}"
        return False

    async with httpx.AsyncClient(timeout=STARTS_WITHIN) as client:
        await eventually(lambda: asked(client), program)


async def eventually(
    check: Callable[[], Awaitable[T]], *programs: Program, within: float = STARTS_WITHIN
) -> T:
    """Ask again and again until the answer is not false, and answer it; fails with the logs of the programs."""
    found = None
    try:
        async with asyncio.timeout(within):
            while not (found := await check()):
                # Another process has nothing that this one could wait for.
                with suppress(TimeoutError):
                    await asyncio.wait_for(asyncio.Event().wait(), LOOK_AGAIN)
    except TimeoutError:
        logs = "\n----\n".join(program.log for program in programs)
        raise AssertionError(f"not within {within} s; last answer: {found!r}\n{logs}") from None
    return found


def settings(folder: Path, **more: str) -> dict[str, str]:
    """The environment of a service on a SQLite file in this folder, without films."""
    return {
        "DATABASE_URL": f"sqlite:///{folder / 'greenroom.db'}",
        "STORAGE_URL": str(folder / "files"),
        "FILM": "false",
        **more,
    }


async def printed_key(program: Program) -> str:
    """The key that a simulated service prints on its first start."""
    return (await program.said(r"(gr_[0-9a-f]{16}_\S+)"))[1]


async def make_key(folder: Path, name: str, environment: Mapping[str, str]) -> str:
    """What `greenroom keys create` prints."""
    async with run(folder, "keys", "create", name, **environment) as program:
        assert await program.ended() == 0, program.log
    return program.output.decode().strip()


@asynccontextmanager
async def new_database(server_url: str) -> AsyncIterator[str]:
    """The URL of an empty database, without tables, on this PostgreSQL; gone afterwards."""
    name = f"processes_{uuid4().hex}"
    engine = create_async_engine(
        make_url(server_url).set(drivername="postgresql+asyncpg"),
        isolation_level="AUTOCOMMIT",
        pool_pre_ping=True,  # the server may have been started again meanwhile
    )
    async with engine.connect() as connection:
        await connection.execute(text(f"CREATE DATABASE {name}"))
    try:
        yield make_url(server_url).set(database=name).render_as_string(hide_password=False)
    finally:
        async with engine.connect() as connection:
            await connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
        await engine.dispose()
