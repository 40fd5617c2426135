"""HeyGen: whether it answers, whose the key is, what is left to spend, and whether its clock agrees with ours."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import httpx

from app.clock import Clock
from app.doctor.findings import Finding, fail, ok, warn
from app.heygen.client import HeyGen
from app.heygen.errors import AccountBlocked, HeyGenError
from app.heygen.schemas import Endpoint

WITHIN = timedelta(seconds=10)
NEAR, FAR = timedelta(seconds=5), timedelta(minutes=2)
"""Differences of the clocks that harm nothing, and that may: a signed callback may be five minutes off."""

EVENTS = tuple(
    f"{subject}.{ending}"
    for subject in ("avatar_video", "photo_avatar_generation", "photo_avatar_train", "instant_avatar")
    for ending in ("success", "fail")
)
"""What a registered endpoint has to tell of: the ends of what Greenroom orders."""


@dataclass(frozen=True)
class Way:
    """The way to one HeyGen account; `wait_until` is set where it must not be asked before."""

    name: str
    url: str
    key: str = field(repr=False)
    wait_until: datetime | None = None


class Visit:
    """One account, asked with a key; notes what the answers' headers tell."""

    def __init__(self, way: Way, http: httpx.AsyncClient, clock: Clock) -> None:
        self._clock = clock
        self._asked_at = clock.now()
        self.off: timedelta | None = None
        self.way = way
        self.heygen = HeyGen(
            http, way.url, way.key, create_timeout=WITHIN, read_timeout=WITHIN, observe=self._note
        )

    async def look(self) -> list[Finding]:
        """Whose account it is, and how the clocks differ."""
        name = f"heygen {self.way.name}"
        if self.way.wait_until is not None:
            until = self.way.wait_until.astimezone(UTC).isoformat(timespec="seconds")
            return [warn(name, f"Not asked: HeyGen, or a pause, wants it left alone until {until}.")]
        self._asked_at = self._clock.now()
        try:
            me = await self.heygen.users_me()
        except AccountBlocked as error:
            what = "Give the right one in HEYGEN_API_KEY, or by: greenroom accounts add"
            return [fail(name, f"{self.way.url} refuses the key ({error.code}). {what}")]
        except HeyGenError as error:
            return [
                fail(
                    name,
                    f"{self.way.url} does not answer ({error.reason}). Check HEYGEN_BASE_URL and the way out.",
                )
            ]
        took = (self._clock.now() - self._asked_at) / timedelta(milliseconds=1)
        who = f"{self.way.url} answers in {took:.0f} ms: user {me.username}"
        if me.simulated:
            found = ok(name, f"{who}, a simulator: nothing is spent.")
        elif me.balance is None:
            found = ok(name, f"{who}; it tells no balance.")
        elif me.balance <= 0:
            found = warn(
                name, f"{who}, balance {me.balance:.2f}: nothing can be rendered. Fill the wallet at HeyGen."
            )
        else:
            found = ok(name, f"{who}, balance {me.balance:.2f}.")
        return [found, *self._clocks()]

    def _note(self, _operation: str, response: httpx.Response, _payload: object) -> None:
        """The header has whole seconds, and was written somewhere between asking and now."""
        try:
            told = parsedate_to_datetime(response.headers.get("Date", ""))
        except ValueError:
            return
        told = told if told.tzinfo else told.replace(tzinfo=UTC)
        earliest, latest = self._asked_at - timedelta(seconds=1), self._clock.now()
        self.off = max(earliest - told, told - latest, timedelta())

    def _clocks(self) -> list[Finding]:
        if self.off is None:
            return []
        seconds = self.off.total_seconds()
        if self.off <= NEAR:
            return [ok("clock", f"It agrees with HeyGen's to {seconds:.0f} s.")]
        message = f"It differs from HeyGen's by {seconds:.0f} s. Let this machine follow a time server (NTP)."
        return [fail("clock", message) if self.off > FAR else warn("clock", message)]


@dataclass(frozen=True)
class Registered:
    """What became of a registration; the secret is told this once."""

    finding: Finding
    secret: str | None = field(default=None, repr=False)


async def register(heygen: HeyGen, url: str, *, again: bool, key: str) -> Registered:
    """Make an endpoint at HeyGen for this address, unless one is there; `key` makes a repeat harmless."""
    try:
        there = _at(url, await heygen.list_endpoints())
        if there and not again:
            what = "It has a secret already; to make a second endpoint all the same: --again"
            return Registered(fail("register", f"{url} is registered as {', '.join(there)}. {what}"))
        made = await heygen.create_endpoint(url, EVENTS, key=key)
    except HeyGenError as error:
        return Registered(fail("register", f"HeyGen made no endpoint ({error})."))
    if made.secret is None:
        return Registered(
            fail("register", f"HeyGen made {made.id} but told no secret: rotate its secret there.")
        )
    return Registered(ok("register", f"HeyGen made the endpoint {made.id} for {url}."), made.secret)


def _at(url: str, endpoints: Sequence[Endpoint]) -> list[str]:
    return [endpoint.id for endpoint in endpoints if (endpoint.url or "").rstrip("/") == url]
