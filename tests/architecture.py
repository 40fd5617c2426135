"""The rules of the architecture, as functions that say what breaks them: who imports whom, who writes a status."""

import ast
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent

# What each of these may import of ours beside itself; a package stands for all its modules.
INDEPENDENT: dict[str, set[str]] = {
    "app.heygen": set(),
    "app.simulator": set(),
    "app.storage": set(),
    "app.clock": set(),
    "app.errors": set(),
    "app.secrets": set(),
    "app.links": set(),
    "app.proof": set(),
    "app.settings": set(),
    "app.photos": {"app.photo_decoder"},
    "app.photo_decoder": set(),
    "app.webhooks.signing": set(),
    "app.webhooks.schedule": set(),
    "app.webhooks.addresses": set(),
    "app.webhooks.event_types": set(),
    "app.webhooks.destination": {"app.webhooks.addresses"},
    "app.models": set(),
    "app.webhooks.outbox": {"app.models", "app.models.ids"},
    "app.batches": {"app.models", "app.webhooks.outbox"},
    "app.lifecycle": {"app.models", "app.webhooks.outbox", "app.batches"},
}
WITHOUT_NETWORK = {"app.models", "app.webhooks.outbox", "app.batches", "app.lifecycle"}
NETWORK = {"httpx", "aiohttp", "fastapi", "starlette", "app.settings"}
MAY_READ_SETTINGS = {
    "app.main",
    "app.console",
    "app.demo",
    "app.desk",
    "app.doctor.command",
    "app.doctor.examination",
}
MAY_TELL_TIME = {
    "app.clock": "the one clock",
    "app.simulator.world": "the simulator imports nothing of ours, and has a clock of its own",
    "app.api.dependencies": "the windows of `limits` are counted from the wall clock by the library itself",
}
MAY_IMPORT_LATE: dict[str, str] = {}
LONGER_FILES = {
    "app.lifecycle": (450, "the whole life of a job is read in one place"),
}
VAGUE = {"utils", "util", "helpers", "helper", "manager", "managers", "service", "services", "base", "common"}


@dataclass(frozen=True)
class Module:
    """One file of `app`, under its dotted name."""

    name: str
    text: str
    is_package: bool = False

    @cached_property
    def tree(self) -> ast.Module:
        """Its syntax."""
        return ast.parse(self.text)

    def imports(self) -> Iterator[str]:
        """Every name it imports, wherever the statement stands; `from a import b` is both a and a.b."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                source = self._absolute(node)
                yield source
                yield from (f"{source}.{alias.name}" for alias in node.names)

    def _absolute(self, node: ast.ImportFrom) -> str:
        if not node.level:
            return node.module or ""
        parts = self.name.split(".")
        kept = parts[: len(parts) - node.level + self.is_package]
        return ".".join([*kept, node.module] if node.module else kept)


@cache
def read_app() -> tuple[Module, ...]:
    """The project as it stands."""
    modules = []
    for path in sorted((PROJECT / "app").rglob("*.py")):
        parts = path.relative_to(PROJECT).with_suffix("").parts
        is_package = parts[-1] == "__init__"
        name = ".".join(parts[:-1] if is_package else parts)
        modules.append(Module(name, path.read_text(), is_package))
    return tuple(modules)


Rule = Callable[[Sequence[Module]], list[str]]


def within(name: str, owner: str) -> bool:
    """Whether a dotted name is this module, or in this package."""
    return name == owner or name.startswith(f"{owner}.")


def ours(modules: Sequence[Module]) -> dict[str, set[str]]:
    """Which of our modules each of them imports. Importing from a package means its `__init__`, which is empty."""
    names = {module.name for module in modules}
    filled = names - {module.name for module in modules if module.is_package and not module.text.strip()}
    return {module.name: set(module.imports()) & filled - {module.name} for module in modules}


def independence(modules: Sequence[Module]) -> list[str]:
    """The pure and the replaceable parts know nothing of the rest; models ← webhooks.outbox ← lifecycle."""
    found = []
    for name, imported in ours(modules).items():
        for owner, allowed in INDEPENDENT.items():
            if within(name, owner):
                strange = {each for each in imported if not within(each, owner)} - allowed
                found += [f"{name} imports {each}" for each in sorted(strange)]
    return found


def lifecycle_knows_no_network(modules: Sequence[Module]) -> list[str]:
    """The state machine can be read, and tested, without HTTP or settings."""
    return [
        f"{module.name} imports {name}"
        for module in modules
        if module.name in WITHOUT_NETWORK
        for name in module.imports()
        if any(within(name, root) for root in NETWORK)
    ]


def api_and_worker_meet_in_the_tables(modules: Sequence[Module]) -> list[str]:
    """Neither reaches the other, not even through a third."""
    graph = ours(modules)
    sides = (("app.api", "app.worker"), ("app.worker", "app.api"))
    return [
        f"{name} reaches {reached}"
        for here, there in sides
        for name in graph
        if within(name, here)
        for reached in sorted(reachable(graph, name))
        if within(reached, there)
    ]


def reachable(graph: dict[str, set[str]], start: str) -> set[str]:
    """Every node that can be reached from this one."""
    seen: set[str] = set()
    ahead = list(graph.get(start, ()))
    while ahead:
        name = ahead.pop()
        if name not in seen:
            seen.add(name)
            ahead += graph.get(name, ())
    return seen


def settings_are_read_at_the_edge(modules: Sequence[Module]) -> list[str]:
    """Everybody but the entry points receives values."""
    return [
        f"{name} imports app.settings"
        for name, imported in ours(modules).items()
        if "app.settings" in imported and name not in MAY_READ_SETTINGS
    ]


def no_cycles(modules: Sequence[Module]) -> list[str]:
    """Neither between modules nor between packages."""
    graph = ours(modules)
    packages: dict[str, set[str]] = {}
    for name, imported in graph.items():
        package = packages.setdefault(_package(name), set())
        package |= {_package(each) for each in imported} - {_package(name)}
    return [
        f"{name} imports itself, by way of others"
        for each in (graph, packages)
        for name in each
        if name in reachable(each, name)
    ]


def _package(name: str) -> str:
    return ".".join(name.split(".")[:2])


def only_lifecycle_writes_a_jobs_status(modules: Sequence[Module]) -> list[str]:
    """By whatever means: a row's attribute, a new row, an UPDATE, an INSERT, or SQL as text."""
    return [
        f"{module.name}:{node.lineno} may write the status of a job"
        for module in modules
        # These two cannot even name a job: they import nothing of ours.
        if module.name != "app.lifecycle" and not module.name.startswith(("app.simulator", "app.heygen"))
        for node in _located(module)
        if _may_write_status(node)
    ]


