"""Direct uploads: `/v3/assets/direct-uploads` and what belongs to it; the bytes go to the file host."""

from __future__ import annotations

import hashlib
import sqlite3
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response

from app.simulator.answers import Call, Step
from app.simulator.asset_bodies import Finalize, FinalizeBatch, NewUpload, NewUploads
from app.simulator.bodies import read
from app.simulator.errors import Refused, invalid, not_found
from app.simulator.gate import call_of
from app.simulator.media import SUFFIXES, mime_type
from app.simulator.routes.assets import link
from app.simulator.routes.pages import WorldDep, envelope, page_of
from app.simulator.sources import UPLOAD_LIMIT
from app.simulator.world import World

LINK_SECONDS = 900
MOST_FILES = 100
LARGEST_BULK = 100

router = APIRouter()


@router.post("/v3/assets/direct-uploads")
async def announce(request: Request, world: WorldDep) -> Response:
    """Hand out one upload link."""
    call = call_of(request, world)

    async def prepare() -> Step:
        body = read(NewUpload, call.json())
        _check(body, "")
        return Step(lambda: JSONResponse({"data": _issue(world, call, body)}))

    return await world.answers.once(call, prepare)


@router.post("/v3/assets/direct-uploads/batches")
async def announce_batch(request: Request, world: WorldDep) -> Response:
    """Hand out up to 100 upload links."""
    call = call_of(request, world)

    async def prepare() -> Step:
        body = read(NewUploads, call.json())
        if not 1 <= len(body.files) <= MOST_FILES:
            raise invalid("files", f"'files' must have between 1 and {MOST_FILES} items.")
        for at, file in enumerate(body.files):
            _check(file, f"files.{at}.")

        def commit() -> Response:
            batch_id = uuid.uuid4().hex
            world.store.insert("upload_batches", id=batch_id, title=body.title, created_at=call.now)
            items = [
                _issue(world, call, file, batch_id=batch_id, item_index=at)
                for at, file in enumerate(body.files)
            ]
            return JSONResponse({"data": {"batch_id": batch_id, "items": items}})

        return Step(commit)

    return await world.answers.once(call, prepare)


@router.put("/files/uploads/{asset_id}/{name}")
async def take_bytes(asset_id: str, name: str, request: Request, world: WorldDep) -> Response:
    """The file host: what was signed into the link must be what comes."""
    query, path = request.query_params, f"/files/uploads/{asset_id}/{name}"
    row = world.store.one("SELECT * FROM uploads WHERE id = ?", asset_id)
    opens = world.links.opens(path, query.get("Expires", ""), query.get("Signature", ""), world.now())
    if row is None or not opens:
        return PlainTextResponse("Access denied: the link has expired or was altered.", 403)
    content = await request.body()
    if request.headers.get("content-type") != row["content_type"] or len(content) != row["size_bytes"]:
        return PlainTextResponse("Access denied: type or length are not those that were signed.", 403)
    if row["checksum"] and hashlib.sha256(content).hexdigest() != row["checksum"]:
        return PlainTextResponse("Bad digest: the bytes have another SHA-256.", 400)
    target = world.store.folder / "assets" / f"{uuid.uuid4().hex}.{SUFFIXES.get(row['content_type'], 'bin')}"
    target.write_bytes(content)
    world.store.write("UPDATE uploads SET path = ? WHERE id = ?", str(target), asset_id)
    return Response(status_code=200)


@router.post("/v3/assets/{asset_id}/complete")
async def finalize(asset_id: str, request: Request, world: WorldDep) -> dict[str, Any]:
    """Make an asset of what was uploaded."""
    call = call_of(request, world)
    body = read(Finalize, call.json() if call.content else {})
    row = world.store.one("SELECT * FROM uploads WHERE id = ?", asset_id)
    if row is None:
        raise not_found("asset", asset_id)
    if row["path"] is None:
        raise Refused(409, "resource_not_ready", "The file has not been uploaded.")
    content = _content(row)
    if body.checksum_sha256 not in {None, hashlib.sha256(content).hexdigest()}:
        raise invalid("checksum_sha256", "The checksum does not match.")
    kind = _ingest(world, row, content, call.now)
    if kind is None:
        found = mime_type(content)
        raise invalid("content_type", f"Content type not match {row['content_type']} != {found}")
    url = link(world, asset_id, Path(row["path"]), call.now)
    data = {"asset_id": asset_id, "url": url, "mime_type": kind, "size_bytes": row["size_bytes"]}
    return {"data": data | {"status": "processing"}}


@router.post("/v3/assets/complete/batches")
async def finalize_batch(request: Request, world: WorldDep) -> Response:
    """Make assets of all that was uploaded of a batch."""
    call = call_of(request, world)
    batch = _batch(world, read(FinalizeBatch, call.json()).batch_id)
    for row in _members(world, batch["id"]):
        if row["path"] is not None:
            content = _content(row)
            if _ingest(world, row, content, call.now) is None:
                failure = f"Content type not match {row['content_type']} != {mime_type(content)}"
                world.store.write("UPDATE uploads SET failure = ? WHERE id = ?", failure, row["id"])
    return JSONResponse({"data": _summary(world, batch)}, 202)


