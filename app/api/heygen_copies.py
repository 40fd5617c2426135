"""A file of ours at HeyGen, for calls that a caller waits for; for jobs the worker brings it."""

from __future__ import annotations

from uuid_utils.compat import uuid7

from app import asset_copies
from app.api.upstream import connection_of
from app.context import Context
from app.models import Asset, AssetUpload
from app.tenancy import Caller


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
