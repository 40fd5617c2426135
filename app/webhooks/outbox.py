"""What callers are owed: public events, and their deliveries, written with the change they tell of."""

import json
from datetime import datetime
from typing import Any, Protocol

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.models import Batch, Delivery, DeliveryStatus, Endpoint, EndpointStatus, Event, Job
from app.models.ids import id_at

CALLBACK = "callback"
"""The target of a delivery to the job's own callback_url."""


class Subject(Protocol):
    """What an event is about."""

    id: str
    tenant_id: str
    callback_url: str | None


def success(job: Job, url: str | None, gif_url: str | None) -> tuple[str, bytes]:
    """HeyGen's event of a finished job (developers.heygen.com/docs/webhook-events), as type and bytes."""
    if job.kind == "look":
        return _event(job, "success", {"avatar_id": job.id, "callback_id": job.callback_id})
    return _event(
        job,
        "success",
        {
            "video_id": job.id,
            "url": url,
            "gif_download_url": gif_url,
            "video_page_url": None,
            "video_share_page_url": None,
            "folder_id": job.folder_id,
            "callback_id": job.callback_id,
        },
    )


def failure(job: Job, code: str, message: str | None) -> tuple[str, bytes]:
    """HeyGen's event of a failed job, as type and bytes."""
    subject = "avatar_id" if job.kind == "look" else "video_id"
    return _event(
        job,
        "fail",
        {
            subject: job.id,
            "msg": message,
            "failure_code": code,
            "failure_message": message,
            "callback_id": job.callback_id,
        },
    )


def batch_finished(batch: Batch) -> tuple[str, bytes]:
    """HeyGen's event of a batch of which every item has ended, as type and bytes."""
    data = {
        "batch_id": batch.id,
        "status": "completed" if batch.completed else "failed",
        "title": batch.title,
        "total_items": batch.total,
        "counts_by_status": {"completed": batch.completed, "failed": batch.total - batch.completed},
        "callback_id": batch.callback_id,
    }
    return "batch.finished", _body("batch.finished", data)


def _event(job: Job, ending: str, data: dict[str, Any]) -> tuple[str, bytes]:
    kind = f"{_name(job)}.{ending}"
    return kind, _body(kind, data)


def _name(job: Job) -> str:
    if job.kind == "video":
        return "avatar_video"
    return "instant_avatar" if job.type == "digital_twin" else "photo_avatar_generation"


def _body(kind: str, data: dict[str, Any]) -> bytes:
    # Stored as bytes: a JSON column would reorder keys, and the signature covers the bytes.
    body = json.dumps({"event_type": kind, "event_data": data}, ensure_ascii=False, separators=(",", ":"))
    return body.encode()


async def owe(session: AsyncSession, event: Event, subject: Subject, now: datetime) -> None:
    """Owe a public event to whoever asked for it, within the transaction that records it.

    That is the subject's own `callback_url`, and each endpoint of its tenant that is told of such an event. What a
    disabled endpoint would be told is held for it.
    """
    registered = select(Endpoint).where(
        col(Endpoint.tenant_id) == subject.tenant_id, col(Endpoint.deleted_at).is_(None)
    )
    due = {
        (endpoint.id, endpoint.url): now if endpoint.status == EndpointStatus.ENABLED else None
        for endpoint in await session.scalars(registered)
        if hears(endpoint, event.type, subject.id)
    }
    if subject.callback_url is not None:
        due[CALLBACK, subject.callback_url] = now
    rows = [
        {
            "id": id_at(now),
            "tenant_id": subject.tenant_id,
            "event_id": event.id,
            "target": target,
            "url": url,
            "status": DeliveryStatus.OWED,
            "attempts": 0,
            "attempts_before": 0,
            "epoch": 0,
            "due_at": due_at,
            "created_at": now,
        }
        for (target, url), due_at in due.items()
    ]
    if rows:
        await session.execute(insert(Delivery), rows)


def hears(endpoint: Endpoint, event_type: str | None, entity_id: str) -> bool:
    """Whether the endpoint is told of such an event of this video, look or batch."""
    subscribed = endpoint.event_types is None or event_type in endpoint.event_types
    return subscribed and endpoint.entity_id in {None, entity_id}
