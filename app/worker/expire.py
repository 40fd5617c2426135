"""The sweeps: deadlines that passed, leases that ran out, videos whose look is done, accounts to look at again."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta

import structlog
from sqlalchemy import ColumnElement, func, select, true, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app import governor, lifecycle
from app.context import Context
from app.database import DatabaseAway
from app.heygen.errors import HeyGenError
from app.lifecycle import By, Expired, Fact, Failed, Released, Unclear
from app.models import Account, Delivery, DeliveryStatus, File, Job, JobStatus, Submission, is_status
from app.worker import answers
from app.worker.submit import FIRST_REPEAT

log = structlog.get_logger(__name__)

AT_ONCE = 100
FILE_GIVEN_UP = timedelta(days=7)
NEVER_CAME = Failed("asset_not_available", "HeyGen rendered the video, but its file never became available.")


async def expire(ctx: Context) -> bool:
    """End what has passed its deadline; a file that only lags behind its render is waited for, but for a week at most."""
    now = ctx.clock.now()
    overdue = (col(Job.finished_at).is_(None), col(Job.rendered_at).is_(None), col(Job.deadline_at) <= now)
    lagging = (is_status(JobStatus.PROCESSING), col(Job.rendered_at) <= now - FILE_GIVEN_UP)
    ended = await _setting_aside(lambda aside: _end(ctx, Expired(), overdue, aside))
    return await _setting_aside(lambda aside: _end(ctx, NEVER_CAME, lagging, aside)) or ended


async def _end(ctx: Context, fact: Fact, conditions: Sequence[ColumnElement[bool]], aside: list[str]) -> bool:
    async with ctx.database.begin() as session:
        now = ctx.clock.now()
        # All are locked before the first is ended: the end of a batch's item locks its batch, which comes after jobs.
        due = (
            select(col(Job.id), col(Job.batch_id))
            .where(*conditions, col(Job.id).not_in(aside))
            .order_by(col(Job.deadline_at))
            .limit(AT_ONCE)
            .with_for_update(skip_locked=True)
        )
        rows = (await session.execute(due)).all()
        await ctx.failpoint("sweep.read")
        # Batches, too, are locked in one order.
        ids = [job_id for job_id, _ in sorted(rows, key=lambda row: (row[1] or "", row[0]))]
        for job_id in ids:
            aside.append(job_id)
            await lifecycle.apply(session, job_id, fact, By("worker", now))
            aside.pop()
    await ctx.failpoint("sweep.recorded")
    if ids:
        ctx.wake.hint("deliver")
    return bool(ids)


async def _setting_aside(sweep: Callable[[list[str]], Awaitable[bool]]) -> bool:
    """Repeat a sweep without the rows that it cannot move, so that they hold up no other.

    It is given the ids to leave out, and the one it tries last in that list is the one it fails with.
    """
    aside: list[str] = []
    while True:
        left_out = len(aside)
        try:
            return await sweep(aside)
        except DatabaseAway:
            raise
        except Exception:
            if len(aside) == left_out:
                raise
            log.exception("job_unmovable", job_id=aside[-1])


async def reap(ctx: Context) -> bool:
    """Take back what a dead or frozen worker held: certainly unsent work to the queue, the rest to `unsure`."""
    return await _setting_aside(lambda aside: _reap(ctx, aside))


async def _reap(ctx: Context, aside: list[str]) -> bool:
    async with ctx.database.begin() as session:
        now = ctx.clock.now()
        lost = (
            select(col(Job.id), col(Job.epoch), col(Job.releases))
            .where(is_status(JobStatus.SUBMITTING), col(Job.lease_until) <= now, col(Job.id).not_in(aside))
            .order_by(col(Job.lease_until))
            .limit(AT_ONCE)
            .with_for_update(skip_locked=True)
        )
        rows = (await session.execute(lost)).all()
        await ctx.failpoint("reap.read")
        for job_id, epoch, releases in rows:
            aside.append(job_id)
            # A job that takes its worker along each time must not keep doing so at full speed.
            fact: Fact = Released("lease_over", now + ctx.jitter(answers.backoff(releases)))
            if await _unanswered(session, job_id, epoch):
                fact = Unclear("lease_over", now + FIRST_REPEAT)
            await lifecycle.apply(session, job_id, fact, By("worker", now, epoch))
            aside.pop()
            log.warning("lease_over", job_id=job_id, fact=type(fact).__name__)
    await ctx.failpoint("reap.recorded")
    if rows:
        ctx.wake.hint("submit")
    return bool(rows)


async def _unanswered(session: AsyncSession, job_id: str, epoch: int) -> bool:
    open_send = select(col(Submission.id)).where(
        col(Submission.job_id) == job_id,
        col(Submission.epoch) == epoch,
        col(Submission.answered_at).is_(None),
    )
    return await session.scalar(open_send.limit(1)) is not None


async def free_waiting(ctx: Context) -> bool:
    """The guarantee behind every look's end: no video waits for a look that is done."""
    # Steps through the index from look to look: of a thousand that wait for one, the first alone is read.
    waited_for = select(func.min(col(Job.waits_for_id)).label("id")).where(col(Job.waits_for_id).isnot(None))
    looks = waited_for.cte("looks", recursive=True)
    following = select(func.min(col(Job.waits_for_id))).where(col(Job.waits_for_id) > looks.c.id)
    looks = looks.union_all(select(following.scalar_subquery()).where(looks.c.id.isnot(None)))
    over = select(col(Job.id)).join(looks, col(Job.id) == looks.c.id).where(col(Job.finished_at).isnot(None))
    async with ctx.database.begin() as session:
        look_id = await session.scalar(over.limit(1))
        if look_id is None:
            return False
        await lifecycle.free_waiting(session, look_id)
    ctx.wake.hint("submit")
    return True


