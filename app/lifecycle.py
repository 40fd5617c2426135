"""The life of a job, a video or a look. No other file writes a status.

    queued ──Claimed──▶ submitting ──Accepted──▶ processing ──Completed──▶ completed
      ▲                  │      └──Unclear──▶ unsure ──Accepted──▶ processing
      └──── Released ────┘
    Failed and Expired lead to failed, Canceled to canceled, from each of the four unfinished states.
    Unclear leads back from processing, too, where HeyGen's id was another job's. Rendered (its file does not answer
    yet) stays in processing, or comes to it from unsure. ConsentOwed (a twin's person has not agreed) stays, too.

A transition is one guarded UPDATE; its event, and the deliveries it owes, are in the same transaction. A fact that is
not legal now is no error: `apply` answers whether it moved the job. Facts about a job that was canceled or expired
while HeyGen had it move no status; they are kept, free its slot, and are recorded as `late`.
"""

# Longer than any other file, on purpose: who may write a status is seen at a glance while all of them are here.

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Select, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col
from uuid_utils.compat import uuid7

from app import batches
from app.models import TERMINAL, UNFINISHED, Event, File, Group, Job, JobStatus, Look, Submission
from app.webhooks import outbox

VARIANTS = ("video", "captioned", "subtitle", "thumbnail", "gif")


@dataclass(frozen=True)
class Claimed:
    """A worker took it, and a slot for it."""


@dataclass(frozen=True)
class Released:
    """HeyGen certainly has not got it; it goes back into the queue, or waits for its look."""

    reason: str
    retry_at: datetime
    waits_for_id: str | None = None


@dataclass(frozen=True)
class Unclear:
    """HeyGen may have it; only the same key, or a look-up, may tell."""

    reason: str
    retry_at: datetime


@dataclass(frozen=True)
class Accepted:
    """HeyGen has it, under this id."""

    heygen_id: str
    poll_at: datetime
    heygen_group_id: str | None = None


@dataclass(frozen=True)
class Rendered:
    """HeyGen is done; the file's link does not answer yet."""

    retry_at: datetime


@dataclass(frozen=True)
class ConsentOwed:
    """HeyGen makes nothing of a digital twin before whoever it shows has consented."""

    retry_at: datetime


@dataclass(frozen=True)
class Completed:
    """Done, and its link answers. `result` is what HeyGen told of it; links are not kept, they expire.

    The URLs are the links of ours that the caller's webhook names.
    """

    result: dict[str, Any] = field(hash=False)
    url: str | None = None
    gif_url: str | None = None
    heygen_group_id: str | None = None
    heygen_name: str | None = None  # what HeyGen calls a look


@dataclass(frozen=True)
class Failed:
    """It will not come to anything."""

    code: str
    message: str | None = None


@dataclass(frozen=True)
class Canceled:
    """The caller withdrew it."""

    deleted: bool = False


@dataclass(frozen=True)
class Expired:
    """Its deadline passed."""


Fact = (
    Claimed | Released | Unclear | Accepted | Rendered | ConsentOwed | Completed | Failed | Canceled | Expired
)

TRANSITIONS: dict[type[Fact], tuple[frozenset[JobStatus], JobStatus]] = {
    Claimed: (frozenset({JobStatus.QUEUED}), JobStatus.SUBMITTING),
    Released: (frozenset({JobStatus.SUBMITTING}), JobStatus.QUEUED),
    Unclear: (frozenset({JobStatus.SUBMITTING, JobStatus.PROCESSING}), JobStatus.UNSURE),
    # A sender whose lease ran out finds its job unsure; its answer is as true as ever.
    Accepted: (frozenset({JobStatus.SUBMITTING, JobStatus.UNSURE}), JobStatus.PROCESSING),
    Rendered: (frozenset({JobStatus.UNSURE, JobStatus.PROCESSING}), JobStatus.PROCESSING),
    ConsentOwed: (frozenset({JobStatus.PROCESSING}), JobStatus.PROCESSING),
    Completed: (frozenset({JobStatus.UNSURE, JobStatus.PROCESSING}), JobStatus.COMPLETED),
    Failed: (UNFINISHED, JobStatus.FAILED),
    Canceled: (UNFINISHED, JobStatus.CANCELED),
    Expired: (UNFINISHED, JobStatus.FAILED),
}


