"""Assets, announced ones too, as HeyGen shows its own."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from app.api.file_types import TYPES
from app.api.look_views import asset_link
from app.context import Context
from app.links import link_until
from app.models import Asset, Upload, UploadBatch
from app.tenancy import Caller

UPLOAD_VARIANT = "file"

_TYPES = {"application/pdf": "pdf", "application/x-subrip": "srt"}


def asset_view(ctx: Context, caller: Caller, asset: Asset, now: datetime) -> dict[str, Any]:
    """One asset; all of ours lie in the root folder."""
    return {
        "id": asset.id,
        "name": asset.filename,
        "owner": caller.tenant_name,
        "space_id": caller.tenant_id,
        "type": _TYPES.get(asset.mime, asset.mime.partition("/")[0]),
        "uploaded_at": int(asset.created_at.timestamp()),
        "url": asset_link(ctx, asset.id, now),
        "folder_id": None,
    }


def stored_view(ctx: Context, asset: Asset, now: datetime) -> dict[str, Any]:
    """What the upload of an asset is answered."""
    url = asset_link(ctx, asset.id, now)
    return {"asset_id": asset.id, "url": url, "mime_type": asset.mime, "size_bytes": asset.size}


def upload_path(asset_id: str) -> str:
    """Where the bytes of an announced file are sent."""
    return f"/v3/assets/{asset_id}/upload"


def announced_view(ctx: Context, upload: Upload) -> dict[str, Any]:
    """How and where to send an announced file."""
    path = upload_path(upload.id)
    url = link_until(ctx.links.api_url, path, UPLOAD_VARIANT, upload.expires_at, ctx.links.keys)
    return {
        "asset_id": upload.id,
        "upload_url": url,
        "upload_headers": {"Content-Type": upload.content_type},
        "expires_in_seconds": int((upload.expires_at - upload.created_at).total_seconds()),
        "max_bytes": upload.size,
        "status": "pending_upload",
    }


def upload_state(upload: Upload, now: datetime) -> tuple[str, dict[str, str] | None]:
    """HeyGen's word in bulk answers for where an upload stands, and why it failed."""
    if upload.completed_at is not None:
        return "completed", None
    if upload.storage_key is None:
        late = {"code": "asset_not_available", "message": "No bytes came before the upload link expired."}
        return ("failed", late) if upload.expires_at <= now else ("queued", None)
    message = mismatch(upload)
    if message is not None:
        return "failed", {"code": "invalid_parameter", "message": message}
    return "queued", None


def mismatch(upload: Upload) -> str | None:
    """In HeyGen's words: the bytes that came are not of the declared type."""
    if upload.mime == TYPES[upload.content_type.lower()]:
        return None
    return f"Content type not match {upload.content_type} != {upload.mime or 'unknown'}"


def status_entry(
    asset_id: str, state: tuple[str, dict[str, str] | None], upload: Upload | None = None
) -> dict[str, Any]:
    """One entry of `GET /v3/assets/statuses`; HeyGen calls the id `video_id` there too."""
    word, error = state
    return {
        "video_id": asset_id,
        "status": word,
        "error": error,
        "batch_id": upload.batch_id if upload is not None else None,
        "item_index": upload.item_index if upload is not None else None,
    }


def batch_view(batch: UploadBatch, entries: list[dict[str, Any]]) -> dict[str, Any]:
    """A batch as a whole; `entries` are those of all its files."""
    words = [entry["status"] for entry in entries]
    whole = "processing" if "queued" in words else "completed" if "completed" in words else "failed"
    return {
        "batch_id": batch.id,
        "title": batch.title,
        "status": whole,
        "total_items": batch.total,
        "counts_by_status": {word: words.count(word) for word in sorted(set(words))},
        "created_at": int(batch.created_at.timestamp()),
    }
