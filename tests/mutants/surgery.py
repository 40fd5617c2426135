"""A mutant's code in the place of ours, in a process that has imported ours already, or has not yet."""

import gc
import importlib.util
import inspect
import sys
from collections.abc import Iterator
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from types import CodeType, FunctionType


def bodies(before: str, after: str) -> dict[str, CodeType] | None:
    """The functions, by qualified name, that differ; None where the texts differ outside the bodies of functions."""
    return _different(compile(before, "before", "exec"), compile(after, "after", "exec"))


def _different(one: CodeType, other: CodeType) -> dict[str, CodeType] | None:
    if _skeleton(one) != _skeleton(other):
        return None
    found: dict[str, CodeType] = {}
    for inner, changed in zip(_codes(one), _codes(other), strict=True):
        below = _different(inner, changed)
        if _is_body(inner):
            # An inner function belongs to the outer one's body.
            if below != {}:
                found[inner.co_qualname] = changed
        elif below is None:
            return None
        else:
            found |= below
    return found


def _is_body(code: CodeType) -> bool:
    """Whether it is a function's, and not a class's or a comprehension's, which runs on import."""
    return bool(code.co_flags & inspect.CO_OPTIMIZED) and not code.co_name.startswith("<")


def _codes(code: CodeType) -> Iterator[CodeType]:
    return (it for it in code.co_consts if isinstance(it, CodeType))


def _skeleton(code: CodeType) -> tuple[object, ...]:
    """All of it but its lines and the codes in it."""
    constants = tuple(it.co_name if isinstance(it, CodeType) else (type(it), it) for it in code.co_consts)
    return code.co_code, code.co_names, code.co_varnames, code.co_freevars, code.co_flags, constants


class Patient:
    """Everything that this process has imported so far, whose functions can be given other bodies."""

    def __init__(self) -> None:
        self._living: dict[tuple[str, str], list[FunctionType]] = {}
        for it in gc.get_objects():
            if isinstance(it, FunctionType) and it.__module__:
                self._living.setdefault((it.__module__, it.__code__.co_qualname), []).append(it)

    def operate(self, module: str, changed: dict[str, CodeType]) -> None:
        """Give the functions of an imported module these bodies; raises KeyError where one is not there."""
        for name, code in changed.items():
            for function in self._living[module, name]:
                function.__code__ = code


class Substitute(SourceFileLoader):
    """Finds one module, and loads another text for it."""

    def __init__(self, module: str, file: Path, text: str) -> None:
        super().__init__(module, str(file))
        self.text = text

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:  # noqa: ARG002
        """What `sys.meta_path` asks."""
        return (
            importlib.util.spec_from_file_location(name, self.path, loader=self)
            if name == self.name
            else None
        )

    def get_code(self, fullname: str) -> CodeType:  # noqa: ARG002
        """Of the other text; what was compiled before is not looked at."""
        return compile(self.text, self.path, "exec")

    def install(self) -> None:
        """From now on; raises ValueError where the module is imported already."""
        if self.name in sys.modules:
            raise ValueError(f"{self.name} is imported already")
        sys.meta_path.insert(0, self)