@dataclass(frozen=True)
class By:
    """Who tells a fact, and when. A worker names the epoch of its claim: a later claim has a higher one."""

    source: str  # caller | worker | callback | poll | operator
    now: datetime
    epoch: int | None = None


async def enqueue(session: AsyncSession, job: Job, by: By) -> None:
    """Store a new job; it waits in the queue, or for its look."""
    await enqueue_all(session, [job], by)


async def enqueue_all(session: AsyncSession, jobs: Sequence[Job], by: By) -> None:
    """Store many at once."""
    for job in jobs:
        job.status = JobStatus.QUEUED
        job.number = 1
    session.add_all(jobs)
    await session.flush()
    session.add_all([_event(job, "Enqueued", (None, JobStatus.QUEUED), by) for job in jobs])
    await session.flush()


async def claim(session: AsyncSession, job_id: str, lease: timedelta, by: By) -> Job | None:
    """Take a queued job and a slot of its account; None when another was faster. The account's row must be locked."""
    sources, target = TRANSITIONS[Claimed]
    job = await session.scalar(
        update(Job)
        .where(col(Job.id) == job_id, col(Job.status).in_(sources))
        .values(
            status=target,
            number=col(Job.number) + 1,
            epoch=col(Job.epoch) + 1,
            lease_until=by.now + lease,
            due_at=None,
            slot_account_id=col(Job.account_id),
        )
        .returning(Job)
        .execution_options(populate_existing=True)
    )
    if job is not None:
        await _record(session, job, "Claimed", (JobStatus.QUEUED, target), by)
    return job


async def apply(session: AsyncSession, job_id: str, fact: Fact, by: By) -> bool:
    """Let a fact move a job; False when it may not, be it a duplicate or a latecomer."""
    job = await session.scalar(
        select(Job).where(col(Job.id) == job_id).with_for_update().execution_options(populate_existing=True)
    )
    if job is None or (by.epoch is not None and job.epoch != by.epoch):
        return False
    sources, target = TRANSITIONS[type(fact)]
    if job.status not in sources:
        await _keep_late(session, job, fact, by)
        return False
    changes = await _changes(session, job, fact, by)
    if not await _write(session, job, {"status": target, **changes}, sources):
        return False
    event = await _record(session, job, type(fact).__name__, (job.status, target), by, fact)
    if target in TERMINAL:
        await _end(session, job, fact, event, by)
    elif isinstance(fact, Accepted):
        await _name_at_heygen(session, job, fact)
    elif isinstance(fact, ConsentOwed):
        await session.execute(update(Look).where(col(Look.id) == job.id).values(consent_owed=True))
    return True


async def _write(
    session: AsyncSession, job: Job, changes: dict[str, Any], sources: frozenset[JobStatus] | None = None
) -> bool:
    """The guarded UPDATE: nothing is written unless the row is as it was read."""
    guards = [col(Job.id) == job.id, col(Job.epoch) == job.epoch, col(Job.number) == job.number]
    if sources is not None:
        guards.append(col(Job.status).in_(sources))
    statement = update(Job).where(*guards).values(number=job.number + 1, **changes).returning(col(Job.id))
    return await session.scalar(statement.execution_options(synchronize_session=False)) is not None


async def _changes(session: AsyncSession, job: Job, fact: Fact, by: By) -> dict[str, Any]:
    """What a legal fact writes beside the status."""
    # A callback that came first makes the next look immediate.
    soon = by.now if job.called_back_at is not None and job.hint_after is None else None
    match fact:
        case Released():
            return {
                "due_at": fact.retry_at,
                "lease_until": None,
                "slot_account_id": None,
                "waits_for_id": fact.waits_for_id,
                "releases": job.releases + 1,
            }
        case Unclear():
            unknown = {"heygen_id": None, "lease_until": None, "searched_at": None}
            return {"due_at": soon or fact.retry_at, **unknown}
        case Accepted():
            return {
                "heygen_id": fact.heygen_id,
                "submitted_at": by.now,
                "due_at": soon or fact.poll_at,
                "lease_until": None,
            }
        case Rendered():
            return {
                "rendered_at": job.rendered_at or by.now,
                "due_at": fact.retry_at,
                "lease_until": None,
                "slot_account_id": None,
            }
        case ConsentOwed():
            # A person may take days. Nor has the training after it a slot: nobody tells whether HeyGen counts it.
            return {"due_at": fact.retry_at, "lease_until": None, "slot_account_id": None}
        case Completed():
            done = {"result": fact.result, "completed_by": "callback" if job.called_back_at else "poll"}
            return {**done, "billable": True, **_ended(by)}
        case Failed():
            return {"failure_code": fact.code, "failure_message": fact.message, **_ended(by)}
        case Canceled():
            gone = {"deleted_at": by.now} if fact.deleted else {}
            withdrawn = await _withdrawn(session, job, by)
            return _reason("canceled", f"The {job.kind} was canceled.") | gone | withdrawn
        case _:
            late = await _withdrawn(session, job, by)
            return _reason("deadline_exceeded", "The deadline passed before the job was done.") | late


