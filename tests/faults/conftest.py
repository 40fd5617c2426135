"""The stage that faults are played on."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.database import Database
from app.secrets import Secrets
from app.simulator.app import Simulator
from tests.clocks import ManualClock
from tests.faults.stage import Stage, staged


@pytest.fixture
def server_url(engine_name: str, request: pytest.FixtureRequest) -> str | None:
    """The PostgreSQL that services are on; None: they are on a SQLite file."""
    return None if engine_name == "sqlite" else str(request.getfixturevalue("postgresql"))


@pytest.fixture
async def stage(
    database: Database,
    clock: ManualClock,
    secrets: Secrets,
    simulator: Simulator,
    heygen_url: str,
    tmp_path: Path,
) -> AsyncIterator[Stage]:
    """A service that runs can follow one another on, with its HeyGen and its callers."""
    async with staged(database, clock, secrets, simulator, heygen_url, tmp_path / "files") as stage:
        yield stage
