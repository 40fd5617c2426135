"""What is owed after a job's end: the render that goes on without its caller, and HeyGen's copy of what was changed."""

from datetime import datetime, timedelta

import structlog
from sqlmodel import col

from app import gates, lifecycle
from app.context import Context
from app.heygen.errors import AccountBlocked, HeyGenError, Missing, NotReady, RateLimited, Refused
from app.heygen.titles import with_token
from app.lifecycle import Accepted, By, Completed, Fact, Failed
from app.models import Job, JobStatus, Look
from app.worker import cadence, ledger, poll, search
from app.worker.claims import put_all_back, put_back, take_due
from app.worker.submit import taken
from app.worker.unsure import BETWEEN_SEARCHES

log = structlog.get_logger(__name__)

LONGEST = timedelta(hours=24)  # past the deadline, a render whose id is known is given up
DELETE_AGAIN = RENAME_AGAIN = timedelta(minutes=5)


async def tidy_next(ctx: Context) -> bool:
    """Do one thing that is owed for an ended job; False when none is due."""
    job = await claim(ctx)
    if job is None:
        return False
    await tidy(ctx, job)
    return True


async def claim(ctx: Context) -> Job | None:
    """The ended job that is most overdue; those of an account that must not be called now wait until it may be."""
    owed = (col(Job.finished_at).isnot(None), col(Job.due_at).isnot(None))
    shut = True
    while shut:
        async with ctx.database.begin() as session:
            now = ctx.clock.now()
            jobs = await take_due(ctx, session, *owed, before=now, limit=1)
            until = await gates.shut(session, [job.account_id for job in jobs], now)
            await put_all_back(session, [(job, until[job.account_id]) for job in jobs if until], asked=False)
            shut = bool(until)
    await ctx.failpoint("tidy.claimed")
    return jobs[0] if jobs else None


async def tidy(ctx: Context, job: Job) -> None:
    """Follow a withdrawn render to its end; then delete or rename HeyGen's copy, as the caller did with ours."""
    withdrawn = job.failure_code in {"canceled", "deadline_exceeded"}
    if withdrawn and not _over(job):
        await _follow(ctx, job)
    elif job.deleted_at is not None and job.heygen_id is not None and job.heygen_deleted_at is None:
        await _delete(ctx, job)
    elif job.kind == "look" and job.status == JobStatus.COMPLETED and job.deleted_at is None:
        await _rename(ctx, job)
    else:
        await _done(ctx, job)
    await ctx.failpoint("tidy.recorded")


def _over(job: Job) -> bool:
    """Whether nothing more can come of a withdrawn render."""
    return job.slot_account_id is None and (job.late_result is not None or job.rendered_at is None)


async def _follow(ctx: Context, job: Job) -> None:
    """One look at HeyGen: by id where it is known, else by the token. Never a create."""
    now = ctx.clock.now()
    fact: Fact | None = None
    changes = {}
    again_at = now + cadence.again(ctx, job, now)
    # An outage may outlast any deadline, and what was never looked up may be paid for: that is not given up.
    hopeless = job.heygen_id is not None
    try:
        if job.heygen_id is not None:
            fact = await poll.outcome(ctx, job)
        elif (accepted := await _found(ctx, job, now)) is not None:
            fact = accepted
        elif job.searched_at is None:
            changes, again_at = {"searched_at": now}, now + BETWEEN_SEARCHES
        elif now - job.searched_at >= BETWEEN_SEARCHES:
            fact = Failed("outcome_unknown")
    except (HeyGenError, search.Incomplete) as error:
        log.warning("follow_failed", job_id=job.id, reason=str(error))
        if isinstance(error, HeyGenError):
            await gates.heed(ctx, job.account_id, error)
        # Of its own id alone: a list that is not found tells nothing of what it would have shown.
        if isinstance(error, Missing) and job.heygen_id is not None:
            fact = poll.vanished(ctx, job)
        hopeless |= isinstance(error, search.Incomplete)
    if hopeless and now > job.deadline_at + LONGEST and not isinstance(fact, Completed | Failed):
        fact = Failed("gave_up")
    await ctx.failpoint("tidy.asked")
    async with ctx.database.begin() as session:
        if fact is None:
            await put_back(session, job, again_at, asks=job.asks + 1, **changes)
        else:
            await lifecycle.apply(session, job.id, fact, By("poll", ctx.clock.now(), job.epoch))
    ctx.wake.hint("submit")
    ctx.wake.hint("archive")


async def _found(ctx: Context, job: Job, now: datetime) -> Accepted | None:
    """The job at HeyGen: as a sender told who was late for its claim, which only the ledger knows; else by the token."""
    async with ctx.database.begin() as session:
        late = ledger.accepted_id(await ledger.history(session, job.id))
        if late is not None and not await taken(session, job, late):
            return Accepted(late, now)
    found = await search.by_token(ctx, job)
    if found is None:
        return None
    async with ctx.database.begin() as session:
        # HeyGen named it for another job, too, which lets go of it once it has read whose it is.
        held = await taken(session, job, found.heygen_id)
    return Accepted(found.heygen_id, now, found.heygen_group_id) if not held else None


async def _delete(ctx: Context, job: Job) -> None:
    heygen, heygen_id = ctx.connections[job.account_id].heygen, job.heygen_id or ""
    try:
        await (heygen.delete_video(heygen_id) if job.kind == "video" else heygen.delete_look(heygen_id))
    except HeyGenError as error:
        log.warning("heygen_delete_failed", job_id=job.id, reason=error.reason)
        await gates.heed(ctx, job.account_id, error)
        async with ctx.database.begin() as session:
            await put_back(session, job, ctx.clock.now() + ctx.jitter(DELETE_AGAIN))
        return
    await ctx.failpoint("tidy.deleted")
    async with ctx.database.begin() as session:
        await put_back(session, job, None, heygen_deleted_at=ctx.clock.now())


async def _rename(ctx: Context, job: Job) -> None:
    """Let HeyGen's copy of a look have its name of now, unless HeyGen will never have it so."""
    async with ctx.database.begin() as session:
        look = await session.get_one(Look, job.id)
    heygen, again_at = ctx.connections[job.account_id].heygen, None
    try:
        await heygen.rename_look(job.heygen_id or "", with_token(look.name, job.title_token))
    except HeyGenError as error:
        log.warning("rename_failed", look_id=job.id, reason=error.reason)
        if not isinstance(error, Refused) or isinstance(error, RateLimited | AccountBlocked | NotReady):
            await gates.heed(ctx, job.account_id, error)
            again_at = ctx.clock.now() + ctx.jitter(RENAME_AGAIN)
    async with ctx.database.begin() as session:
        await put_back(session, job, again_at)


async def _done(ctx: Context, job: Job) -> None:
    async with ctx.database.begin() as session:
        await put_back(session, job, None)
