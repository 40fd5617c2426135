"""A judge of messages, and our client at the simulator in front of it."""

from collections.abc import AsyncIterator
from datetime import timedelta

import httpx
import pytest

from app.heygen.client import HeyGen
from tests.contract.exchanges import Exchanges, Overhearing


@pytest.fixture
def exchanges() -> Exchanges:
    return Exchanges()


@pytest.fixture
async def heygen(heygen_url: str, exchanges: Exchanges) -> AsyncIterator[HeyGen]:
    """Our client at the simulator; what both say is kept."""
    within = timedelta(seconds=10)
    async with httpx.AsyncClient(transport=Overhearing(exchanges)) as http:
        yield HeyGen(http, heygen_url, "any", create_timeout=within, read_timeout=within)
