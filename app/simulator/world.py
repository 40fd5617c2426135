"""Everything the simulated HeyGen consists of, put together once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import httpx

from app.simulator.answers import Answers, Call
from app.simulator.batches import Batches
from app.simulator.callbacks import Callbacks
from app.simulator.consents import Consents
from app.simulator.endpoints import Endpoints
from app.simulator.events import Events
from app.simulator.faults import Faults
from app.simulator.filming import ChildFilmer
from app.simulator.links import Links
from app.simulator.looks import Looks
from app.simulator.record import Record
from app.simulator.renders import BundledClip, Filmer
from app.simulator.sources import Sources
from app.simulator.speakers import ChildSpeaker, Speaker, Tone
from app.simulator.store import Store
from app.simulator.studio import Studio
from app.simulator.videos import Videos
from app.simulator.voices import Voices
from app.simulator.words import Words

USERNAME = "simulator"
BALANCE_USD = 1000.0
"""What the wallet held before the first bill."""


def utc_now() -> datetime:
    """The real time."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class Options:
    """How to simulate."""

    folder: Path
    """Holds the SQLite file and the files of assets; made where it is missing."""
    api_keys: frozenset[str] | None = None
    """The keys that open it; None: any that is not empty."""
    concurrency: int = 10
    """Videos and looks in flight before creates are answered 429."""
    render_seconds: float = 8
    look_seconds: float = 4
    base_url: str | None = None
    """Begins every link; None: as the client called it."""
    now: Callable[[], datetime] = utc_now
    """The clock everything follows; aware UTC."""
    filmer: Filmer = field(default_factory=BundledClip)
    replay_errors: bool = False
    """Whether an Idempotency-Key keeps 4xx and 5xx answers, too: HeyGen does not say."""
    background: bool = True
    """Send callbacks by itself while it is served; else only `send_due_callbacks` does."""
    callback_transport: httpx.AsyncBaseTransport | None = None
    """How callbacks travel; None: over the network."""


class World:
    """The parts, and what may change about them at run time."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.render_seconds = options.render_seconds
        self.look_seconds = options.look_seconds
        self.called_as = options.base_url or "http://simulator"
        self.faults = Faults()
        self.store = Store(options.folder)
        self.record = Record(self.store)
        self.links = Links(self.store.secret())
        self.sources = Sources(self.store)
        self.consents = Consents(self.store, self.faults)
        self.looks = Looks(self.store, self.faults, self.links)
        self.endpoints = Endpoints(self.store)
        words = Words(self.store, self.links, self.now, lambda: self.called_as)
        self.events = Events(self.store, self.endpoints, words)
        self.callbacks = Callbacks(
            *(self.store, self.faults, words, (self.endpoints, self.events), self.now),
            transport=options.callback_transport,
        )
        self.videos = Videos(self.store, self.faults, self.callbacks, self.links)
        self.batches = Batches(self.store, self.callbacks, self.events)
        self.studio = Studio(self.store, self.videos, options.filmer, self.now)
        self.voices = Voices(self.store, self.faults)
        # Where films speak, so does speech.
        self.speaker: Speaker = ChildSpeaker() if isinstance(options.filmer, ChildFilmer) else Tone()
        self.answers = Answers(self.store, self.keeps_errors)

    def now(self) -> float:
        """Seconds since 1970 by the simulator's clock."""
        return self.options.now().timestamp()

    def keeps_errors(self, call: Call) -> bool:
        """Whether the key of this call keeps a 4xx or 5xx answer."""
        if self.options.replay_errors:
            return True
        return self.faults.strike("replay_errors", call.text(), kind=call.kind) is not None

    def set_timeline(self, render_seconds: float | None, look_seconds: float | None) -> None:
        """Change how long jobs take from now on; None leaves it."""
        self.render_seconds = self.render_seconds if render_seconds is None else render_seconds
        self.look_seconds = self.look_seconds if look_seconds is None else look_seconds

    def finish(self, job_id: str) -> None:
        """End a video or a look now. Raises Refused (404)."""
        if self.store.one("SELECT 1 FROM looks WHERE id = ?", job_id):
            self.looks.finish(job_id, self.now())
        else:
            self.videos.finish(job_id, self.now())

    async def call_back(self) -> int:
        """Try each callback that is due once; answers how many were tried."""
        self.tell()
        return await self.callbacks.send_due()

    def tell(self) -> None:
        """Write down what has happened by now, and owe it to whoever listens."""
        self.events.tell(self.now())
        self.batches.tell(self.now())

    def decide(self, group_id: str, *, approved: bool) -> str | None:
        """Give or refuse the consent to a twin; where its page leads then. Raises Refused (404)."""
        return self.consents.decide(group_id, approved=approved, now=self.now(), seconds=self.look_seconds)

    def stats(self) -> dict[str, int]:
        """Numbers for people and tests."""
        count = self.store.number
        return {
            "videos": int(count("SELECT count(*) FROM videos")),
            "looks": int(count("SELECT count(*) FROM looks WHERE public = 0")),
            "renders": int(count("SELECT count(*) FROM ledger WHERE kind = 'video'")),
            "in_flight": self.record.in_flight(self.now()),
            "peak_in_flight": self.record.peak_in_flight(),
        }

    async def close(self) -> None:
        """Stop films and connections; the file stays open."""
        self.faults.release()
        await self.studio.close()
        await self.callbacks.close()
        await self.sources.close()
