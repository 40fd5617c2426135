"""Videos of ours, as HeyGen shows its own: one word for seven states, links of ours, and the object `greenroom`."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from starlette.responses import Response

from app.api.answers import data_bytes
from app.context import Context
from app.heygen.titles import without_token
from app.links import link_expiry
from app.models import Job, JobStatus

LINK_FIELDS = {
    "video": "video_url",
    "captioned": "captioned_video_url",
    "subtitle": "subtitle_url",
    "thumbnail": "thumbnail_url",
    "gif": "gif_url",
}

# Pending until HeyGen surely has it. Whatever ends without a video reads failed: a client waits for nothing else.
_READ = {
    JobStatus.QUEUED: "pending",
    JobStatus.SUBMITTING: "pending",
    JobStatus.UNSURE: "pending",
    JobStatus.PROCESSING: "processing",
    JobStatus.COMPLETED: "completed",
    JobStatus.FAILED: "failed",
    JobStatus.CANCELED: "failed",
}


@dataclass(frozen=True, slots=True)
class OwnVideo:
    """A video of ours with what other tables know of it; `attempts` counts the sends to HeyGen."""

    job: Job
    archived_at: datetime | None
    attempts: int
    simulated: bool


def video_view(ctx: Context, own: OwnVideo, now: datetime) -> dict[str, Any]:
    """One video, as `GET /v3/videos/{id}` and the list show it."""
    job = own.job
    completed = job.status == JobStatus.COMPLETED
    result = (job.result or {}) if completed else {}
    failed = _READ[job.status] == "failed"
    variants = variants_of(result) if completed else frozenset()
    links = {
        field: ctx.links.content(job.id, variant, now) if variant in variants else None
        for variant, field in LINK_FIELDS.items()
    }
    return {
        "id": job.id,
        "title": job.title,
        "status": _READ[job.status],
        "created_at": int(job.created_at.timestamp()),
        "completed_at": int(job.finished_at.timestamp()) if completed and job.finished_at else None,
        **links,
        "duration": result.get("duration"),
        "folder_id": job.folder_id,
        "output_language": None,
        "failure_code": job.failure_code if failed else None,
        "failure_message": job.failure_message if failed else None,
        "video_page_url": None,
        "greenroom": _ours(ctx, own, now),
    }


def variants_of(result: Mapping[str, Any]) -> frozenset[str]:
    """Which files a finished video has."""
    return frozenset({"video", *result.get("variants", ())})


def heygens_view(item: Mapping[str, Any]) -> dict[str, Any]:
    """A video that was not made through us, as HeyGen shows it; our token never shows."""
    title = item.get("title")
    return {**item, "title": without_token(title)} if isinstance(title, str) else dict(item)


def status_view(video_id: str, word: str, job: Job | None = None) -> dict[str, Any]:
    """One entry of `GET /v3/videos/statuses`."""
    error = None
    if job is not None and word == "failed":
        error = {"code": job.failure_code or "failed", "message": job.failure_message}
    batch_id, item_index = (job.batch_id, job.batch_index) if job is not None else (None, None)
    return {
        "video_id": video_id,
        "status": word,
        "error": error,
        "batch_id": batch_id,
        "item_index": item_index,
    }


def bulk_word(status: JobStatus) -> str:
    """The status in bulk answers, where HeyGen has a word of its own for what waits."""
    word = _READ[status]
    return "queued" if word == "pending" else word


def tagged(body: Any, if_none_match: str | None) -> Response:
    """`{"data": body}` with its ETag, or 304 where the client has that very answer."""
    content = data_bytes(body)
    # Of the whole answer: links change once a day, archiving and sends change no status.
    etag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    headers = {"ETag": etag, "Cache-Control": "private, no-cache"}
    if if_none_match is not None and matches(if_none_match, etag):
        return Response(status_code=304, headers=headers)
    return Response(content, headers=headers, media_type="application/json")


def matches(if_none_match: str, etag: str) -> bool:
    """Whether an `If-None-Match` names this ETag, by weak comparison (RFC 9110 §13.1.2)."""
    named = [tag.strip().removeprefix("W/") for tag in if_none_match.split(",")]
    return "*" in named or etag in named


def instant(at: datetime | None) -> str | None:
    """An instant of ours in an answer: ISO 8601, whole seconds, UTC."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if at is not None else None


def _ours(ctx: Context, own: OwnVideo, now: datetime) -> dict[str, Any]:
    job = own.job
    late = job.late_result is not None
    has_links = job.status == JobStatus.COMPLETED or late
    return {
        "phase": job.status,
        "attempts": own.attempts,
        "heygen_video_id": job.heygen_id,
        "completed_by": job.completed_by,
        "metadata": job.job_metadata,
        "archived_at": instant(own.archived_at),
        "expires_at": instant(link_expiry(now)) if has_links else None,
        "simulated": own.simulated,
        "billable": job.billable,
    } | ({"late_video_url": ctx.links.content(job.id, "video", now)} if late else {})
