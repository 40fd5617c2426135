"""The doctor: a healthy installation is told so, and whatever is wrong with it by its name and its remedy."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, timedelta
from datetime import datetime as instant
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import text
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from app import accounts
from app.accounts import Identity, Offer
from app.clock import Clock
from app.context import Context
from app.database import Database
from app.doctor.examination import Registration, Report, examine
from app.secrets import Secrets, digest
from app.settings import Settings, read_settings
from app.simulator.app import Simulator
from tests.clocks import ManualClock
from tests.services import TLS, serving, serving_app
from tests.statements import recording

KEYS = "a key that is used by the tests of the doctor"
SQLITE = pytest.mark.parametrize("engine_name", ["sqlite"])


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(verify=TLS, trust_env=False, timeout=10) as client:
        yield client


@pytest.fixture
async def served(context: Context) -> AsyncIterator[Context]:
    async with serving(replace(context, secrets=Secrets([KEYS]), callback_secrets=("whsec_one",))) as served:
        yield served


@pytest.fixture
def settings(served: Context, database_url: str, heygen_url: str, tmp_path: Path) -> dict[str, str]:
    """As the served service's own, that of a healthy installation."""
    (tmp_path / "files").mkdir(exist_ok=True)
    return {
        "DATABASE_URL": database_url,
        "SECRET_KEYS": KEYS,
        "STORAGE_URL": str(tmp_path / "files"),
        "HEYGEN_API_KEY": "key",
        "HEYGEN_BASE_URL": heygen_url,
        "HEYGEN_WEBHOOK_SECRET": "whsec_one",
        "PUBLIC_URL": served.links.api_url,
    }


def by_check(report: Report, state: str) -> dict[str, str]:
    return {finding.check: finding.message for finding in report.findings if finding.state == state}


async def faults(http: httpx.AsyncClient, environment: dict[str, str], **more: Any) -> dict[str, str]:
    """What fails, by its name."""
    return by_check(
        await examine(read_settings(environment), http, more.pop("clock", Clock()), **more), "fail"
    )


async def test_a_healthy_installation_is_told_so_and_nothing_is_written(
    http: httpx.AsyncClient, served: Context, settings: dict[str, str], simulator: Simulator
) -> None:
    with recording(served.database) as statements:
        report = await examine(read_settings(settings), http, Clock())
    told = by_check(report, "ok")
    assert (report.healthy, by_check(report, "warn"), by_check(report, "fail")) == (True, {}, {})
    assert set(told) == {
        *("settings", "database", "storage", "keys"),
        *("heygen HEYGEN_API_KEY", "clock", "public", "registered", "links"),
    }
    assert "the schema is current" in told["database"]
    assert "user simulator, a simulator" in told["heygen HEYGEN_API_KEY"]
    assert len(statements) == 1, "the service looked for a token that is none, and heeded no signature"
    assert [(call.method, call.path) for call in simulator.requests()] == [("GET", "/v3/users/me")]


@SQLITE
async def test_before_the_first_start_everything_is_looked_at_and_nothing_is_made(
    http: httpx.AsyncClient, tmp_path: Path, engine_name: str
) -> None:
    assert engine_name
    folder = tmp_path / "new"
    folder.mkdir()
    environment = {
        "DATABASE_URL": f"sqlite:///{folder / 'var' / 'greenroom.db'}",
        "STORAGE_URL": str(folder / "files"),
    }
    report = await examine(read_settings(environment), http, Clock())
    assert (report.healthy, list(folder.iterdir())) == (True, [])
    assert "made at the first start" in by_check(report, "ok")["database"]


def stranger(status: int, body: object, **headers: str) -> Starlette:
    """Somebody else at our public address."""

    async def say(_: Request) -> Response:
        return JSONResponse(body, status, headers=headers)

    return Starlette(routes=[Route("/{path:path}", say, methods=["GET", "POST", "OPTIONS", "HEAD"])])


