"""A state machine over the whole service: any rule may come after any other, one process step at a time.

Its model is what HeyGen billed and what callers were answered; nothing is believed because the service says so.
"""

import asyncio
import tempfile
import time
import traceback
from collections.abc import Coroutine, Sequence
from contextlib import ExitStack
from math import inf
from pathlib import Path
from random import Random
from typing import Any

import httpx
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from app.worker import loop
from tests.faults.callers_at_work import ENDPOINT, HOOKS, TENDINGS
from tests.faults.history import violations
from tests.faults.memory import MEMORY
from tests.faults.quiet import without_logs
from tests.faults.replica import FRONT
from tests.faults.result import Result
from tests.faults.rounds import Harness
from tests.faults.simulated_world import World
from tests.faults.swarm import Swarm

EXAMPLES, STEPS = 10, 50  # of a round
ALWAYS = (
    *("accepted job", "one client key", "one request stored", "refused, yet", "illegal transition"),
    *("terminal twice", "left a terminal", "event", "timeline", "two renders", "one render on two"),
    *("one key with", "key sent", "new key after", "cap passed", "called before", "webhook", "end of a"),
    *("accepted batch", "batch", "items or events of no batch"),
)
"""Promises that hold at every moment, and not only at rest."""
BOUNDARIES = {
    "submit": ("submit.claimed", "submit.intended", "wire.answered", "submit.sent"),
    "unsure": ("unsure.claimed", "unsure.intended", "wire.answered", "unsure.sent"),
    "poll": ("poll.claimed", "poll.asked"),
    "deliver": ("deliver.claimed", "deliver.posted"),
    "tidy": ("tidy.claimed", "tidy.asked"),
}
"""Where a step of a lane may stand still."""
FATES = ("refused", "request_lost", "answer_lost", "late", "")


class Stage(World):
    """A world in which nothing happens unless a rule says so."""

    freeze_at: str | None = None

    def delay(self, label: str) -> float | None:
        """The next task at the boundary that a rule named stands there until it is told to go on."""
        if self.calm or label != self.freeze_at:
            return None
        self.freeze_at = None
        return inf

    async def rest(self) -> None:
        """The endpoint is enabled, and all ends."""
        replica = self.any_alive()
        if replica is None:
            replica = self.replicas[0]
            await replica.start()
        await self.callers.tend(replica, "enabled", self.now())
        await super().rest()


