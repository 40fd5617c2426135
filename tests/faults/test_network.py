"""A bad network between us and our neighbours costs time alone; `make chaos` has more of it."""

from pathlib import Path

import pytest

from tests.faults.network import break_network

JOBS = 8  # on each database
SEED = 1


@pytest.mark.timeout(400)
@pytest.mark.xdist_group("kills")
async def test_over_a_bad_network_everything_ends_and_nothing_is_made_twice(
    server_url: str | None, tmp_path: Path
) -> None:
    result = await break_network(tmp_path, JOBS, SEED, server_url)
    assert not result.violations, "\n".join([*result.violations, result.log])
    assert result.counts["jobs"] > 0
    assert result.counts["faults"] > 0