async def redirect(_: Request) -> Response:
    return RedirectResponse("https://elsewhere.example/")


MOVED = Starlette(routes=[Route("/{path:path}", redirect, methods=["GET", "POST", "OPTIONS"])])


@SQLITE
@pytest.mark.parametrize(
    ("app", "why"),
    [
        (stranger(200, {"data": {}}), "Somebody else answers there"),
        (stranger(200, {"data": {}}, **{"Greenroom-Proof": "0" * 64}), "other SECRET_KEYS"),
        (stranger(200, {"data": {}}, **{"Greenroom-Proof": "é"}), "other SECRET_KEYS"),
        (stranger(403, "no"), "OPTIONS is answered 403, not by this service"),
        (MOVED, "is redirected to https://elsewhere.example/"),
    ],
    ids=["foreign", "other keys", "odd proof", "refusing proxy", "redirect"],
)
async def test_whoever_else_answers_at_the_public_address_is_told_apart(
    http: httpx.AsyncClient, settings: dict[str, str], app: Starlette, why: str
) -> None:
    async with serving_app(app) as url:
        found = await faults(http, settings | {"PUBLIC_URL": url})
    assert set(found) == {"public", "links"}
    assert why in found["public"]


@SQLITE
async def test_an_address_that_does_not_lead_here_is_told_with_the_reason(
    http: httpx.AsyncClient, context: Context, settings: dict[str, str]
) -> None:
    nobody = await faults(http, settings | {"PUBLIC_URL": "http://127.0.0.1:9"})
    assert "Nothing answers. Start the service first" in nobody["public"]
    plain = settings["PUBLIC_URL"].replace("http:", "https:")
    assert "public" in await faults(http, settings | {"PUBLIC_URL": plain}), "it speaks no TLS"
    assert "other SECRET_KEYS" in (await faults(http, settings | {"SECRET_KEYS": "k" * 40}))["public"]
    async with serving(replace(context, secrets=Secrets([KEYS]))) as without:
        found = await faults(http, settings | {"PUBLIC_URL": without.links.api_url})
    assert "runs without HEYGEN_WEBHOOK_SECRET" in found["registered"]
    assert set(found) == {"registered"}


@SQLITE
async def test_links_that_lead_to_another_greenroom_are_told_of(
    http: httpx.AsyncClient, context: Context, settings: dict[str, str]
) -> None:
    async with serving(replace(context, secrets=Secrets(["k" * 40]))) as other:
        found = await faults(http, settings | {"API_URL": other.links.api_url})
    assert set(found) == {"links"}
    assert "Another Greenroom answers there" in found["links"]
    without_proof = stranger(401, {"error": {"request_id": "r"}})
    async with serving_app(without_proof) as url:
        assert "of an older version" in (await faults(http, settings | {"API_URL": url}))["links"]
    assert await faults(http, settings | {"API_URL": settings["PUBLIC_URL"]}) == {}


@SQLITE
async def test_what_is_wrong_with_heygen_is_told_by_its_name(
    http: httpx.AsyncClient, settings: dict[str, str], simulator: Simulator
) -> None:
    for scenario, why in (("unauthorized", "refuses the key (unauthorized)"), ("outage", "does not answer")):
        simulator.set_scenario(scenario)
        assert why in (await faults(http, settings))["heygen HEYGEN_API_KEY"]
        simulator.clear_scenarios()
    for seconds, state in ((0, "ok"), (3, "ok"), (30, "warn"), (-30, "warn"), (600, "fail"), (-600, "fail")):
        clock = ManualClock(instant.now(UTC) + timedelta(seconds=seconds))
        report = await examine(read_settings(settings), http, clock)
        assert "clock" in by_check(report, state), seconds
    bare = settings | {
        "HEYGEN_API_KEY": "",
        "HEYGEN_BASE_URL": "",
        "DATABASE_URL": "postgresql://x@127.0.0.1:9/x",
    }
    assert "No HeyGen account can be used" in (await faults(http, bare))["heygen"]


