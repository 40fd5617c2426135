"""The architecture's rules: the project keeps each, and each can be broken."""

import ast
from functools import cache

import pytest

from tests.architecture import (
    INDEPENDENT,
    LONGER_FILES,
    MAY_READ_SETTINGS,
    MAY_TELL_TIME,
    Module,
    Rule,
    api_and_worker_meet_in_the_tables,
    files_are_short,
    functions_are_short,
    imports_stand_at_the_top,
    independence,
    lifecycle_knows_no_network,
    names_say_something,
    no_cycles,
    only_lifecycle_writes_a_jobs_status,
    ours,
    read_app,
    settings_are_read_at_the_edge,
    tells_time,
    the_api_asks_heygen_through_the_gate,
    time_is_an_argument,
    within,
)

# One process reads the project, not each of them.
pytestmark = pytest.mark.xdist_group("architecture")

# For each rule, what breaks it: modules by name, in front of the project as it stands.
PLANTED: list[tuple[Rule, dict[str, str]]] = [
    (independence, {"app.storage": "from app.clock import Clock"}),
    (independence, {"app.heygen.client": "import app.models"}),
    (independence, {"app.heygen.client": "from .. import models"}),
    (independence, {"app.lifecycle": "from app.webhooks import destination"}),
    (independence, {"app.webhooks.signing": "def f():\n    from app import secrets"}),
    (lifecycle_knows_no_network, {"app.lifecycle": "from fastapi import Request"}),
    (lifecycle_knows_no_network, {"app.models": "import httpx"}),
    (api_and_worker_meet_in_the_tables, {"app.api.videos": "from app.worker.loop import run"}),
    (api_and_worker_meet_in_the_tables, {"app.worker.loop": "from app.api import videos"}),
    (
        api_and_worker_meet_in_the_tables,
        {"app.worker.loop": "import app.third", "app.third": "from app.api import videos"},
    ),
    (settings_are_read_at_the_edge, {"app.tenancy": "from app.settings import Settings"}),
    (no_cycles, {"app.models": "from app.lifecycle import apply"}),
    (
        no_cycles,
        {"app.governor": "from app.worker import loop", "app.worker.loop": "from app import governor"},
    ),
    (
        no_cycles,
        {
            "app.worker.x": "import app.api.x",
            "app.api.x": "",
            "app.api.y": "import app.worker.y",
            "app.worker.y": "",
        },
    ),
    (only_lifecycle_writes_a_jobs_status, {"app.worker.x": "job.status = 'failed'"}),
    (only_lifecycle_writes_a_jobs_status, {"app.worker.x": "setattr(job, 'status', 'failed')"}),
    (only_lifecycle_writes_a_jobs_status, {"app.worker.x": "Job(id='1', status='failed')"}),
    (only_lifecycle_writes_a_jobs_status, {"app.worker.x": "update(Job).where(a).values(status='failed')"}),
    (only_lifecycle_writes_a_jobs_status, {"app.worker.x": "update(Job).values({'status': 'failed'})"}),
    (only_lifecycle_writes_a_jobs_status, {"app.worker.x": "update(Job).values(**({'status': 1} | more))"}),
    (only_lifecycle_writes_a_jobs_status, {"app.worker.x": "statement.values(status='failed')"}),
    (only_lifecycle_writes_a_jobs_status, {"app.worker.x": "text('UPDATE jobs SET status = 1')"}),
    (time_is_an_argument, {"app.worker.x": "from datetime import datetime\ndatetime.now(UTC)"}),
    (time_is_an_argument, {"app.worker.x": "import datetime\ndatetime.datetime.utcnow()"}),
    (time_is_an_argument, {"app.worker.x": "import time\ntime.time()"}),
    (time_is_an_argument, {"app.worker.x": "from time import time"}),
    (the_api_asks_heygen_through_the_gate, {"app.api.x": "connection.heygen.users_me()"}),
    (the_api_asks_heygen_through_the_gate, {"app.api.x": "heygen = connection_of(ctx, caller).heygen"}),
    (files_are_short, {"app.x": "\n" * 351}),
    (files_are_short, {"app.lifecycle": "\n" * 451}),
    (functions_are_short, {"app.x": "async def f():\n" + "    pass\n" * 45}),
    (names_say_something, {"app.worker.helpers": ""}),
    (imports_stand_at_the_top, {"app.x": "class A:\n    def f(self):\n        import json"}),
]
ALLOWED: list[tuple[Rule, dict[str, str]]] = [
    (
        only_lifecycle_writes_a_jobs_status,
        {"app.worker.x": "update(Delivery).where(a).values(status='dead')"},
    ),
    (only_lifecycle_writes_a_jobs_status, {"app.worker.x": "update(Job).values(due_at=now)"}),
    (only_lifecycle_writes_a_jobs_status, {"app.worker.x": "answer = {'status': job.status}"}),
    (time_is_an_argument, {"app.worker.x": "import time\nstarted = time.monotonic()\nnow = clock.now()"}),
    (
        the_api_asks_heygen_through_the_gate,
        {"app.api.x": "it.catalog.through_gate(lambda: it.heygen.users_me())"},
    ),
    (the_api_asks_heygen_through_the_gate, {"app.worker.x": "connection.heygen.users_me()"}),
    (files_are_short, {"app.x": "\n" * 350}),
    (functions_are_short, {"app.x": "def f():\n" + "    pass\n" * 44}),
]
RULES = list(dict.fromkeys(rule for rule, _ in PLANTED))


def planted(modules: dict[str, str]) -> list[Module]:
    """The project with these modules in place of its own."""
    kept = [module for module in read_app() if module.name not in modules]
    return kept + [Module(name, text) for name, text in modules.items()]


@cache
def as_it_stands(rule: Rule) -> set[str]:
    """What the project itself breaks of a rule."""
    return set(rule(read_app()))


def _name(value: object) -> str | None:
    return getattr(value, "__name__", None)


@pytest.mark.parametrize("rule", RULES, ids=_name)
def test_the_project_keeps_the_rule(rule: Rule) -> None:
    assert as_it_stands(rule) == set()


@pytest.mark.parametrize(("rule", "modules"), PLANTED, ids=_name)
def test_a_planted_violation_is_found(rule: Rule, modules: dict[str, str]) -> None:
    assert set(rule(planted(modules))) - as_it_stands(rule) != set()


@pytest.mark.parametrize(("rule", "modules"), ALLOWED, ids=_name)
def test_what_is_allowed_is_not_taken_for_a_violation(rule: Rule, modules: dict[str, str]) -> None:
    assert set(rule(planted(modules))) - as_it_stands(rule) == set()


def test_every_exception_is_still_needed() -> None:
    modules = {module.name: module for module in read_app()}
    assert all(any(map(tells_time, ast.walk(modules[name].tree))) for name in MAY_TELL_TIME)
    assert all(len(modules[name].text.splitlines()) > 350 for name in LONGER_FILES)
    assert all("app.settings" in ours(read_app())[name] for name in MAY_READ_SETTINGS)
    assert all(any(within(name, owner) for name in modules) for owner in INDEPENDENT)
