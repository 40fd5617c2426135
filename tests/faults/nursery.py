"""Forks running services from one warm process: `python -m tests.faults.nursery`, told what to do line by line.

The settings are the environment. Prints a line of JSON for what happens: `{"port": N}` once, then `{"born": pid}`,
`{"ready": pid}` and `{"ended": pid, "code": N}`. Told `{"live": {…}}` it forks one more service, all of them on the one
listening socket; `{"ahead": seconds}` sets how far the clocks of all of them run ahead, frozen ones included;
`{"pages": N}` how large the SQLite file may grow. Its children die with it.
"""

import asyncio
import ctypes
import json
import mmap
import os
import select
import signal
import socket
import struct
import sys
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import httpx
from fastapi import FastAPI

from app.api.app import create_api
from app.clock import Clock
from app.context import Context
from app.database import Database
from app.main import Address, service, working
from app.observability import configure_logs
from app.serving import answer_with, listen
from app.settings import read_settings
from tests.no_transaction import watch

PR_SET_PDEATHSIG = 1
NUMBERS = struct.Struct(
    "dd"
)  # seconds that the clocks run ahead, pages that the SQLite file may have (0: any)


class Shared:
    """Two numbers that a nursery and all its children see at once."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, NUMBERS.size)

    @property
    def ahead(self) -> float:
        """Seconds."""
        return float(NUMBERS.unpack(self._memory[:])[0])

    @ahead.setter
    def ahead(self, seconds: float) -> None:
        self._memory[:] = NUMBERS.pack(seconds, self.pages)

    @property
    def pages(self) -> int:
        """How many the SQLite file may have; 0: any number."""
        return int(NUMBERS.unpack(self._memory[:])[1])

    @pages.setter
    def pages(self, count: int) -> None:
        self._memory[:] = NUMBERS.pack(self.ahead, count)


class MovedClock(Clock):
    """A clock of a machine that was off, or frozen, for a while: so far ahead as the nursery says."""

    def __init__(self, shared: Shared) -> None:
        super().__init__()
        self._shared = shared

    def now(self) -> datetime:
        """The present instant, moved on."""
        return super().now() + timedelta(seconds=self._shared.ahead)


@dataclass(frozen=True)
class Life:
    """How one child lives: the `nth` time it comes to the failpoint `point`, if any, it kills itself.

    Or else it stands still (`freezes`), or does what it never may there: it `calls` somebody.
    """

    point: str | None = None
    nth: int = 1
    freezes: bool = False
    calls: bool = False


@dataclass(frozen=True)
class Nest:
    """What all children are given."""

    shared: Shared
    listener: socket.socket
    app: FastAPI


class Suicide:
    """A failpoint that ends its own process the hard way, or lets it stand still until somebody wakes it."""

    def __init__(self, life: Life) -> None:
        self._life = life
        self._left = life.nth

    async def __call__(self, name: str) -> None:
        """Come to a point."""
        if name == self._life.point:
            self._left -= 1
            if self._left == 0:
                if self._life.calls:
                    await call()
                if self._life.freezes:
                    tell(frozen=os.getpid())
                os.kill(os.getpid(), signal.SIGSTOP if self._life.freezes else signal.SIGKILL)


async def call() -> None:
    """Make a network call as nobody of ours does it, and survive whatever comes of it."""
    with suppress(Exception):
        async with httpx.AsyncClient() as client:
            await client.get("http://127.0.0.1:9")


def tell(**said: Any) -> None:
    """Say one thing, in one write: the children share the pipe."""
    os.write(1, json.dumps(said).encode() + b"\n")


def opened(listener: socket.socket) -> AbstractAsyncContextManager[Context]:
    """The service that these settings make, at this address."""
    address = Address("127.0.0.1", listener.getsockname()[1])
    return service(read_settings(os.environ | {"PUBLIC_URL": address.loopback}), address)


async def warm_up(listener: socket.socket) -> FastAPI:
    """The API, which has answered once: what is imported and made on the first use, no child has to make again."""
    app = create_api()
    async with opened(listener) as context:
        app.state.context = context
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://nursery") as api:
            for path in ("/v3/videos", "/nowhere"):
                await api.post(path, json={})
    return app


async def live(life: Life, nest: Nest) -> None:
    """The whole service, as `greenroom serve` runs it, on a clock and failpoints of ours."""
    async with opened(nest.listener) as made:
        context = replace(made, clock=MovedClock(nest.shared), failpoint=Suicide(life))
        nest.app.state.context = context
        filling = asyncio.create_task(fill(context, nest.shared))
        async with working(context) as stopping:
            tell(ready=os.getpid())
            await answer_with(nest.app, nest.listener, stopping)
        filling.cancel()


async def fill(context: Context, shared: Shared) -> None:
    """Keep the SQLite file as small as the nursery says."""
    before = 0
    while context.database.is_sqlite:
        await asyncio.sleep(0.05)
        if shared.pages != before:
            before = shared.pages
            await limit_pages(context.database, before or 2**31 - 2)


async def limit_pages(database: Database, pages: int) -> None:
    """A disk of that many pages; fewer than there are means: not one more."""
    async with database.engine.connect() as connection:
        await connection.exec_driver_sql(f"PRAGMA max_page_count={pages}")


def fork(life: Life, nest: Nest) -> None:
    """One more child."""
    parent = os.getpid()
    child = os.fork()
    if child:
        tell(born=child)
        return
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
    code = 1
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        asyncio.run(live(life, nest))
        code = 0
    except Exception as error:  # noqa: BLE001 -- whatever ends a service is told, and never runs on in the parent's code
        sys.stderr.write(f"a service ended: {error!r}\n")
        sys.stderr.flush()
    finally:
        os._exit(code)


def reap() -> None:
    """Tell of every child that has ended."""
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        tell(ended=pid, code=os.waitstatus_to_exitcode(status))


def main() -> None:
    """Obey until standard input ends."""
    configure_logs("WARNING", as_json=False)
    watch(fatal=True)
    shared = Shared()
    signalled, wake = os.pipe()
    os.set_blocking(signalled, False)
    os.set_blocking(wake, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    with listen() as listener:
        nest = Nest(shared, listener, asyncio.run(warm_up(listener)))
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        tell(port=listener.getsockname()[1])
        unread = b""
        while True:
            readable, _, _ = select.select([0, signalled], [], [])
            if signalled in readable:
                os.read(signalled, 4096)
                reap()
            if 0 in readable:
                more = os.read(0, 65536)
                if not more:
                    return
                *lines, unread = (unread + more).split(b"\n")
                for line in lines:
                    obey(json.loads(line), nest)


def obey(order: dict[str, Any], nest: Nest) -> None:
    """Do one thing."""
    if "live" in order:
        fork(Life(**order["live"]), nest)
    if "ahead" in order:
        nest.shared.ahead = order["ahead"]
    if "pages" in order:
        nest.shared.pages = order["pages"]


if __name__ == "__main__":
    main()
