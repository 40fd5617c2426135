"""The harnesses that run real processes, from the command line: `--count`, `--seed`, `--minutes`, `--json`."""

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from tests.faults.databases import break_databases, break_postgresql, break_sqlite
from tests.faults.kills import kill_services
from tests.faults.memory import MEMORY
from tests.faults.network import break_network
from tests.faults.postgresql import own_postgresql
from tests.faults.replicas import kill_replicas
from tests.faults.result import Result, merged

ON_ONE = {"sqlite": break_sqlite, "postgresql": break_postgresql}


def kills(words: list[str]) -> int:
    """Kill services: half of the kills on SQLite, half on PostgreSQL."""
    asked = _asked(words, count=200)
    return _told(asked, lambda folder: _on_both("kills", kill_services, folder, asked))


def replicas(words: list[str]) -> int:
    """Kill replicas for so many minutes."""
    asked = _asked(words, count=0)

    async def run(folder: Path) -> Result:
        async with own_postgresql() as server:
            return await kill_replicas(folder, asked.minutes, asked.seed, server.url)

    return _told(asked, run)


def databases(words: list[str]) -> int:
    """Take databases away so many times."""
    asked = _asked(words, count=20)
    run = ON_ONE.get(asked.on, break_databases)
    return _told(asked, lambda folder: run(folder, asked.count, asked.seed))


def network(words: list[str]) -> int:
    """Make so many videos over a bad network: half of them on SQLite, half on PostgreSQL."""
    asked = _asked(words, count=200)
    return _told(asked, lambda folder: _on_both("network", break_network, folder, asked))


async def _on_both(name: str, run: Any, folder: Path, asked: argparse.Namespace) -> Result:
    """Half of what is asked for on SQLite, half on a PostgreSQL of its own; or all of it on the one that is named."""
    on_sqlite = {"sqlite": asked.count, "postgresql": 0}.get(asked.on, asked.count // 2)
    results = [await run(folder, on_sqlite, asked.seed)] if on_sqlite else []
    if asked.count > on_sqlite:
        async with own_postgresql() as server:
            results.append(await run(folder, asked.count - on_sqlite, asked.seed, server.url))
    return merged(name, results)


def _asked(words: list[str], count: int) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--count", type=int, default=count)
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--on", choices=ON_ONE, help="this database alone; replicas are on PostgreSQL anyway")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args(words)


def _told(asked: argparse.Namespace, run: Any) -> int:
    """Run it in a folder that is gone afterwards, and say what came of it; the exit code."""

    async def within() -> Result:
        with tempfile.TemporaryDirectory(prefix="greenroom-faults-", dir=MEMORY) as name:
            work: Coroutine[Any, Any, Result] = run(Path(name))
            return await work

    result = asyncio.run(within())
    for line in (*result.violations, result.log):
        sys.stderr.write(f"{line}\n" if line else "")
    sys.stdout.write(f"{result.to_json() if asked.json else result.line()}\n")
    return int(bool(result.violations))
