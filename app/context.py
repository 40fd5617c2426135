"""What the API and every step of the worker are given: the parts of one running service."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Self

from app.breaker import Breaker
from app.clock import Clock
from app.database import Database
from app.failpoints import Failpoint, unarmed
from app.forecast import Forecast
from app.heygen.catalog import Catalog
from app.heygen.client import HeyGen
from app.links import content_link
from app.photos import PhotoChecker
from app.retry_budget import RetryBudget
from app.secrets import Secrets
from app.storage import Storage
from app.watchdog import Watchdog
from app.webhooks.destination import GuardedClient


@dataclass(frozen=True)
class Connection:
    """One HeyGen account that this process has a key for."""

    heygen: HeyGen
    catalog: Catalog
    simulated: bool = False
    url: str = ""
    breaker: Breaker = field(default_factory=Breaker)


@dataclass(frozen=True)
class Pace:
    """How long things may take, and how often HeyGen is asked."""

    lease: timedelta = timedelta(seconds=180)
    create_timeout: timedelta = timedelta(seconds=150)
    key_max_age: timedelta = timedelta(hours=20)
    first_poll: timedelta = timedelta(seconds=10)
    slowest_poll: timedelta = timedelta(minutes=1)
    first_look_poll: timedelta = timedelta(seconds=5)

    @classmethod
    def of(cls, *, callbacks: bool, simulated: bool, **limits: timedelta) -> Self:
        """Polling is the fallback where callbacks arrive, and the only way where they cannot.

        `limits` are `lease`, `create_timeout` and `key_max_age`.
        """
        seconds = (60, 300, 10) if callbacks else (10, 60, 10)
        if simulated:
            seconds = (5, 10, 1) if callbacks else (1, 10, 1)
        first, slowest, look = (timedelta(seconds=count) for count in seconds)
        return cls(first_poll=first, slowest_poll=slowest, first_look_poll=look, **limits)


@dataclass(frozen=True)
class Links:
    """The links this service hands out."""

    api_url: str
    keys: Sequence[bytes]

    def content(self, job_id: str, variant: str, now: datetime) -> str:
        """The signed link to one variant of a video."""
        return content_link(self.api_url, f"/v3/videos/{job_id}/content", variant, now, self.keys)


class Wake:
    """Tells lanes that work is due now; the sweep of due rows is the guarantee."""

    def __init__(self) -> None:
        self._events: dict[str, asyncio.Event] = {}
        self._resting: set[str] = set()
        self.tell_others: Callable[[str], None] | None = None  # set where there may be other processes

    def hint(self, lane: str) -> None:
        """There may be work for this lane: here where it rests, else wherever it does."""
        if self.tell_others is not None and lane not in self._resting:
            self.tell_others(lane)
        self.event(lane).set()

    def stir(self, lane: str) -> None:
        """There may be work for this lane, which other processes know themselves."""
        if lane in self._events:
            self._events[lane].set()

    def event(self, lane: str) -> asyncio.Event:
        """The event that a lane waits for, and clears."""
        return self._events.setdefault(lane, asyncio.Event())

    async def rest(self, lane: str) -> None:
        """Wait for a hint. A lane that works does not rest, nor does one that no worker runs here."""
        self._resting.add(lane)
        try:
            await self.event(lane).wait()
        finally:
            self._resting.discard(lane)


@dataclass(frozen=True)
class Terms:
    """What this service grants its callers."""

    deadline: timedelta = timedelta(hours=24)
    look_deadline: timedelta = timedelta(hours=1)
    archive: bool = True
    retention: timedelta = timedelta(days=30)
    forward_fields: frozenset[str] = frozenset()
    allow_private_destinations: bool = False
    creates_a_minute: int = 600
    reads_a_minute: int = 6000
    queue_limit: int = 200_000  # jobs of one tenant


@dataclass(frozen=True)
class Context:
    """Everything a request or a step needs; neither reads settings nor a clock of its own."""

    database: Database
    clock: Clock
    secrets: Secrets
    storage: Storage
    connections: Mapping[str, Connection]  # by account id
    webhooks: GuardedClient  # guarded: goes where callers say
    files: GuardedClient  # guarded: goes where HeyGen's links lead
    links: Links
    pace: Pace
    callback_base: str | None  # None: HeyGen cannot reach us
    terms: Terms
    callback_secrets: Sequence[str] = field(default=(), repr=False)  # of endpoints registered at HeyGen
    photos: PhotoChecker = field(default_factory=PhotoChecker)
    wake: Wake = field(default_factory=Wake)
    forecast: Forecast = field(default_factory=Forecast)
    retries: RetryBudget = field(default_factory=RetryBudget)
    watchdog: Watchdog = field(default_factory=Watchdog)
    random: Random = field(default_factory=Random)
    failpoint: Failpoint = unarmed

    def jitter(self, delay: timedelta, share: float = 0.2) -> timedelta:
        """The delay, up to `share` shorter or longer, so that nothing happens in step."""
        return delay * (1 + self.random.uniform(-share, share))

    def full_jitter(self, delay: timedelta) -> timedelta:
        """Any part of the delay: retries that failed together come back far apart."""
        return delay * self.random.uniform(0, 1)
