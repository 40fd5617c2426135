"""Claim a queued job, prepare it, write the intent down, send it, record the answer."""

import asyncio
from dataclasses import dataclass
from datetime import timedelta

import structlog
from sqlalchemy import select
from sqlalchemy.exc import NoResultFound
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app import gates, governor, grants, lifecycle
from app.context import Context
from app.database import DatabaseAway
from app.heygen.errors import HeyGenError, NotSent
from app.heygen.errors import Missing as NotThere
from app.heygen.schemas import Created, is_private_voice
from app.lifecycle import Accepted, By, Fact, Failed, Released, Unclear
from app.models import GrantKind, Job, JobStatus, Outcome
from app.secrets import CannotDecrypt
from app.storage import NotStored
from app.worker import answers, cadence, ledger, uploads
from app.worker.answers import Doubt, Fail, Meaning, Past, Release
from app.worker.claims import hold
from app.worker.ledger import Answer, Intent
from app.worker.prepare import Missing, Preparation, Ready, Unusable, Waits, prepare

log = structlog.get_logger(__name__)

FIRST_REPEAT = timedelta(seconds=5)


@dataclass(frozen=True)
class Submittable:
    """A claimed job: with an intent where it can be sent at once, else with what is missing."""

    job: Job
    intent: Intent | None
    missing: Missing | None


async def submit_next(ctx: Context) -> bool:
    """Claim one job and send it; False when no account has both a free slot and a job for it."""
    claimed = await claim(ctx)
    if claimed is None:
        return False
    await submit(ctx, claimed)
    return True


async def claim(ctx: Context) -> Submittable | None:
    """The next job of any account, in one commit with its intent where nothing is missing.

    A job that turns out to wait for its look, or to be unusable, is moved on at once and the next one is tried.
    """
    # In any order: the first must not have every turn, for as long as it has free slots.
    for account_id in ctx.random.sample([*ctx.connections], len(ctx.connections)):
        more = True
        while more:
            claimed, more = await _claim_next(ctx, account_id)
            if claimed is not None:
                await ctx.failpoint("submit.claimed")
                return claimed
    return None


async def _claim_next(ctx: Context, account_id: str) -> tuple[Submittable | None, bool]:
    """The account's next job, unless it was moved on; False when there was none."""
    job_id: str | None = None
    try:
        async with ctx.database.begin() as session:
            now = ctx.clock.now()
            job_id = await governor.next_job(session, account_id, now)
            if job_id is None:
                return None, False
            job = await lifecycle.claim(session, job_id, ctx.pace.lease, By("worker", now))
            if job is None:
                return None, True
            return await _advance(ctx, session, job, await prepare(ctx, session, job)), True
    except DatabaseAway:
        raise
    except Exception as error:
        if job_id is None:
            raise
        await _set_aside(ctx, (account_id, job_id), None, error)
        return None, True


async def _set_aside(ctx: Context, ids: tuple[str, str], held: Job | None, error: Exception) -> None:
    """Put off a job that fails before it is sent: its row must not keep the rest of the queue from its turn.

    In a transaction of its own, for the one it failed in is lost; `held` where that was not the one of its claim.
    """
    (account_id, job_id), unexpected = ids, not isinstance(error, CannotDecrypt | NoResultFound)
    log.error("job_unreadable", job_id=job_id, reason=type(error).__name__, exc_info=unexpected and error)
    async with ctx.database.begin() as session:
        now = ctx.clock.now()
        await governor.lock(session, account_id)
        job = held or await lifecycle.claim(session, job_id, ctx.pace.lease, By("worker", now))
        if job is not None:
            put_off = Released("unreadable", now + ctx.jitter(answers.backoff(job.releases)))
            await lifecycle.apply(session, job.id, put_off, By("worker", now, job.epoch))


async def submit(ctx: Context, claimed: Submittable) -> None:
    """See a claimed job through to its answer."""
    intent = claimed.intent or await _complete(ctx, claimed)
    if intent is not None:
        await ctx.failpoint("submit.intended")
        await _send(ctx, claimed.job, intent)


async def _advance(
    ctx: Context, session: AsyncSession, job: Job, preparation: Preparation
) -> Submittable | None:
    """Move a claimed job on by what its preparation found; None when there is nothing to send."""
    now = ctx.clock.now()
    by = By("worker", now, job.epoch)
    match preparation:
        case Ready(body):
            return Submittable(job, await ledger.intend_first(ctx, session, job, body), None)
        case Missing():
            return Submittable(job, None, preparation)
        case Waits(look_id):
            await lifecycle.apply(session, job.id, Released("waits_for_look", now, look_id), by)
        case Unusable(code, message):
            await lifecycle.apply(session, job.id, Failed(code, message), by)
    return None


