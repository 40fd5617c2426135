"""The authorities that the simulator's own calls trust, read once: that takes longer than most of its answers."""

import ssl
from functools import cache

import httpx


@cache
def authorities() -> ssl.SSLContext:
    """For every client of every simulator in this process."""
    return httpx.create_ssl_context()
