"""Out of `unsure`: HeyGen may have the job, and only the same key, or a look-up, may tell. Never a new key."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app import gates, governor, lifecycle
from app.context import Context
from app.heygen.errors import HeyGenError, Refused
from app.heygen.schemas import Created
from app.lifecycle import Accepted, By, Failed
from app.models import Callback, Job, JobStatus, Outcome, Submission, is_status
from app.worker import answers, ledger, search
from app.worker.claims import HINT_GAP, heed_hints, hinted, put_back, take_due
from app.worker.ledger import Intent
from app.worker.search import Found
from app.worker.submit import act_on_account, post, record_accepted, taken

log = structlog.get_logger(__name__)

REPEATS = tuple(timedelta(seconds=seconds) for seconds in (5, 30, 60, 120, 300, 600))
BETWEEN_SEARCHES = timedelta(minutes=10)
CANDIDATES = 3  # the newest
SKEW = timedelta(minutes=1)  # by which the clocks of two replicas differ at most
REFUSED_ON_REPEAT = frozenset({400, 404, 409, 413})
SERVER_ERRORS = 4  # repeats in a row answered 5xx, after which HeyGen may be replaying its own error
UNKNOWN = "outcome_unknown"
UNKNOWN_MESSAGE = "HeyGen gave no clear answer, and shows no such job; nothing is known to have been made."


@dataclass(frozen=True)
class Repeat:
    """Send the same bytes under the same key."""


@dataclass(frozen=True)
class Search:
    """Send nothing more; look it up. Without a find, twice, the job ends with this code."""

    code: str
    message: str


@dataclass(frozen=True)
class Unsure:
    """A claimed job in doubt, with all that is known of it."""

    job: Job
    sends: list[Submission]
    candidate: str | None  # what callbacks named, where it may be read now
    shut_until: datetime | None = None  # not even a read may be made before


def next_move(sends: list[Submission], now: datetime, key_max_age: timedelta) -> Repeat | Search:
    """Whether the key may be sent again."""
    under_key = [send for send in sends if send.n == sends[-1].n]
    first, last = under_key[0], under_key[-1]
    if last.outcome == Outcome.REFUSED and last.http_status in REFUSED_ON_REPEAT:
        return Search(last.code or UNKNOWN, "HeyGen refused the repeated request.")
    # HeyGen's 24 hours begin with the first send that may have reached it.
    known_since = next((send.sent_at for send in under_key if send.outcome != Outcome.UNSENT), now)
    # A clock that was set back tells no key's age.
    if not -SKEW <= now - known_since < key_max_age or first.body_encrypted is None:
        return Search(UNKNOWN, UNKNOWN_MESSAGE)
    errors = [send for send in under_key[1:][-SERVER_ERRORS:] if (send.http_status or 0) >= 500]
    # Where no other create was accepted meanwhile it is an outage, and an outage is waited out.
    if len(errors) == SERVER_ERRORS and last.others_accepted:
        return Search(UNKNOWN, UNKNOWN_MESSAGE)
    return Repeat()


async def resolve_next(ctx: Context) -> bool:
    """Take one job in doubt a step further; False when none is due."""
    unsure = await claim(ctx)
    if unsure is None:
        return False
    await resolve(ctx, unsure)
    return True


async def claim(ctx: Context) -> Unsure | None:
    """The job in doubt that is most overdue."""
    async with ctx.database.begin() as session:
        now = ctx.clock.now()
        jobs = await take_due(ctx, session, is_status(JobStatus.UNSURE), before=now, limit=1)
        if not jobs:
            return None
        job = jobs[0]
        sends = await ledger.history(session, job.id)
        shut = await gates.shut(session, [job.account_id], now)
        candidate = None if job.account_id in shut else await _candidate(ctx, session, job, now)
        if hinted(job) and _too_soon(job, now):
            # Not lost: `put_back` leaves what is due before the lease ends.
            later = update(Job).where(col(Job.id) == job.id).values(due_at=job.hint_after)
            await session.execute(later.execution_options(synchronize_session=False))
        else:
            await heed_hints(session, jobs, now)
    await ctx.failpoint("unsure.claimed")
    return Unsure(job, sends, candidate, shut.get(job.account_id))


async def resolve(ctx: Context, unsure: Unsure) -> None:
    """One round: what has come in already, else a repeat, else a look-up."""
    job = unsure.job
    late = ledger.accepted_id(unsure.sends)
    if late is not None and await _accept(ctx, job, Found(late)):
        return
    if unsure.shut_until is not None:
        await _put_back(ctx, job, unsure.shut_until)
        return
    if await _is_candidate(ctx, unsure):
        return
    move = next_move(unsure.sends, ctx.clock.now(), ctx.pace.key_max_age)
    # HeyGen may have forgotten a key, however young it is by another time than the one it was sent in.
    if isinstance(move, Search) or not ctx.clock.saw(unsure.sends[-1].sent_at):
        await _search(ctx, unsure, move)
    else:
        await _repeat(ctx, unsure)


async def _candidate(ctx: Context, session: AsyncSession, job: Job, now: datetime) -> str | None:
    """One of the ids that callbacks named, at most one in thirty seconds; only HeyGen itself can confirm it.

    Which one is left to chance, so that those which somebody invented do not keep the true one from its turn.
    """
    if _too_soon(job, now):
        return None
    named = select(col(Callback.heygen_id)).where(
        col(Callback.job_id) == job.id, col(Callback.heygen_id).isnot(None)
    )
    ids = (await session.scalars(named.order_by(col(Callback.received_at).desc()).limit(CANDIDATES))).all()
    if not ids:
        return None
    read = update(Job).where(col(Job.id) == job.id).values(hint_after=now + HINT_GAP)
    await session.execute(read.execution_options(synchronize_session=False))
    return ctx.random.choice(ids)


async def _is_candidate(ctx: Context, unsure: Unsure) -> bool:
    """Whether what a callback named is the job, which then goes on."""
    job, candidate = unsure.job, unsure.candidate
    if candidate is None or not await search.confirms(ctx, job, candidate):
        return False
    return await _accept(ctx, job, Found(candidate))


def _too_soon(job: Job, now: datetime) -> bool:
    return job.hint_after is not None and now < job.hint_after


async def _accept(ctx: Context, job: Job, found: Found) -> bool:
    async with ctx.database.begin() as session:
        now = ctx.clock.now()
        # A lock alone: that it was accepted, some time ago, tells nothing of other creates now.
        await governor.lock(session, job.account_id)
        if await taken(session, job, found.heygen_id):
            log.error("heygen_id_taken", job_id=job.id, heygen_id=found.heygen_id)
            return False
        fact = Accepted(found.heygen_id, now, found.heygen_group_id)
        moved = await lifecycle.apply(session, job.id, fact, By("worker", now, job.epoch))
    await ctx.failpoint("unsure.accepted")
    return moved


async def _repeat(ctx: Context, unsure: Unsure) -> None:
    job = unsure.job
    async with ctx.database.begin() as session:
        account = await governor.lock(session, job.account_id)
        shut_until = governor.shut_until(account, ctx.clock.now())
        if shut_until is not None:
            await put_back(session, job, shut_until)
            return
        now = ctx.clock.now()
        wait = ctx.retries.take(now)
        if wait:
            await put_back(session, job, now + wait)
            return
        if not await ledger.holds(session, job.id, job.epoch, JobStatus.UNSURE):
            return
        intent = await ledger.intend_repeat(ctx, session, job, unsure.sends)
        await session.execute(update(Job).where(col(Job.id) == job.id).values(searched_at=None))
    if intent is None:
        log.error("job_unreadable", job_id=job.id)
        await _find(ctx, job, ctx.clock.now() + REPEATS[-1])
        return
    await ctx.failpoint("unsure.intended")
    result = await post(ctx, intent)
    await ctx.failpoint("unsure.sent")
    sent = sum(1 for send in unsure.sends if send.n == unsure.sends[-1].n)
    again_at = ctx.clock.now() + ctx.jitter(REPEATS[min(sent, len(REPEATS) - 1)])
    async with ctx.database.begin() as session:
        if isinstance(result, Created):
            # HeyGen may have answered as it did once: no sign that it accepts others now.
            await governor.lock(session, job.account_id)
            told = await record_accepted(ctx, session, job, intent, result)
            look_up = not told
        else:
            told, look_up = False, _server_error(result) or _refused(result)
            await _record_doubt(ctx, session, unsure, intent, result)
        if not told and not look_up:
            await put_back(session, job, again_at)
    await ctx.failpoint("unsure.recorded")
    # HeyGen may keep its own error, or a wrong id, and replay it for ever; the job may be there all the same.
    if look_up:
        await _find(ctx, job, again_at)


async def _record_doubt(
    ctx: Context, session: AsyncSession, unsure: Unsure, intent: Intent, error: HeyGenError
) -> None:
    job = unsure.job
    account = await governor.lock(session, job.account_id)
    # On a repeat, 429, 401 and 402 speak of the account alone: the first send may have been accepted.
    told = answers.of_account(error, REPEATS[0])
    if told is not None:
        await act_on_account(ctx, session, job.account_id, told)
    others = account.accepted_at is not None and account.accepted_at > unsure.sends[-1].sent_at
    await ledger.answered(session, intent, answers.recorded(error), ctx.clock.now(), others_accepted=others)
    log.warning("repeat_failed", job_id=job.id, reason=error.reason)


def _server_error(error: HeyGenError) -> bool:
    return (getattr(error, "http_status", None) or 0) >= 500


def _refused(error: HeyGenError) -> bool:
    return isinstance(error, Refused) and error.http_status in REFUSED_ON_REPEAT


async def _find(ctx: Context, job: Job, again_at: datetime) -> None:
    """Look the job up once; without a find it is given back until then."""
    found = None
    try:
        found = await search.by_token(ctx, job)
    except HeyGenError as error:
        await gates.heed(ctx, job.account_id, error)
    except search.Incomplete as error:
        log.warning("look_up_failed", job_id=job.id, reason=str(error))
    if found is None or not await _accept(ctx, job, found):
        await _put_back(ctx, job, again_at)


async def _search(ctx: Context, unsure: Unsure, move: Repeat | Search) -> None:
    """Two complete look-ups without a find, ten minutes apart and after the last send, end the doubt.

    Where the key may be sent again, one is enough to do so.
    """
    job = unsure.job
    try:
        found = await search.by_token(ctx, job)
    except (HeyGenError, search.Incomplete) as error:
        log.warning("look_up_failed", job_id=job.id, reason=str(error))
        if isinstance(error, HeyGenError):
            await gates.heed(ctx, job.account_id, error)
        await _put_back(ctx, job, ctx.clock.now() + ctx.jitter(REPEATS[2]))
        return
    await ctx.failpoint("unsure.searched")
    now = ctx.clock.now()
    if found is not None:
        if not await _accept(ctx, job, found):
            await _put_back(ctx, job, now + BETWEEN_SEARCHES)
    elif isinstance(move, Repeat):
        await _repeat(ctx, unsure)
    elif job.searched_at is None:
        await _put_back(ctx, job, now + BETWEEN_SEARCHES, searched_at=now)
    elif now - job.searched_at < BETWEEN_SEARCHES:
        await _put_back(ctx, job, job.searched_at + BETWEEN_SEARCHES)
    else:
        async with ctx.database.begin() as session:
            by = By("worker", now, job.epoch)
            await lifecycle.apply(session, job.id, Failed(move.code, move.message), by)
        log.error("outcome_unknown", job_id=job.id, code=move.code)
    await ctx.failpoint("unsure.recorded")


async def _put_back(ctx: Context, job: Job, due_at: datetime, **changes: datetime) -> None:
    async with ctx.database.begin() as session:
        await put_back(session, job, due_at, **changes)