async def _complete(ctx: Context, claimed: Submittable) -> Intent | None:
    """Upload and look up what is missing, then write the intent down; None when the job went elsewhere."""
    job, missing = claimed.job, claimed.missing
    assert missing is not None  # noqa: S101 -- a claim has an intent or lacks something
    fact, told = await _fetch_missing(ctx, job, missing)
    await ctx.failpoint("submit.prepared")
    try:
        return await _intend(ctx, job, fact, told)
    except DatabaseAway:
        raise
    except Exception as error:  # noqa: BLE001 -- logged there; nothing was sent yet
        await _set_aside(ctx, (job.account_id, job.id), job, error)
        return None


async def _intend(ctx: Context, job: Job, fact: Fact | None, told: Release | None) -> Intent | None:
    """Write the intent of a job down that lacks nothing more, or the fact that ends or postpones it."""
    async with ctx.database.begin() as session:
        now = ctx.clock.now()
        by = By("worker", now, job.epoch)
        if told is not None:
            # HeyGen names its limit of jobs for creates alone: an upload that is refused tells nothing of it.
            await act_on_account(ctx, session, job.account_id, told, lowers=False)
        # The account may have been gated or paused meanwhile; its lock keeps it as it is until the intent stands.
        shut_until = governor.shut_until(await governor.lock(session, job.account_id), now)
        if fact is None and shut_until is not None:
            fact = Released("account_shut", shut_until)
        if fact is not None:
            await lifecycle.apply(session, job.id, fact, by)
            return None
        if not await ledger.holds(session, job.id, job.epoch, JobStatus.SUBMITTING):
            return None
        ready = await _advance(ctx, session, job, await prepare(ctx, session, job, checked=True))
        if ready is not None and ready.intent is None:
            # Another job had the uploads forgotten; the slot must not idle until the lease ends.
            wait = ctx.jitter(answers.backoff(job.releases))
            await lifecycle.apply(session, job.id, Released("upload_forgotten", now + wait), by)
    return ready.intent if ready is not None else None


async def _fetch_missing(ctx: Context, job: Job, missing: Missing) -> tuple[Fact | None, Release | None]:
    """Do what needs the network.

    The fact that ends or postpones the job, None when all is there; and what HeyGen told of the account on the way.
    """
    delay = answers.backoff(job.releases)
    try:
        async with asyncio.timeout((job.deadline_at - ctx.clock.now()).total_seconds()):
            return await _fetch(ctx, job, missing), None
    except NotStored:
        message = "A file that the request names is not in our storage any more."
        return Failed("asset_not_available", message), None
    except Exception as error:  # noqa: BLE001 -- nothing was sent yet: whatever it was, the job may simply try again
        reason, told = type(error).__name__, None
        if isinstance(error, HeyGenError):
            reason, told = error.reason, answers.of_account(error, delay)
        log.warning("preparation_failed", job_id=job.id, reason=reason)
        wait = ctx.jitter(told.delay) if told is not None else ctx.full_jitter(delay)
        return Released(f"preparation: {reason}", ctx.clock.now() + wait), told


async def _fetch(ctx: Context, job: Job, missing: Missing) -> Failed | None:
    held = hold(ctx, job)
    for kind, heygen_id in missing.unchecked:
        await held.keep()
        if not await _usable(ctx, job, kind, heygen_id):
            word = "avatar" if kind == "look" else "voice"
            return Failed(f"{word}_not_found", f"{word.capitalize()} {heygen_id} not found")
    for asset in missing.assets:
        await uploads.upload(ctx, job, asset)
    return None


async def _usable(ctx: Context, job: Job, kind: str, heygen_id: str) -> bool:
    catalog = ctx.connections[job.account_id].catalog
    try:
        if kind == "voice":
            private = is_private_voice(await catalog.voice(heygen_id))
            async with ctx.database.begin() as session:
                holders = await grants.holders(session, job.account_id, GrantKind.VOICE, heygen_id)
            return job.tenant_id in holders or not (holders or private)
        look = await catalog.look(heygen_id)
    except NotThere:
        return False
    # Only private looks have a status of their own.
    if look.status is None:
        return True
    async with ctx.database.begin() as session:
        return await grants.covers_look(session, job, look.id, look.group_id)


