"""`/v3/assets/direct-uploads`: a file is announced, its bytes are sent to a signed link, and then it is an asset.

Whoever holds the link needs no key: a browser may send the file that a server announced.
"""

from __future__ import annotations

from datetime import timedelta

from fastapi import APIRouter, Request
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col
from starlette.responses import Response
from uuid_utils.compat import uuid7

from app.api import answer_schemas, idempotency
from app.api.answers import data, data_bytes
from app.api.asset_intake import clean_name
from app.api.asset_views import announced_view, batch_view, mismatch, stored_view
from app.api.dependencies import CallerDep, ContextDep
from app.api.idempotency import OnceDep, hash_of
from app.api.json_body import parse_json_object, read_json
from app.api.openapi import creates, takes
from app.api.requests import validate, without_nulls
from app.api.upload_reads import entries_of_batch, no_batch
from app.api.upload_requests import (
    AnnouncedBatch,
    AnnouncedFile,
    BatchCompletion,
    Completion,
    parse_batch,
    parse_file,
)
from app.context import Context
from app.errors import InvalidParameter, NotFound, NotReady
from app.models import Asset, Upload, UploadBatch
from app.tenancy import Caller

LINK_LIFETIME = timedelta(hours=1)

router = APIRouter(prefix="/v3/assets")


@router.post(
    "/direct-uploads",
    response_model=answer_schemas.One[answer_schemas.Announced],
    openapi_extra=creates(AnnouncedFile),
)
async def announce(request: Request, ctx: ContextDep, caller: CallerDep, once: OnceDep) -> Response:
    """Promise an id to a file, and say where to send its bytes."""
    body = await read_json(request)
    file = parse_file(body)

    async def make(session: AsyncSession) -> tuple[str, bytes]:
        upload = _announced(ctx, caller, file)
        session.add(upload)
        return upload.id, data_bytes(announced_view(ctx, upload))

    return await idempotency.create(ctx, caller, once, hash_of(body), make)


@router.post(
    "/direct-uploads/batches",
    response_model=answer_schemas.One[answer_schemas.BatchAnnounced],
    openapi_extra=creates(AnnouncedBatch),
)
async def announce_batch(request: Request, ctx: ContextDep, caller: CallerDep, once: OnceDep) -> Response:
    """The same for up to 100 files."""
    body = await read_json(request)
    wanted = parse_batch(body)

    async def make(session: AsyncSession) -> tuple[str, bytes]:
        batch = UploadBatch(
            id=uuid7().hex,
            tenant_id=caller.tenant_id,
            title=wanted.title,
            total=len(wanted.files),
            created_at=ctx.clock.now(),
        )
        session.add(batch)
        await session.flush()
        uploads = [_announced(ctx, caller, file) for file in wanted.files]
        for index, upload in enumerate(uploads):
            upload.batch_id, upload.item_index = batch.id, index
        session.add_all(uploads)
        items = [announced_view(ctx, upload) for upload in uploads]
        return batch.id, data_bytes({"batch_id": batch.id, "items": items})

    return await idempotency.create(ctx, caller, once, hash_of(body), make)


@router.post(
    "/complete/batches",
    status_code=202,
    response_model=answer_schemas.One[answer_schemas.UploadBatch],
    openapi_extra=takes(BatchCompletion),
)
async def complete_batch(request: Request, ctx: ContextDep, caller: CallerDep) -> Response:
    """Make assets of a batch's files; one that is wrong, or has not come, keeps none of the others back."""
    batch_id = validate(BatchCompletion, without_nulls(await read_json(request))).batch_id
    async with ctx.database.begin() as session:
        batch = await session.get(UploadBatch, batch_id)
        if batch is None or batch.tenant_id != caller.tenant_id:
            raise no_batch(batch_id)
        rows = select(Upload).where(col(Upload.batch_id) == batch.id).order_by(col(Upload.item_index))
        uploads = (await session.scalars(rows.with_for_update())).all()
        whole = [it for it in uploads if it.storage_key is not None and mismatch(it) is None]
        session.add_all([_finished(ctx, upload) for upload in whole if upload.completed_at is None])
        await session.flush()
        entries = await entries_of_batch(ctx, session, batch)
    return data(batch_view(batch, entries), status=202)


@router.post(
    "/{asset_id}/complete",
    response_model=answer_schemas.One[answer_schemas.Completed],
    openapi_extra=takes(Completion, required=False),
)
async def complete(request: Request, ctx: ContextDep, caller: CallerDep, asset_id: str) -> Response:
    """Make an asset of a file whose bytes have come; a second time it is answered as the first."""
    raw = await request.body()
    body = parse_json_object(raw, request.headers.get("content-type")) if raw else {}
    checksum = validate(Completion, without_nulls(body)).checksum_sha256
    async with ctx.database.begin() as session:
        mine = select(Upload).where(col(Upload.id) == asset_id, col(Upload.tenant_id) == caller.tenant_id)
        upload = (await session.scalars(mine.with_for_update())).one_or_none()
        if upload is None:
            raise NotFound.asset(asset_id)
        _check_bytes(upload, checksum)
        if upload.completed_at is None:
            asset = _finished(ctx, upload)
            session.add(asset)
        else:
            asset = await session.get_one(Asset, upload.id)
    if asset.deleted_at is not None:
        raise NotFound.asset(asset_id)
    return data(stored_view(ctx, asset, ctx.clock.now()) | {"status": "completed"})


def _announced(ctx: Context, caller: Caller, file: AnnouncedFile) -> Upload:
    now = ctx.clock.now()
    return Upload(
        id=uuid7().hex,
        tenant_id=caller.tenant_id,
        filename=clean_name(file.filename),
        content_type=file.content_type,
        size=file.size_bytes,
        checksum_sha256=file.checksum_sha256,
        created_at=now,
        expires_at=now + LINK_LIFETIME,
    )


def _check_bytes(upload: Upload, checksum: str | None) -> None:
    """What came against what was declared; raises NotReady and InvalidParameter."""
    if upload.storage_key is None:
        raise NotReady("No bytes have come yet: PUT the file to its upload_url first.")
    message = mismatch(upload)
    if message is not None:
        raise InvalidParameter(message, param="content_type")
    if checksum is not None and checksum != upload.sha256:
        raise InvalidParameter(
            "'checksum_sha256' is not that of the bytes that were sent.", param="checksum_sha256"
        )


def _finished(ctx: Context, upload: Upload) -> Asset:
    """The asset that an upload becomes now, whose bytes are as declared; its row must be locked, and not complete."""
    upload.completed_at = ctx.clock.now()
    return Asset(
        id=upload.id,
        tenant_id=upload.tenant_id,
        sha256=upload.sha256 or "",
        mime=upload.mime or "",
        size=upload.size,
        filename=upload.filename,
        storage_key=upload.storage_key or "",
        created_at=upload.received_at or upload.completed_at,
        promised_at=upload.created_at,
    )
