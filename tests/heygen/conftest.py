"""A real HTTP client, and HeyGen's at whatever address a test names."""

import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta

import httpx
import pytest
from hypothesis import HealthCheck, settings

from app.heygen.client import HeyGen

# No time limits: they would measure how busy the machine is.
patiently = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])


@dataclass(frozen=True)
class Connect:
    """Makes the client for an address; `within` is the deadline of every call, in seconds."""

    http: httpx.AsyncClient

    def __call__(self, url: str, within: float = 30, http: httpx.AsyncClient | None = None) -> HeyGen:
        limit = timedelta(seconds=within)
        return HeyGen(
            http or self.http, url, "the-key", create_timeout=limit, read_timeout=limit, upload_timeout=limit
        )


@pytest.fixture(scope="session")
def authorities() -> ssl.SSLContext:
    """Reading the system's certificates takes longer than most tests here."""
    return ssl.create_default_context()


@pytest.fixture
async def http(authorities: ssl.SSLContext) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(verify=authorities, trust_env=False) as client:
        yield client


@pytest.fixture
def connect(http: httpx.AsyncClient) -> Connect:
    return Connect(http)
