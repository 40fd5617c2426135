"""A direct upload that two requests are about at once: one of them comes first, and no asset is without its bytes."""

import asyncio
import contextvars
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import httpx
import pytest
from sqlalchemy import select, text

from app.context import Context
from app.models import Upload
from tests.api.callers import error_of
from tests.api.test_direct_uploads import PNG, announce, complete, send
from tests.services import TLS

Files = Callable[[], list[Path]]


@pytest.fixture
def files(context: Context, tmp_path: Path) -> Files:
    """Every file in the storage, unfinished ones too."""
    return lambda: [path for path in (tmp_path / "files").rglob("*") if path.is_file()]


async def test_bytes_that_come_while_it_is_completed_change_nothing(
    api: httpx.AsyncClient, files: Files
) -> None:
    told = await announce(api)
    await send(told)
    coming, done = asyncio.Event(), asyncio.Event()

    async def slowly() -> AsyncIterator[bytes]:
        yield b"x" * (len(PNG) - 1)
        coming.set()
        await done.wait()
        yield b"x"

    async with httpx.AsyncClient(verify=TLS, timeout=30) as stranger:
        url, headers = told["upload_url"], told["upload_headers"]
        late = asyncio.create_task(stranger.put(url, content=slowly(), headers=headers))
        await coming.wait()
        while len(files()) == 1:  # until the first of them lie there
            assert (await api.get(f"/v3/assets/{told['asset_id']}")).status_code == 409
        asset = (await complete(api, told)).json()["data"]
        done.set()
        assert error_of(await late) == (409, "conflict", None)
    assert (await api.get(asset["url"], headers={"x-api-key": ""})).content == PNG
    assert len(files()) == 1


@pytest.mark.parametrize("engine_name", ["postgresql"])  # SQLite has one writer anyway
async def test_an_upload_that_is_deleted_while_it_is_completed_is_an_asset_that_was_deleted(
    api: httpx.AsyncClient, served: Context
) -> None:
    told = await announce(api)
    await send(told)
    path = f"/v3/assets/{told['asset_id']}"
    waiting = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
    asked: list[asyncio.Task[httpx.Response]] = []
    async with served.database.begin() as session:
        await session.execute(select(Upload).with_for_update())
        for request in (complete(api, told), api.delete(path)):
            asked.append(asyncio.create_task(request, context=contextvars.Context()))
            while await session.scalar(waiting) < len(asked) and not asked[-1].done():
                pass
    assert [(await answer).status_code for answer in asked] == [200, 200]
    assert error_of(await api.get(path)) == (404, "asset_not_found", None)
