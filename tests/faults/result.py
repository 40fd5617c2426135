"""What a harness came to, and how it is told to people and to `make chaos`."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field

ZEROS = {
    "lost jobs": (
        *("accepted job", "accepted batch", "batch without", "items or events of no"),
        *("one client key", "client key bound", "one request stored", "refused, yet"),
    ),
    "doubled renders": (
        *("two renders", "one render on two", "one key with", "new key after", "paid call"),
        *("key sent", "one HeyGen id"),
    ),
    "orphaned renders": (
        "render of no",
        "render on another",
        "render orphaned",
        "job holds",
        "completed without",
        "billed, yet",
    ),
    "jobs that did not end": (
        *("did not end", "did not recover", "job not terminal", "job still owed"),
        *("file still owed", "submission left", "body kept", "batch counted"),
    ),
    "slots leaked": ("slot",),
    "caps passed": ("cap passed", "called before"),
    "events doubled or missing": (
        *("event", "illegal transition", "timeline", "terminal job with"),
        *("end of a", "webhook", "delivery", "batch ended", "batch told"),
    ),
    "mutants not caught": ("mutant not caught",),
}
"""What must be zero, and how the violations begin that are counted there."""
OTHER = "other broken promises"


@dataclass(frozen=True)
class Result:
    """One harness, done. Of counts whose name begins with `longest` (seconds) or `most` rounds keep the largest."""

    name: str
    counts: Mapping[str, float] = field(default_factory=dict)
    violations: Sequence[str] = ()
    seconds: float = 0.0
    log: str = ""  # of the service, where something is broken

    def line(self) -> str:
        """For people."""
        counted = ", ".join(f"{value:,.6g} {name}" for name, value in self.counts.items())
        return f"{self.name}: {counted}; {len(self.violations)} violations; {self.seconds:.0f} s"

    def to_json(self) -> str:
        """One line."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, line: str) -> "Result":
        """What `to_json` made."""
        return cls(**json.loads(line))


def merged(name: str, results: Sequence[Result]) -> Result:
    """Several rounds of one harness as one."""
    counts: dict[str, float] = {}
    for result in results:
        for key, value in result.counts.items():
            before = counts.get(key, 0)
            counts[key] = max(before, value) if key.startswith(("longest", "most")) else before + value
    broken = [line for result in results for line in result.violations]
    log = "\n".join(result.log for result in results if result.log)
    return Result(name, counts, broken, sum(result.seconds for result in results), log)


def zeros(results: Sequence[Result]) -> Counter[str]:
    """How often each kind of promise was broken: all of them, in the order of the table, zeros too."""
    counted: Counter[str] = Counter(dict.fromkeys([*ZEROS, OTHER], 0))
    for result in results:
        for line in result.violations:
            kinds = [kind for kind, beginnings in ZEROS.items() if line.startswith(beginnings)]
            counted[kinds[0] if kinds else OTHER] += 1
    return counted
