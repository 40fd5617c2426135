"""`/v3/assets`."""

from __future__ import annotations

import sqlite3
import uuid
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException

from app.simulator.answers import Step
from app.simulator.errors import Refused, invalid, not_found
from app.simulator.gate import call_of
from app.simulator.routes.pages import WorldDep, envelope, listing, page_of
from app.simulator.sources import UPLOAD_LIMIT, File
from app.simulator.world import USERNAME, World

router = APIRouter(prefix="/v3/assets")


@router.post("")
async def create_asset(request: Request, world: WorldDep) -> Response:
    """Keep an uploaded file."""
    call = call_of(request, world)

    async def prepare() -> Step:
        name, file = await _uploaded(request, world)

        def commit() -> Response:
            asset_id = uuid.uuid4().hex
            size = file.path.stat().st_size
            world.store.insert(
                "assets",
                id=asset_id,
                name=name,
                mime_type=file.mime_type,
                size_bytes=size,
                path=str(file.path),
                created_at=call.now,
            )
            url = link(world, asset_id, file.path, call.now)
            data = {"asset_id": asset_id, "url": url, "mime_type": file.mime_type, "size_bytes": size}
            return JSONResponse({"data": data})

        return Step(commit)

    return await world.answers.once(call, prepare)


@router.get("")
async def list_assets(request: Request, world: WorldDep) -> dict[str, Any]:
    """The assets of one owner, newest first; all lie in the root folder."""
    page = page_of(request, 20, 100)
    query = request.query_params
    if not query.get("username"):
        raise invalid("username", "'username' is required.")
    if query["username"] != USERNAME or query.get("folder_id"):
        return envelope([], None)
    rows = world.store.all(
        "SELECT * FROM assets WHERE deleted = 0 AND (?1 IS NULL OR seq < ?1) ORDER BY seq DESC LIMIT ?2",
        page.after,
        page.limit + 1,
    )
    return listing(rows, page, lambda row: _view(world, row))


@router.get("/{asset_id}")
async def get_asset(asset_id: str, world: WorldDep) -> dict[str, Any]:
    """One asset."""
    return {"data": _view(world, _find(world, asset_id))}


@router.delete("/{asset_id}")
async def delete_asset(asset_id: str, world: WorldDep) -> dict[str, Any]:
    """Hide an asset; what was made of it keeps its bytes."""
    _find(world, asset_id)
    world.store.write("UPDATE assets SET deleted = 1 WHERE id = ?", asset_id)
    return {"data": {"id": asset_id}}


def _find(world: World, asset_id: str) -> sqlite3.Row:
    row = world.store.one("SELECT * FROM assets WHERE id = ? AND deleted = 0", asset_id)
    if row is None:
        raise not_found("asset", asset_id)
    return row


def link(world: World, asset_id: str, file: Path, now: float) -> str:
    """The link to an asset's bytes."""
    return world.links.make(world.called_as, f"/files/assets/{asset_id}/{file.name}", now)


def _view(world: World, row: sqlite3.Row) -> dict[str, Any]:
    return {
        "id": row["id"],
        "name": row["name"],
        "owner": USERNAME,
        "space_id": USERNAME,
        "type": row["mime_type"].partition("/")[0].replace("application", "document"),
        "uploaded_at": int(row["created_at"]),
        "url": link(world, row["id"], Path(row["path"]), world.now()),
        "folder_id": None,
    }


async def _uploaded(request: Request, world: World) -> tuple[str, File]:
    try:
        async with request.form(max_files=1, max_fields=20) as form:
            file = form.get("file")
            if not isinstance(file, UploadFile):
                raise invalid("file", "File is required. Upload a file using multipart/form-data.")
            if (file.size or 0) > UPLOAD_LIMIT:
                raise Refused(413, "payload_too_large", "The file is larger than 32 MB.", "file")
            return file.filename or "file", world.sources.keep(await file.read(), "file")
    except HTTPException as error:
        raise invalid("file", f"The multipart body cannot be read: {error.detail}") from None
