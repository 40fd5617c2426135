"""Every scenario has a line that says what it does and a test that shows it."""

from __future__ import annotations

from app.simulator.faults import REGISTRY
from tests.simulator import (
    test_create_scenarios,
    test_later_scenarios,
    test_novelties,
    test_scenes,
    test_twins,
    test_voices,
    test_webhooks,
)
from tests.simulator.scenes import SHOWN


def test_every_scenario_is_shown_by_a_test() -> None:
    shown_in = [test_create_scenarios, test_later_scenarios, test_scenes, test_twins, test_webhooks]
    assert all([*shown_in, test_novelties, test_voices])  # importing them filled SHOWN
    assert set(REGISTRY) == SHOWN


def test_every_scenario_says_what_it_does() -> None:
    assert [name for name, scenario in REGISTRY.items() if not scenario.line.endswith(".")] == []


def test_magic_arguments_set_an_option_that_exists() -> None:
    assert [s.name for s in REGISTRY.values() if s.argument and s.argument not in s.options] == []
