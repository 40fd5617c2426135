"""A whole world in one thread on one clock: replicas, callers, HeyGen, receivers and the network; a seed fixes all.

    python -m tests.faults simulate --first 1234 --seeds 1

The SQL engine is real, and so are the service and the simulator; time, threads and sockets are not.
"""

import asyncio
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from tests.faults import punctuality
from tests.faults.happenings import Happenings
from tests.faults.memory import MEMORY
from tests.faults.quiet import without_logs
from tests.faults.simulated_world import World
from tests.faults.swarm import Swarm


@dataclass
class Outcome:
    """What came of one seed."""

    seed: int
    broken: list[str]
    jobs: int
    virtual: timedelta
    met: Counter[str] = field(default_factory=Counter)
    attached_within: timedelta = timedelta()  # the longest time from a bill until its job knew of it
    batches: int = 0


def run(seed: int, swarm: Swarm | None = None) -> Outcome:
    """Live through one seed, in the world that it draws or in this one, in an event loop of its own."""
    return asyncio.run(_simulate(seed, swarm))


async def _simulate(seed: int, swarm: Swarm | None) -> Outcome:
    with without_logs(), tempfile.TemporaryDirectory(prefix="greenroom-", dir=MEMORY) as folder:
        world = World(seed, Path(folder), swarm)
        try:
            await world.settle_in()
            await Happenings(world).live()
            await world.rest()
            return Outcome(
                seed,
                await world.judge(),
                len(world.callers.made),
                timedelta(seconds=world.seconds),
                world.met,
                punctuality.attached_within(world.database.raw, world.bills()),
                len({ask.job_id for ask in world.callers.asks if ask.items}),
            )
        finally:
            await world.end()