def _reason(code: str, message: str) -> dict[str, Any]:
    return {"failure_code": code, "failure_message": message}


def _ended(by: By) -> dict[str, Any]:
    return {
        "finished_at": by.now,
        "due_at": None,
        "lease_until": None,
        "waits_for_id": None,
        "slot_account_id": None,
    }


async def _withdrawn(session: AsyncSession, job: Job, by: By) -> dict[str, Any]:
    """The end of a job that HeyGen may be working on: its slot, epoch and lease stay until HeyGen is done."""
    if not await _maybe_at_heygen(session, job):
        # Nor will it be: an intent is written only while the job is being submitted.
        return _ended(by)
    due_at = job.due_at or job.lease_until
    return {"finished_at": by.now, "waits_for_id": None, "due_at": due_at, "billable": True}


async def _maybe_at_heygen(session: AsyncSession, job: Job) -> bool:
    known = job.heygen_id is not None or job.status in {JobStatus.UNSURE, JobStatus.PROCESSING}
    return known or await session.scalar(_perhaps_made(job.id)) is not None


def _perhaps_made(job_id: str) -> Select[str]:
    unrefused = col(Submission.outcome).is_(None) | col(Submission.outcome).in_(["accepted", "unclear"])
    return select(col(Submission.id)).where(col(Submission.job_id) == job_id, unrefused).limit(1)


async def unbill(session: AsyncSession, job_id: str) -> None:
    """A sender tells, later than all else, that it made nothing: an ended job costs nothing unless another send may."""
    ended = (col(Job.id) == job_id, col(Job.finished_at).isnot(None), col(Job.heygen_id).is_(None))
    free = update(Job).where(*ended, _perhaps_made(job_id).scalar_subquery().is_(None)).values(billable=False)
    await session.execute(free.execution_options(synchronize_session=False))


async def _end(session: AsyncSession, job: Job, fact: Fact, event: Event, by: By) -> None:
    """What a terminal change brings along, in the same transaction."""
    await session.refresh(job)
    match fact:
        case Completed():
            event.type, event.body = outbox.success(job, fact.url, fact.gif_url)
        case _:
            event.type, event.body = outbox.failure(job, job.failure_code or "failed", job.failure_message)
    await session.flush()
    await outbox.owe(session, event, job, by.now)
    await _erase_bodies(session, job)
    if isinstance(fact, Completed) and job.kind == "video":
        await _owe_files(session, job, fact.result, by.now)
    if job.kind == "look":
        await _end_look(session, job, fact)
    await batches.end_item(session, job, by.source, by.now)


async def _erase_bodies(session: AsyncSession, job: Job) -> None:
    if job.slot_account_id is None:
        bodies = update(Submission).where(
            col(Submission.job_id) == job.id, col(Submission.body_encrypted).isnot(None)
        )
        await session.execute(bodies.values(body_encrypted=None))


async def _owe_files(session: AsyncSession, job: Job, result: dict[str, Any], now: datetime) -> None:
    """One row a variant that HeyGen made; due at once where the caller wants it archived."""
    rows = [
        {"job_id": job.id, "variant": variant, "due_at": now if job.archive else None, "epoch": 0, "tries": 0}
        | {"created_at": now}
        for variant in VARIANTS
        if variant == "video" or variant in result.get("variants", ())
    ]
    await session.execute(insert(File), rows)


async def _end_look(session: AsyncSession, job: Job, fact: Fact) -> None:
    if isinstance(fact, Completed):
        look = await session.get_one(Look, job.id)
        look.facts = (look.facts or {}) | fact.result
        await _name_group(session, look.group_id, fact.heygen_group_id)
    else:
        # A failed look must not be handed to the next caller with the same photo.
        await session.execute(update(Look).where(col(Look.id) == job.id).values(reuse_hash=None))
    await free_waiting(session, job.id)


