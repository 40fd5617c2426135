"""Services that are killed, frozen and stopped at any moment break no promise; `make chaos` kills many more."""

from pathlib import Path
from random import Random

import pytest

from tests.faults.kills import kill_services
from tests.faults.services import STARTS_WITHIN
from tests.faults.world import world
from tests.processes import CALLED_IN_A_TRANSACTION

KILLS = 25  # on each database
SEED = 1


@pytest.mark.timeout(400)
@pytest.mark.xdist_group("kills")
async def test_services_killed_at_any_moment_lose_and_double_nothing(
    server_url: str | None, tmp_path: Path
) -> None:
    result = await kill_services(tmp_path, KILLS, SEED, server_url)
    assert not result.violations, "\n".join([*result.violations, result.log])
    assert result.counts["kills"] >= KILLS
    assert result.counts["promised"] > 0


@pytest.mark.xdist_group("kills")
async def test_a_service_that_makes_a_call_within_a_transaction_is_noticed(tmp_path: Path) -> None:
    async def live() -> None:
        async with world(tmp_path / "world", Random(1)) as around:
            child = await around.nursery.bear("sweep.read", calls=True)
            assert await child.ends(STARTS_WITHIN) == CALLED_IN_A_TRANSACTION

    with pytest.raises(AssertionError, match="a transaction is open across a network call"):
        await live()
