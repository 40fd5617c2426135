"""A caller's file on its way into our storage: counted and recognised while it is read, and kept once.

The bytes are written under a key of their own before anything is decided, with no transaction open. A row that exists
is never given another file, so a file that turns out to be a copy can be removed without harm.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col
from uuid_utils.compat import uuid7

from app.api.file_inputs import InlineAsset
from app.api.file_types import MB, limit_for
from app.api.upload_form import file_required
from app.context import Context
from app.errors import InvalidParameter, PayloadTooLarge
from app.models import Asset, Upload
from app.photos import sniff
from app.storage import PIECE
from app.tenancy import Caller

HEAD = 4096  # bytes that must tell the type, unless the file is shorter
LONGEST_NAME = 255
INCOMPLETE = (
    "The upload of this asset is not complete: send its bytes, then POST /v3/assets/{asset_id}/complete."
)


@dataclass(frozen=True, slots=True)
class Received:
    """A file that is in the storage and in no table yet; `size` in bytes."""

    id: str
    storage_key: str
    sha256: str
    size: int
    mime: str


async def take_in(ctx: Context, caller: Caller, chunks: AsyncIterator[bytes], filename: str) -> Asset:
    """Store a file of the caller's and answer its asset, an older one where the bytes are the same.

    Raises InvalidParameter for what is no file of a known type, and PayloadTooLarge.
    """
    return await keep(ctx, caller, await receive(ctx, caller, chunks), filename)


async def take_in_inline(ctx: Context, caller: Caller, file: InlineAsset, param: str) -> Asset:
    """The same for a file that came inside a request, in the field `param`. Raises InvalidParameter."""
    mime = sniff(file.data[:HEAD])
    if mime != file.media_type:
        raise InvalidParameter(
            f"'{param}.data' is {mime or 'of no known type'}, but declared as {file.media_type}.",
            param=f"{param}.data",
        )

    async def content() -> AsyncIterator[bytes]:
        for start in range(0, len(file.data), PIECE):
            yield file.data[start : start + PIECE]

    return await take_in(ctx, caller, content(), mime.partition("/")[0])


async def receive(ctx: Context, caller: Caller, chunks: AsyncIterator[bytes]) -> Received:
    """Write the bytes to the storage; whoever asks for this must `keep` or `discard` them.

    Raises InvalidParameter and PayloadTooLarge as soon as enough has been read to know.
    """
    asset_id = uuid7().hex
    storage_key = f"assets/{caller.tenant_id}/{asset_id}"
    recognised = _Recognised(chunks)
    stored = await ctx.storage.put(storage_key, recognised.pieces())
    return Received(asset_id, storage_key, stored.sha256, stored.size, recognised.mime)


async def keep(ctx: Context, caller: Caller, received: Received, filename: str) -> Asset:
    """Make the file an asset, unless the tenant has one of the same bytes already: then that is it."""
    now = ctx.clock.now()
    try:
        async with ctx.database.begin() as session:
            asset = await _same_bytes(session, caller, received) or _add(
                session, caller, received, filename, now
            )
    except IntegrityError:
        # The same bytes were uploaded at the same moment, and that upload has the row.
        async with ctx.database.begin() as session:
            first = await _same_bytes(session, caller, received)
        if first is None:
            raise
        asset = first
    if asset.id != received.id:
        await discard(ctx, received)
    return asset


async def discard(ctx: Context, received: Received) -> None:
    """Remove a file that no row names."""
    await ctx.storage.delete(received.storage_key)


async def own_asset(
    session: AsyncSession, caller: Caller, asset_id: str, param: str | None = None
) -> Asset | None:
    """The tenant's own asset of this id, unless it was deleted.

    Raises InvalidParameter for one whose direct upload is not complete; `param` is the field that names it.
    """
    rows = select(Asset).where(col(Asset.id) == asset_id, col(Asset.tenant_id) == caller.tenant_id)
    asset = (await session.scalars(rows.where(col(Asset.deleted_at).is_(None)))).one_or_none()
    if asset is None and await announced(session, caller, asset_id) is not None:
        raise InvalidParameter(INCOMPLETE, code="asset_not_available", param=param)
    return asset


async def announced(session: AsyncSession, caller: Caller, asset_id: str) -> Upload | None:
    """The tenant's own direct upload of this id that is not complete yet."""
    rows = select(Upload).where(col(Upload.id) == asset_id, col(Upload.tenant_id) == caller.tenant_id)
    return (await session.scalars(rows.where(col(Upload.completed_at).is_(None)))).one_or_none()


async def file_chunks(path: Path) -> AsyncIterator[bytes]:
    """The content of a local file, piece by piece."""
    with await asyncio.to_thread(path.open, "rb") as file:
        while piece := await asyncio.to_thread(file.read, PIECE):
            yield piece


def clean_name(given: str) -> str:
    """A file name that is safe to store, to show and to send on: the last part of whatever path was sent."""
    name = re.split(r"[/\\]", given)[-1]
    name = re.sub(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]", "", name).strip(" .")
    return name[-LONGEST_NAME:] or "file"


class _Recognised:
    """Passes bytes on once it knows their type, as long as they stay within its limit."""

    def __init__(self, chunks: AsyncIterator[bytes]) -> None:
        self.mime = ""
        self._chunks = chunks

    async def pieces(self) -> AsyncIterator[bytes]:
        head = bytearray()
        size = 0
        async for chunk in self._chunks:
            size += len(chunk)
            if self.mime:
                self._check(size)
                yield chunk
                continue
            head += chunk
            if len(head) >= HEAD:
                self._recognise(bytes(head))
                yield bytes(head)
        if not self.mime:
            self._recognise(bytes(head))
            yield bytes(head)

    def _recognise(self, head: bytes) -> None:
        if not head:
            raise file_required()
        mime = sniff(head)
        if mime is None:
            raise InvalidParameter(
                "'file' must be a PNG, JPEG, MP4, WebM, MP3, WAV, PDF or SRT file, by its content.",
                param="file",
            )
        self.mime = mime
        self._check(len(head))

    def _check(self, size: int) -> None:
        limit = limit_for(self.mime)
        if size > limit:
            raise PayloadTooLarge(
                f"'file' must be at most {limit // MB} MB when it is {self.mime}.", param="file"
            )


async def _same_bytes(session: AsyncSession, caller: Caller, received: Received) -> Asset | None:
    rows = select(Asset).where(
        col(Asset.tenant_id) == caller.tenant_id,
        col(Asset.sha256) == received.sha256,
        col(Asset.deleted_at).is_(None),
        col(Asset.promised_at).is_(None),
    )
    return (await session.scalars(rows)).one_or_none()


def _add(session: AsyncSession, caller: Caller, received: Received, filename: str, now: datetime) -> Asset:
    asset = Asset(
        id=received.id,
        tenant_id=caller.tenant_id,
        sha256=received.sha256,
        mime=received.mime,
        size=received.size,
        filename=clean_name(filename),
        storage_key=received.storage_key,
        created_at=now,
    )
    session.add(asset)
    return asset
