"""Load shedding: a tenant whose queue is full is told to come back, before the database suffers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated

from fastapi import Depends, Request
from sqlalchemy import func, select
from sqlmodel import col

from app.context import Context
from app.errors import RateLimited
from app.models import Job, JobStatus, is_status
from app.tenancy import Caller

COUNTED_EVERY = timedelta(seconds=5)
_READY, _DELAYED = col(Job.due_at).is_(None), col(Job.due_at).isnot(None)

RETRY_AFTER = 30
"""Seconds: the longest that HeyGen's client waits."""


@dataclass
class _Queue:
    counted_at: float
    length: int


class QueueRoom:
    """What one process knows of the tenants' queues: counted each 5 s, and its own requests added meanwhile."""

    def __init__(self) -> None:
        self._queues: dict[str, _Queue] = {}

    async def take(self, ctx: Context, caller: Caller, places: int = 1) -> None:
        """Take places in the tenant's queue; raises RateLimited where there are not so many."""
        elapsed = ctx.clock.elapsed()
        queue = self._queues.get(caller.tenant_id)
        if queue is None or elapsed - queue.counted_at >= COUNTED_EVERY.total_seconds():
            # Entered before it is known, so that simultaneous requests do not all count.
            length = queue.length if queue is not None else 0
            queue = self._queues[caller.tenant_id] = _Queue(elapsed, length)
            queue.length = await _count(ctx, caller)
        if queue.length + places > ctx.terms.queue_limit:
            raise RateLimited(
                f"{queue.length} jobs of yours are queued already, and {ctx.terms.queue_limit} may be. "
                "Retry after the duration specified in the Retry-After header.",
                retry_after=RETRY_AFTER,
            )
        queue.length += places


async def _count(ctx: Context, caller: Caller) -> int:
    own = select(func.count()).where(
        col(Job.account_id) == caller.account_id, col(Job.tenant_id) == caller.tenant_id
    )
    queued = own.where(is_status(JobStatus.QUEUED), col(Job.waits_for_id).is_(None))
    # Three indexes: of the jobs that are ready, of those that went back for a while, of those that wait for a look.
    ready, delayed = (queued.where(it).scalar_subquery() for it in (_READY, _DELAYED))
    waiting = own.where(col(Job.waits_for_id).isnot(None)).scalar_subquery()
    async with ctx.database.begin() as session:
        return await session.scalar(select(ready + delayed + waiting)) or 0


def get_room(request: Request) -> QueueRoom:
    """The one of this application."""
    state = request.app.state
    if not hasattr(state, "queue_room"):
        state.queue_room = QueueRoom()
    room: QueueRoom = state.queue_room
    return room


RoomDep = Annotated[QueueRoom, Depends(get_room)]
