"""Every guard of `tests/mutants` taken out by name, from the command line: `--json`, and `-k` for some of them."""

import argparse
import re
import sys
import time
from contextlib import redirect_stdout
from io import StringIO

import pytest

from tests.faults.result import Result
from tests.mutants.guards import AREAS
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
    parser.add_argument("-k", default="", metavar="EXPRESSION")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args(words)
    began, caught = time.monotonic(), Caught()
    with redirect_stdout(StringIO()) as said:
        code = pytest.main([*QUIET, "-k", asked.k, str(PROJECT / "tests" / "mutants")], plugins=[caught])
    broken = caught.broken
    if code != pytest.ExitCode.OK and not broken:
        broken.append(f"of the mutants: pytest ended with {code!r}")
    log = said.getvalue() if broken else ""
    result = Result("mutants", {"caught": caught.mutants}, broken, time.monotonic() - began, log)
    sys.stderr.writelines(f"{line}\n" for line in (*broken, result.log) if line)
    sys.stdout.write(f"{result.to_json() if asked.json else result.line()}\n")
    return int(bool(broken))
