"""One process of a simulated service: its clock, its API, its worker, and how it dies."""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import httpx
from starlette.datastructures import State

from app.api.app import create_api
from app.clock import Clock
from app.context import Connection, Context, Links, Pace, Terms
from app.database import Database
from app.heygen.catalog import Catalog
from app.heygen.client import HeyGen
from app.photos import Photo, PhotoChecker
from app.secrets import Secrets
from app.storage import Storage
from app.worker import expire, loop
from tests.faults import punctuality
from tests.faults.turns import Turns
from tests.faults.wires import CREATE_SECONDS, READ_SECONDS, guarded
from tests.inline_sqlite import InlineDatabase

FRONT = "http://greenroom.test"
SWEEP_SECONDS = 60.0
FOLLOW_SECONDS = 60.0
PRUNE_SECONDS = 6 * 3600.0
SECRETS = Secrets(["used in simulations alone, thirty-two and more"])


class AnyPhoto(PhotoChecker):
    """Takes every photo for a good one: decoding one costs a child process."""

    async def check(self, path: Path) -> Photo:  # noqa: ARG002
        """Good."""
        return Photo("image/png", 512, 512)


@dataclass(frozen=True)
class Surroundings:
    """What all replicas of a world share."""

    database: Database
    turns: Turns
    seconds: Callable[[], float]
    now: Callable[[], datetime]
    random: Random
    accounts: Mapping[str, str]  # where HeyGen is, by account id
    folder: Path
    heygen: httpx.AsyncBaseTransport
    webhooks: httpx.AsyncBaseTransport
    callbacks: bool
    pace: Pace
    alone: bool  # one replica holds the file
    dice: Callable[[float], Random] = Random


@dataclass
class Replica:
    """One process, alive or dead."""

    name: str
    around: Surroundings
    app: Any = field(default_factory=create_api)
    heard: Callable[[httpx.Response], Awaitable[None]] | None = None  # told each answer to a caller
    wall_error: timedelta = timedelta()  # how wrong this machine's wall clock is
    context: Context | None = None
    swept_at: float = 0.0
    pruned_at: float = 0.0
    followed_at: float = 0.0
    _stack: AsyncExitStack = field(default_factory=AsyncExitStack)

    @property
    def alive(self) -> Context:
        """The parts of the living process."""
        assert self.context is not None, "a dead process does nothing"
        return self.context

    async def start(self) -> None:
        """A new process; whatever the one before held in memory is gone."""
        self._stack = AsyncExitStack()
        around = self.around
        clock = Clock(wall=lambda: around.now() + self.wall_error, elapsed=around.seconds)
        http = await self._stack.enter_async_context(
            httpx.AsyncClient(transport=around.heygen, trust_env=False)
        )
        create, read = timedelta(seconds=CREATE_SECONDS), timedelta(seconds=READ_SECONDS)
        connections = {}
        for account_id, url in around.accounts.items():
            heygen = HeyGen(http, url, "test-key", create_timeout=create, read_timeout=read, now=clock.now)
            catalog = Catalog(heygen, clock.now)
            self._stack.push_async_callback(catalog.aclose)
            connections[account_id] = Connection(heygen, catalog, simulated=True)
        self.context = Context(
            database=around.database,
            clock=clock,
            secrets=SECRETS,
            storage=Storage(around.folder),
            connections=connections,
            webhooks=guarded(around.webhooks),
            files=guarded(around.heygen),
            links=Links(FRONT, SECRETS.signing_keys("links")),
            pace=around.pace,
            callback_base=FRONT if around.callbacks else None,
            terms=Terms(allow_private_destinations=True, creates_a_minute=10**9, reads_a_minute=10**9),
            photos=AnyPhoto(),
            random=around.dice(around.random.random()),
            failpoint=around.turns.stand,
        )
        self.follow()
        self.app.state = State({"context": self.context})
        self.lanes = {lane.name: lane for lane in loop.lanes(self.context)}
        self.swept_at = around.seconds() - SWEEP_SECONDS
        if around.alone:
            await expire.end_leases(self.context)

    def follow(self) -> None:
        """Set the clock by the database's, as each replica does at its start and then each minute.

        What it reads is up to a second off: half of the round trip that the reading took.
        """
        error = timedelta(seconds=self.around.random.uniform(-1, 1))
        self.followed_at = self.around.seconds()
        self.alive.clock.follow(self.around.now().astimezone(UTC) + error, self.followed_at)

    async def crash(self) -> None:
        """Everything in memory is gone, wherever its tasks stood."""
        self.context = None
        await self.around.turns.kill(self.name)
        await self._stack.aclose()

    async def work(self) -> int:
        """One step of each lane that has something due; how many lanes had."""
        context, seconds = self.alive, self.around.seconds()
        if seconds - self.followed_at >= FOLLOW_SECONDS:
            self.follow()
        if not self._anything():
            return 0
        names = set(await loop.due_lanes(context))
        if seconds - self.swept_at >= SWEEP_SECONDS:
            self.swept_at = seconds
            # What no index tells of: for the rest of what it does, the sweep has to be called by the question above.
            names |= {"sweep"} if self._asked(punctuality.WAITING) else set()
        if seconds - self.pruned_at >= PRUNE_SECONDS:
            self.pruned_at = seconds
            names |= {"prune"}
        found = 0
        for name in self.around.random.sample(sorted(names), len(names)):
            found += await self.step(name)
        return found

    def _anything(self) -> bool:
        """Whether there may be work; the worker's own question costs much more, and mostly there is none."""
        soon = self.around.now().replace(tzinfo=None) + timedelta(seconds=2)
        return self._asked(punctuality.ANYTHING, str(soon))

    def _asked(self, question: str, *values: str) -> bool:
        database = self.around.database
        assert isinstance(database, InlineDatabase), "only there is a question that cheap"
        (found,) = database.raw.execute(question, values).fetchone()
        return bool(found)

    async def step(self, name: str) -> bool:
        """Claim and perform once in a lane; False where there was nothing to claim."""
        lane, task_name = self.lanes[name], self.name
        worked: list[bool] = []

        async def step() -> None:
            claimed = await lane.claim(self.alive)
            worked.append(bool(claimed))
            if claimed:
                await lane.perform(claimed)

        await self.around.turns.run(task_name, step())
        return not worked or worked[0]

    async def serve(self, ask: Callable[[httpx.AsyncClient], Awaitable[None]]) -> None:
        """Let a caller ask this process; the exchange dies with it."""

        hooks = {"response": [self.heard]} if self.heard is not None else {}

        async def exchange() -> None:
            async with httpx.AsyncClient(
                transport=httpx.ASGITransport(self.app), base_url=FRONT, event_hooks=hooks, trust_env=False
            ) as client:
                await ask(client)

        await self.around.turns.run(self.name, exchange())


def revive(replica: Replica, around: Surroundings) -> Replica:
    """The same machine in another world: an application is costly to put together."""
    return replace(replica, around=around, context=None, wall_error=timedelta())
