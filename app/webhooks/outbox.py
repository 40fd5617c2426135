"""What callers are owed: public events, and their deliveries, written with the change they tell of."""

import json
from datetime import datetime
from typing import Any, Protocol

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncSession
from uuid_utils.compat import uuid7

from app.models import Batch, Delivery, DeliveryStatus, Event, Job

CALLBACK = "callback"
"""The target of a delivery to the job's own callback_url."""


class Subject(Protocol):
    """What an event is about."""

    id: str
    tenant_id: str
    callback_url: str | None


_PREFIX = {"video": "avatar_video", "look": "photo_avatar_generation"}


def success(job: Job, url: str | None) -> tuple[str, bytes]:
    """HeyGen's event of a finished job (developers.heygen.com/docs/webhook-events), as type and bytes."""
    if job.kind == "look":
        return _event(job, "success", {"avatar_id": job.id, "callback_id": job.callback_id})
    return _event(
        job,
        "success",
        {
            "video_id": job.id,
            "url": url,
            "gif_download_url": None,
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
    kind = f"{_PREFIX[job.kind]}.{ending}"
    return kind, _body(kind, data)


def _body(kind: str, data: dict[str, Any]) -> bytes:
    # Stored as bytes: a JSON column would reorder keys, and the signature covers the bytes.
    body = json.dumps({"event_type": kind, "event_data": data}, ensure_ascii=False, separators=(",", ":"))
    return body.encode()


async def owe(session: AsyncSession, event: Event, subject: Subject, now: datetime) -> None:
    """Owe a public event to whoever asked for it, within the transaction that records it."""
    if subject.callback_url is None:
        return
    await session.execute(
        insert(Delivery).values(
            id=uuid7().hex,
            tenant_id=subject.tenant_id,
            event_id=event.id,
            target=CALLBACK,
            url=subject.callback_url,
            status=DeliveryStatus.OWED,
            attempts=0,
            epoch=0,
            due_at=now,
            created_at=now,
        )
    )