async def _send(ctx: Context, job: Job, intent: Intent) -> None:
    """Make the call, with no transaction open, and record what came of it."""
    ctx.retries.first(ctx.clock.now())
    result = await post(ctx, intent)
    await ctx.failpoint("submit.sent")
    async with ctx.database.begin() as session:
        if isinstance(result, Created):
            await governor.accepted(session, job.account_id, ctx.clock.now())
            await record_accepted(ctx, session, job, intent, result)
        else:
            await _record_failure(ctx, session, job, intent, result)
    await ctx.failpoint("submit.recorded")


async def post(ctx: Context, intent: Intent) -> Created | HeyGenError:
    """Make the create call that an intent stands for, unless its time is over.

    The deadline does not shorten a call under way: its answer tells what was paid for.
    """
    if ctx.clock.now() >= intent.send_before:
        # This process slept through its lease: whoever took over must not meet a late send.
        return NotSent("lease_over")
    if ctx.clock.now() >= intent.deadline_at:
        return NotSent("deadline")
    result: Created | HeyGenError
    try:
        result = await ctx.connections[intent.account_id].heygen.create(intent.path, intent.body, intent.key)
    except HeyGenError as error:
        result = error
    await gates.count(ctx, intent.account_id, result if isinstance(result, HeyGenError) else None)
    return result


async def record_accepted(
    ctx: Context, session: AsyncSession, job: Job, intent: Intent, created: Created
) -> bool:
    """HeyGen has it. An id that is another job's is refused, loudly: False.

    The caller has locked the account: no two jobs take one id at once.
    """
    now = ctx.clock.now()
    disowned = await ledger.disowned(session, job, created.id)
    theirs = disowned or await taken(session, job, created.id)
    outcome = Outcome.UNCLEAR if theirs else Outcome.ACCEPTED
    await ledger.answered(session, intent, Answer(outcome, 200, heygen_id=created.id), now)
    fact: Fact = Accepted(created.id, now + cadence.first(ctx, job), created.group_id)
    if theirs:
        log.error("heygen_id_taken", job_id=job.id, heygen_id=created.id)
        fact = Unclear("heygen_id_taken", now + FIRST_REPEAT)
    await lifecycle.apply(session, job.id, fact, By("worker", now, intent.epoch))
    return not theirs


async def taken(session: AsyncSession, job: Job, heygen_id: str) -> bool:
    """Whether another job of the account holds this HeyGen id."""
    other = select(col(Job.id)).where(
        col(Job.account_id) == job.account_id, col(Job.kind) == job.kind, col(Job.heygen_id) == heygen_id
    )
    return await session.scalar(other.where(col(Job.id) != job.id)) is not None


async def _record_failure(
    ctx: Context, session: AsyncSession, job: Job, intent: Intent, error: HeyGenError
) -> None:
    meaning = answers.of_first(error, await _past(ctx, session, job))
    await act_on_account(ctx, session, job.account_id, meaning)
    now = ctx.clock.now()
    await ledger.answered(session, intent, answers.recorded(error), now)
    if isinstance(meaning, Release) and meaning.upload_again:
        await uploads.forget(ctx, session, job)
    fact: Fact
    match meaning:
        case Release():
            # What could not be sent failed for many at once; the other delays are HeyGen's word, or bounded tries.
            spread = ctx.full_jitter if isinstance(error, NotSent) else ctx.jitter
            fact = Released(meaning.reason, now + spread(meaning.delay))
        case Fail():
            fact = Failed(meaning.code, meaning.message)
        case Doubt():
            fact = Unclear(meaning.reason, now + ctx.jitter(FIRST_REPEAT))
    if not await lifecycle.apply(session, job.id, fact, By("worker", now, intent.epoch)):
        await lifecycle.unbill(session, job.id)
    log.warning("submission_failed", job_id=job.id, reason=error.reason, fact=type(fact).__name__)


async def act_on_account(
    ctx: Context, session: AsyncSession, account_id: str, meaning: Meaning, *, lowers: bool = True
) -> None:
    """What an answer says about the account: wait, or pause until an operator or a probe ends it.

    `lowers`: whether a 429 means that fewer jobs should be in flight.
    """
    now = ctx.clock.now()
    match meaning:
        case Release(gate=governor.Told() as told):
            await governor.gate(session, account_id, told, now, lowers=lowers)
        case Release(pause=str(reason)):
            await governor.pause(session, account_id, reason, now)
        case Fail(counts=True):
            await governor.refused(session, account_id, meaning.code, now)


async def _past(ctx: Context, session: AsyncSession, job: Job) -> Past:
    sends = await ledger.history(session, job.id)
    refusals = frozenset(send.code for send in sends if send.outcome == Outcome.REFUSED and send.code)
    return Past(job.releases, await uploads.made_lately(ctx, session, job), refusals)