def the_api_asks_heygen_through_the_gate(modules: Sequence[Module]) -> list[str]:
    """What callers cause obeys the account's stored gate, and tells it of a refusal."""
    return [
        f"{module.name}:{node.lineno} passes the gate by"
        for module in modules
        if within(module.name, "app.api")
        for gated in [set(_within_gate(module))]
        for node in _located(module)
        if isinstance(node, ast.Attribute) and node.attr == "heygen" and node not in gated
    ]


def _within_gate(module: Module) -> Iterator[ast.AST]:
    for node in ast.walk(module.tree):
        match node:
            case ast.Call(func=ast.Attribute(attr="through_gate"), args=arguments):
                yield from (part for each in arguments for part in ast.walk(each))


def _located(module: Module) -> Iterator[ast.expr | ast.stmt]:
    return (node for node in ast.walk(module.tree) if isinstance(node, ast.expr | ast.stmt))


def _may_write_status(node: ast.AST) -> bool:
    match node:
        case ast.Attribute(attr="status", ctx=ast.Store()):
            return True
        case ast.Call(func=ast.Name(id="setattr"), args=[_, field, *_]):
            return not isinstance(field, ast.Constant) or field.value == "status"
        case ast.Call(func=ast.Name(id="Job")):
            return _names_status(node)
        case ast.Call(func=ast.Attribute(attr="values")):
            # What is built on another table may have a status of its own.
            return _table(node) in {None, "Job"} and _names_status(node)
        case ast.Constant(value=str(text)):
            return re.search(r"\b(update|insert\s+into)\s+\W?jobs\b", text, re.IGNORECASE) is not None
    return False


def _names_status(call: ast.Call) -> bool:
    """Whether a call sets `status`, as a keyword or in a dict display."""
    displays = [*call.args, *(keyword.value for keyword in call.keywords if keyword.arg is None)]
    keys = [
        key.value
        for display in displays
        for each in ast.walk(display)
        if isinstance(each, ast.Dict)
        for key in each.keys
        if isinstance(key, ast.Constant)
    ]
    return "status" in keys or any(keyword.arg == "status" for keyword in call.keywords)


def _table(call: ast.AST) -> str | None:
    """The model that `update(M).….values()` or `insert(M).values()` starts from; None where it cannot be seen."""
    while isinstance(call, ast.Call | ast.Attribute):
        match call:
            case ast.Call(func=ast.Name(id="update" | "insert"), args=[ast.Name(id=model), *_]):
                return model
        call = call.func if isinstance(call, ast.Call) else call.value
    return None


def time_is_an_argument(modules: Sequence[Module]) -> list[str]:
    """Only the clock asks what time it is; measuring how long something took is free."""
    return [
        f"{module.name}:{node.lineno} reads the time"
        for module in modules
        if module.name not in MAY_TELL_TIME
        for node in _located(module)
        if tells_time(node)
    ]


def tells_time(node: ast.AST) -> bool:
    """Whether this reads, or imports what reads, the time of day."""
    match node:
        case ast.Attribute(value=ast.Name(id="time"), attr="time" | "time_ns" | "gmtime" | "localtime"):
            return True
        case ast.Attribute(value=ast.Name(id="datetime" | "date"), attr="now" | "utcnow" | "today"):
            return True
        case ast.Attribute(value=ast.Attribute(attr="datetime" | "date"), attr="now" | "utcnow" | "today"):
            return True
        case ast.ImportFrom(module="time"):
            return any(alias.name in {"time", "time_ns", "gmtime", "localtime"} for alias in node.names)
    return False


def files_are_short(modules: Sequence[Module]) -> list[str]:
    """A file is read in one sitting."""
    return [
        f"{module.name} has {lines} lines, {ceiling} are allowed"
        for module in modules
        for lines in [len(module.text.splitlines())]
        for ceiling in [LONGER_FILES.get(module.name, (350, ""))[0]]
        if lines > ceiling
    ]


def functions_are_short(modules: Sequence[Module]) -> list[str]:
    """A function is read at one glance."""
    return [
        f"{module.name}:{node.lineno} {node.name} has more than 45 lines"
        for module in modules
        for node in ast.walk(module.tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or node.lineno) - node.lineno >= 45
    ]


def names_say_something(modules: Sequence[Module]) -> list[str]:
    """No module is a drawer for what found no place."""
    return [f"{module.name} says nothing" for module in modules if VAGUE & set(module.name.split("."))]


def imports_stand_at_the_top(modules: Sequence[Module]) -> list[str]:
    """What a module needs is seen in its first lines."""
    return [
        f"{module.name}:{node.lineno} imports inside {function.name}"
        for module in modules
        if module.name not in MAY_IMPORT_LATE
        for function in ast.walk(module.tree)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        for node in ast.walk(function)
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]
