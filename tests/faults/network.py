"""A bad network between us and HeyGen, and between us and our callers' receivers: everything ends, nothing is doubled."""

import asyncio
import signal
import time
from collections import Counter
from functools import partial
from pathlib import Path
from random import Random

from tests.faults.proxy import Proxy, standing_before
from tests.faults.result import Result, merged
from tests.faults.world import World, say, world

ROUND = 100  # videos before everything must settle
STEP = 2.0  # seconds that the clocks move on with each look: HeyGen is asked again sooner
PROMISES_WITHIN = 240.0


async def break_network(
    folder: Path, count: int, seed: int, server_url: str | None = None, *, round_size: int = ROUND
) -> Result:
    """That many videos and looks over a bad network, on SQLite or on that PostgreSQL; progress goes to standard error."""
    engine = "SQLite" if server_url is None else "PostgreSQL"
    results: list[Result] = []
    done = 0
    while done < count:
        some = min(round_size, count - done)
        random = Random(f"{seed} {done}")
        to_heygen, to_receiver = (Proxy(("", 0), Random(random.random())) for _ in range(2))
        async with world(
            folder / f"network-{engine}-{done}",
            random,
            server_url,
            between=partial(standing_before, to_heygen),
            before_receiver=partial(standing_before, to_receiver),
        ) as around:
            results.append(await _round(engine, around, some, to_heygen, to_receiver))
        done += some
        say(f"  seed {seed}, {engine}: {done}/{count}, {results[-1].line()}")
    return merged("network", results)


async def _round(engine: str, around: World, count: int, *proxies: Proxy) -> Result:
    began = time.monotonic()
    service = await around.nursery.bear_ready()
    around.callers.start(around.receiver, count)
    promised = asyncio.create_task(around.callers.done())
    while not promised.done() and time.monotonic() - began < PROMISES_WITHIN:
        around.nursery.move_on(STEP)
        await asyncio.wait({promised}, timeout=0.5)
    broken = await around.judge()
    struck: Counter[str] = Counter()
    for proxy in proxies:
        struck += proxy.struck
    faults = struck.total() - struck["none"]
    accepted = around.callers.accepted
    counts = {"jobs": accepted, f"on {engine}": accepted, "requests": struck.total(), "faults": faults}
    service.signal(signal.SIGKILL)
    return Result("network", counts, broken, time.monotonic() - began, around.log(broken))
