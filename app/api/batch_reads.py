"""Reading batches: a tenant's own rows, and for account-wide tenants those that were made at HeyGen itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import defer
from sqlmodel import col

from app.api.answers import read_cursor, sign_cursor
from app.api.upstream import connection_of, reading
from app.api.video_answers import bulk_word, instant, status_view
from app.context import Context
from app.errors import InvalidParameter, NotFound
from app.models import Batch, Job
from app.tenancy import Caller

MOST_ITEMS = 100
MOST_ENTRIES = 5_000  # of one answer: half a megabyte, made in a third of a second

# SQLModel types an attribute as what a row holds there.
TOLD = defer(Job.request_encrypted, raiseload=True)  # type: ignore[arg-type]  # SQLModel types the value
"""What an entry tells, without the request of its job, which is many times as large."""


async def batch_page(
    ctx: Context, caller: Caller, batch_id: str, limit: int, token: str | None
) -> dict[str, Any]:
    """A batch with up to `limit` of its items; raises NotFound, and InvalidParameter for a token that is none of ours."""
    async with ctx.database.begin() as session:
        batch = await session.get(Batch, batch_id)
        if batch is not None and batch.tenant_id == caller.tenant_id:
            return await _own_page(ctx, session, batch, limit, token)
    missing = NotFound.batch(batch_id)
    if batch is not None or not caller.account_wide:
        raise missing
    connection = connection_of(ctx, caller)
    with reading(missing):
        return dict(
            await connection.catalog.through_gate(
                lambda: connection.heygen.get_batch(batch_id, limit=limit, token=token)
            )
        )


async def batch_statuses(ctx: Context, caller: Caller, batch_ids: Sequence[str]) -> list[dict[str, Any]]:
    """An entry for each item of each batch; one that does not exist has one entry, of no video.

    Raises InvalidParameter where that would be more than 5,000 entries.
    """
    if not batch_ids:
        return []
    async with ctx.database.begin() as session:
        rows = await session.scalars(select(Batch).where(col(Batch.id).in_(batch_ids)))
        known = {batch.id: batch for batch in rows}
        own = [batch for batch in known.values() if batch.tenant_id == caller.tenant_id]
        _refuse_more_than_can_be_told(sum(batch.total for batch in own))
        items = select(Job).options(TOLD).where(col(Job.batch_id).in_([batch.id for batch in own]))
        jobs = list(await session.scalars(items.order_by(col(Job.batch_id), col(Job.batch_index))))
    unknown = [batch_id for batch_id in batch_ids if batch_id not in known]
    entries = [_entry(job) for job in jobs]
    if unknown and caller.account_wide:
        connection = connection_of(ctx, caller)
        with reading():
            theirs = await connection.catalog.through_gate(lambda: connection.heygen.batch_statuses(unknown))
        entries += [dict(entry) for entry in theirs]
    told = {entry.get("batch_id") for entry in entries}
    return [*entries, *(_missing(batch_id) for batch_id in batch_ids if batch_id not in told)]


def _refuse_more_than_can_be_told(items: int) -> None:
    if items > MOST_ENTRIES:
        raise InvalidParameter(
            f"'batch_ids' must name batches of at most {MOST_ENTRIES} items together, not of {items}.",
            param="batch_ids",
        )


async def _own_page(
    ctx: Context, session: AsyncSession, batch: Batch, limit: int, token: str | None
) -> dict[str, Any]:
    keys, scope = ctx.secrets.signing_keys("cursors"), f"{batch.tenant_id} batch {batch.id}"
    after = int(read_cursor(keys, token, scope=scope).last_id) if token else -1
    items = select(Job).options(TOLD).where(col(Job.batch_id) == batch.id)
    rows = items.where(col(Job.batch_index) > after).order_by(col(Job.batch_index)).limit(limit + 1)
    jobs = list(await session.scalars(rows))
    more, jobs = len(jobs) > limit, jobs[:limit]
    status = "processing" if batch.open else "completed" if batch.completed else "failed"
    return {
        "batch_id": batch.id,
        "status": status,
        "title": batch.title,
        "counts_by_status": await _counts(session, batch),
        "total_items": batch.total,
        "items": [{key: value for key, value in _entry(job).items() if key != "batch_id"} for job in jobs],
        "has_more": more,
        "next_token": sign_cursor(keys, "items", str(jobs[-1].batch_index), scope=scope) if more else None,
        "created_at": int(batch.created_at.timestamp()),
        "greenroom": {"metadata": batch.batch_metadata, "finished_at": instant(batch.finished_at)},
    }


async def _counts(session: AsyncSession, batch: Batch) -> dict[str, int]:
    deleted = col(Job.deleted_at).isnot(None)
    rows = select(col(Job.status), deleted, func.count()).where(col(Job.batch_id) == batch.id)
    counts = Counter({"queued": 0, "processing": 0, "completed": 0, "failed": 0})
    for status, gone, count in await session.execute(rows.group_by(col(Job.status), deleted)):
        counts["not_found" if gone else bulk_word(status)] += count
    return dict(counts)


def _entry(job: Job) -> dict[str, Any]:
    if job.deleted_at is not None:
        return status_view(job.id, "not_found", job)
    return status_view(job.id, bulk_word(job.status), job)


def _missing(batch_id: str) -> dict[str, Any]:
    return {"video_id": None, "status": "not_found", "error": None, "batch_id": batch_id, "item_index": None}
