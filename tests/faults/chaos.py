"""`make chaos`: every harness, two at a time, and one table of what they did and of what must be zero.

Each run draws other faults, from a number that its first line and its table tell: `SEED=number make chaos` draws the same
again. A night may be cut into pieces: with `--keep FOLDER` (`KEEP=FOLDER make chaos`) each harness leaves its result
there, and one that has left it already is not run again.
"""

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.faults.result import Result, zeros
from tests.processes import PROJECT

AT_ONCE = 2  # half of them wait more than they compute
SEEDS = 1_000_000


@dataclass(frozen=True)
class Part:
    """One harness: the words that it is given, within twenty minutes in all, and over three hours."""

    name: str
    short: tuple[str, ...]
    full: tuple[str, ...]
    seeded_by: str | None = "--seed"  # the word that a number follows from which it draws
    alone: bool = False  # it tells how long something takes


PARTS = (
    Part("failpoints", (), ("--full",)),
    Part("kills", ("--count", "200"), ("--count", "2000")),
    Part("simulate", (), ("--full",), "--first"),
    Part("databases", ("--count", "15"), ("--count", "60")),
    Part("machine", (), ("--full",), "--first"),
    Part("network", ("--count", "100"), ("--count", "600")),
    Part("differential", (), ("--full",), "--first"),
    Part("mutants", (), (), None),
    Part("replicas", ("--minutes", "1.5"), ("--minutes", "20"), alone=True),
)


def main(words: list[str]) -> int:
    """Run them all; 1 where anything is not as it should be."""
    full = os.environ.get("FULL") == "1"
    parser = argparse.ArgumentParser(prog="python -m tests.faults chaos", description=__doc__)
    parser.add_argument("--keep", type=Path, default=os.environ.get("KEEP") or None, metavar="FOLDER")
    asked, words = parser.parse_known_args(words)
    began, seed = time.monotonic(), int(os.environ.get("SEED") or random.randrange(SEEDS))
    sys.stderr.write(f"seed {seed}\n")

    def run(part: Part) -> Result:
        kept = asked.keep / f"{part.name}.json" if asked.keep is not None else None
        if kept is not None and kept.exists():
            return Result.from_json(kept.read_text())
        drawn_from = (part.seeded_by, str(seed)) if part.seeded_by is not None else ()
        result = _run(part.name, (*(part.full if full else part.short), *drawn_from, *words))
        if kept is not None:
            kept.parent.mkdir(parents=True, exist_ok=True)
            kept.write_text(result.to_json())
        return result

    with ThreadPoolExecutor(AT_ONCE) as lanes:
        results = list(lanes.map(run, (part for part in PARTS if not part.alone)))
    results += [run(part) for part in PARTS if part.alone]
    sys.stdout.write(table(results, time.monotonic() - began, seed))
    return int(any(zeros(results).values()))


def _run(name: str, words: tuple[str, ...]) -> Result:
    """One harness in a process of its own, which tells its progress while it runs."""
    command = [sys.executable, "-W", "ignore", "-m", "tests.faults", name, "--json", *words]
    began = time.monotonic()
    with tempfile.TemporaryFile("w+") as answer:
        with subprocess.Popen(  # noqa: S603 -- our own words
            command, cwd=PROJECT, stdout=answer, stderr=subprocess.PIPE, text=True
        ) as process:
            for line in process.stderr or ():
                sys.stderr.write(line if line.startswith(name) else f"{name}: {line}")
        answer.seek(0)
        lines = answer.read().splitlines()
    try:
        result = Result.from_json(lines[-1])
    except (IndexError, ValueError, TypeError):
        broken = [f"the harness itself failed, with code {process.returncode}"]
        return Result(name, {}, broken, time.monotonic() - began)
    sys.stderr.write(f"{result.line()}\n")
    return result


def table(results: list[Result], seconds: float, seed: int) -> str:
    """What was done, how long it took, and what must be zero."""
    rows = [("seed", str(seed))]
    rows += [
        (f"{result.name}: {name}", f"{value:,.6g}")
        for result in results
        for name, value in result.counts.items()
    ]
    rows += [(f"{result.name}: wall time, s", f"{result.seconds:,.0f}") for result in results]
    rows += [("wall time of this sitting, s", f"{seconds:,.0f}")]
    rows += [(kind, str(count)) for kind, count in zeros(results).items()]
    width = max(len(name) for name, _ in rows)
    return "".join(f"{name:<{width}}  {value:>12}\n" for name, value in rows)
