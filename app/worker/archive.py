"""Copy finished videos to our storage, so that their links outlive HeyGen's."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col
from uuid_utils.compat import uuid7

from app import gates
from app.context import Context
from app.database import DatabaseAway
from app.heygen.errors import HeyGenError
from app.heygen.schemas import Video
from app.models import Event, File, Job
from app.remote_files import FileUnavailable, open_file, pieces
from app.storage import TooLarge, WrongLength
from app.worker.claims import LeaseOver, renewing

log = structlog.get_logger(__name__)

LEASE = timedelta(minutes=30)
GIVEN_UP = timedelta(days=7)
DELAYS = tuple(timedelta(seconds=seconds) for seconds in (10, 60, 300, 1800, 7200))
LATER = timedelta(hours=6)
LARGEST = 20 * 1024**3
MIMES = {
    "video": "video/mp4",
    "captioned": "video/mp4",
    "subtitle": "application/x-subrip",
    "thumbnail": "image/jpeg",
    "gif": "image/gif",
}


@dataclass(frozen=True)
class Owed:
    """A claimed file, and the job whose result it is."""

    file: File
    job: Job


async def archive_next(ctx: Context) -> bool:
    """Copy one file; False when none is due."""
    owed = await claim(ctx)
    if owed is None:
        return False
    await archive(ctx, owed)
    return True


async def claim(ctx: Context) -> Owed | None:
    """Take the most overdue file of an account that may be read now."""
    owed, shut = await _take(ctx)
    while shut:
        owed, shut = await _take(ctx)
    await ctx.failpoint("archive.claimed")
    return owed


async def _take(ctx: Context) -> tuple[Owed | None, bool]:
    """The most overdue file; True where its account must not be read now, and the file waits until it may be."""
    async with ctx.database.begin() as session:
        now = ctx.clock.now()
        # Not a join, which PostgreSQL may begin with all jobs of the account.
        ours = select(col(Job.account_id)).where(col(Job.id) == col(File.job_id)).scalar_subquery()
        due = (
            select(col(File.job_id), col(File.variant))
            .where(col(File.due_at) <= now, ours.in_(list(ctx.connections)))
            .order_by(col(File.due_at))
            .limit(1)
            .with_for_update(skip_locked=True)
        )
        found = (await session.execute(due)).first()
        if found is None:
            return None, False
        lease_until = now + LEASE
        file = await session.scalar(
            update(File)
            .where(col(File.job_id) == found[0], col(File.variant) == found[1], col(File.due_at) <= now)
            .values(
                epoch=col(File.epoch) + 1,
                tries=col(File.tries) + 1,
                lease_until=lease_until,
                due_at=lease_until,
            )
            .returning(File)
            .execution_options(populate_existing=True)
        )
        job = await session.get(Job, found[0])
        if file is not None and job is not None:
            shut = await gates.shut(session, [job.account_id], now)
            if shut:
                file.due_at, file.tries, file.lease_until = shut[job.account_id], file.tries - 1, None
                return None, True
    return (Owed(file, job) if file is not None and job is not None else None), False


async def archive(ctx: Context, owed: Owed) -> None:
    """Fetch the file under a fresh link and store it whole, or not at all."""
    file, job = owed.file, owed.job
    if job.deleted_at is not None:
        await _settle(ctx, file, storage_key=None, due_at=None)
        return
    key = f"videos/{job.id}/{file.variant}-{file.epoch}"
    try:
        mime, size = await _fetch(ctx, owed, key)
    except LeaseOver:
        log.warning("archive_taken_over", job_id=job.id, variant=file.variant)
        return
    except (FileUnavailable, HeyGenError, WrongLength, TooLarge, TimeoutError, OSError) as error:
        log.warning("archive_failed", job_id=job.id, variant=file.variant, reason=type(error).__name__)
        await _postpone(ctx, owed)
        return
    except DatabaseAway:
        raise
    except Exception:
        # Whatever it is, it is no reason to try each half an hour and for ever.
        log.exception("archive_crashed", job_id=job.id, variant=file.variant)
        await _postpone(ctx, owed)
        return
    await ctx.failpoint("archive.fetched")
    settled = await _settle(
        ctx, file, storage_key=key, mime=mime, size=size, archived_at=ctx.clock.now(), due_at=None
    )
    if not settled:
        await ctx.storage.delete(key)  # another worker was faster; links name its copy
    await ctx.failpoint("archive.recorded")


async def _fetch(ctx: Context, owed: Owed, key: str) -> tuple[str, int]:
    job, variant = owed.job, owed.file.variant
    video = await ctx.connections[job.account_id].catalog.video(job.heygen_id or "")
    url = link_of(video, variant)
    if url is None:
        raise FileUnavailable("no_link")
    async with open_file(ctx.files, url) as response:
        length = response.headers.get("content-length", "")
        expected = int(length) if length.isdigit() else None
        coming = renewing(ctx, pieces(response), LEASE, lambda session: _extend(ctx, session, owed.file))
        stored = await ctx.storage.put(key, coming, expected_size=expected, limit=LARGEST)
        # HeyGen's own type tells mp4 from webm.
        told = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    return (told if told.startswith(("video/", "image/")) else MIMES[variant]), stored.size


async def _extend(ctx: Context, session: AsyncSession, file: File) -> bool:
    """Hold a claimed file for one more lease from now; False when it was taken over."""
    until = ctx.clock.now() + LEASE
    return await _write(session, file, lease_until=until, due_at=until)


def link_of(video: Video, variant: str) -> str | None:
    """HeyGen's link to one variant."""
    links = {
        "video": video.video_url,
        "captioned": video.captioned_video_url,
        "subtitle": video.subtitle_url,
        "thumbnail": video.thumbnail_url,
        "gif": video.gif_url,
    }
    return links[variant]


async def _postpone(ctx: Context, owed: Owed) -> None:
    now, file = ctx.clock.now(), owed.file
    if now - file.created_at < GIVEN_UP:
        delay = DELAYS[file.tries - 1] if file.tries <= len(DELAYS) else LATER
        await _settle(ctx, file, due_at=now + ctx.jitter(delay))
        return
    async with ctx.database.begin() as session:
        given_up = await _write(session, file, due_at=None, gave_up_at=now)
        if given_up:
            await _note(session, owed, now)
    if given_up:
        log.error("archive_given_up", job_id=file.job_id, variant=file.variant)


async def _note(session: AsyncSession, owed: Owed, now: datetime) -> None:
    """Tell in the job's timeline that there will be no copy of this file."""
    number = await session.scalar(
        update(Job)
        .where(col(Job.id) == owed.job.id)
        .values(number=col(Job.number) + 1)
        .returning(col(Job.number))
    )
    await session.execute(
        insert(Event).values(
            id=uuid7().hex,
            tenant_id=owed.job.tenant_id,
            job_id=owed.job.id,
            number=number,
            fact="ArchiveGivenUp",
            source="worker",
            detail={"variant": owed.file.variant},
            at=now,
        )
    )


async def _settle(ctx: Context, file: File, **values: object) -> bool:
    """Write what came of a claimed file; False when it was taken over."""
    async with ctx.database.begin() as session:
        return await _write(session, file, **values)


async def _write(session: AsyncSession, file: File, **values: object) -> bool:
    written = await session.scalar(
        update(File)
        .where(
            col(File.job_id) == file.job_id,
            col(File.variant) == file.variant,
            col(File.epoch) == file.epoch,
        )
        .values(**{"lease_until": None} | values)
        .returning(col(File.job_id))
    )
    return written is not None
