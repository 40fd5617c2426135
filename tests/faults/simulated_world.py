"""A world of its own in one thread on one clock: replicas, callers, HeyGen, receivers and the network."""

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from random import Random

import httpx

from app.context import Pace
from app.models import Account
from app.simulator.app import Options, Simulator
from tests.factories import make_account
from tests.faults import punctuality, sources
from tests.faults.callers_at_work import HOOKS, settle_in
from tests.faults.history import violations
from tests.faults.records import Bill, Call, History, unsettled
from tests.faults.replica import Replica, Surroundings, revive
from tests.faults.swarm import Swarm
from tests.faults.turns import Turns
from tests.faults.wires import CallbackWire, HeyGenWire, Receivers, Weather
from tests.inline_sqlite import InlineDatabase

START = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
ROUNDS = 300  # of work at one instant: more is a worker that spins
INSTANTS = 3000  # to come to rest
LAST_HOPE = 71 * 3600.0  # seconds after the start: a delivery is tried for 72 hours
MACHINES: list[Replica] = []
"""Their applications serve one world after the other."""


@cache
def _database() -> InlineDatabase:
    """One for all worlds, one after the other."""
    return InlineDatabase()


class World:
    """Everything, and the schedule that decides who is next."""

    def __init__(self, seed: int, folder: Path, swarm: Swarm | None = None) -> None:
        self.random = Random(seed)
        self.swarm = swarm or Swarm.of(self.random)
        self.seconds = 0.0
        self.turns = Turns(self.random, lambda: self.seconds, self.delay)
        self.database = _database()
        self.weather = Weather(self.random, self.swarm.weather)
        self.receivers = Receivers(self.turns)
        self.met: Counter[str] = Counter()
        self.broken: list[str] = []
        self.longest_gap, self.worked_at = 0.0, 0.0  # how long nobody worked, and when somebody did last
        self.calm = False
        self.folder = folder
        self.replicas: list[Replica] = []
        self.back_at: dict[str, float] = {}
        self.bound: dict[tuple[str, str, str], str] = {}
        hosts = [f"heygen-{number}.test" for number in range(self.swarm.accounts)]
        self.simulators = [self._simulator(host) for host in hosts]
        self.accounts: list[Account] = []  # each with the simulator at its place
        self.wire = HeyGenWire(dict(zip(hosts, self.simulators, strict=True)), self.turns, self.weather)

    def _simulator(self, host: str) -> Simulator:
        return Simulator(
            Options(
                folder=self.folder / host,
                now=self.now,
                background=False,
                base_url=f"http://{host}",
                concurrency=1000,
                replay_errors=self.swarm.replay_errors,
                callback_transport=CallbackWire(self._front, self.random, lost=0.1),
            )
        )

    def now(self) -> datetime:
        """The true time, which HeyGen's clock and the database's show."""
        return START + timedelta(seconds=self.seconds)

    async def settle_in(self) -> None:
        """The rows that are there before anybody asks, and the replicas."""
        for simulator in self.simulators:
            self.accounts.append(
                await make_account(
                    self.database,
                    self.now(),
                    concurrency=self.swarm.slots,
                    base_url=simulator.options.base_url,
                )
            )
        tenants = {"acme": self.accounts[0], "bolt": self.accounts[-1]}
        self.callers = await settle_in(self.database, tenants, self.random, self.now())
        around = Surroundings(
            database=self.database,
            turns=self.turns,
            seconds=lambda: self.seconds,
            now=self.now,
            random=self.random,
            accounts={account.id: account.base_url for account in self.accounts},
            folder=self.folder / "files",
            heygen=self.wire,
            webhooks=self.receivers,
            callbacks=self.swarm.callbacks,
            pace=Pace(first_poll=timedelta(seconds=60), slowest_poll=timedelta(minutes=30)),
            alone=self.swarm.replicas == 1,
        )
        while len(MACHINES) < self.swarm.replicas:
            MACHINES.append(Replica(f"replica-{len(MACHINES)}", around))
        self.replicas = [revive(machine, around) for machine in MACHINES[: self.swarm.replicas]]
        for replica in self.replicas:
            await replica.start()
        if self.swarm.silence:
            for simulator in self.simulators:
                simulator.set_scenario("callbacks_lost")

    def delay(self, label: str) -> float | None:
        """How long to stand at a boundary, in seconds; None where nobody has to."""
        if self.calm or self.random.random() >= self.swarm.stand:
            return None
        self.met[f"stood at {label}"] += 1
        return self.random.uniform(0, 600) if self.random.random() < self.swarm.freeze else 0.0

    def _front(self) -> httpx.AsyncBaseTransport | None:
        replica = self.any_alive()
        return httpx.ASGITransport(replica.app) if replica is not None else None

    async def rest(self) -> None:
        """Faults end, and time goes on from one due instant to the next until nothing is left to be done."""
        self.calm = True
        self.weather.shares, self.weather.away = {}, False
        if not self.swarm.silence:
            for simulator in self.simulators:
                simulator.clear_scenarios()
        for frozen in self.turns.standing:
            frozen.until = min(frozen.until, self.seconds + 600)
        if not self.swarm.late_receivers:
            self._mend_receivers()
        await self.advance(1.0)
        self.back_at = dict.fromkeys(self.back_at, self.seconds)
        for _ in range(INSTANTS):
            if self.seconds >= LAST_HOPE:
                self._mend_receivers()
            await self.everybody(ROUNDS)
            coming = self._coming()
            if not coming:
                return
            await self.advance(max(min(coming) - self.seconds, 0.5))
        self.broken.append("no rest: something is due again and again")

    def _mend_receivers(self) -> None:
        self.receivers.states = dict.fromkeys(HOOKS, "up")

    async def advance(self, by: float) -> None:
        """Let time pass; whoever's time comes goes on, and dead machines come back."""
        self._note_bound_keys()
        end = self.seconds + by
        # What is on its way arrives in its own time, however long the step.
        while (soonest := min(self._arrivals(), default=end)) < end:
            self.seconds = max(self.seconds, soonest)
            await self.turns.release_due()
        self.seconds = end
        for replica in self.replicas:
            if replica.context is None and self.back_at.get(replica.name, 0) <= self.seconds:
                await replica.start()
        await self.turns.release_due()
        self._compare_clocks()
        for simulator in self.simulators:
            await self.turns.run("heygen", simulator.send_due_callbacks())

    def _note_bound_keys(self) -> None:
        """Remember what callers' keys stand for: after two days the service may forget them."""
        rows = self.database.raw.execute(
            "SELECT tenant_id, operation, key, resource_id FROM idempotency_keys"
        )
        self.bound |= {(tenant, operation, key): job_id for tenant, operation, key, job_id in rows}

    def _arrivals(self) -> list[float]:
        return [it.until for it in self.turns.standing if it.owner == "network"]

    async def everybody(self, rounds: int) -> None:
        """Every replica works, in any order, until there is nothing to do or the rounds are over."""
        for _ in range(rounds):
            self.longest_gap = max(self.longest_gap, self.seconds - self.worked_at)
            found = await self.turns.release_due()
            for replica in self.random.sample(self.replicas, len(self.replicas)):
                if replica.context is not None:
                    self.worked_at = self.seconds
                    found += await replica.work()
            if not found:
                return
        if rounds == ROUNDS:
            self.broken.append("a worker spins")

    def _coming(self) -> list[float]:
        """The instants to come at which something is due, in seconds; empty at rest."""
        asked = self.database.raw.execute(punctuality.COMING).fetchall()
        instants = [
            (datetime.fromisoformat(at).replace(tzinfo=UTC) - START).total_seconds() for (at,) in asked
        ]
        due = [at for at in instants if at > self.seconds]
        if not due and not instants and not self.turns.standing:
            return []
        # What is overdue waits for something else, be it for a sweep.
        return [*due, self.seconds + 60 if not due else due[0], *(it.until for it in self.turns.standing)]

    def _compare_clocks(self) -> None:
        for replica in self.replicas:
            if replica.context is not None:
                off = abs(replica.context.clock.now() - self.now())
                if off > timedelta(seconds=1.001):
                    self.broken.append(f"clock off by {off}: {replica.name}")

    def any_alive(self) -> Replica | None:
        """A process that can be asked."""
        living = [replica for replica in self.replicas if replica.context is not None]
        return self.random.choice(living) if living else None

    async def judge(self) -> list[str]:
        """Every promise that was broken; for a world at rest."""
        history = await self.history()
        alone, slack = self.swarm.replicas == 1, timedelta(seconds=self.longest_gap)
        tardy = punctuality.tardy(self.database.raw, slack, alone=alone)
        left = [] if self.broken else unsettled(history.tables, history.rendering)
        return [*self.broken, *self.turns.broken, *left, *violations(history), *tardy]

    async def history(self) -> History:
        """What everybody but the service tells of it, and its tables."""
        tables = await sources.read_tables(self.database)
        stuck = frozenset(self._never_ending())
        return History(
            tables=replace(tables, bound=self.bound | tables.bound),
            bills=self.bills(),
            calls=self.calls(),
            asks=self.callers.asks,
            webhooks=self.receivers.got,
            secrets=self.callers.secrets,
            peak=max(simulator.peak_in_flight() for simulator in self.simulators),
            # What never ends is given up a day after its deadline; HeyGen holds it still.
            cap=self.swarm.slots + len(stuck),
            rendering=stuck,
            down=frozenset(self.receivers.told_gone),
            clocks_differ=punctuality.CLOCKS_DIFFER,
        )

    def bills(self) -> list[Bill]:
        """What HeyGen wants to be paid, whosever account it is."""
        return [
            replace(bill, account_id=account.id)
            for account, simulator in zip(self.accounts, self.simulators, strict=True)
            for bill in sources.bills(simulator.ledger())
        ]

    def calls(self) -> list[Call]:
        """What HeyGen was asked, one account after the other."""
        return [
            replace(call, account_id=account.id)
            for account, simulator in zip(self.accounts, self.simulators, strict=True)
            for call in sources.calls(simulator.requests())
        ]

    async def end(self) -> None:
        """Nothing of it is left for the world after it."""
        for replica in self.replicas:
            if replica.context is not None:
                await replica.crash()
        await self.turns.kill("network")
        await self.turns.kill("heygen")
        for simulator in self.simulators:
            await simulator.close()
        await self.database.renew()

    def _never_ending(self) -> list[str]:
        never = "SELECT id FROM videos WHERE finish_at IS NULL"
        return [row["id"] for it in self.simulators for row in it._world.store.all(never)]
