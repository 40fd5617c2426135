"""The end of a batch: it comes with the end of its last item, in the same transaction."""

from datetime import datetime

from sqlalchemy import case, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col
from uuid_utils.compat import uuid7

from app.models import Batch, Event, Job, JobStatus
from app.webhooks import outbox


async def end_item(session: AsyncSession, job: Job, source: str, now: datetime) -> None:
    """Count an item that has just ended, once: no later fact ends it again. The last one is the batch's own end.

    The batch's row is locked after those of jobs. Whoever ends several jobs in one transaction locks them all before,
    and goes through them batch by batch: see `expire`.
    """
    if job.batch_id is None:
        return
    last = col(Batch.open) == 1
    batch = await session.scalar(
        update(Batch)
        .where(col(Batch.id) == job.batch_id)
        .values(
            open=col(Batch.open) - 1,
            completed=col(Batch.completed) + (1 if job.status == JobStatus.COMPLETED else 0),
            finished_at=case((last, now), else_=col(Batch.finished_at)),
        )
        .returning(Batch)
        .execution_options(populate_existing=True)
    )
    if batch is None or batch.open > 0:
        return
    kind, body = outbox.batch_finished(batch)
    event = Event(
        id=uuid7().hex,
        tenant_id=batch.tenant_id,
        batch_id=batch.id,
        number=1,
        fact="BatchFinished",
        source=source,
        at=now,
        type=kind,
        body=body,
        detail={"batch_id": batch.id},
    )
    session.add(event)
    await session.flush()
    await outbox.owe(session, event, batch, now)
