"""Ask HeyGen what became of the jobs it has: in bulk where nothing is known, singly where a callback hinted."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app import gates, governor, lifecycle
from app.context import Connection, Context
from app.heygen.errors import AccountBlocked, HeyGenError, Missing, NoAnswer, RateLimited, Refused
from app.heygen.schemas import Look as HeyGenLook
from app.heygen.schemas import Video, look_state, owes_consent, video_state
from app.heygen.titles import token_of, with_token
from app.lifecycle import By, Completed, ConsentOwed, Fact, Failed, Rendered, Unclear
from app.models import Job, JobStatus, Look, is_status
from app.remote_files import first_byte
from app.worker import cadence, consents, ledger
from app.worker.claims import heed_hints, hinted, put_all_back, put_back, take_due
from app.worker.submit import FIRST_REPEAT

log = structlog.get_logger(__name__)

BULK = 100  # ids in one bulk question
AT_ONCE = 8  # single reads under way for one sweep
GRACE = timedelta(minutes=5)  # a 404 sooner after the create may be a replica's lag
FILE_FIRST, FILE_SLOWEST = timedelta(seconds=2), timedelta(minutes=5)
CREDIT_CODES = frozenset({"movio_payment_insufficient_credit", "insufficient_credit"})
LOOK_FACTS = (
    "gender",
    "default_voice_id",
    "supported_api_engines",
    "preferred_orientation",
    "image_width",
    "image_height",
    "tags",
)


async def poll_next(ctx: Context) -> bool:
    """Ask about everything that is due; False when nothing is."""
    jobs = await claim(ctx)
    if not jobs:
        return False
    await poll(ctx, jobs)
    return True


async def claim(ctx: Context) -> list[Job]:
    """Up to a hundred jobs of one account that are due, and those that soon would be: one question tells of all."""
    # Of one account, and of any: one whose HeyGen hangs keeps nobody else's waiting.
    for account_id in ctx.random.sample([*ctx.connections], len(ctx.connections)):
        one = replace(ctx, connections={account_id: ctx.connections[account_id]})
        jobs, waiting = await _take(one)
        while waiting and not jobs:
            jobs, waiting = await _take(one)
        if jobs:
            await ctx.failpoint("poll.claimed")
            return jobs
    return []


async def _take(ctx: Context) -> tuple[list[Job], bool]:
    """The jobs to be asked about, and whether others wait until their account may be read again."""
    processing = is_status(JobStatus.PROCESSING)
    async with ctx.database.begin() as session:
        now = ctx.clock.now()
        jobs = await take_due(ctx, session, processing, before=now, limit=BULK)
        if not jobs:
            return [], False
        if any(not hinted(job) for job in jobs):
            # A row's interval is never shorter than the first, so half of that is within half of any.
            soon, room = now + ctx.pace.first_poll / 2, BULK - len(jobs)
            is_video = col(Job.kind) == "video"
            jobs += await take_due(ctx, session, processing, is_video, before=soon, limit=room)
        readable = await _readable(ctx, session, jobs)
        await heed_hints(session, readable, now)
    return readable, len(readable) < len(jobs)


async def _readable(ctx: Context, session: AsyncSession, jobs: list[Job]) -> list[Job]:
    """The claimed jobs whose account may be read now; the others wait until then, and not all for one instant."""
    now = ctx.clock.now()
    shut = await gates.shut(session, {job.account_id for job in jobs}, now)
    waits = [
        (job, shut[job.account_id] + ctx.full_jitter(ctx.pace.first_poll))
        for job in jobs
        if job.account_id in shut
    ]
    await put_all_back(session, waits, asked=False)
    return [job for job in jobs if job.account_id not in shut]


async def poll(ctx: Context, jobs: list[Job]) -> None:
    """Ask about claimed jobs of one account and record what came of each."""
    ended, running = await _sort_out(ctx, ctx.connections[jobs[0].account_id], jobs)
    await ctx.failpoint("poll.sorted")
    await _give_back(ctx, running)
    await ctx.failpoint("poll.returned")
    places = asyncio.Semaphore(AT_ONCE)
    async with asyncio.TaskGroup() as tasks:
        for job in ended:
            tasks.create_task(_ask_in_turn(ctx, job, places))
    await ctx.failpoint("poll.recorded")


async def _sort_out(ctx: Context, connection: Connection, jobs: list[Job]) -> tuple[list[Job], list[Job]]:
    """(to be read singly, still running). A look, a hint and a file that lags are read singly at once."""
    single = [job for job in jobs if job.kind == "look" or job.rendered_at is not None or hinted(job)]
    bulk = {job.heygen_id or "": job for job in jobs if job not in single}
    if not bulk:
        return single, []
    try:
        words = await connection.heygen.video_statuses(list(bulk))
    except HeyGenError as error:
        await gates.heed(ctx, next(iter(bulk.values())).account_id, error)
        if _is_about_the_question(error):
            # One id that HeyGen dislikes must not hide the others; singly they are asked no more often.
            return jobs, []
        some = await _some(ctx, connection, list(bulk.values()), error)
        return single + some, [job for job in bulk.values() if job not in some]
    # An id that the answer leaves out is read singly: it may be gone.
    running = [
        job for heygen_id, job in bulk.items() if video_state(words.get(heygen_id, "not_found")) == "running"
    ]
    return single + [job for job in bulk.values() if job not in running], running


def _is_about_the_question(error: HeyGenError) -> bool:
    return isinstance(error, Refused) and not isinstance(error, RateLimited | AccountBlocked)


async def _some(ctx: Context, connection: Connection, jobs: list[Job], error: HeyGenError) -> list[Job]:
    """A few to be read singly, where HeyGen failed at their question and does answer about one of them.

    Not all of them: it may have been an outage that is just over.
    """
    if not isinstance(error, NoAnswer):
        return []
    some = ctx.random.sample(jobs, min(AT_ONCE, len(jobs)))
    if len(some) > 1:
        try:
            await connection.heygen.get_video(some[0].heygen_id or "")
        except HeyGenError as met:
            await gates.heed(ctx, some[0].account_id, met)
            return some if _is_about_the_question(met) else []
    return some


async def _give_back(ctx: Context, running: list[Job]) -> None:
    if not running:
        return
    async with ctx.database.begin() as session:
        now = ctx.clock.now()
        waits = [(job, now + cadence.again(ctx, job, now)) for job in running]
        await put_all_back(session, waits, asked=True)


async def _ask_in_turn(ctx: Context, job: Job, places: asyncio.Semaphore) -> None:
    async with places:
        try:
            await ask(ctx, job)
        except Exception:
            # Its lease brings it back; the others of its batch must not wait for that.
            log.exception("poll_failed", job_id=job.id)


async def ask(ctx: Context, job: Job) -> None:
    """Read one job at HeyGen and apply what it says."""
    try:
        fact = await outcome(ctx, job)
    except HeyGenError as error:
        await gates.heed(ctx, job.account_id, error)
        fact = vanished(ctx, job) if isinstance(error, Missing) else None
    await ctx.failpoint("poll.asked")
    async with ctx.database.begin() as session:
        now = ctx.clock.now()
        fact = await consents.news(session, job, fact)
        if fact is None:
            await put_back(session, job, now + cadence.again(ctx, job, now), asks=job.asks + 1)
            return
        if isinstance(fact, Failed) and fact.code.lower() in CREDIT_CODES:
            # An empty wallet must not fail the whole queue, one render after the other.
            await governor.pause(session, job.account_id, fact.code.lower(), now)
        source = "callback" if hinted(job) else "poll"
        if not await lifecycle.apply(session, job.id, fact, By(source, now, job.epoch)):
            return
        if isinstance(fact, Completed) and fact.heygen_name is not None:
            await _owe_name(session, job, fact.heygen_name, now)
    log.info("job_moved", job_id=job.id, fact=type(fact).__name__, by=source)
    ctx.wake.hint("deliver")
    ctx.wake.hint("archive")
    ctx.wake.hint("submit")  # a slot may be free, a look may be ready


async def _owe_name(session: AsyncSession, job: Job, heygen_name: str, now: datetime) -> None:
    """Have HeyGen's copy of a look renamed that was given another name here while it was made."""
    name = await session.scalar(select(col(Look.name)).where(col(Look.id) == job.id))
    if heygen_name != with_token(name, job.title_token):
        await session.execute(update(Job).where(col(Job.id) == job.id).values(due_at=now))


