"""Runs mutants, each in a fork of one warm process: `python nursery.py FOLDER` with `mutants.json` in the folder.

The folder holds a copy of the project; nothing of the project itself is imported before a fork. Prints a line of JSON
for each: its number, and the code that pytest ended with.
"""

import json
import os
import sys
from importlib.util import cache_from_source
from pathlib import Path

# What takes long to import, and is not ours.
import aiohttp  # noqa: F401
import aiosqlite  # noqa: F401
import alembic.command  # noqa: F401
import anyio.pytest_plugin  # noqa: F401
import av  # noqa: F401
import cryptography.fernet  # noqa: F401
import fastapi  # noqa: F401
import httpx  # noqa: F401
import hypothesis  # noqa: F401
import numpy as np  # noqa: F401
import PIL.Image  # noqa: F401
import pydantic_settings  # noqa: F401
import pytest
import rich.progress  # noqa: F401
import sqlalchemy.ext.asyncio  # noqa: F401
import sqlmodel  # noqa: F401
import standardwebhooks  # noqa: F401
import structlog  # noqa: F401
import typer  # noqa: F401
import uvicorn  # noqa: F401

# Of the plugins, only what the tests themselves need: loading all of them takes longer than most tests.
os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
QUIET = (
    *("-q", "-x"),
    *("-p", "anyio", "-p", "pytest_timeout", "-p", "no:cacheprovider"),
    *("-W", "ignore::pytest.PytestAssertRewriteWarning"),
)


def run(folder: Path, killers: list[str], database: str) -> int:
    """The exit code of pytest on these tests of the copy, in a fork."""
    chosen = "not postgresql" if database == "sqlite" else database
    child = os.fork()
    if child == 0:
        os.chdir(folder)
        sys.path.insert(0, str(folder))
        with (folder / "said.txt").open("a") as said:
            os.dup2(said.fileno(), 1)
            os.dup2(said.fileno(), 2)
        code = int(pytest.main([*QUIET, "-k", chosen, *killers]))
        import app  # noqa: PLC0415 -- whose copy it is, is the question

        os._exit(code if Path(app.__path__[0]).parent == folder else 99)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def write(file: Path, text: str) -> None:
    """Change a file, and forget what it was compiled to: Python would tell the two apart by whole seconds alone."""
    file.write_text(text)
    Path(cache_from_source(str(file))).unlink(missing_ok=True)


def main() -> None:
    """Run them one after the other."""
    folder = Path(sys.argv[1]).resolve()
    for number, mutant in enumerate(json.loads((folder / "mutants.json").read_text())):
        file = folder / mutant["file"]
        text = file.read_text()
        mutated = text
        for before, after in mutant["edits"]:
            mutated = mutated.replace(before, after)
        write(file, mutated)
        code = run(folder, mutant["killers"], mutant["database"])
        write(file, text)
        sys.stdout.write(json.dumps([number, code]) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
