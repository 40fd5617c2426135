"""A nursery as its driver holds it: services that are born, killed, frozen and told to stop."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.processes import CALLED_IN_A_TRANSACTION, PROJECT

STARTS_WITHIN = 90.0  # seconds; a loaded machine imports slowly


@dataclass
class Child:
    """One running service."""

    pid: int
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    frozen: asyncio.Event = field(default_factory=asyncio.Event)
    over: asyncio.Event = field(default_factory=asyncio.Event)
    code: int | None = None

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal, if it still lives: the nursery alone takes its pid back, and tells us first."""
        if self.code is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    async def begins(self, within: float = STARTS_WITHIN) -> None:
        """Wait until it works, or has ended before that, or so long."""
        first = [asyncio.create_task(event.wait()) for event in (self.ready, self.over)]
        await asyncio.wait(first, timeout=within, return_when=asyncio.FIRST_COMPLETED)
        for task in first:
            task.cancel()

    async def ends(self, within: float) -> int:
        """Its exit code; negative for a signal. Raises TimeoutError."""
        await asyncio.wait_for(self.over.wait(), within)
        assert self.code is not None
        return self.code

    async def kill(self) -> None:
        """End it as a lost machine does."""
        self.signal(signal.SIGKILL)
        await self.ends(STARTS_WITHIN)


class Nursery:
    """Makes services, all on one port, and moves their clocks."""

    def __init__(self, process: asyncio.subprocess.Process, log: Path) -> None:
        self._process = process
        self._children: dict[int, Child] = {}
        self._born: asyncio.Queue[Child] = asyncio.Queue()
        self.log = log
        self.port = 0
        self.ahead = 0.0
        self.opened = asyncio.Event()
        self.called_in_a_transaction = False  # one of the services did

    @property
    def url(self) -> str:
        """Where the services answer, whichever of them does."""
        return f"http://127.0.0.1:{self.port}"

    async def bear(
        self, point: str | None = None, nth: int = 1, *, freezes: bool = False, calls: bool = False
    ) -> Child:
        """One more service; it is `ready` later. At the point it dies, `freezes`, or `calls` somebody."""
        self._order(live={"point": point, "nth": nth, "freezes": freezes, "calls": calls})
        return await asyncio.wait_for(self._born.get(), STARTS_WITHIN)

    async def bear_ready(self) -> Child:
        """One more service, once it works."""
        child = await self.bear()
        await child.begins()
        assert child.code is None, f"a service ended at once:\n{self.said()}"
        return child

    def move_on(self, seconds: float) -> None:
        """Let that much time pass for all services at once."""
        self.ahead += seconds
        self._order(ahead=self.ahead)

    def limit_pages(self, pages: int) -> None:
        """How large the SQLite file may grow; 0: as it likes."""
        self._order(pages=pages)

    def said(self, most: int = 6000) -> str:
        """The end of what the services logged."""
        return self.log.read_text(errors="replace")[-most:]

    async def hear(self) -> None:
        """Take down what the nursery tells until it ends."""
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            self._note(json.loads(line))

    def _note(self, told: dict[str, Any]) -> None:
        match told:
            case {"port": port}:
                self.port = port
                self.opened.set()
            case {"born": pid}:
                self._child(pid)
                self._born.put_nowait(self._children[pid])
            case {"ready": pid}:
                self._child(pid).ready.set()
            case {"frozen": pid}:
                self._child(pid).frozen.set()
            case {"ended": pid, "code": code}:
                child = self._child(pid)
                child.code = code
                child.over.set()
                self.called_in_a_transaction |= code == CALLED_IN_A_TRANSACTION
                del self._children[pid]

    def _child(self, pid: int) -> Child:
        return self._children.setdefault(pid, Child(pid))

    def _order(self, **order: Any) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order).encode() + b"\n")


@asynccontextmanager
async def nursery(folder: Path, environment: dict[str, str]) -> AsyncIterator[Nursery]:
    """A warm nursery; it and all its children are gone afterwards. `PUBLIC_URL` is its own port, added here."""
    inherited = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
    log = folder / "services.log"
    with log.open("ab") as errors:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "tests.faults.nursery"),
            cwd=folder,
            env=inherited | {"PYTHONPATH": str(PROJECT)} | environment,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=errors,
        )
    made = Nursery(process, log)
    hearing = asyncio.create_task(made.hear())
    try:
        await asyncio.wait_for(made.opened.wait(), STARTS_WITHIN)
        yield made
    finally:
        process.kill()
        await process.wait()
        await hearing
    assert not made.called_in_a_transaction, made.said()
