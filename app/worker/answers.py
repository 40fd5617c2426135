"""What an answer to a create means for its job; pure."""

from dataclasses import dataclass
from datetime import timedelta

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
LAG_RELEASES = 4  # 5, 10, 20, 40 s: HeyGen's replicas have caught up by then


@dataclass(frozen=True)
class Release:
    """Nothing was made: again after `delay`. The account is gated or paused where it is at fault."""

    reason: str
    delay: timedelta
    gate: bool = False
    retry_after: timedelta | None = None
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


def of_first(error: HeyGenError, releases: int, named_at_heygen_lately: bool) -> Meaning:
    """What the failure of a first send means.

    `releases`: how often the job went back before; `named_at_heygen_lately`: an object that the request names was made
    at HeyGen less than two minutes ago, so that HeyGen's not knowing it may be lag.
    """
    backoff = min(RELEASE_FIRST * 2 ** min(releases, 10), RELEASE_LONGEST)
    match error:
        case NotSent():
            return Release(error.reason, backoff)
        case RateLimited():
            return Release(
                error.code, error.retry_after or RELEASE_FIRST, gate=True, retry_after=error.retry_after
            )
        case AccountBlocked():
            return Release(error.code, backoff, pause=error.code)
        case NotReady():
            return Release(error.code, backoff)
        case Missing(code="asset_not_found" | "avatar_not_found") if releases < LAG_RELEASES:
            if named_at_heygen_lately:
                return Release(error.code, backoff)
            if error.code == "asset_not_found" and releases == 0:
                return Release(error.code, RELEASE_FIRST, upload_again=True)
            return Fail(error.code, error.message)
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
