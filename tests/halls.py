"""A governor at work without a network: many tenants with long queues, and slots that come free in turn."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import insert, update
from sqlmodel import col
from uuid_utils.compat import uuid7

from app import governor, lifecycle
from app.database import Database
from app.lifecycle import By
from app.models import Account, Job, Tenant
from tests.conftest import START

LEASE = timedelta(minutes=3)
AT_ONCE = 5_000


@dataclass
class Hall:
    """One account and its tenants, by id, in the order they were named."""

    database: Database
    account: Account
    slots: int
    tenants: list[str] = field(default_factory=list)
    running: deque[str] = field(default_factory=deque)

    async def queue(self, tenant_id: str, count: int, **values: Any) -> None:
        """Add jobs to a tenant's queue, in bulk."""
        for first in range(0, count, AT_ONCE):
            rows = [self._row(tenant_id, values) for _ in range(min(AT_ONCE, count - first))]
            async with self.database.begin() as session:
                await session.execute(insert(Job), rows)

    def _row(self, tenant_id: str, values: dict[str, Any]) -> dict[str, Any]:
        job_id = uuid7().hex
        row = {"id": job_id, "tenant_id": tenant_id, "account_id": self.account.id, "kind": "video"}
        row |= {"type": "avatar", "title_token": job_id, "callback_token_sha256": job_id, "status": "queued"}
        return row | {"deadline_at": START + timedelta(days=7), "created_at": START, "number": 1} | values

    async def render(self, count: int, now: datetime = START) -> list[str]:
        """Start up to that many jobs, the oldest render ending where no slot is free; whose they were."""
        log: list[str] = []
        while len(log) < count:
            if len(self.running) == self.slots:
                await self.end(self.running.popleft())
            job = await self.start(now)
            if job is None:
                break
            self.running.append(job.id)
            log.append(job.tenant_id)
        return log

    async def start(self, now: datetime = START) -> Job | None:
        """Claim the next job, as the worker does."""
        async with self.database.begin() as session:
            job_id = await governor.next_job(session, self.account.id, now)
            return await lifecycle.claim(session, job_id, LEASE, By("worker", now)) if job_id else None

    async def end(self, job_id: str) -> None:
        """HeyGen is done with it: its slot is free."""
        async with self.database.begin() as session:
            free = {"slot_account_id": None, "lease_until": None, "rendered_at": START}
            await session.execute(update(Job).where(col(Job.id) == job_id).values(**free))


async def seat(database: Database, account: Account, tenants: Sequence[tuple[int, int]], slots: int) -> Hall:
    """A hall with these tenants: (weight, queued jobs) of each, the first of them there first."""
    hall = Hall(database, account, slots)
    async with database.begin() as session:
        await session.execute(update(Account).values(concurrency=slots, limit_now=slots))
        rows = [
            {"id": uuid7().hex, "name": uuid7().hex, "account_id": account.id, "weight": weight}
            | {"created_at": START, "account_wide": False, "turn": 0}
            for weight, _ in tenants
        ]
        await session.execute(insert(Tenant), rows)
    hall.tenants = [str(row["id"]) for row in rows]
    for tenant_id, (_, count) in zip(hall.tenants, tenants, strict=True):
        await hall.queue(tenant_id, count)
    return hall
