"""What an answer to a create means for its job; pure."""

from dataclasses import dataclass
from datetime import timedelta

from app.governor import Told
from app.heygen.errors import (
    AccountBlocked,
    HeyGenError,
    Missing,
    NoAnswer,
    NotReady,
    NotSent,
    RateLimited,
    Refused,
)
from app.models import Outcome
from app.worker.ledger import Answer

RELEASE_FIRST = timedelta(seconds=5)
RELEASE_LONGEST = timedelta(minutes=5)
LAG_LONGEST = timedelta(seconds=40)


@dataclass(frozen=True)
class Release:
    """Nothing was made: again after `delay`. The account is gated or paused where it is at fault."""

    reason: str
    delay: timedelta
    gate: Told | None = None
    pause: str | None = None
    upload_again: bool = False


@dataclass(frozen=True)
class Fail:
    """HeyGen will never take it; `counts` towards pausing the account."""

    code: str
    message: str
    counts: bool = False


@dataclass(frozen=True)
class Doubt:
    """HeyGen may have it."""

    reason: str


Meaning = Release | Fail | Doubt


@dataclass(frozen=True)
class Past:
    """What came before the send that failed."""

    releases: int = 0  # how often the job went back
    made_lately: bool = (
        False  # an object it names was made at HeyGen less than two minutes ago: this may be lag
    )
    refusals: frozenset[str] = frozenset()  # the codes of its refused sends


def backoff(releases: int) -> timedelta:
    """How long a job that went back so often waits: 5 s, doubling to 5 min."""
    delay: timedelta = RELEASE_FIRST * 2 ** min(releases, 10)
    return min(delay, RELEASE_LONGEST)


def of_account(error: HeyGenError, delay: timedelta) -> Release | None:
    """What an error says of the account rather than of the job, whatever was asked; None where it says nothing."""
    match error:
        case RateLimited():
            wait = error.retry_after or RELEASE_FIRST
            return Release(error.code, wait, gate=Told(error.retry_after, error.sent_at))
        case AccountBlocked():
            return Release(error.code, delay, pause=error.code)
        case _:
            return None


def of_first(error: HeyGenError, past: Past) -> Meaning:
    """What the failure of a first send means."""
    delay = backoff(past.releases)
    told = of_account(error, delay)
    if told is not None:
        return told
    match error:
        case NotSent():
            return Release(error.reason, delay)
        case NotReady():
            return Release(error.code, delay)
        case Missing(code="asset_not_found" | "avatar_not_found") if past.made_lately:
            return Release(error.code, min(delay, LAG_LONGEST))
        case Missing(code="asset_not_found") if error.code not in past.refusals:
            return Release(error.code, RELEASE_FIRST, upload_again=True)
        case Refused():
            return Fail(error.code, error.message, counts=error.http_status in {402, 403})
        case _:
            return Doubt(error.reason)


def recorded(error: HeyGenError) -> Answer:
    """How a failed send stands in the submissions."""
    match error:
        case NotSent():
            return Answer(Outcome.UNSENT, code=error.reason)
        case Refused():
            return Answer(Outcome.REFUSED, error.http_status, error.code)
        case NoAnswer():
            return Answer(Outcome.UNCLEAR, error.http_status, error.code or error.reason)
        case _:
            return Answer(Outcome.UNCLEAR, code=error.reason)