class Machine(RuleBasedStateMachine):
    """What callers, HeyGen, receivers, the network and the operating system may do."""

    steps = 0  # of all runs
    expired = False

    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()
        self.stack.enter_context(without_logs())
        self.runner = self.stack.enter_context(asyncio.Runner())

    def do(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Run it in this machine's own event loop."""
        return self.runner.run(work)

    @initialize(dice=st.integers(0, 999), how=st.sampled_from(TENDINGS))
    def begin(self, dice: int, how: str) -> None:
        """`dice` chooses what rules leave open, such as what a caller asks for; `how` the endpoint is tended at first."""
        folder = Path(self.stack.enter_context(tempfile.TemporaryDirectory(prefix="greenroom-", dir=MEMORY)))

        async def settle_in() -> Stage:
            stage = Stage(dice, folder, Swarm(accounts=2))
            await stage.settle_in()
            # Hypothesis often leaves a rule out for a whole example.
            await stage.callers.create(stage.replicas[0], stage.now())
            await stage.callers.create_batch(stage.replicas[0], stage.now())
            await stage.callers.tend(stage.replicas[0], how, stage.now())
            return stage

        self.world: Stage = self.do(settle_in())
        self.random = Random(dice)

    # callers

    @rule(number=st.integers(0, 1), kind=st.sampled_from(("video", "video", "look", "batch")))
    def post(self, number: int, kind: str) -> None:
        callers, now = self.world.callers, self.world.now()
        ask = {"video": callers.create, "batch": callers.create_batch}.get(kind)
        self._ask(number, callers.create_look if ask is None else lambda it: ask(it, now))

    @rule(number=st.integers(0, 1))
    def repeat(self, number: int) -> None:
        self._ask(number, self.world.callers.repeat)

    @rule(number=st.integers(0, 1), how=st.sampled_from(("cancel", "delete")))
    def withdraw(self, number: int, how: str) -> None:
        self._ask(number, lambda replica: self.world.callers.withdraw(replica, how))

    @rule(number=st.integers(0, 1), how=st.sampled_from(TENDINGS))
    def endpoint(self, number: int, how: str) -> None:
        self._ask(number, lambda replica: self.world.callers.tend(replica, how, self.world.now()))

    def _ask(self, number: int, ask: Any) -> None:
        replica = self.world.replicas[number]
        if replica.context is not None:
            self.do(ask(replica))

    # workers

    @rule(number=st.integers(0, 1), which=st.integers(0, 9))
    def work(self, number: int, which: int) -> None:
        """One step of one lane that has something due, to its end."""
        self._step(number, which, self._due(number))

    @rule(number=st.integers(0, 1), which=st.integers(0, 1), fate=st.sampled_from(FATES))
    def send(self, number: int, which: int, fate: str) -> None:
        """A create, and what becomes of it on its way."""
        self.world.weather.shares = {fate: 1.0}
        self._step(number, which, self._due(number) & {"submit", "unsure"})
        self.world.weather.shares = {}

    @rule(number=st.integers(0, 1), which=st.integers(0, 9), place=st.integers(0, 3))
    def freeze(self, number: int, which: int, place: int) -> None:
        """A step stands still at a boundary; others may go on, and its lease may run out."""
        lanes = sorted(self._due(number) & set(BOUNDARIES))
        if lanes:
            lane = lanes[which % len(lanes)]
            self.world.freeze_at = BOUNDARIES[lane][place % len(BOUNDARIES[lane])]
            self._step(number, 0, {lane})
            self.world.freeze_at = None

    @precondition(lambda self: any(it.until == inf for it in self.world.turns.standing))
    @rule()
    def thaw(self) -> None:
        """Whoever stands longest goes on."""

        async def thaw() -> None:
            next(it for it in self.world.turns.standing if it.until == inf).until = self.world.seconds
            await self.world.turns.release_due()

        self.do(thaw())

    @rule(number=st.integers(0, 1))
    def crash(self, number: int) -> None:
        replica = self.world.replicas[number]
        if replica.context is not None:
            self.do(replica.crash())

    @rule(number=st.integers(0, 1))
    def restart(self, number: int) -> None:
        replica = self.world.replicas[number]
        if replica.context is None:
            self.do(replica.start())

    def _due(self, number: int) -> set[str]:
        context = self.world.replicas[number].context
        return set(self.do(loop.due_lanes(context))) if context is not None else set()

    def _step(self, number: int, which: int, lanes: set[str]) -> None:
        async def step() -> None:
            await self.world.replicas[number].step(sorted(lanes)[which % len(lanes)])
            await self.world.turns.release_due()

        if lanes:
            self.do(step())

    # time, HeyGen, receivers

    @rule(seconds=st.sampled_from((1, 6, 31, 61, 200, 700)))
    def tick(self, seconds: float) -> None:
        """Time passes, HeyGen renders and calls back; 200 s end every lease."""
        stage = self.world
        stage.back_at = {replica.name: inf for replica in stage.replicas}  # the dead stay dead
        self.do(stage.advance(seconds))

    @precondition(lambda self: not self.expired)
    @rule()
    def expire(self) -> None:
        """Time passes until every deadline has; once only, for after two days callers' keys are forgotten."""
        self.expired = True
        self.tick(25 * 3600)

    @precondition(lambda self: any(it.requests("POST", "/v3/videos") for it in self.world.simulators))
    @rule(known=st.booleans(), named=st.sampled_from(("own", "other", "none")))
    def forge(self, known: bool, named: str) -> None:
        """Somebody posts a success, under a job's own token or under none that exists."""
        asked = "SELECT url, video_id FROM callbacks ORDER BY id"
        owed = [row for it in self.world.simulators for row in it._world.store.all(asked)]
        if not owed:
            return
        victim, other = self.random.choice(owed), self.random.choice(owed)
        url = victim["url"] if known else f"{FRONT}/callbacks/heygen/{'0' * 32}"
        video_id = {"own": victim["video_id"], "other": other["video_id"], "none": "f" * 32}[named]
        event = {"event_type": "avatar_video.success", "event_data": {"video_id": video_id}}
        replica = self.world.any_alive()

        async def call(client: httpx.AsyncClient) -> None:
            assert (await client.post(url, json=event)).status_code == 200

        if replica is not None:
            self.do(replica.serve(call))

    @rule(hook=st.sampled_from((*HOOKS, ENDPOINT)), state=st.sampled_from(("up", "down", "slow", "broken")))
    def receiver(self, hook: str, state: str) -> None:
        self.world.receivers.states[hook] = state

    @rule(
        name=st.sampled_from(("drop_after_accept", "fail", "callbacks_doubled", "rate_limited", "bad_json"))
    )
    def heygen(self, name: str) -> None:
        """HeyGen misbehaves once."""
        self.random.choice(self.world.simulators).set_scenario(name, 1)

    # what must hold

    @invariant()
    def nothing_is_broken(self) -> None:
        """After each rule."""
        type(self).steps += 1
        if hasattr(self, "world"):
            history = self.do(self.world.history())
            self.world.bound = history.tables.bound
            broken = violations(history)
            at_once = [line for line in broken if line.startswith(ALWAYS)]
            at_once += self.world.turns.broken
            assert not at_once, at_once

    def teardown(self) -> None:
        """At rest all promises are kept."""
        try:
            if hasattr(self, "world"):
                self.do(self._come_to_rest())
        finally:
            self.stack.close()

    async def _come_to_rest(self) -> None:
        try:
            await self.world.rest()
            broken = await self.world.judge()
        finally:
            await self.world.end()
        assert not broken, broken


def play(number: int, examples: int = EXAMPLES, most: int = STEPS) -> int:
    """Let the machine run so often, so many steps at most each time; how many steps. Raises what it finds.

    `number` fixes what Hypothesis draws.
    """

    class Numbered(Machine):
        steps = 0

    run_state_machine_as_test(
        seed(number)(Numbered),
        settings=settings(
            max_examples=examples,
            stateful_step_count=most,
            deadline=None,
            database=None,
            # A story is long in the making: what is found is told as it was found.
            phases=(Phase.generate,),
            suppress_health_check=list(HealthCheck),
        ),
    )
    return Numbered.steps


def main(words: list[str]) -> int:
    """From the command line; 1 where anything is broken."""
    return MACHINE.main(words, about=__doc__)


def rounds(numbers: Sequence[int]) -> Result:
    """Round after round, each of a few examples."""
    began, steps, broken, log = time.monotonic(), 0, [], ""
    for number in numbers:
        try:
            steps += play(number)
        except Exception as error:  # noqa: BLE001 -- whatever it is, the rules that led to it are told
            broken.append(f"{error} [{MACHINE.again(number)}]")
            log += "".join(traceback.format_exception(error))
    counts = {"rounds": float(len(numbers)), "steps": float(steps)}
    return Result("machine", counts, broken, time.monotonic() - began, log)


MACHINE = Harness("machine", "rounds", rounds, short=12, full=96, at_once=5)
