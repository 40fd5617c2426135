"""`make chaos`: every harness one after the other, and one table of what they did and of what must be zero."""

import os
import subprocess
import sys
import time
from dataclasses import dataclass

from tests.faults.result import Result, zeros
from tests.processes import PROJECT


@dataclass(frozen=True)
class Part:
    """One harness: the words that it is given, within twenty minutes in all, and over a night."""

    name: str
    short: tuple[str, ...]
    full: tuple[str, ...]


PARTS = (
    Part("failpoints", (), ("--full",)),
    Part("simulate", (), ("--full",)),
    Part("machine", (), ("--full",)),
    Part("differential", (), ("--full",)),
    Part("kills", ("--count", "200"), ("--count", "2000")),
    Part("databases", ("--count", "15"), ("--count", "300")),
    Part("network", ("--count", "150"), ("--count", "3000")),
    Part("replicas", ("--minutes", "1.5"), ("--minutes", "20")),
)


def main(words: list[str]) -> int:
    """Run them all; 1 where anything is not as it should be."""
    full = os.environ.get("FULL") == "1"
    began = time.monotonic()
    results = [_run(part.name, (*(part.full if full else part.short), *words)) for part in PARTS]
    sys.stdout.write(table(results, time.monotonic() - began))
    return int(any(zeros(results).values()))


def _run(name: str, words: tuple[str, ...]) -> Result:
    """One harness in a process of its own, which tells its progress while it runs."""
    sys.stderr.write(f"{name}:\n")
    began = time.monotonic()
    ended = subprocess.run(  # noqa: S603 -- our own words
        [sys.executable, "-m", "tests.faults", name, "--json", *words],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    lines = ended.stdout.splitlines()
    try:
        result = Result.from_json(lines[-1])
    except (IndexError, ValueError, TypeError):
        broken = [f"the harness itself failed, with code {ended.returncode}"]
        return Result(name, {}, broken, time.monotonic() - began)
    sys.stderr.write(f"{result.line()}\n")
    return result


def table(results: list[Result], seconds: float) -> str:
    """What was done, how long it took, and what must be zero."""
    rows = [
        (f"{result.name}: {name}", f"{value:,.6g}")
        for result in results
        for name, value in result.counts.items()
    ]
    rows += [(f"{result.name}: wall time, s", f"{result.seconds:,.0f}") for result in results]
    rows += [("wall time in all, s", f"{seconds:,.0f}")]
    rows += [(kind, str(count)) for kind, count in zeros(results).items()]
    width = max(len(name) for name, _ in rows)
    return "".join(f"{name:<{width}}  {value:>12}\n" for name, value in rows)
