"""Where a crash could do harm: after each commit and each exchange with HeyGen or a receiver, read off the code."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from tests.architecture import Module

OUTSIDE = re.compile(r"\b(heygen|catalog)\.\w+$|\b(destination\.post|first_byte|open_file)$")
"""What is awaited and leaves the process."""


@dataclass(frozen=True)
class Boundary:
    """A commit or an exchange; `bare` when another one follows, or the function ends, without a failpoint."""

    function: str
    line: int
    bare: bool


def points(module: Module) -> set[str]:
    """The failpoints that stand in a module."""
    calls = [node for node in ast.walk(module.tree) if isinstance(node, ast.Call)]
    return {str(ast.literal_eval(call.args[0])) for call in calls if _name(call).endswith(".failpoint")}


def boundaries(module: Module) -> Iterator[Boundary]:
    """Every boundary of a module, in the order of the text."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.AsyncFunctionDef):
            for (line, mark), (_, after) in pairwise([*sorted(_marks(node)), (0, "end")]):
                if mark != "failpoint":
                    name = f"{module.name.rpartition('.')[2]}.{node.name}"
                    yield Boundary(name, line, bare=after != "failpoint")


def _marks(function: ast.AsyncFunctionDef) -> Iterator[tuple[int, str]]:
    """(line, what is there): a commit counts where its block ends."""
    for node in ast.walk(function):
        if isinstance(node, ast.AsyncWith):
            for item in node.items:
                if isinstance(item.context_expr, ast.Call):
                    if _name(item.context_expr).endswith("database.begin"):
                        yield node.end_lineno or node.lineno, "commit"
                    elif OUTSIDE.search(_name(item.context_expr)):
                        yield node.end_lineno or node.lineno, "exchange"
        elif isinstance(node, ast.Await) and isinstance(node.value, ast.Call):
            if _name(node.value).endswith(".failpoint"):
                yield node.lineno, "failpoint"
            elif OUTSIDE.search(_name(node.value)):
                yield node.lineno, "exchange"


def _name(call: ast.Call) -> str:
    return ast.unparse(call.func)
