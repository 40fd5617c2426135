"""Looks and groups of ours, as HeyGen shows its own."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from app.api.own_looks import OwnGroup, OwnLook
from app.context import Context
from app.links import content_link
from app.models import UNFINISHED, Job, JobStatus

CONSENT_OWED = "pending_consent"
_STATUS = {
    JobStatus.COMPLETED: "completed",
    JobStatus.FAILED: "failed",
    JobStatus.CANCELED: "failed",
}


def look_view(ctx: Context, own: OwnLook, now: datetime) -> dict[str, Any]:
    """One look. Its preview is our photo: HeyGen's links expire."""
    look, job, facts = own.look, own.job, own.look.facts or {}
    width, height = _whole(facts, "image_width"), _whole(facts, "image_height")
    owes_consent = look.consent_owed and job.status in UNFINISHED
    preview = asset_link(ctx, own.photo_id, now) if own.photo_id else _preview(ctx, own, "image", now)
    return {
        "id": look.id,
        "name": look.name,
        "avatar_type": look.avatar_type,
        "group_id": look.group_id,
        "preview_image_url": preview,
        "preview_video_url": _preview(ctx, own, "video", now),
        "gender": _text(facts, "gender"),
        "tags": _texts(facts, "tags"),
        "default_voice_id": _text(facts, "default_voice_id"),
        "supported_api_engines": _texts(facts, "supported_api_engines"),
        "image_width": width,
        "image_height": height,
        "preferred_orientation": _text(facts, "preferred_orientation") or orientation(width, height),
        "status": CONSENT_OWED if owes_consent else _STATUS.get(job.status, "processing"),
        "error": _error(job),
        "greenroom": {
            "phase": CONSENT_OWED if owes_consent else job.status,
            "heygen_avatar_id": look.heygen_look_id,
            "metadata": job.job_metadata,
            "simulated": is_simulated(ctx, job.account_id),
        },
    }


def group_view(ctx: Context, own: OwnGroup, now: datetime) -> dict[str, Any]:
    """One group; what is said of its state is said of its newest look."""
    newest = look_view(ctx, own.newest, now) if own.newest is not None else {}
    said = ("preview_image_url", "preview_video_url", "gender", "default_voice_id", "status", "error")
    return {
        "id": own.group.id,
        "name": own.group.name,
        "created_at": int(own.group.created_at.timestamp()),
        "looks_count": own.looks_count,
        "consent_status": own.group.consent_status,
    } | {name: newest.get(name) for name in said}


def asset_link(ctx: Context, asset_id: str, now: datetime) -> str:
    """The signed link to an asset's bytes."""
    return content_link(ctx.links.api_url, f"/v3/assets/{asset_id}/content", "file", now, ctx.links.keys)


def _preview(ctx: Context, own: OwnLook, variant: str, now: datetime) -> str | None:
    """The signed link to a preview of HeyGen's, where there is one; a photo's went with the photo."""
    if (
        own.job.type == "photo"
        or own.job.status != JobStatus.COMPLETED
        or variant not in _texts(own.look.facts or {}, "previews")
    ):
        return None
    path = f"/v3/avatars/looks/{own.look.id}/content"
    return content_link(ctx.links.api_url, path, variant, now, ctx.links.keys)


def is_simulated(ctx: Context, account_id: str) -> bool:
    """Whether this account is a simulator's."""
    connection = ctx.connections.get(account_id)
    return connection is not None and connection.simulated


def orientation(width: int | None, height: int | None) -> str | None:
    """HeyGen's word for the shape of a picture; None while its sides are unknown."""
    if not width or not height:
        return None
    if width == height:
        return "square"
    return "landscape" if width > height else "portrait"


def _error(job: Job) -> dict[str, str] | None:
    if job.status not in {JobStatus.FAILED, JobStatus.CANCELED}:
        return None
    code = job.failure_code or "failed"
    return {"code": code, "message": job.failure_message or "The avatar could not be made."}


# Facts are HeyGen's words, whose types nobody has checked.


def _text(facts: Mapping[str, Any], name: str) -> str | None:
    value = facts.get(name)
    return value if isinstance(value, str) else None


def _texts(facts: Mapping[str, Any], name: str) -> list[str]:
    value = facts.get(name)
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def _whole(facts: Mapping[str, Any], name: str) -> int | None:
    value = facts.get(name)
    return value if isinstance(value, int) else None
