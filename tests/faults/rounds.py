"""Harnesses that are told numbers, each of which fixes one story: so many of them, on one core or on all."""

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from multiprocessing import get_context

from tests.faults.result import Result, merged


@dataclass(frozen=True)
class Harness:
    """`run` plays a few numbers and is importable by other processes; `unit` is what its numbers are called."""

    name: str
    unit: str
    run: Callable[[range], Result]
    short: int
    full: int
    at_once: int  # numbers that a process plays before it tells what came of them

    def main(self, words: Sequence[str], *, about: str | None) -> int:
        """From the command line; 1 where anything is broken."""
        parser = argparse.ArgumentParser(prog=f"python -m tests.faults {self.name}", description=about)
        parser.add_argument(
            f"--{self.unit}", dest="count", type=int, help=f"{self.short}, or {self.full} in full"
        )
        parser.add_argument("--first", type=int, default=0, help="the first number, 0 if not given")
        parser.add_argument("--full", action="store_true", help="as much as a night allows, on every core")
        parser.add_argument("--json", action="store_true")
        asked = parser.parse_args(words)
        count = asked.count if asked.count is not None else self.full if asked.full else self.short
        result = self._play(range(asked.first, asked.first + count), every_core=asked.full)
        sys.stdout.write(f"{result.to_json() if asked.json else result.line()}\n")
        return int(bool(result.violations))

    def _play(self, numbers: range, *, every_core: bool) -> Result:
        began = time.monotonic()
        results = []
        with ExitStack() as stack:
            for result in self._results(stack, numbers, every_core=every_core):
                results.append(result)
                sys.stderr.writelines(f"{line}\n" for line in (*result.violations, result.log) if line)
                sys.stderr.write(
                    f"{self.name}: {min(len(results) * self.at_once, len(numbers))} of {len(numbers)}\n"
                )
        return replace(merged(self.name, results), seconds=time.monotonic() - began)

    def _results(self, stack: ExitStack, numbers: range, *, every_core: bool) -> Iterator[Result]:
        parts = [numbers[at : at + self.at_once] for at in range(0, len(numbers), self.at_once)]
        if not every_core:
            return map(self.run, parts)
        # Spawned, not forked: each process has its own loops, databases and servers.
        pool = ProcessPoolExecutor(os.cpu_count(), get_context("spawn"))
        return stack.enter_context(pool).map(self.run, parts)

    def again(self, number: int) -> str:
        """The command that shows one number's story again."""
        return f"python -m tests.faults {self.name} --{self.unit} 1 --first {number}"
