"""What one seed draws: which faults there are at all, how often, and what callers want."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random

SCENARIOS: Mapping[str, Mapping[str, float | str | bool]] = {
    "rate_limited": {"seconds": 400.0},
    "unavailable_before_accept": {},
    "insufficient_credit": {},
    "subscription": {},
    "unauthorized": {"method": "POST"},
    "gateway_timeout_after_accept": {},
    "drop_after_accept": {},
    "bad_json": {},
    "callbacks_lost": {},
    "callbacks_doubled": {},
    "callbacks_delayed": {"seconds": 3000.0},
    "callback_before_answer": {},
    "callback_forged": {},
    "fail": {},
    "late_failure": {"seconds": 30.0},
    "no_credit": {},
    "unknown_status": {},
    "look_not_ready": {"seconds": 400.0},
    "look_fails": {},
    "look_unready": {"answer": "not_ready"},
    "file_late": {"seconds": 90.0},
    "link_expired": {},
    "stuck": {},
}
WALL_JUMPS = tuple(sign * seconds for seconds in (1.0, 300.0, 25 * 3600.0, 365 * 86400.0) for sign in (-1, 1))
OUTAGES = ((60.0, 1200.0), (20 * 3600.0, 30 * 3600.0))
"""In seconds: an ordinary one, and one that outlasts a key."""


@dataclass(frozen=True)
class Swarm:
    """One seed's world."""

    replicas: int = 2
    slots: int = 2
    steps: int = 20
    jobs: int = 20
    callbacks: bool = True
    replay_errors: bool = False
    silence: bool = False  # every callback is lost
    late_receivers: bool = False  # whoever is down comes back in the last hour that a delivery is tried
    stand: float = 0.0  # the share of boundaries at which a task stands
    freeze: float = 0.0  # the share of stands that may outlast a lease
    ticks: tuple[float, ...] = (0.5, 1, 3, 5, 8, 10, 30, 60, 200, 700)  # seconds
    weather: Mapping[str, float] = field(default_factory=dict)
    scenarios: tuple[str, ...] = ()
    weights: Mapping[str, float] = field(default_factory=lambda: {"create": 6.0, "tick": 8.0})
    accounts: int = 1

    @classmethod
    def of(cls, random: Random) -> "Swarm":
        """Each kind of fault is there in about half of all worlds: too many at once hide one another."""

        def maybe(most: float, chance: float = 0.5) -> float:
            return random.uniform(0, most) if random.random() < chance else 0.0

        names = random.sample(sorted(SCENARIOS), random.choice((0, 1, 2, 4)))
        if "stuck" in names and random.random() < 0.7:
            names.remove("stuck")  # a day or two have to pass until it is given up
        return cls(
            replicas=random.choice((1, 1, 2, 3)),
            slots=random.choice((1, 2, 4)),
            steps=random.choice((10, 20, 30)),
            jobs=random.choice((1, 3, 5)),
            callbacks=random.random() < 0.7,
            replay_errors=random.random() < 0.2,
            silence=random.random() < 0.1,
            late_receivers=random.random() < 0.2,
            stand=maybe(0.5),
            freeze=maybe(0.3),
            weather={
                "refused": maybe(0.2),
                "request_lost": maybe(0.2),
                "answer_lost": maybe(0.3),
                "late": maybe(0.3),
                "read_lost": maybe(0.2),
            },
            scenarios=tuple(names),
            weights={
                "create": 6.0,
                "create_look": maybe(2.0),
                "create_batch": maybe(4.0),
                "repeat": maybe(2.0),
                "cancel": maybe(1.5),
                "delete": maybe(1.5),
                "tick": 8.0,
                "scenario": 3.0 if names else 0.0,
                "receiver": maybe(2.0),
                "crash": maybe(2.0),
                "jump": maybe(1.5, 0.3),
                "outage": maybe(0.5, 0.2),
            },
            accounts=random.choice((1, 1, 2)),
        )
