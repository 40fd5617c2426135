"""`PUT /v3/assets/{id}/upload`: the bytes of an announced file, by its signed link or with its tenant's key.

They go to the storage as they come. A file that is not exactly as announced leaves nothing behind.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Query, Request
from sqlalchemy import select
from sqlmodel import col
from starlette.responses import Response
from uuid_utils.compat import uuid7

from app.api import answer_schemas
from app.api.answers import data
from app.api.asset_intake import HEAD
from app.api.asset_views import UPLOAD_VARIANT, upload_path
from app.api.dependencies import ContextDep, get_caller
from app.api.openapi import LINK_OR_KEY, receives
from app.context import Context
from app.errors import ApiError, Conflict, Forbidden, InvalidParameter, NotFound, PayloadTooLarge
from app.links import verify
from app.models import Upload
from app.photos import sniff
from app.storage import Stored, TooLarge, WrongLength

router = APIRouter()


@router.put(
    "/v3/assets/{asset_id}/upload",
    response_model=answer_schemas.One[answer_schemas.Received],
    openapi_extra=LINK_OR_KEY | receives(),
)
async def put_bytes(
    asset_id: str,
    request: Request,
    ctx: ContextDep,
    variant: str = UPLOAD_VARIANT,
    expires: str | None = None,
    signature: Annotated[str | None, Query()] = None,
) -> Response:
    """Take the bytes in; again, in the place of those before, until the upload is complete."""
    stream = request.stream()
    try:
        tenant_id = None
        if expires is not None or signature is not None:
            signed = (upload_path(asset_id), variant, expires or "", signature or "")
            if not verify(*signed, ctx.clock.now(), ctx.links.keys):
                raise _closed()
        else:
            tenant_id = (await get_caller(request, ctx)).tenant_id
        upload = await _wanted(ctx, asset_id, tenant_id)
        _check_head(request, upload)
        await _keep(ctx, upload, stream)
    except ApiError:
        # A client that is cut off while it writes sees a reset, not our answer.
        async for _ in stream:
            pass
        raise
    return data({"asset_id": asset_id, "size_bytes": upload.size, "status": "uploaded"})


@dataclass
class _Noted:
    """Passes a file on, and remembers what its first bytes say it is."""

    stream: AsyncIterator[bytes]
    head: bytes = b""

    async def pieces(self) -> AsyncIterator[bytes]:
        async for piece in self.stream:
            if len(self.head) < HEAD:
                self.head += piece[: HEAD - len(self.head)]
            yield piece


async def _wanted(ctx: Context, asset_id: str, tenant_id: str | None) -> Upload:
    """The upload that waits for bytes; of this tenant where no link speaks for the caller."""
    async with ctx.database.begin() as session:
        upload = await session.get(Upload, asset_id)
    if upload is None or tenant_id not in {None, upload.tenant_id}:
        raise NotFound.asset(asset_id)
    _check_open(upload)
    if upload.expires_at <= ctx.clock.now():
        raise _closed()
    return upload


def _check_open(upload: Upload) -> None:
    if upload.completed_at is not None:
        raise Conflict("This upload is complete; announce another file for other bytes.")


def _closed() -> Forbidden:
    return Forbidden(
        "This upload link has expired or was altered; announce the file again, under another Idempotency-Key."
    )


def _check_head(request: Request, upload: Upload) -> None:
    if request.headers.get("content-type", "") != upload.content_type:
        raise Forbidden("The headers in 'upload_headers' must be sent as they are.", param="Content-Type")
    declared = request.headers.get("content-length", "")
    if declared.isascii() and declared.isdigit() and int(declared[:20]) != upload.size:
        raise _wrong_size(upload, more=int(declared[:20]) > upload.size)


async def _keep(ctx: Context, upload: Upload, stream: AsyncIterator[bytes]) -> None:
    """Store the bytes under a key of their own, and name it once they are whole and right."""
    noted = _Noted(stream)
    key = f"assets/{upload.tenant_id}/{upload.id}-{uuid7().hex}"
    try:
        stored = await ctx.storage.put(key, noted.pieces(), expected_size=upload.size, limit=upload.size)
    except TooLarge:
        raise _wrong_size(upload, more=True) from None
    except WrongLength:
        raise _wrong_size(upload, more=False) from None
    try:
        if upload.checksum_sha256 is not None and stored.sha256 != upload.checksum_sha256:
            raise InvalidParameter(
                "The bytes do not have the SHA-256 that was announced.", param="checksum_sha256"
            )
        replaced = await _name(ctx, upload.id, key, stored, sniff(noted.head))
    except ApiError:
        await ctx.storage.delete(key)
        raise
    if replaced is not None:
        await ctx.storage.delete(replaced)


async def _name(ctx: Context, upload_id: str, key: str, stored: Stored, mime: str | None) -> str | None:
    """Make these the upload's bytes; the key of those before, which nothing names any more."""
    async with ctx.database.begin() as session:
        row = select(Upload).where(col(Upload.id) == upload_id).with_for_update()
        upload = (await session.scalars(row)).one_or_none()
        if upload is None:
            raise NotFound.asset(upload_id)
        _check_open(upload)
        replaced = upload.storage_key
        upload.storage_key, upload.sha256, upload.mime = key, stored.sha256, mime
        upload.received_at = ctx.clock.now()
    return replaced


def _wrong_size(upload: Upload, *, more: bool) -> ApiError:
    message = f"The file must have exactly the {upload.size} bytes that were announced."
    return (PayloadTooLarge if more else InvalidParameter)(message, param="size_bytes")