async def outcome(ctx: Context, job: Job) -> Fact | None:
    """What HeyGen says has become of a job; None while it runs. Raises HeyGenError."""
    connection = ctx.connections[job.account_id]
    if job.kind == "look":
        look = await connection.heygen.get_look(job.heygen_id or "")
        await consents.note(ctx, job, look.group_id)
        if owes_consent(look):
            now = ctx.clock.now()
            return ConsentOwed(now + cadence.again(ctx, job, now))
        return _of_look(look)
    video = await connection.heygen.get_video(job.heygen_id or "")
    if token_of(video.title) not in {None, job.title_token}:
        return await _disowned(ctx, job)
    match video_state(video.status):
        case "failed":
            return Failed(video.failure_code or "rendering_failed", video.failure_message)
        case "completed" if await answers(ctx, video.video_url):
            connection.catalog.remember(video)
            now = ctx.clock.now()
            gif_url = ctx.links.content(job.id, "gif", now) if video.gif_url else None
            return Completed(result_of(video), ctx.links.content(job.id, "video", now), gif_url)
        case "completed":
            return _lagging(ctx, job)
        case _:
            return None


async def _disowned(ctx: Context, job: Job) -> Unclear:
    """HeyGen shows another job's token: it named the wrong id when it took this one, which is still to be found."""
    log.error("heygen_id_of_another_job", job_id=job.id, heygen_id=job.heygen_id)
    async with ctx.database.begin() as session:
        await ledger.disown(session, job)
    return Unclear("heygen_id_of_another_job", ctx.clock.now() + FIRST_REPEAT)


