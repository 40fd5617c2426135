"""The three kinds of call, for faults that must be taken alike in each."""

from collections.abc import Awaitable, Callable

import pytest

from app.heygen.client import HeyGen

Call = Callable[[HeyGen], Awaitable[object]]


async def create(heygen: HeyGen) -> object:
    return await heygen.create("/v3/videos", b'{"script": "hello"}', "key-1")


async def read(heygen: HeyGen) -> object:
    return await heygen.get_video("v1")


async def upload(heygen: HeyGen) -> object:
    return await heygen.upload_asset(
        b"x" * 100_000, filename="a.png", mime="image/png", size=100_000, key="k"
    )


both = pytest.mark.parametrize("call", [create, read, upload])