@SQLITE
async def test_what_is_wrong_with_this_machine_is_told_by_its_name(
    http: httpx.AsyncClient, database: Database, settings: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    found = await faults(http, settings | {"STORAGE_URL": str(tmp_path / "file")})
    assert "cannot be written" in found["storage"]
    async with database.begin() as session:
        await accounts.store(
            session,
            Identity(settings["HEYGEN_BASE_URL"], "simulator", digest("hg"), simulated=True),
            Offer("main", "hg"),
            Secrets(["k" * 40]),
            Clock().now(),
        )
    assert "No key reads the HeyGen key of main" in (await faults(http, settings))["keys"]
    async with database.begin() as session:
        await session.execute(text("UPDATE alembic_version SET version_num = '0001'"))
    old = await examine(read_settings(settings), http, Clock())
    assert "older than this version" in by_check(old, "warn")["database"]


async def test_an_account_that_must_be_left_alone_is_not_asked(
    http: httpx.AsyncClient, served: Context, settings: dict[str, str], simulator: Simulator
) -> None:
    url, clock = settings["HEYGEN_BASE_URL"], Clock()
    async with served.database.begin() as session:
        identity = Identity(url, "simulator", digest("hg"), simulated=True)
        account, _ = await accounts.store(
            session, identity, Offer("main", "hg"), Secrets([KEYS]), clock.now()
        )
        account.gate_until = clock.now() + timedelta(minutes=5)
    report = await examine(read_settings(settings | {"HEYGEN_API_KEY": "hg"}), http, clock)
    assert "Not asked" in by_check(report, "warn")["heygen main"]
    assert simulator.requests() == []


@asynccontextmanager
async def heygen_with_endpoints() -> AsyncIterator[tuple[str, list[dict[str, Any]]]]:
    """A HeyGen that keeps endpoints: its address, and what was posted to it."""
    kept: list[dict[str, Any]] = []

    async def me(_: Request) -> Response:
        return JSONResponse({"data": {"username": "u", "wallet": {"remaining_balance": 0}}})

    async def endpoints(request: Request) -> Response:
        if request.method == "GET":
            listed = [{**each, "endpoint_id": "ep_1", "status": "enabled", "secret": None} for each in kept]
            return JSONResponse({"data": listed, "has_more": False, "next_token": None})
        kept.append(await request.json())
        return JSONResponse(
            {"data": {**kept[-1], "endpoint_id": f"ep_{len(kept)}", "secret": f"whsec_{len(kept)}"}}
        )

    routes = [Route("/v3/users/me", me), Route("/v3/webhooks/endpoints", endpoints, methods=["GET", "POST"])]
    async with serving_app(Starlette(routes=routes)) as url:
        yield url, kept


@SQLITE
async def test_an_endpoint_is_registered_once_unless_another_is_asked_for(
    http: httpx.AsyncClient, settings: dict[str, str]
) -> None:
    async with heygen_with_endpoints() as (url, kept):
        here: Settings = read_settings(settings | {"HEYGEN_BASE_URL": url})
        for registration, secret in (
            (Registration(account="other"), None),
            (Registration(), "whsec_1"),
            (Registration(), None),
            (Registration(again=True), "whsec_2"),
        ):
            report = await examine(here, http, Clock(), registration)
            assert (report.webhook_secret, report.healthy) == (secret, secret is not None)
            assert secret is None or secret not in repr(report)
            assert "Fill the wallet" in by_check(report, "warn")["heygen HEYGEN_API_KEY"]
        lost = read_settings(settings | {"HEYGEN_BASE_URL": url, "PUBLIC_URL": "http://127.0.0.1:9"})
        report = await examine(lost, http, Clock(), Registration())
    assert "Nothing is registered" in by_check(report, "fail")["register"]
    assert [each["url"] for each in kept] == [settings["PUBLIC_URL"] + "/callbacks/heygen"] * 2
    assert "avatar_video.success" in kept[0]["events"]
