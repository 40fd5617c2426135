"""Seeds of the simulation from the command line: `--seeds N --first K`, `--full` for a night, `--json`."""

import time
from collections.abc import Iterable
from datetime import timedelta

from tests.faults.result import Result
from tests.faults.rounds import Harness
from tests.faults.simulation import Outcome, run


def main(words: list[str]) -> int:
    """Live through the seeds; 1 where any of them broke a promise."""
    return SIMULATE.main(words, about=__doc__)


def live(seeds: Iterable[int]) -> Result:
    """One world after the other. One that could not be lived through is broken, too."""
    began = time.monotonic()
    names = ("seeds", "jobs", "batches", "days", "crashes", "clock jumps")
    counts: dict[str, float] = dict.fromkeys(names, 0)
    broken = []
    for seed in seeds:
        outcome = _lived(seed)
        counts["seeds"] += 1
        counts["jobs"] += outcome.jobs
        counts["batches"] += outcome.batches
        counts["days"] += outcome.virtual / timedelta(days=1)
        counts["crashes"] += outcome.met["crash"]
        counts["clock jumps"] += outcome.met["jump"]
        broken += [f"{line} [{SIMULATE.again(seed)}]" for line in outcome.broken]
    return Result("simulate", counts, broken, time.monotonic() - began)


def _lived(seed: int) -> Outcome:
    try:
        return run(seed)
    except Exception as error:  # noqa: BLE001 -- the other seeds have their own to tell
        return Outcome(seed, [f"the simulation itself failed: {error!r}"], 0, timedelta())


SIMULATE = Harness("simulate", "seeds", live, short=400, full=20_000, at_once=50)
