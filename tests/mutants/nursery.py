"""Runs tests against mutants, each in a fork of one process that has imported what takes long.

`python -m tests.mutants.nursery warm` has imported ours, too, and puts other bodies into its functions; `cold` can become
any mutant, but each fork of it imports ours anew. Each line that it reads is a request, a JSON object of `file`, `text`,
`killers`, `once`, `database`, `environment` and `said`, where the tests' words go; the line that it answers is the code
that pytest ended with, or the negative number of the signal that ended it.
"""

import gc
import importlib
import json
import os
import signal
import sys
import traceback
from collections.abc import Iterator
from contextlib import redirect_stdout, suppress
from pathlib import Path
from typing import Any

# What takes long to import.
import aiohttp  # noqa: F401
import aiosqlite  # noqa: F401
import alembic.command  # noqa: F401
import anyio.pytest_plugin  # noqa: F401
import hypothesis  # noqa: F401
import numpy as np  # noqa: F401
import PIL.Image  # noqa: F401
import pytest
import rich.progress  # noqa: F401
import standardwebhooks  # noqa: F401
import typer  # noqa: F401

from tests.mutants import surgery
from tests.processes import PROJECT

# None of them may leave a thread, as a body large enough for one of its own would: forks do not have it.
REHEARSED = ("tests/end_to_end/test_life.py", "tests/worker/test_expire.py", "tests/worker/test_tidy.py")
OURS = ("tests.conftest", "app.cli", "app.worker.loop")
TESTS_FAILED = 1
COULD_NOT_RUN = 70  # beyond pytest's own codes
SECONDS = 100  # for all tests of one mutant, which may send them round in circles

# Of the plugins, only what the tests themselves need: loading all of them takes longer than most tests.
os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
QUIET = (
    *("-q", "-x", "--tb", "native", "--timeout", "0"),
    *("-p", "anyio", "-p", "pytest_timeout", "-p", "no:cacheprovider"),
    *("-W", "ignore::pytest.PytestAssertRewriteWarning"),
)


class Hasty:
    """Ends the process as soon as pytest knows how it went."""

    def __init__(self, once: bool) -> None:
        self._once = once

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """One case of each test tells as well as all of them whether it runs here."""
        if self._once:
            items[:] = {item.nodeid.partition("[")[0]: item for item in reversed(items)}.values()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """What a failed test left open need not be closed."""
        if report.failed:
            sys.stdout.write(report.longreprtext)
            sys.stdout.flush()
            os._exit(TESTS_FAILED)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(self, exitstatus: int) -> Iterator[None]:
        try:
            yield  # while it is told what failed, and why; what a failed test left open may raise here
        finally:
            sys.stdout.flush()
            os._exit(int(exitstatus))


def run(request: dict[str, Any], patient: surgery.Patient | None) -> int:
    """The exit code of pytest in a fork in which the file has that text."""
    child = os.fork()
    if child == 0:
        os.setpgid(0, 0)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(SECONDS)
        with Path(request["said"]).open("w") as said:
            os.dup2(said.fileno(), 1)
            os.dup2(said.fileno(), 2)
        try:
            os.environ |= request["environment"]
            become(request["file"], request["text"], patient)
            chosen = "not postgresql" if request["database"] == "sqlite" else request["database"]
            hasty = Hasty(request["once"])
            os._exit(int(pytest.main([*QUIET, "-k", chosen, *request["killers"]], plugins=[hasty])))
        except BaseException:  # noqa: BLE001 -- Python's own exit code would be that of tests that failed
            traceback.print_exc()
            sys.stderr.flush()
            os._exit(COULD_NOT_RUN)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    with suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)  # what its tests started, and could not end
    return code


def become(file: str, text: str, patient: surgery.Patient | None) -> None:
    """Make this process one of a project in which the file has that text."""
    path = PROJECT / file
    if file == "app/database.py" and patient is not None:
        importlib.import_module(
            "tests.kept_database"
        ).forget()  # those of the rehearsal were made by the original
    module = file.removesuffix(".py").replace("/", ".").removesuffix(".__init__")
    if patient is None:
        surgery.Substitute(module, path, text).install()
    else:
        changed = surgery.bodies(path.read_text(), text)
        assert changed is not None, "nothing that a process can become after the import"
        patient.operate(module, changed)


def rehearse() -> None:
    """Run some tests here, and keep what that imports, compiles and works out for all forks."""
    with Path(os.devnull).open("w") as nobody, redirect_stdout(nobody):
        assert pytest.main([*QUIET, "-k", "not postgresql", *REHEARSED]) == pytest.ExitCode.OK


def main() -> None:
    """Answer one request after the other."""
    patient = None
    if sys.argv[1] == "warm":
        for name in OURS:
            importlib.import_module(name)
        importlib.import_module("tests.template").migrated()
        rehearse()
        patient = surgery.Patient()
    gc.freeze()  # forks need not look through all of this again
    for line in sys.stdin:
        sys.stdout.write(f"{run(json.loads(line), patient)}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
