"""Everything that can go wrong, by name: the registry of scenarios and which of them are on."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from app.simulator.errors import Refused, invalid

Option = bool | float | str


@dataclass(frozen=True)
class Scenario:
    """One thing that HeyGen, its network or its neighbours may do to a client."""

    name: str
    line: str
    """What it does, in one line."""
    options: Mapping[str, Option] = field(default_factory=dict)
    """Their names and defaults."""
    argument: str | None = None
    """The option that magic text sets: `[[name: argument]]`."""


KINDS: Mapping[str, Option] = {"kind": "any"}  # any | video | look | voice | speech
CALLS: Mapping[str, Option] = {"method": "", "path": ""}  # an HTTP method, the start of a path

REGISTRY = {
    scenario.name: scenario
    for scenario in (
        # Any API call. Magic text cannot reach these, except rate_limited.
        Scenario("unauthorized", "Every call is answered 401.", CALLS),
        Scenario("outage", "Every call is answered 503 without body, or dropped.", {"drop": False, **CALLS}),
        Scenario(
            "rate_limited",
            "429 with Retry-After on POSTs; on all calls with an empty `method`; by magic text once for one body.",
            {"seconds": 5.0, "count": 1.0, **KINDS, **CALLS, "method": "POST"},
            "seconds",
        ),
        # The account.
        Scenario("subscription", "It has a plan, and shows no balance."),
        # Creates, before anything is made.
        Scenario("slow_create", "A create takes long, then succeeds.", {"seconds": 31.0, **KINDS}, "seconds"),
        Scenario(
            "unavailable_before_accept",
            "503, and nothing was made; by magic text `count` times for one body.",
            {"html": False, "count": 1.0, **KINDS},
            "count",
        ),
        Scenario("insufficient_credit", "A create is answered 402.", KINDS),
        Scenario("replay_errors", "4xx and 5xx answers are stored and replayed by their key, too.", KINDS),
        # Creates, after the job was accepted and billed.
        Scenario("gateway_timeout_after_accept", "504 with HTML, but the job exists and is billed.", KINDS),
        Scenario("drop_after_accept", "No answer at all, but the job exists and is billed.", KINDS),
        Scenario("bad_json", "200 with a body nobody can read; the job exists and is billed.", KINDS),
        Scenario("wrong_video_id", "The create answers the id of another job."),
        # Callbacks.
        Scenario("callbacks_lost", "No callback is ever sent."),
        Scenario("callbacks_doubled", "Each callback is sent twice."),
        Scenario("callbacks_delayed", "Callbacks come late.", {"seconds": 60.0}, "seconds"),
        Scenario("callback_before_answer", "The render is over and called back before the create answers."),
        Scenario("callback_forged", "A success for another video comes first, at the right URL."),
        Scenario("signature_alone", "Endpoints get the one header `Signature`, not those HeyGen documents."),
        # How a render ends.
        Scenario(
            "fail",
            "The render fails.",
            {"code": "rendering_failed", "message": "Avatar rendering timed out"},
            "code",
        ),
        Scenario(
            "late_failure",
            "A success callback, later a failure callback; GET stays completed.",
            {"seconds": 1.0},
            "seconds",
        ),
        Scenario("stuck", "The render never ends."),
        Scenario("no_credit", "200 on create, later failed for want of credit."),
        Scenario("unknown_status", "Reads say `composing` while it runs."),
        # Looks.
        Scenario("look_not_ready", "A look takes longer.", {"seconds": 60.0}, "seconds"),
        Scenario("look_fails", "A look fails late.", {"message": "No face was found."}, "message"),
        Scenario("consent_refused", "Whoever is asked to consent to a digital twin declines."),
        Scenario(
            "look_unready",
            "A video on an unready look: `answer` is not_found (404), not_ready (409) or late (200, then failed).",
            {"answer": "not_ready"},
            "answer",
        ),
        # A HeyGen that moves on.
        Scenario("unknown_field", "What answers hold has one field more.", {"field": "novelty", **CALLS}),
        Scenario(
            "unknown_code",
            "Calls are refused for a new reason, or for any that is named.",
            {"code": "moon_phase", "status": 403.0, **CALLS},
        ),
        Scenario("unknown_event", "Callbacks are of a new type.", {"type": "avatar_video.explained"}, "type"),
        Scenario("deprecated", "Answers say farewell: Deprecation and Sunset.", CALLS),
        # Voices.
        Scenario("clone_fails", "A clone fails late.", {"message": "No speech in the recording."}, "message"),
        Scenario("design_new", "A design makes a new private voice, beside those it finds."),
        # Files.
        Scenario("file_late", "Links answer 404 for a while after completion.", {"seconds": 10.0}, "seconds"),
        Scenario("gif", "A gif comes with each video that is read."),
        Scenario("link_expired", "Links are expired when they are handed out."),
    )
}

MAGIC = re.compile(r"\[\[\s*([a-z_]+)\s*(?::\s*([^\]]*?)\s*)?\]\]")


@dataclass
class Switch:
    """A scenario that is on."""

    times: int | None
    """How often it still strikes; None: always."""
    match: str | None
    """Strikes only where the title, script or name contains this."""
    options: dict[str, Any]


class Faults:
    """Which scenarios are on, and whether one strikes now; kept in memory only."""

    def __init__(self) -> None:
        self._on: dict[str, Switch] = {}
        self._by_body: Counter[tuple[str, str]] = Counter()
        self._held: set[asyncio.Event] = set()
        self.struck: Counter[str] = Counter()

    def set(self, name: str, times: int | None, match: str | None, options: Mapping[str, Any]) -> None:
        """Switch a scenario on; a second call replaces the first. Raises Refused for what does not exist."""
        scenario = find(name)
        if times is not None and times < 1:
            raise invalid("times", "'times' must be at least 1, or null for always.")
        checked = {key: _checked(scenario, key, value) for key, value in options.items()}
        self._on[name] = Switch(times, match, {**scenario.options, **checked})

    def clear(self, name: str | None = None) -> None:
        """Switch one scenario off, or all; whoever is held goes on at once."""
        for key in [name] if name else list(self._on):
            self._on.pop(key, None)
        self.release()

    def release(self) -> None:
        """Let everything go on that is held."""
        for held in self._held:
            held.set()

    async def hold(self, seconds: float) -> None:
        """Wait that long, or until a scenario is switched off."""
        released = asyncio.Event()
        self._held.add(released)
        try:
            await asyncio.wait_for(released.wait(), seconds)
        except TimeoutError:
            pass
        finally:
            self._held.discard(released)

    def strike(self, name: str, text: str = "", sha: str = "", **facts: str) -> dict[str, Any] | None:
        """The options with which it strikes now, or None; a strike uses up one of its times.

        `text` is what `match` and magic marks are sought in, `sha` tells one body from another. The facts
        `kind`, `method` and `path` are compared with the options of the same name.
        """
        options = self._switched(name, text, facts)
        if options is None:
            options = self._magic(name, text, sha)
        if options is None:
            return None
        self.struck[name] += 1
        return {"scenario": name, **options}  # never empty, so that it can be tested for truth

    def describe(self) -> list[dict[str, Any]]:
        """All scenarios as JSON values."""
        return [
            {
                "name": scenario.name,
                "description": scenario.line,
                "options": dict(scenario.options),
                "struck": self.struck[scenario.name],
                "on": self._state(scenario.name),
            }
            for scenario in REGISTRY.values()
        ]

    def _state(self, name: str) -> dict[str, Any] | None:
        switch = self._on.get(name)
        if switch is None:
            return None
        return {"times": switch.times, "match": switch.match, "options": switch.options}

    def _switched(self, name: str, text: str, facts: Mapping[str, str]) -> dict[str, Any] | None:
        switch = self._on.get(name)
        if switch is None or (switch.match or "") not in text or not _applies(switch.options, facts):
            return None
        if switch.times is not None:
            switch.times -= 1
            if switch.times == 0:
                del self._on[name]
        return switch.options

    def _magic(self, name: str, text: str, sha: str) -> dict[str, Any] | None:
        argument = dict(MAGIC.findall(text)).get(name)
        if argument is None:
            return None
        scenario = REGISTRY[name]
        options = dict(scenario.options)
        if argument and scenario.argument:
            options[scenario.argument] = _checked(scenario, scenario.argument, argument)
        if "count" in options:
            self._by_body[name, sha] += 1
            if self._by_body[name, sha] > float(options["count"]):
                return None
        return options


def find(name: str) -> Scenario:
    """The scenario of this name. Raises Refused (404)."""
    if name not in REGISTRY:
        raise Refused(
            404, "not_found", f"No scenario is called '{name}'; GET /simulator/scenarios lists them."
        )
    return REGISTRY[name]


def without_magic(text: str) -> str:
    """What is left to say."""
    return MAGIC.sub("", text).strip()


def _applies(options: Mapping[str, Any], facts: Mapping[str, str]) -> bool:
    if options.get("kind", "any") not in {"any", facts.get("kind", "any")}:
        return False
    if (method := options.get("method")) and method.upper() != facts.get("method"):
        return False
    return facts.get("path", "").startswith(options.get("path", ""))


def _checked(scenario: Scenario, name: str, value: Any) -> Option:
    """The value in the type of the option's default. Raises Refused (400)."""
    if name not in scenario.options:
        known = ", ".join(scenario.options) or "none"
        raise invalid(name, f"'{scenario.name}' has no option '{name}'; it has: {known}.")
    default = scenario.options[name]
    if isinstance(default, bool):
        if isinstance(value, bool):
            return value
        raise invalid(name, f"'{name}' must be true or false.")
    if isinstance(default, str):
        if isinstance(value, str):
            return value
        raise invalid(name, f"'{name}' must be a string.")
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = -1.0
    if not 0 <= number < 1e9:
        raise invalid(name, f"'{name}' must be a number of at least 0.")
    return number
