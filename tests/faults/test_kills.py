"""Services that are killed, frozen and stopped at any moment break no promise; `make chaos` kills many more."""

from pathlib import Path

import pytest

from tests.faults.kills import kill_services

KILLS = 25  # on each database
SEED = 1


@pytest.fixture
def server_url(engine_name: str, request: pytest.FixtureRequest) -> str | None:
    """The PostgreSQL to kill services on; None: on a SQLite file."""
    return None if engine_name == "sqlite" else str(request.getfixturevalue("postgresql"))


@pytest.mark.timeout(400)
@pytest.mark.xdist_group("kills")
async def test_services_killed_at_any_moment_lose_and_double_nothing(
    server_url: str | None, tmp_path: Path
) -> None:
    result = await kill_services(tmp_path, KILLS, SEED, server_url)
    assert not result.violations, "\n".join([*result.violations, result.log])
    assert result.counts["kills"] >= KILLS
    assert result.counts["promised"] > 0
