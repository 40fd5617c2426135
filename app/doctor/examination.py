"""The whole examination of one installation, in the order in which things depend on each other."""

from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

import httpx
from sqlalchemy import select
from sqlmodel import col

from app import accounts, gates
from app.clock import Clock
from app.database import Database
from app.doctor.findings import Finding, State, fail, ok, warn
from app.doctor.inside import look_at_database, look_at_keys, look_at_storage
from app.doctor.outside import CALLBACKS, Door, look_at_links
from app.doctor.upstream import Visit, Way, register
from app.main import data_folder, open_secrets
from app.models import Account
from app.proof import PURPOSE
from app.secrets import CannotDecrypt, Secrets, digest, token
from app.settings import HEYGEN, Settings

SECONDS = 10.0  # for each request from outside in


@dataclass(frozen=True)
class Registration:
    """That an endpoint is wanted at HeyGen: of which account, where there are several, and whether once more."""

    account: str | None = None
    again: bool = False


@dataclass
class Report:
    """What was found; `webhook_secret` is of an endpoint that was made now."""

    findings: list[Finding] = field(default_factory=list)
    webhook_secret: str | None = field(default=None, repr=False)

    @property
    def healthy(self) -> bool:
        """Whether nothing failed."""
        return all(finding.state != State.FAIL for finding in self.findings)


async def examine(
    settings: Settings, http: httpx.AsyncClient, clock: Clock, registration: Registration | None = None
) -> Report:
    """Look at everything; `http` asks from outside in and upstream, and must not follow the environment's proxies."""
    report = Report([ok("settings", "They are well-formed.")])
    async with AsyncExitStack() as stack:
        database = Database(settings.database_url)
        stack.push_async_callback(database.close)
        found, stored = await look_at_database(database)
        report.findings += [found, look_at_storage(settings.storage_url)]
        secrets = _secrets(settings)
        report.findings.append(look_at_keys(secrets, stored, len(settings.secret_keys)))
        usable = found.state == State.OK and database.there()
        ways = await _ways(settings, database if usable else None, secrets, stored, clock)
    visits = [Visit(way, http, clock) for way in ways]
    for visit in visits:
        report.findings += await visit.look()
    simulated = settings.simulated and not accounts.any_pays(stored)
    if simulated:
        report.findings.append(ok("heygen", "No key: the built-in simulator renders, and nothing is spent."))
    elif not visits:
        report.findings.append(fail("heygen", f"{accounts.NO_ACCOUNT[0].upper()}{accounts.NO_ACCOUNT[1:]}."))
    report.findings += await _from_outside(settings, http, secrets, simulated=simulated)
    if registration is not None:
        await _register(report, settings, visits, registration)
    return report


async def _from_outside(
    settings: Settings, http: httpx.AsyncClient, secrets: Secrets | None, *, simulated: bool
) -> list[Finding]:
    found = []
    keys = secrets.signing_keys(PURPOSE) if secrets else ()
    if simulated:
        found.append(ok("public", "The built-in simulator calls back on this machine."))
    elif settings.public_url is None:
        what = "Set it to the address at which HeyGen reaches this service."
        found.append(warn("public", f"PUBLIC_URL is not set: HeyGen cannot call back, and is polled. {what}"))
    else:
        door = Door(http, settings.public_url, keys)
        found += await door.look(
            registered=bool(settings.heygen_webhook_secret), to_a_simulator=settings.heygen_base_url != HEYGEN
        )
    links = settings.api_url or settings.public_url
    if links is None and simulated:
        found.append(ok("links", "Links to videos open on this machine."))
    elif links is None:
        found.append(warn("links", "API_URL is not set: links to videos open on this machine alone."))
    else:
        found.append(await look_at_links(http, links, keys))
    return found


def _secrets(settings: Settings) -> Secrets | None:
    """The service's own; None before the first start, which makes them."""
    if not settings.secret_keys and not (data_folder(settings) / "secret.keys").exists():
        return None
    return open_secrets(settings)


async def _ways(
    settings: Settings,
    database: Database | None,
    secrets: Secrets | None,
    stored: Sequence[Account],
    clock: Clock,
) -> list[Way]:
    """Every account whose key is here: those with stored keys, and the environment's."""
    ways, seen = [], set()
    shut = {}
    url = settings.heygen_base_url or HEYGEN
    given = settings.heygen_api_key.get_secret_value() if settings.heygen_api_key else None
    if database is not None:
        async with database.begin() as session:
            known = list(stored)
            if given is not None:
                own = select(Account).where(
                    col(Account.base_url) == url, col(Account.key_digest) == digest(given)
                )
                known += await session.scalars(own)
            shut = await gates.shut(session, [account.id for account in known], clock.now())
            names = {account.key_digest: account for account in known}
    else:
        names = {}
    for account in stored:
        try:
            key = secrets.decrypt(account.key_encrypted or b"").decode() if secrets else None
        except CannotDecrypt:
            continue  # told of already
        if key is not None:
            ways.append(Way(account.name, account.base_url, key, shut.get(account.id)))
            seen.add(account.key_digest)
    if given is not None and digest(given) not in seen:
        row = names.get(digest(given))
        ways.append(Way("HEYGEN_API_KEY", url, given, shut.get(row.id) if row else None))
    return ways


async def _register(
    report: Report, settings: Settings, visits: Sequence[Visit], registration: Registration
) -> None:
    wanted = [visit for visit in visits if registration.account in {None, visit.way.name}]
    if settings.public_url is None:
        report.findings.append(fail("register", "PUBLIC_URL is not set: there is no address to register."))
    elif len(wanted) != 1:
        names = ", ".join(visit.way.name for visit in visits) or "none"
        report.findings.append(fail("register", f"Name one account by --account; there are: {names}."))
    elif not report.healthy:
        report.findings.append(fail("register", "Nothing is registered before what failed above is mended."))
    else:
        done = await register(
            wanted[0].heygen,
            settings.public_url + CALLBACKS,
            again=registration.again,
            key=f"doctor-{token()}",
        )
        report.findings.append(done.finding)
        report.webhook_secret = done.secret
