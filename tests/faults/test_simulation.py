"""Whole worlds, seed by seed, in which everything may go wrong at once; `make chaos` lives through more of them."""

from datetime import timedelta

import pytest

from tests.faults.simulate import live
from tests.faults.simulation import Outcome, run
from tests.faults.swarm import Swarm

SEEDS, PARTS = 40, 4
SEVERAL_FAULTS = (5000, 5001)
OUTAGES = Swarm(
    replicas=1, steps=10, jobs=4, weather={"answer_lost": 0.7}, weights={"create": 4, "outage": 2, "tick": 1}
)
JUMPS = Swarm(replicas=3, steps=25, weights={"create": 3, "tick": 3, "jump": 3})
LOST = Swarm(steps=60, jobs=10, silence=True, ticks=(1, 5, 10), weather={"answer_lost": 0.3})
RECEIVERS = Swarm(steps=25, late_receivers=True, weights={"create": 4, "tick": 4, "receiver": 4})
SILENCE = Swarm(
    steps=20,
    jobs=5,
    slots=4,
    silence=True,
    scenarios=("stuck",),
    weights={"create": 4, "scenario": 1, "tick": 3},
)
THROTTLED = Swarm(
    steps=30,
    ticks=(1, 5, 30, 60),
    weather={"answer_lost": 0.5},
    scenarios=("rate_limited",),
    weights={"create": 3, "scenario": 1, "tick": 4, "crash": 1},
)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("part", range(PARTS))
def test_no_world_breaks_a_promise(part: int) -> None:
    result = live(range(part, SEEDS, PARTS))
    assert not result.violations, "\n".join(result.violations)
    assert result.counts["jobs"] > SEEDS / PARTS
    assert result.counts["batches"] > 0
    assert result.counts["crashes"] > 0


def test_a_seed_tells_the_same_story_each_time() -> None:
    for seed in SEVERAL_FAULTS:
        assert _story(run(seed)) == _story(run(seed))


def test_two_days_without_a_single_callback_end_every_job() -> None:
    outcome = run(8, SILENCE)
    assert outcome.broken == []
    assert outcome.jobs == 5
    assert outcome.virtual > timedelta(hours=48)


def test_no_outage_makes_an_old_key_go_out() -> None:
    outcome = run(13, OUTAGES)
    assert outcome.broken == []
    assert outcome.virtual > timedelta(hours=20)


def test_a_render_whose_answer_and_callbacks_are_lost_is_found_within_ten_minutes() -> None:
    outcome = run(3, LOST)
    assert outcome.broken == []
    assert timedelta(minutes=1) <= outcome.attached_within < timedelta(minutes=10)


def test_nobody_sends_before_a_retry_after_has_passed_whoever_crashes() -> None:
    outcome = run(5, THROTTLED)
    assert outcome.broken == []
    assert outcome.met["scenario rate_limited"] > 0


def test_a_clock_that_jumps_ends_nothing_early_and_nothing_late() -> None:
    outcome = run(1, JUMPS)
    assert outcome.broken == []
    assert outcome.met["jump"] > 3


def test_receivers_that_come_back_in_the_last_hour_get_everything() -> None:
    outcome = run(1, RECEIVERS)
    assert outcome.broken == []
    assert outcome.virtual > timedelta(hours=71)


def _story(outcome: Outcome) -> tuple[object, ...]:
    return outcome.jobs, outcome.virtual, outcome.met, outcome.attached_within, len(outcome.broken)
