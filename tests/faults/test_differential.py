"""The same program on SQLite and on PostgreSQL tells the same story; `make chaos` compares more of them."""

import pytest

from tests.faults.differential import differences


@pytest.mark.timeout(300)
@pytest.mark.parametrize("program", range(3))
def test_sqlite_and_postgresql_tell_the_same_story(program: int, postgresql: str) -> None:
    assert differences([program], postgresql) == []
