"""One task at a time: whoever comes to a boundary may have to stand there, until the schedule lets it go on.

Nothing here depends on how fast the machine is: a turn ends when every task stands, waits for the clock, or is done.
"""

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import ContextVar
from dataclasses import dataclass
from random import Random
from typing import Any

from anyio.to_thread import current_default_thread_limiter

from app.database import transaction_open

owner: ContextVar[str | None] = ContextVar("owner", default=None)
"""The process whose task this is; None never stands."""


@dataclass(eq=False)
class Standing:
    """A task at a boundary, or one that waits for an instant."""

    owner: str | None
    label: str
    until: float  # the world's seconds
    go: asyncio.Future[None]


class Turns:
    """Who stands where. `seconds` tells the world's time, `delay` how long to stand at a boundary, None for not."""

    def __init__(
        self, random: Random, seconds: Callable[[], float], delay: Callable[[str], float | None]
    ) -> None:
        self.standing: list[Standing] = []
        self.broken: list[str] = []  # tasks that ended in an exception
        self.exchanging = 0
        self.patient = False  # waits for tasks to end, as it must where the database is another process
        self._random = random
        self._seconds = seconds
        self._delay = delay
        self._tasks: dict[asyncio.Task[Any], str] = {}
        self._loop = asyncio.get_running_loop()
        self._loop.set_default_executor(_AtOnce())

    def start(self, name: str, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Begin a task of this process."""
        token = owner.set(name)
        try:
            task = asyncio.create_task(work)
        finally:
            owner.reset(token)
        self._tasks[task] = name
        task.add_done_callback(self._ended)
        return task

    async def run(self, name: str, work: Coroutine[Any, Any, Any]) -> None:
        """Begin a task, and see it to its first stand or to its end."""
        self.start(name, work)
        await self.settle()

    async def stand(self, label: str) -> None:
        """A boundary: perhaps the task has to stand here for some time."""
        # Whoever holds SQLite's one connection must go on, and so must whoever is in the middle of an exchange.
        if owner.get() is None or transaction_open.get() or self.exchanging:
            return
        delay = self._delay(label)
        if delay is not None:
            await self.wait(label, delay)

    async def wait(self, label: str, seconds: float) -> None:
        """Wait for the world's clock, or at least for another turn."""
        here = Standing(owner.get(), label, self._seconds() + seconds, self._loop.create_future())
        self.standing.append(here)
        try:
            await here.go
        finally:
            self.standing.remove(here)

    async def release_due(self) -> int:
        """Let everybody go on whose time has come, in any order, each for one turn; how many did."""
        count = 0
        while due := [it for it in self.standing if it.until <= self._seconds() and not it.go.done()]:
            self._random.choice(due).go.set_result(None)
            await self.settle()
            count += 1
        return count

    async def settle(self) -> None:
        """Until every task stands, waits or is done."""
        if self.patient:
            while self._tasks:
                await asyncio.wait(self._tasks)
            return
        threads = current_default_thread_limiter()
        while True:
            await asyncio.sleep(0)
            if not self.awake() and not self.exchanging and not threads.borrowed_tokens:
                return

    def awake(self) -> int:
        """How many callbacks the loop would run next."""
        return len(self._loop._ready)  # type: ignore[attr-defined]

    async def kill(self, name: str) -> None:
        """End a process wherever it stands: nothing after that point happens."""
        tasks = [task for task, whose in self._tasks.items() if whose == name]
        for task in tasks:
            task.cancel()
        await self.settle()

    def _ended(self, task: asyncio.Task[Any]) -> None:
        name = self._tasks.pop(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.broken.append(f"{name}: {error!r}")


class _AtOnce(ThreadPoolExecutor):
    """Runs what is given to a thread in the caller's own: a file is written when it is asked for."""

    def submit(self, fn: Callable[..., Any], /, *arguments: Any, **named: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*arguments, **named))
        except BaseException as error:  # noqa: BLE001 -- whoever asked is told
            future.set_exception(error)
        return future
