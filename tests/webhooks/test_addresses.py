import pytest

from app.webhooks.addresses import is_public
from tests.webhooks.hosts import DENIED, PUBLIC


@pytest.mark.parametrize("address", DENIED)
def test_special_addresses_are_no_destination(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are(address: str) -> None:
    assert is_public(address)
