"""Every guard of `tests/mutants` taken out by name, from the command line: `--json`, and `-k` for some of them.

Last, one for each harness that kills and breaks things, which has to see it: `--harnesses` for those alone.
"""

import argparse
import re
import sys
import time
from contextlib import redirect_stdout
from io import StringIO

import pytest

from tests.faults.blindness import blind
from tests.faults.result import Result
from tests.mutants.guards import AREAS
from tests.mutants.harnesses import BLINDFOLDS
from tests.processes import PROJECT

MUTANTS = sum(len(area) for area in AREAS.values())
TOLD_EVERY = 50
QUIET = ("-q", "-n", "2", "--dist", "loadgroup", "-p", "no:cacheprovider")


class Caught:
    """Hears how each of the tests went, from every process that runs some."""

    def __init__(self) -> None:
        self.mutants = 0
        self.broken: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """A mutant is caught where the tests named with it have failed."""
        guard = re.search(r"taken_out_is_missed\[(.+)\](?:@mutants \d+)?$", report.nodeid)
        if report.failed:
            self.broken.append(
                f"mutant not caught: {guard[1]}" if guard else f"of the mutants: {report.nodeid}"
            )
        elif guard and report.when == "call":
            self.mutants += 1
            if self.mutants % TOLD_EVERY == 0:
                sys.stderr.write(
                    f"{self.mutants} of {MUTANTS} mutants caught, {len(self.broken)} not so far\n"
                )


def main(words: list[str]) -> int:
    """Take each guard out; 1 where nobody missed one."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults mutants", description=__doc__)
    parser.add_argument("-k", metavar="EXPRESSION", help="these guards alone, and no harness")
    parser.add_argument("--harnesses", action="store_true", help="the harnesses alone")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args(words)
    began, counts, broken, log = time.monotonic(), dict[str, float](), list[str](), ""
    if not asked.harnesses:
        caught, log = _taken_out(asked.k or "")
        counts["caught"] = caught.mutants
        broken += caught.broken
    if asked.k is None:
        unseeing = blind(BLINDFOLDS)
        counts["harnesses seen to find a fault"] = len(BLINDFOLDS) - len(unseeing)
        broken += unseeing
    result = Result("mutants", counts, broken, time.monotonic() - began, log)
    sys.stderr.writelines(f"{line}\n" for line in (*broken, result.log) if line)
    sys.stdout.write(f"{result.to_json() if asked.json else result.line()}\n")
    return int(bool(broken))


def _taken_out(expression: str) -> tuple[Caught, str]:
    """How the tests of the guards went, and what pytest said where they did not go well."""
    caught = Caught()
    with redirect_stdout(StringIO()) as said:
        code = pytest.main([*QUIET, "-k", expression, str(PROJECT / "tests" / "mutants")], plugins=[caught])
    if code != pytest.ExitCode.OK and not caught.broken:
        caught.broken.append(f"of the mutants: pytest ended with {code!r}")
    return caught, said.getvalue() if caught.broken else ""