async def free_waiting(session: AsyncSession, look_id: str, limit: int = 500) -> int:
    """Let up to `limit` videos that wait for a look go on; the worker's sweep frees the rest."""
    some = select(col(Job.id)).where(col(Job.waits_for_id) == look_id).limit(limit)
    freed = await session.execute(update(Job).where(col(Job.id).in_(some)).values(waits_for_id=None))
    return int(getattr(freed, "rowcount", 0))


async def _name_at_heygen(session: AsyncSession, job: Job, fact: Accepted) -> None:
    """Keep HeyGen's ids of a look and its group as soon as they are known."""
    if job.kind != "look":
        return
    group_id = await session.scalar(
        update(Look)
        .where(col(Look.id) == job.id)
        .values(heygen_look_id=fact.heygen_id)
        .returning(col(Look.group_id))
    )
    await _name_group(session, group_id, fact.heygen_group_id)


async def _name_group(session: AsyncSession, group_id: str | None, heygen_group_id: str | None) -> None:
    if heygen_group_id is not None:
        unnamed = update(Group).where(col(Group.id) == group_id, col(Group.heygen_group_id).is_(None))
        await session.execute(unnamed.values(heygen_group_id=heygen_group_id))


async def _keep_late(session: AsyncSession, job: Job, fact: Fact, by: By) -> None:
    """Keep what comes of a job after it was canceled or expired: it may have cost money."""
    withdrawn = job.failure_code in {"canceled", "deadline_exceeded"} and job.finished_at is not None
    if not withdrawn or (job.slot_account_id is None and job.due_at is None):
        return
    tidy_at = by.now if job.deleted_at is not None and job.heygen_id is not None else None
    changes: dict[str, Any]
    over: dict[str, Any] = {"slot_account_id": None, "lease_until": None, "due_at": tidy_at}
    match fact:
        case Accepted():
            changes = {"heygen_id": fact.heygen_id, "submitted_at": by.now, "billable": True}
            changes |= {"due_at": fact.poll_at, "lease_until": None}
        case Unclear():
            changes = {"due_at": fact.retry_at, "lease_until": None, "heygen_id": None}
        case Rendered():
            changes = over | {"rendered_at": job.rendered_at or by.now, "due_at": fact.retry_at}
        case Completed():
            changes = over | {"late_result": fact.result, "billable": True}
        case Released() | Failed() | ConsentOwed():
            # What lagged is waited for no more: else it would be asked about again, at once and without end.
            changes = over | {"rendered_at": None, "billable": await _maybe_at_heygen(session, job)}
        case _:
            return
    if not await _write(session, job, changes):
        return
    await _record(session, job, "late", (job.status, job.status), by, fact)
    await session.refresh(job)
    await _erase_bodies(session, job)
    if isinstance(fact, Accepted):
        await _name_at_heygen(session, job, fact)
    elif isinstance(fact, Completed) and job.kind == "video" and job.deleted_at is None:
        await _owe_files(session, job, fact.result, by.now)


async def _record(
    session: AsyncSession,
    job: Job,
    name: str,
    move: tuple[JobStatus | None, JobStatus],
    by: By,
    fact: Fact | None = None,
) -> Event:
    event = _event(job, name, move, by, fact)
    session.add(event)
    await session.flush()
    return event


def _event(
    job: Job, name: str, move: tuple[JobStatus | None, JobStatus], by: By, fact: Fact | None = None
) -> Event:
    return Event(
        id=uuid7().hex,
        tenant_id=job.tenant_id,
        job_id=job.id,
        # `job` is as it was before the change, but for a new or a claimed one.
        number=job.number if fact is None else job.number + 1,
        fact=name,
        from_status=move[0],
        to_status=move[1],
        source=by.source,
        detail=_detail(fact),
        at=by.now,
    )


def _detail(fact: Fact | None) -> dict[str, Any] | None:
    """A fact's own words, without links and without what stands elsewhere on the row."""
    if fact is None or isinstance(fact, Completed):
        return None
    told = asdict(fact)
    return {
        name: value.isoformat() if isinstance(value, datetime) else value for name, value in told.items()
    } or None