def _of_look(look: HeyGenLook) -> Fact | None:
    match look_state(look):
        case "failed":
            return Failed(look.error_code or "training_failed", look.error_message)
        case "ready":
            told = {name: look.raw[name] for name in LOOK_FACTS if look.raw.get(name) is not None}
            # The links themselves expire: only that there are some is kept.
            links = {"image": look.preview_image_url, "video": look.preview_video_url}
            told["previews"] = [name for name, link in links.items() if link]
            return Completed(told, heygen_group_id=look.group_id, heygen_name=look.name)
        case _:
            return None


def result_of(video: Video) -> dict[str, Any]:
    """What is kept of a finished video: no links, they expire."""
    links: Mapping[str, str | None] = {
        "video": video.video_url,
        "captioned": video.captioned_video_url,
        "subtitle": video.subtitle_url,
        "thumbnail": video.thumbnail_url,
        "gif": video.gif_url,
    }
    told = {"duration": video.duration, "variants": [name for name, link in links.items() if link]}
    if video.created_at is not None and video.completed_at is not None:
        told["rendering"] = (video.completed_at - video.created_at).total_seconds()
    return told


async def answers(ctx: Context, url: str | None) -> bool:
    """Whether a file's link gives its first byte: HeyGen may say `completed` some seconds before it does."""
    return url is not None and await first_byte(ctx.files, url)


def _lagging(ctx: Context, job: Job) -> Fact:
    now = ctx.clock.now()
    waited = now - (job.rendered_at or now)
    return Rendered(now + min(max(waited, FILE_FIRST), FILE_SLOWEST))


def vanished(ctx: Context, job: Job) -> Fact | None:
    """A 404 is final, but for the first minutes."""
    since: datetime = job.submitted_at or job.created_at
    if ctx.clock.now() - since < GRACE:
        return None
    kind = "video" if job.kind == "video" else "avatar"
    return Failed(f"{kind}_not_found", f"HeyGen no longer knows this {kind}.")
