"""`GET /v3/assets/statuses` and `/v3/assets/batches/{id}`: where announced files stand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Query
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col
from starlette.responses import Response

from app.api import answer_schemas
from app.api.answers import Cursor, Ids, Limit100, data, page, read_cursor, read_ids, read_limit, sign_cursor
from app.api.asset_views import batch_view, status_entry, upload_state
from app.api.dependencies import CallerDep, ContextDep
from app.context import Context
from app.errors import InvalidParameter, NotFound
from app.models import Asset, Upload, UploadBatch
from app.tenancy import Caller

MOST_ASSETS = 100
GONE = ("failed", {"code": "asset_not_found", "message": "This asset does not exist any more."})

router = APIRouter(prefix="/v3/assets")


@router.get("/statuses", response_model=answer_schemas.Page[answer_schemas.AssetStatus])
async def list_statuses(
    ctx: ContextDep,
    caller: CallerDep,
    asset_ids: Annotated[Ids, Query()] = None,
    batch_ids: Annotated[Ids, Query()] = None,
) -> Response:
    """Where up to 100 assets stand, named by their own ids and by those of their batches."""
    ids, batches = read_ids(asset_ids), read_ids(batch_ids)
    if not ids and not batches:
        raise InvalidParameter("'asset_ids' or 'batch_ids' is required.", param="asset_ids")
    for name, listed in (("asset_ids", ids), ("batch_ids", batches)):
        if len(listed) > MOST_ASSETS:
            raise InvalidParameter(f"'{name}' must have at most {MOST_ASSETS} ids.", param=name)
    async with ctx.database.begin() as session:
        entries = await _of_assets(ctx, session, caller, ids)
        for batch_id in batches:
            batch = await session.get(UploadBatch, batch_id)
            if batch is not None and batch.tenant_id == caller.tenant_id:
                entries += await entries_of_batch(ctx, session, batch)
    if len(entries) > MOST_ASSETS:
        raise InvalidParameter(f"'batch_ids' must stand for at most {MOST_ASSETS} assets.", param="batch_ids")
    return page(entries, None)


@router.get("/batches/{upload_batch_id}", response_model=answer_schemas.One[answer_schemas.UploadBatchPage])
async def get_batch(
    ctx: ContextDep, caller: CallerDep, upload_batch_id: str, limit: Limit100 = None, token: str | None = None
) -> Response:
    """A batch, and a page of its files in their order."""
    most = read_limit(limit, default=100, most=100)
    keys, scope = ctx.secrets.signing_keys("cursors"), f"{caller.tenant_id} uploads {upload_batch_id}"
    start = int(read_cursor(keys, token, scope=scope).last_id) if token else 0
    async with ctx.database.begin() as session:
        batch = await session.get(UploadBatch, upload_batch_id)
        if batch is None or batch.tenant_id != caller.tenant_id:
            raise no_batch(upload_batch_id)
        entries = await entries_of_batch(ctx, session, batch)
    end = start + most
    following = Cursor("items", str(end)) if end < len(entries) else None
    return data(
        batch_view(batch, entries)
        | {
            "items": [_item(entry) for entry in entries[start:end]],
            "has_more": following is not None,
            "next_token": sign_cursor(keys, *following, scope=scope) if following is not None else None,
        }
    )


async def entries_of_batch(ctx: Context, session: AsyncSession, batch: UploadBatch) -> list[dict[str, Any]]:
    """An entry for each file of the batch, in their order; one that was given up or deleted has failed."""
    now = ctx.clock.now()
    rows = await session.scalars(select(Upload).where(col(Upload.batch_id) == batch.id))
    uploads = {upload.item_index: upload for upload in rows}
    living = await _living(session, batch.tenant_id, [upload.id for upload in uploads.values()])
    entries = []
    for index in range(batch.total):
        upload = uploads.get(index)
        state = upload_state(upload, now) if upload is not None else GONE
        if upload is not None and upload.completed_at is not None and upload.id not in living:
            state = GONE
        entry = status_entry(upload.id if upload is not None else "", state, upload)
        entries.append(
            entry | {"video_id": entry["video_id"] or None, "batch_id": batch.id, "item_index": index}
        )
    return entries


def no_batch(batch_id: str) -> NotFound:
    """No batch of files of that id that this tenant may see."""
    return NotFound(f"Asset batch {batch_id[:64]} not found", code="resource_not_found")


async def _of_assets(
    ctx: Context, session: AsyncSession, caller: Caller, ids: Sequence[str]
) -> list[dict[str, Any]]:
    now = ctx.clock.now()
    own = select(Upload).where(col(Upload.id).in_(ids), col(Upload.tenant_id) == caller.tenant_id)
    uploads = {upload.id: upload for upload in await session.scalars(own)}
    living = await _living(session, caller.tenant_id, ids)
    entries = []
    for asset_id in ids:
        upload = uploads.get(asset_id)
        if upload is not None and upload.completed_at is None:
            entries.append(status_entry(asset_id, upload_state(upload, now)))
        else:
            word = "completed" if asset_id in living else "not_found"
            entries.append(status_entry(asset_id, (word, None)))
    return entries


async def _living(session: AsyncSession, tenant_id: str, ids: Sequence[str]) -> set[str]:
    living = select(col(Asset.id)).where(
        col(Asset.id).in_(ids), col(Asset.tenant_id) == tenant_id, col(Asset.deleted_at).is_(None)
    )
    return set(await session.scalars(living))


def _item(entry: dict[str, Any]) -> dict[str, Any]:
    return {name: entry[name] for name in ("item_index", "video_id", "status", "error")}
