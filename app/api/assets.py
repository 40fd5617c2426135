"""`/v3/assets`: the caller's files. HeyGen gets a copy from the worker when a job first needs it.

A deleted asset is hidden at once. Its bytes stay: a job that was accepted before may still have to send them.
"""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Query, Request
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col
from starlette.responses import Response

from app.api import answer_schemas, idempotency
from app.api.answers import data, data_bytes
from app.api.asset_intake import Received, discard, keep, own_asset, receive
from app.api.dependencies import CallerDep, ContextDep, get_caller
from app.api.file_answers import Described, from_storage, gone
from app.api.idempotency import Once, OnceDep
from app.api.look_views import asset_link
from app.api.openapi import FILE, LINK_OR_KEY, uploads
from app.api.upload_form import UploadForm
from app.api.upstream import connection_of, reading
from app.context import Context
from app.errors import ApiError, Forbidden, InvalidParameter, NotFound
from app.links import verify
from app.models import Asset
from app.tenancy import Caller

VARIANT = "file"
DELETED_AGAIN = timedelta(hours=24)
"""How long a repeated delete is answered as the first was: a client that lost the answer asks again."""

_TYPES = {"application/pdf": "pdf", "application/x-subrip": "srt"}
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
    """One asset."""
    async with ctx.database.begin() as session:
        asset = await own_asset(session, caller, asset_id)
        ours = asset is not None or await session.get(Asset, asset_id) is not None
    if asset is None:
        missing = NotFound.asset(asset_id)
        if ours or not caller.account_wide:
            raise missing
        with reading(missing):
            return data(dict(await connection_of(ctx, caller).catalog.asset(asset_id)))
    return data(
        {
            "id": asset.id,
            "name": asset.filename,
            "owner": caller.tenant_name,
            "space_id": caller.tenant_id,
            "type": _TYPES.get(asset.mime, asset.mime.partition("/")[0]),
            "uploaded_at": int(asset.created_at.timestamp()),
            "url": asset_link(ctx, asset.id, ctx.clock.now()),
            "folder_id": None,
        }
    )


@router.delete("/{asset_id}", response_model=answer_schemas.One[answer_schemas.Removed])
async def delete_asset(ctx: ContextDep, caller: CallerDep, asset_id: str) -> Response:
    """Hide an asset."""
    now = ctx.clock.now()
    own = (col(Asset.id) == asset_id, col(Asset.tenant_id) == caller.tenant_id)
    async with ctx.database.begin() as session:
        await session.execute(
            update(Asset).where(*own, col(Asset.deleted_at).is_(None)).values(deleted_at=now)
        )
        deleted_at = await session.scalar(select(col(Asset.deleted_at)).where(*own))
    if deleted_at is None or now - deleted_at > DELETED_AGAIN:
        raise NotFound.asset(asset_id)
    return data({"id": asset_id})


@router.get("/{asset_id}/content", responses=FILE, openapi_extra=LINK_OR_KEY)
@router.head("/{asset_id}/content", include_in_schema=False)
async def get_content(
    asset_id: str,
    request: Request,
    ctx: ContextDep,
    variant: str = VARIANT,
    expires: str | None = None,
    signature: Annotated[str | None, Query()] = None,
) -> Response:
    """The bytes, for whoever holds the link, or the key of the asset's tenant."""
    found = select(Asset).where(col(Asset.id) == asset_id, col(Asset.deleted_at).is_(None))
    if expires is not None or signature is not None:
        signed = (f"/v3/assets/{asset_id}/content", variant, expires or "", signature or "")
        if not verify(*signed, ctx.clock.now(), ctx.links.keys):
            raise Forbidden("This link has expired or was altered; read the asset again for a new one.")
    else:
        found = found.where(col(Asset.tenant_id) == (await get_caller(request, ctx)).tenant_id)
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
        url = asset_link(ctx, asset.id, ctx.clock.now())
        answer = {"asset_id": asset.id, "url": url, "mime_type": asset.mime, "size_bytes": asset.size}
        return asset.id, data_bytes(answer)

    return await idempotency.create(ctx, caller, once, body_hash, make)
