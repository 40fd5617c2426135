"""One program of a caller's and HeyGen's acts, for any database: every act ends before the next begins."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from urllib.parse import quote

import httpx

from app.context import Pace
from app.database import Database
from app.simulator.app import Options, Simulator
from tests.factories import make_account
from tests.faults.callers_at_work import HOOKS, TENDINGS, TITLES, settle_in
from tests.faults.replica import Replica, Surroundings
from tests.faults.turns import Turns
from tests.faults.wires import CallbackWire, HeyGenWire, Receivers, Weather
from tests.services import run_worker

START = datetime(2026, 3, 2, 9, 30, 0, 5000, tzinfo=UTC)
HOST = "heygen.test"
HEYGEN = f"http://{HOST}"
READING = 1e-6  # seconds that pass whenever somebody reads the clock: no two instants are the same
ODD = 0.37  # seconds beyond whole ones that pass at once: nothing becomes due at the very moment of a look
STEPS = 25
CALLS = {"create": 6, "create_batch": 1, "create_look": 2, "repeat": 2, "cancel": 1, "delete": 1, "read": 4}
ACTS = CALLS | {"tick": 6, "heygen": 3, "network": 2, "receiver": 1, "endpoint": 2, "restart": 1}
"""What may happen next, and how likely it is."""
SCENARIOS = ("drop_after_accept", "bad_json", "fail", "unavailable_before_accept", "insufficient_credit")
FATES = ("refused", "request_lost", "answer_lost")
LATER = (5, 5, 10, 60, 60, 300, 600, 600, 600, 3600, 6 * 3600, 20 * 3600)
"""Seconds that pass, one after the other, when the program is over."""


class Even(Random):
    """Jitters nothing: several polls at once would draw in whatever order the database lets them."""

    def uniform(self, a: float, b: float) -> float:
        """The middle."""
        return (a + b) / 2


class Program:
    """A seed's acts on one database."""

    def __init__(self, seed: int, database: Database, folder: Path) -> None:
        self.random = Random(seed)
        self.database = database
        self.folder = folder
        self.seconds = 0.0
        self.readings = 0
        self.turns = Turns(self.random, lambda: self.seconds, lambda _: None)
        self.turns.patient = True
        self.weather = Weather(self.random, {})
        self.receivers = Receivers(self.turns)
        self.answers: list[str] = []  # to callers, word for word
        wire = CallbackWire(lambda: httpx.ASGITransport(self.replica.app), self.random)
        options = Options(
            folder=folder / "heygen",
            now=self.now,
            background=False,
            base_url=HEYGEN,
            callback_transport=wire,
        )
        self.simulator = Simulator(options)

    def now(self) -> datetime:
        """The time everybody goes by."""
        return START + timedelta(seconds=self.seconds)

    def _elapsed(self) -> float:
        self.readings += 1
        return self.seconds + self.readings * READING

    async def settle_in(self) -> None:
        """An account, a tenant, a replica."""
        account = await make_account(self.database, self.now(), concurrency=3, name="only")
        self.callers = await settle_in(self.database, {"acme": account}, self.random, self.now())
        around = Surroundings(
            database=self.database,
            turns=self.turns,
            seconds=self._elapsed,
            now=self.now,
            random=Even(0),
            accounts={account.id: HEYGEN},
            folder=self.folder / "files",
            heygen=HeyGenWire({HOST: self.simulator}, self.turns, self.weather),
            webhooks=self.receivers,
            callbacks=True,
            pace=Pace(first_poll=timedelta(seconds=60), slowest_poll=timedelta(minutes=30)),
            alone=True,
            dice=lambda _: Even(0),
        )
        self.replica = Replica("replica", around, heard=self._hear)
        await self.replica.start()

    async def run(self) -> None:
        """The program, and then time until all of it is over."""
        for _ in range(STEPS):
            await self._act(self.random.choices(list(ACTS), list(ACTS.values()))[0])
            await self._work()
        self.weather.shares = {}
        self.receivers.states.clear()
        await self.callers.tend(self.replica, "enabled", self.now())
        for seconds in LATER:
            await self._pass(seconds)

    async def _act(self, name: str) -> None:
        match name:
            case "create" | "create_batch":
                await getattr(self.callers, name)(self.replica, self.now())
            case "create_look" | "repeat":
                await getattr(self.callers, name)(self.replica)
            case "cancel" | "delete":
                await self.callers.withdraw(self.replica, name)
            case "tick":
                await self._pass(self.random.choice((1, 5, 8, 30, 60, 200, 700)))
            case "heygen":
                self.simulator.set_scenario(self.random.choice(SCENARIOS), 1)
            case "network":
                self.weather.shares = {self.random.choice(FATES): self.random.choice((0.0, 0.5))}
            case "receiver":
                self.receivers.states[self.random.choice(HOOKS)] = self.random.choice(("up", "down", "gone"))
            case "endpoint":
                await self.callers.tend(self.replica, self.random.choice(TENDINGS), self.now())
            case "restart":
                await self.replica.crash()
                await self.replica.start()
            case _:
                await self._read()

    async def _read(self) -> None:
        """What callers may read of what is theirs, page by page."""
        tenant = self.callers.tenants[0]
        made = [made for _, kind, made in self.callers.made if kind == "video"]
        parts = [title[:4] for title in self.random.sample(TITLES, 3)]
        paths = ["/v3/users/me", "/v3/avatars?ownership=private", "/v3/avatars/looks?ownership=private"]
        paths += [f"/v3/videos?title={quote(self.random.choice((it.upper(), it.lower())))}" for it in parts]
        if made:
            paths += [
                f"/v3/videos/{self.random.choice(made)}",
                f"/v3/videos/statuses?video_ids={','.join(made)}",
            ]

        batches = [ask.job_id for ask in self.callers.asks if ask.items]
        if batches:
            paths += [
                f"/v3/videos/batches/{batches[-1]}?limit=2",
                f"/v3/videos/statuses?batch_ids={batches[0]}",
            ]

        async def ask(client: httpx.AsyncClient) -> None:
            client.headers["x-api-key"] = tenant.key
            for path in paths:
                await client.get(path)
            page: dict[str, str] = {}
            while page.get("next_token", "") is not None:
                token = f"&token={quote(page['next_token'])}" if page else ""
                page = (await client.get(f"/v3/videos?limit=3{token}")).json()

        await self.replica.serve(ask)

    async def _hear(self, answer: httpx.Response) -> None:
        await answer.aread()
        self.answers.append(f"{answer.request.method} {answer.status_code} {answer.text}")

    async def _pass(self, seconds: float) -> None:
        self.seconds += seconds + ODD
        self.replica.follow()
        await self.turns.run("heygen", self.simulator.send_due_callbacks())
        await self._work()

    async def _work(self) -> None:
        await run_worker(self.replica.alive)

    async def end(self) -> None:
        """Let go of everything but the database."""
        await self.replica.crash()
        await self.simulator.close()
