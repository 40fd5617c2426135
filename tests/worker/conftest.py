"""A service with a tenant, its jobs, and the passing of time."""

import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, union_all
from sqlmodel import col

from app import lifecycle
from app.context import Context
from app.lifecycle import By, Canceled
from app.models import Account, Delivery, Event, File, Job, Submission, Tenant
from app.simulator.app import Simulator
from tests.clocks import ManualClock
from tests.factories import LOOK, VOICE, queue_job
from tests.services import run_worker

LONGEST_STRIDE = 60.0  # seconds: HeyGen's callbacks wait for the end of a step


@dataclass
class Bench:
    """A served service, the simulator behind it, and one clock for both."""

    context: Context
    simulator: Simulator
    clock: ManualClock
    tenant: Tenant

    async def queue(self, count: int = 1, **values: Any) -> list[Job]:
        """Queue videos; `script` may hold one of the simulator's magic words."""
        script = values.pop("script", None)
        if script is not None:
            values["body"] = {"type": "avatar", "avatar_id": LOOK, "voice_id": VOICE, "script": script}
        now = self.clock.now()
        return [
            await queue_job(self.context.database, self.context.secrets, self.tenant, now, **values)
            for _ in range(count)
        ]

    async def work(self) -> int:
        """Every step of the worker, until none has anything to do."""
        return await run_worker(self.context)

    async def cancel(self, job_id: str) -> None:
        """As a caller does it."""
        async with self.context.database.begin() as session:
            assert await lifecycle.apply(session, job_id, Canceled(), By("caller", self.clock.now()))

    async def pass_time(self, seconds: float, step: float = 5) -> None:
        """Let time pass in steps, with callbacks and work after each."""
        passed = 0.0
        while passed < seconds:
            self.clock.advance(timedelta(seconds=min(step, seconds - passed)))
            passed += step
            await self.simulator.send_due_callbacks()
            await self.work()

    async def settle(self, within: float = 3600, step: float = 10) -> None:
        """Let time pass until every job has ended, faster where nothing is due; fails when one has not by then."""
        await self.work()
        passed = 0.0
        while await self.unfinished():
            assert passed < within, f"{await self.unfinished()} jobs did not end within {within} s"
            idle = min(await self._idle(), LONGEST_STRIDE, within - passed)
            stride = max(idle, step)
            await self.pass_time(stride, stride)
            passed += stride

    async def _idle(self) -> float:
        """Seconds until something is due."""
        now = self.clock.now()
        instants = (
            *(
                col(Job.due_at),
                col(Job.lease_until),
                col(Job.deadline_at),
                col(Delivery.due_at),
                col(File.due_at),
            ),
            *(col(Account.gate_until), col(Account.probe_at)),
        )
        coming = union_all(*(select(func.min(it).label("at")).where(it > now) for it in instants))
        async with self.context.database.begin() as session:
            first = await session.scalar(select(func.min(coming.subquery().c.at)))
        return (first - now).total_seconds() if first is not None else math.inf

    async def unfinished(self) -> int:
        """Jobs that have not ended."""
        async with self.context.database.begin() as session:
            counted = select(func.count()).select_from(Job).where(col(Job.finished_at).is_(None))
            return await session.scalar(counted) or 0

    async def jobs(self) -> list[Job]:
        """Every job, oldest first."""
        async with self.context.database.begin() as session:
            return list(await session.scalars(select(Job).order_by(col(Job.id))))

    async def job(self) -> Job:
        """The only job."""
        (job,) = await self.jobs()
        return job

    async def account(self) -> Account:
        """The only account."""
        async with self.context.database.begin() as session:
            return (await session.scalars(select(Account))).one()

    async def facts(self, job_id: str) -> list[str]:
        """The timeline of a job."""
        async with self.context.database.begin() as session:
            events = select(col(Event.fact)).where(col(Event.job_id) == job_id).order_by(col(Event.number))
            return list(await session.scalars(events))

    async def submissions(self) -> list[Submission]:
        """Every send, in order."""
        async with self.context.database.begin() as session:
            order = (col(Submission.job_id), col(Submission.n), col(Submission.send))
            return list(await session.scalars(select(Submission).order_by(*order)))

    def renders(self) -> int:
        """The videos in the simulator's billing ledger."""
        return sum(1 for row in self.simulator.ledger() if row.kind == "video")

    def calls(self, method: str, path_prefix: str = "/v3") -> int:
        """API calls the simulator got."""
        return len(self.simulator.requests(method, path_prefix))


@pytest.fixture
async def bench(served: Context, simulator: Simulator, clock: ManualClock, tenant: Tenant) -> Bench:
    return Bench(served, simulator, clock, tenant)


@pytest.fixture
def held_slots(bench: Bench) -> Callable[[], Awaitable[int]]:
    async def count() -> int:
        async with bench.context.database.begin() as session:
            held = select(func.count()).select_from(Job).where(col(Job.slot_account_id).isnot(None))
            return await session.scalar(held) or 0

    return count
