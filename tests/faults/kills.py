"""Real kills: services die at random moments and at failpoints, freeze beyond their leases, are told to stop.

After each another one is born; at the end everything settles, and no promise is broken.
"""

import asyncio
import signal
import time
from collections import Counter
from pathlib import Path
from random import Random

from app.failpoints import NAMES
from tests.faults.result import Result, merged
from tests.faults.services import Child
from tests.faults.world import LEASE, World, say, world

POINTS = sorted(NAMES)
ROUND = 100  # kills before everything must settle
POINT_WITHIN = 0.8  # seconds; a point that is not come to by then is given up for a random moment
STOPS_WITHIN = 60.0
AT_ONCE = 10.0  # seconds that a busy machine needs for it
# Seconds between two lives: nothing, less and more than a lease, longer than a key of speech is held for the dead.
AWAY, AWAY_WEIGHTS = (0.0, 1.0, LEASE + 1, 70.0, 900.0), (8, 4, 4, 4, 1)
FROZEN_AT_MOST = 3.0
SHARE_OF_STOPS = 0.06
SHARE_OF_FREEZES = 0.1


async def kill_services(
    folder: Path, count: int, seed: int, server_url: str | None = None, *, round_size: int = ROUND
) -> Result:
    """That many kills, on SQLite or on that PostgreSQL; progress goes to standard error."""
    name = "kills on " + ("SQLite" if server_url is None else "PostgreSQL")
    results: list[Result] = []
    done = 0
    while done < count:
        some = min(round_size, count - done)
        # Each round can be had again alone.
        random = Random(f"{seed} {done}")
        async with world(folder / f"{name[-5:]}-{done}", random, server_url) as around:
            results.append(await _round(name, around, some))
        done += some
        say(f"  seed {seed}: {done}/{count}, {results[-1].line()}")
    return merged(name, results)


async def _round(name: str, around: World, count: int) -> Result:
    counts: Counter[str] = Counter()
    began, broken = time.monotonic(), list[str]()
    around.callers.start(around.receiver)
    while counts["kills"] < count:
        broken += await _one_life(around, counts)
    killing = time.monotonic() - began
    last = await around.nursery.bear_ready()
    broken += await around.judge()
    counts["promised"] = around.callers.accepted
    counts["unknown outcomes"] = around.callers.outcomes["unknown"]
    counts["speeches"] = around.callers.spoken["accepted"]
    counts["speeches nobody knows of"] = around.callers.spoken["refused"]
    counts["seconds of killing"] = round(killing)
    counts["webhooks"] = len(around.receiver.requests)
    last.signal(signal.SIGTERM)
    if await last.ends(STOPS_WITHIN) != 0:
        broken.append("stop: a service at rest did not end well when it was told to")
    return Result(name, counts, broken, time.monotonic() - began, around.log(broken))


async def _one_life(around: World, counts: Counter[str]) -> list[str]:
    """A service is born, and ends, one way or another; it was away for a while before. What was wrong with its end."""
    random = around.random
    around.nursery.move_on(random.choices(AWAY, AWAY_WEIGHTS)[0])
    dice = random.random()
    if dice < SHARE_OF_STOPS:
        return await _stop(around, counts)
    if dice < SHARE_OF_STOPS + SHARE_OF_FREEZES and not around.database.is_sqlite:
        await _freeze(around, counts)
    elif random.random() < 0.5:
        point, nth = random.choice(POINTS), random.choice((1, 1, 2))
        child = await around.nursery.bear(point, nth)
        await child.begins()
        try:
            await child.ends(POINT_WITHIN)
            counts["at failpoints"] += 1
            counts["kills"] += 1
        except TimeoutError:
            await _kill(child, counts)
    else:
        child = await around.nursery.bear()
        if random.random() < 0.7:
            await child.begins()
        # Most die young, at every age; some live long enough to get something done.
        await _lives(child, random.choice((0.1, 0.3, 0.3, 1.0)) * random.random())
        await _kill(child, counts)
    return []


async def _kill(child: Child, counts: Counter[str]) -> None:
    await child.kill()
    counts["kills"] += 1


async def _stop(around: World, counts: Counter[str]) -> list[str]:
    """SIGTERM amid the load: what is under way ends, and so does the service; with a second signal at once."""
    child = await around.nursery.bear_ready()
    await _lives(child, around.random.uniform(0.02, 0.35))
    child.signal(signal.SIGTERM)
    twice = around.random.random() < 0.3
    if twice:
        await _lives(child, around.random.uniform(0, 0.05))
        child.signal(signal.SIGTERM)
    within = AT_ONCE if twice else STOPS_WITHIN
    try:
        code = await child.ends(within)
    except TimeoutError:
        await _kill(child, counts)
        return [f"stop: a service told to stop {'twice' if twice else 'once'} went on for {within:.0f} s"]
    counts["stops"] += 1
    return [] if twice or code == 0 else [f"stop: a service told to stop ended with {code}"]


async def _freeze(around: World, counts: Counter[str]) -> None:
    """One replica stands still for longer than its leases, another takes over; then the first one wakes."""
    random = around.random
    if random.random() < 0.5:
        frozen = await around.nursery.bear(random.choice(POINTS), random.choice((1, 1, 2)), freezes=True)
        await frozen.begins()
        await _until(frozen.frozen, POINT_WITHIN)
        counts["frozen at failpoints"] += frozen.frozen.is_set()
    else:
        frozen = await around.nursery.bear_ready()
        await _lives(frozen, random.uniform(0.02, 0.35))
    frozen.signal(signal.SIGSTOP)
    around.nursery.move_on(LEASE + 1)
    other = await around.nursery.bear()
    # One that was frozen within a transaction keeps the account's lock, for which the other waits.
    await other.begins(FROZEN_AT_MOST)
    await _lives(other, random.uniform(0.1, 0.5))
    frozen.signal(signal.SIGCONT)
    counts["freezes"] += 1
    # Mostly it dies before it has looked around; now and then it writes whatever it had in hand.
    await _lives(other, random.uniform(0.02, random.choice((0.35, 2.0))))
    for child in (frozen, other):
        await _kill(child, counts)


async def _lives(child: Child, seconds: float) -> None:
    """Let it live so long, or until it ends by itself."""
    await _until(child.over, seconds)


async def _until(event: asyncio.Event, seconds: float) -> None:
    waiting = asyncio.create_task(event.wait())
    await asyncio.wait({waiting}, timeout=seconds)
    waiting.cancel()