async def probe(ctx: Context) -> bool:
    """Ask HeyGen whether paused accounts are well again."""
    async with ctx.database.begin() as session:
        due = await governor.due_probes(session, list(ctx.connections), ctx.clock.now())
    # Together: one that hangs must not put the next look at deadlines off by its 30 seconds for each account.
    probes = await asyncio.gather(*(_probe(ctx, account) for account in due), return_exceptions=True)
    for fault in filter(None, probes):
        raise fault
    return bool(due)


async def _probe(ctx: Context, account: Account) -> None:
    try:
        balance = (await ctx.connections[account.id].heygen.users_me()).balance
    except HeyGenError as error:
        log.warning("account_still_paused", account_id=account.id, reason=error.reason)
        return
    if balance is not None and balance <= 0:
        return
    # Where HeyGen shows no balance, the next create is the probe: refused again, it pauses again.
    on_trial = balance is None
    async with ctx.database.begin() as session:
        await governor.resume(session, account.id, account.paused_reason, on_trial=on_trial)
    ctx.wake.hint("submit")


async def end_leases(ctx: Context) -> None:
    """For the one process of a SQLite file that has just started: whoever held a lease is gone."""
    async with ctx.database.begin() as session:
        now = ctx.clock.now()
        leased = col(Job.lease_until) > now
        await session.execute(
            update(Job).where(is_status(JobStatus.SUBMITTING), leased).values(lease_until=now)
        )
        # A leased row that is not being submitted comes up again at the end of its lease, which is now. One statement
        # for each partial index: the finished rows are not read.
        ended = col(Job.finished_at).isnot(None) & col(Job.due_at).isnot(None)
        for index in (is_status(JobStatus.UNSURE), is_status(JobStatus.PROCESSING), ended):
            held = update(Job).where(index, leased, col(Job.due_at).isnot(None))
            await session.execute(held.values(lease_until=now, due_at=now))
        for table, owed in ((Delivery, is_status(DeliveryStatus.OWED)), (File, true())):
            taken = update(table).where(owed, col(table.due_at).isnot(None), col(table.lease_until) > now)
            await session.execute(taken.values(lease_until=None, due_at=now))
