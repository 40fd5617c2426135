"""Who calls, and how the service is."""

from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from sqlalchemy import text

from app import governor
from app.context import Context
from app.database import Database
from app.models import Account
from tests.api.callers import error_of
from tests.clocks import ManualClock
from tests.services import TLS, serving


async def test_the_tenant_is_shown_as_heygen_shows_an_account(api: httpx.AsyncClient) -> None:
    assert (await api.get("/v3/users/me")).json()["data"] == {
        "username": "acme",
        "email": None,
        "first_name": None,
        "last_name": None,
        "billing_type": "wallet",
        "wallet": {"currency": "usd", "remaining_balance": None, "auto_reload": None},
        "subscription": None,
        "usage_based": None,
    }


async def test_readiness_tells_what_an_operator_has_to_know(
    served: Context, account: Account, clock: ManualClock
) -> None:
    async with httpx.AsyncClient(base_url=served.links.api_url, verify=TLS) as operator:
        assert (await operator.get("/healthz")).json() == {"status": "ok"}
        ready = {
            "status": "ready",
            "simulated": True,
            "completion": "callbacks",
            "paused_accounts": [],
            "contract": {"unknown": [], "ignored_callbacks": {}},
        }
        assert (await operator.get("/readyz")).json() == ready
        async with served.database.begin() as session:
            await governor.pause(session, account.id, "insufficient_credit", clock.now())
        answer = await operator.get("/readyz")
    paused = [{"name": account.name, "reason": "insufficient_credit"}]
    assert (answer.status_code, answer.json()) == (200, ready | {"paused_accounts": paused})


async def test_a_service_that_heygen_cannot_call_back_polls_and_says_so(context: Context) -> None:
    async with serving(context) as served, serving(replace(context, connections={})) as bare:
        for one in (served, bare):
            async with httpx.AsyncClient(base_url=one.links.api_url, verify=TLS) as operator:
                assert (await operator.get("/readyz")).json()["simulated"] == (one is served)


@pytest.mark.parametrize("engine_name", ["sqlite"])
async def test_old_tables_are_not_ready_but_alive(served: Context) -> None:
    async with served.database.begin() as session:
        await session.execute(text("DELETE FROM alembic_version"))
    async with httpx.AsyncClient(base_url=served.links.api_url, verify=TLS) as operator:
        answer = await operator.get("/readyz")
        assert error_of(answer) == (503, "service_unavailable", None)
        assert "greenroom migrate" in answer.json()["error"]["message"]
        assert (await operator.get("/healthz")).status_code == 200


@pytest.mark.parametrize("engine_name", ["sqlite"])
async def test_without_a_database_the_service_is_not_ready_but_alive(
    context: Context, tmp_path: Path
) -> None:
    lost = Database(f"sqlite:///{tmp_path / 'missing' / 'greenroom.db'}")
    async with (
        serving(replace(context, database=lost)) as served,
        httpx.AsyncClient(base_url=served.links.api_url, verify=TLS) as operator,
    ):
        answer = await operator.get("/readyz")
        assert error_of(answer) == (503, "service_unavailable", None)
        assert str(tmp_path) not in answer.text
        assert (await operator.get("/healthz")).status_code == 200
    await lost.close()
