"""`make chaos`: every harness, two at a time, and one table of what they did and of what must be zero."""

import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from tests.faults.result import Result, zeros
from tests.processes import PROJECT

AT_ONCE = 2  # half of them wait more than they compute


@dataclass(frozen=True)
class Part:
    """One harness: the words that it is given, within twenty minutes in all, and over a night."""

    name: str
    short: tuple[str, ...]
    full: tuple[str, ...]
    alone: bool = False  # it tells how long something takes


PARTS = (
    Part("failpoints", (), ("--full",)),
    Part("kills", ("--count", "200"), ("--count", "2000")),
    Part("simulate", (), ("--full",)),
    Part("databases", ("--count", "15"), ("--count", "150")),
    Part("machine", (), ("--full",)),
    Part("network", ("--count", "150"), ("--count", "1500")),
    Part("differential", (), ("--full",)),
    Part("replicas", ("--minutes", "1.5"), ("--minutes", "20"), alone=True),
)


def main(words: list[str]) -> int:
    """Run them all; 1 where anything is not as it should be."""
    full = os.environ.get("FULL") == "1"
    began = time.monotonic()

    def run(part: Part) -> Result:
        return _run(part.name, (*(part.full if full else part.short), *words))

    with ThreadPoolExecutor(AT_ONCE) as lanes:
        results = list(lanes.map(run, (part for part in PARTS if not part.alone)))
    results += [run(part) for part in PARTS if part.alone]
    sys.stdout.write(table(results, time.monotonic() - began))
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
