"""A file of ours at HeyGen, for calls that a caller waits for; for jobs the worker brings it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from uuid_utils.compat import uuid7

from app import asset_copies
from app.api.upstream import RETRY_SECONDS, connection_of
from app.context import Context
from app.errors import NotFound, NotReady
from app.heygen.errors import Missing
from app.models import Asset, AssetUpload
from app.tenancy import Caller

FRESH = timedelta(minutes=2)


async def at_heygen(ctx: Context, caller: Caller, asset: Asset) -> str:
    """The file's id at HeyGen, where it goes now unless it is there. Raises HeyGenError and NotStored."""
    async with ctx.database.begin() as session:
        copy = await session.get(AssetUpload, (asset.id, caller.account_id))
    if copy is not None:
        return copy.heygen_asset_id
    connection = connection_of(ctx, caller)
    heygen_asset_id = await connection.catalog.through_gate(
        lambda: connection.heygen.upload_asset(
            ctx.storage.read(asset.storage_key),
            filename=asset.filename,
            mime=asset.mime,
            size=asset.size,
            key=f"{asset.id}-{uuid7().hex}",  # what HeyGen deleted is not answered again
        )
    )
    copy = AssetUpload(
        asset_id=asset.id,
        account_id=caller.account_id,
        heygen_asset_id=heygen_asset_id,
        uploaded_at=ctx.clock.now(),
    )
    async with ctx.database.begin() as session:
        await asset_copies.remember(session, copy)
    return heygen_asset_id


@asynccontextmanager
async def naming(ctx: Context, caller: Caller, asset: Asset | None, param: str) -> AsyncIterator[None]:
    """A call that names the file: where HeyGen does not know it, it goes up again at the next one. Raises NotReady.

    What went up lately stays: that is a lag. Of a file that is none of ours `param` is told as missing: NotFound.
    """
    try:
        yield
    except Missing as error:
        if error.code != "asset_not_found":
            raise
        if asset is None:
            raise NotFound(error.message or "Asset not found", code=error.code, param=param) from error
        async with ctx.database.begin() as session:
            before = ctx.clock.now() - FRESH
            await asset_copies.forget(session, caller.account_id, [asset.id], before)
        raise NotReady("HeyGen does not have this file yet.", retry_after=RETRY_SECONDS) from error