@router.get("/v3/assets/batches/{batch_id}")
async def get_batch(batch_id: str, request: Request, world: WorldDep) -> dict[str, Any]:
    """A batch and a page of its items; the cursor stands inside."""
    page = page_of(request, 100, 100)
    batch = _batch(world, batch_id)
    rows = [row for row in _members(world, batch_id) if page.after is None or row["item_index"] > page.after]
    shown = rows[: page.limit]
    cursor = envelope([], shown[-1]["item_index"] if len(rows) > page.limit else None)
    items = [_entry(world, row["id"], row) for row in shown]
    listed = {"items": items, "has_more": cursor["has_more"], "next_token": cursor["next_token"]}
    return {"data": _summary(world, batch) | listed}


@router.get("/v3/assets/statuses")
async def list_statuses(request: Request, world: WorldDep) -> dict[str, Any]:
    """Many statuses at once; ids go by the name `video_id`, as at HeyGen."""
    query = request.query_params
    ids = [part for part in query.get("asset_ids", "").split(",") if part]
    batches = [part for part in query.get("batch_ids", "").split(",") if part]
    if not ids and not batches:
        raise invalid("asset_ids", "'asset_ids' or 'batch_ids' is required.")
    if len(ids) > LARGEST_BULK:
        raise invalid("asset_ids", f"'asset_ids' must name at most {LARGEST_BULK} assets.")
    entries = [
        _entry(world, asset_id, world.store.one("SELECT * FROM uploads WHERE id = ?", asset_id))
        for asset_id in ids
    ]
    for batch_id in batches:
        entries += [_entry(world, row["id"], row) for row in _members(world, batch_id)]
    return envelope(entries, None)


def _check(file: NewUpload, within: str) -> None:
    if file.content_type not in SUFFIXES:
        raise invalid(f"{within}content_type", f"'{within}content_type' is not supported.")
    if not 1 <= file.size_bytes <= UPLOAD_LIMIT:
        raise invalid(f"{within}size_bytes", f"'{within}size_bytes' must be between 1 and {UPLOAD_LIMIT}.")


def _issue(world: World, call: Call, file: NewUpload, **batch: Any) -> dict[str, Any]:
    asset_id = uuid.uuid4().hex
    world.store.insert(
        "uploads",
        id=asset_id,
        name=file.filename,
        content_type=file.content_type,
        size_bytes=file.size_bytes,
        checksum=file.checksum_sha256,
        created_at=call.now,
        **batch,
    )
    path = f"/files/uploads/{asset_id}/upload.{SUFFIXES[file.content_type]}"
    return {
        "asset_id": asset_id,
        "upload_url": world.links.make(world.called_as, path, call.now, lifetime=LINK_SECONDS),
        "upload_headers": {"Content-Type": file.content_type},
        "expires_in_seconds": LINK_SECONDS,
        "max_bytes": UPLOAD_LIMIT,
        "status": "pending_upload",
    }


def _ingest(world: World, row: sqlite3.Row, content: bytes, now: float) -> str | None:
    """The type of the asset that an upload is from now on; None where the bytes are of another."""
    kind = mime_type(content)
    if kind != row["content_type"]:
        return None
    if world.store.one("SELECT 1 FROM assets WHERE id = ?", row["id"]) is None:
        world.store.insert(
            "assets",
            id=row["id"],
            name=row["name"],
            mime_type=kind,
            size_bytes=len(content),
            path=row["path"],
            created_at=now,
        )
    return kind


def _content(row: sqlite3.Row) -> bytes:
    return Path(row["path"]).read_bytes()


def _batch(world: World, batch_id: str) -> sqlite3.Row:
    row = world.store.one("SELECT * FROM upload_batches WHERE id = ?", batch_id)
    if row is None:
        raise Refused(404, "resource_not_found", f"Batch {batch_id} not found")
    return row


def _members(world: World, batch_id: str) -> Sequence[sqlite3.Row]:
    return world.store.all("SELECT * FROM uploads WHERE batch_id = ? ORDER BY item_index", batch_id)


def _summary(world: World, batch: sqlite3.Row) -> dict[str, Any]:
    rows = _members(world, batch["id"])
    words = [_entry(world, row["id"], row)["status"] for row in rows]
    state = "processing" if "queued" in words else "completed" if "completed" in words else "failed"
    return {
        "batch_id": batch["id"],
        "title": batch["title"],
        "status": state,
        "total_items": len(rows),
        "counts_by_status": {word: words.count(word) for word in words},
        "created_at": int(batch["created_at"]),
    }


def _entry(world: World, asset_id: str, row: sqlite3.Row | None) -> dict[str, Any]:
    asset = world.store.one("SELECT 1 FROM assets WHERE id = ? AND deleted = 0", asset_id)
    failure = row["failure"] if row is not None and asset is None else None
    word = "completed" if asset is not None else "failed" if failure else "queued" if row else "not_found"
    return {
        "video_id": asset_id,
        "status": word,
        "error": {"code": "invalid_parameter", "message": failure} if failure else None,
        "batch_id": row["batch_id"] if row is not None else None,
        "item_index": row["item_index"] if row is not None else None,
    }
