"""What may happen in a world while it lives: what callers do, what breaks, and time that passes."""

from dataclasses import dataclass
from datetime import timedelta

from tests.faults.callers_at_work import HOOKS
from tests.faults.simulated_world import World
from tests.faults.swarm import OUTAGES, SCENARIOS, WALL_JUMPS


@dataclass
class Happenings:
    """The schedule picks one after the other."""

    world: World
    long_outage: bool = False  # one is enough: after two days callers' keys are forgotten

    async def live(self) -> None:
        """The eventful part: the schedule picks one thing after the other."""
        names, weights = zip(*self.world.swarm.weights.items(), strict=True)
        for _ in range(self.world.swarm.steps):
            name = self.world.random.choices(names, weights)[0]
            self.world.met[name] += 1
            await getattr(self, f"_{name}")()
            await self.world.everybody(self.world.random.randrange(3))

    async def _create(self) -> None:
        replica = self.world.any_alive()
        if replica is not None and len(self.world.callers.made) < self.world.swarm.jobs:
            await self.world.callers.create(replica, self.world.now())

    async def _create_batch(self) -> None:
        replica = self.world.any_alive()
        if replica is not None and len(self.world.callers.made) < self.world.swarm.jobs:
            await self.world.callers.create_batch(replica, self.world.now())

    async def _create_look(self) -> None:
        replica = self.world.any_alive()
        if replica is not None and len(self.world.callers.made) < self.world.swarm.jobs:
            await self.world.callers.create_look(replica)

    async def _repeat(self) -> None:
        if (replica := self.world.any_alive()) is not None:
            await self.world.callers.repeat(replica)

    async def _cancel(self) -> None:
        if (replica := self.world.any_alive()) is not None:
            await self.world.callers.withdraw(replica, "cancel")

    async def _delete(self) -> None:
        if (replica := self.world.any_alive()) is not None:
            await self.world.callers.withdraw(replica, "delete")

    async def _tick(self) -> None:
        await self.world.advance(self.world.random.choice(self.world.swarm.ticks))

    async def _scenario(self) -> None:
        name = self.world.random.choice(self.world.swarm.scenarios)
        options = dict(SCENARIOS[name])
        self.world.met[f"scenario {name}"] += 1
        times = self.world.random.choice((1, 1, 2, 5))
        self.world.random.choice(self.world.simulators).set_scenario(name, times, None, **options)

    async def _receiver(self) -> None:
        self.world.receivers.states[self.world.random.choice(HOOKS)] = self.world.random.choice(
            ("up", "down", "slow", "broken", "gone")
        )

    async def _crash(self) -> None:
        replica = self.world.random.choice(self.world.replicas)
        if replica.context is not None:
            await replica.crash()
            self.world.back_at[replica.name] = self.world.seconds + self.world.random.choice((0, 1, 30, 300))
            if self.world.back_at[replica.name] <= self.world.seconds:
                await replica.start()

    async def _jump(self) -> None:
        """One machine's wall clock is set to another time; it may even start anew by it."""
        replica = self.world.random.choice(self.world.replicas)
        replica.wall_error = timedelta(seconds=self.world.random.choice(WALL_JUMPS))
        if self.world.random.random() < 0.5:
            await self._crash()

    async def _outage(self) -> None:
        self.world.weather.away = True
        long = not self.long_outage and self.world.random.random() < 0.3
        self.long_outage |= long
        length = self.world.random.uniform(*OUTAGES[long])
        end = self.world.seconds + length
        while self.world.seconds < end:
            await self.world.everybody(20)
            await self.world.advance(min(max(60.0, length / 60), end - self.world.seconds))
        self.world.weather.away = False
