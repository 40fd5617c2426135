"""`/v3/assets`: the caller's files. HeyGen gets a copy from the worker when a job first needs it.

A deleted asset is hidden at once. Its bytes stay for some days: a job that was accepted before may still have to send
them.
"""

from __future__ import annotations

import hashlib
from datetime import timedelta

from fastapi import APIRouter, Request
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col
from starlette.responses import Response

from app import asset_copies
from app.api import answer_schemas, idempotency
from app.api.answers import data, data_bytes
from app.api.asset_intake import INCOMPLETE, Received, announced, discard, keep, receive
from app.api.asset_views import asset_view, stored_view
from app.api.dependencies import CallerDep, ContextDep
from app.api.file_answers import Described, from_storage, gone
from app.api.file_links import HolderDep
from app.api.idempotency import Once, OnceDep
from app.api.openapi import FILE, LINK_OR_KEY, uploads
from app.api.upload_form import UploadForm
from app.api.upstream import connection_of, reading
from app.context import Context
from app.errors import ApiError, InvalidParameter, NotFound, NotReady
from app.models import Asset, Upload
from app.tenancy import Caller

VARIANT = "file"
DELETED_AGAIN = timedelta(hours=24)
"""How long a repeated delete is answered as the first was: a client that lost the answer asks again."""

_EXTENSIONS = {"audio/mpeg": "mp3", "application/x-subrip": "srt"}

router = APIRouter(prefix="/v3/assets")


@router.post("", response_model=answer_schemas.One[answer_schemas.Uploaded], openapi_extra=uploads())
async def create_asset(request: Request, ctx: ContextDep, caller: CallerDep, once: OnceDep) -> Response:
    """Take a file in while it arrives; the same bytes are the same asset."""
    form = UploadForm(request)
    try:
        received = await receive(ctx, caller, form.chunks())
    except ApiError:
        await form.drain()
        raise
    return await _keep_once(ctx, caller, once, received, form.filename)


@router.get("/{asset_id}", response_model=answer_schemas.One[answer_schemas.Asset])
async def get_asset(ctx: ContextDep, caller: CallerDep, asset_id: str) -> Response:
    """One asset; raises NotReady while its upload is not complete."""
    own_id = await _own_id(ctx, caller, asset_id)
    async with ctx.database.begin() as session:
        asset = await session.get(Asset, own_id) if own_id is not None else None
        if asset is None and await announced(session, caller, asset_id) is not None:
            raise NotReady(INCOMPLETE)
    if own_id is None:
        with reading(NotFound.asset(asset_id)):
            return data(dict(await connection_of(ctx, caller).catalog.asset(asset_id)))
    if asset is None or asset.tenant_id != caller.tenant_id or asset.deleted_at is not None:
        raise NotFound.asset(asset_id)
    return data(asset_view(ctx, caller, asset, ctx.clock.now()))


@router.delete("/{asset_id}", response_model=answer_schemas.One[answer_schemas.Removed])
async def delete_asset(ctx: ContextDep, caller: CallerDep, asset_id: str) -> Response:
    """Hide an asset, and withdraw an upload that is not complete; HeyGen's own is deleted there."""
    own_id = await _own_id(ctx, caller, asset_id)
    if own_id is None:
        connection = connection_of(ctx, caller)
        with reading(NotFound.asset(asset_id)):
            await connection.catalog.through_gate(lambda: connection.heygen.delete_asset(asset_id))
        connection.catalog.forget("asset", asset_id)
        return data({"id": asset_id})
    now = ctx.clock.now()
    own = (col(Asset.id) == own_id, col(Asset.tenant_id) == caller.tenant_id)
    upload = select(col(Upload.id)).where(col(Upload.id) == own_id, col(Upload.tenant_id) == caller.tenant_id)
    async with ctx.database.begin() as session:
        await session.execute(upload.with_for_update())  # whoever completes it has done so, or finds it gone
        await session.execute(
            update(Asset).where(*own, col(Asset.deleted_at).is_(None)).values(deleted_at=now)
        )
        deleted_at = await session.scalar(select(col(Asset.deleted_at)).where(*own))
        withdrawn = await announced(session, caller, own_id) if deleted_at is None else None
        if withdrawn is not None:
            await session.delete(withdrawn)
    if withdrawn is not None and withdrawn.storage_key is not None:
        await ctx.storage.delete(withdrawn.storage_key)
    if withdrawn is None and (deleted_at is None or now - deleted_at > DELETED_AGAIN):
        raise NotFound.asset(asset_id)
    return data({"id": asset_id})


@router.get("/{asset_id}/content", responses=FILE, openapi_extra=LINK_OR_KEY)
@router.head("/{asset_id}/content", include_in_schema=False)
async def get_content(
    asset_id: str,
    request: Request,
    ctx: ContextDep,
    holder: HolderDep,
    variant: str = VARIANT,
) -> Response:
    """The bytes, for whoever holds the link, or the key of the asset's tenant."""
    found = select(Asset).where(col(Asset.id) == asset_id, col(Asset.deleted_at).is_(None))
    tenant_id = await holder.tenant_id(f"/v3/assets/{asset_id}/content", variant, "asset")
    if tenant_id is not None:
        found = found.where(col(Asset.tenant_id) == tenant_id)
    if variant != VARIANT:
        raise InvalidParameter(f"'variant' must be {VARIANT}.", param="variant")
    async with ctx.database.begin() as session:
        asset = (await session.scalars(found)).one_or_none()
    if asset is None:
        raise NotFound.asset(asset_id)
    extension = _EXTENSIONS.get(asset.mime, asset.mime.partition("/")[2])
    described = Described(asset.mime, f"{asset.id}.{extension}", f'"{asset.sha256}"')
    answer = await from_storage(ctx, request, asset.storage_key, described)
    if answer is None:
        raise gone()
    return answer


async def _own_id(ctx: Context, caller: Caller, asset_id: str) -> str | None:
    """The id among ours that an asset goes by, whoever's it may be; None where HeyGen alone may know it."""
    if not caller.account_wide:
        return asset_id
    async with ctx.database.begin() as session:
        asset, upload = await session.get(Asset, asset_id), await session.get(Upload, asset_id)
        if asset is not None or upload is not None:
            return asset_id
        return (await asset_copies.ours(session, caller.account_id, [asset_id])).get(asset_id)


async def _keep_once(ctx: Context, caller: Caller, once: Once, received: Received, filename: str) -> Response:
    """Make the file an asset, unless its key says that this was done before."""
    body_hash = hashlib.sha256(f"{received.sha256} {filename}".encode("utf-8", "surrogatepass")).hexdigest()
    try:
        replayed = await once.replay(ctx, caller, body_hash)
    except ApiError:
        await discard(ctx, received)
        raise
    if replayed is not None:
        await discard(ctx, received)
        return replayed
    asset = await keep(ctx, caller, received, filename)

    async def make(_: AsyncSession) -> tuple[str, bytes]:
        # The bytes themselves tell repeats apart, so the asset may well be older than its key.
        return asset.id, data_bytes(stored_view(ctx, asset, ctx.clock.now()))

    return await idempotency.create(ctx, caller, once, body_hash, make)
