"""A service with a tenant, its jobs, and the passing of time."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlmodel import col

from app import lifecycle
from app.context import Context
from app.lifecycle import By, Canceled
from app.models import Account, Event, Job, Submission, Tenant
from app.simulator.app import Simulator
from tests.clocks import ManualClock
from tests.factories import LOOK, VOICE, queue_job
from tests.services import run_worker


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
        """Let time pass until every job has ended; fails when one has not by then."""
        await self.work()
        passed = 0.0
        while await self.unfinished():
            assert passed < within, f"{await self.unfinished()} jobs did not end within {within} s"
            await self.pass_time(step, step)
            passed += step

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
