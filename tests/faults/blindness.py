"""Harnesses that see nothing: each is run, small, on a copy of the project without one guard, and must report it."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from tests.faults.memory import MEMORY
from tests.faults.result import Result, zeros
from tests.mutants.harnesses import Blindfold
from tests.processes import PROJECT

COPIED = ("app", "tests", "migrations")
AT_ONCE = 2  # they wait more than they compute
SECONDS = 240.0  # each takes a fifth of it on a busy machine
LETS_GO_WITHIN = 60.0


def blind(blindfolds: Sequence[Blindfold]) -> list[str]:
    """The harnesses that did not report what they had to; progress goes to standard error."""
    with ThreadPoolExecutor(AT_ONCE) as lanes:
        found = list(lanes.map(_told, blindfolds))
    return [line for line in found if line is not None]


def _told(it: Blindfold) -> str | None:
    with without_guard(it.edits) as project:
        for words in [(*it.words, "--seed", str(seed)) for seed in it.seeds] or [it.words]:
            began = time.monotonic()
            seen = saw(it, report(project, words))
            told = f"{seen} {it.reports}, {time.monotonic() - began:.0f} s"
            sys.stderr.write(f"{' '.join(words)}: {it.name}: {told}\n")
            if seen:
                return None
    return f"mutant not caught: {it.name}, by the harness {it.words[0]}"


def saw(it: Blindfold, said: str) -> int:
    """How many violations of the kind that the mutant causes were reported; a harness that fell over saw nothing."""
    try:
        return zeros([Result.from_json((said.splitlines() or [""])[-1])])[it.reports]
    except (ValueError, TypeError):
        return 0


def report(project: Path, words: Sequence[str]) -> str:
    """What a harness of this project writes to standard output; nothing where it takes too long."""
    process = subprocess.Popen(  # noqa: S603 -- our own words
        [sys.executable, "-W", "ignore", "-m", "tests.faults", *words, "--json"],
        cwd=project,
        env=os.environ | {"PYTHONPATH": str(project)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    with process:
        # An interrupted one takes its databases and services along.
        for within, ending in ((SECONDS, signal.SIGINT), (LETS_GO_WITHIN, signal.SIGKILL)):
            try:
                return process.communicate(timeout=within)[0]
            except subprocess.TimeoutExpired:
                process.send_signal(ending)
    return ""


@contextmanager
def without_guard(edits: Sequence[tuple[str, str, str]]) -> Iterator[Path]:
    """A copy of the project in which the guard is gone: services are forks of processes that import it from there."""
    with tempfile.TemporaryDirectory(prefix="greenroom-mutant-", dir=MEMORY) as name:
        project = Path(name)
        for part in COPIED:
            shutil.copytree(PROJECT / part, project / part)
        for file, text, instead in edits:
            path = project / file
            path.write_text(path.read_text().replace(text, instead))
        yield project
