"""The submissions of a job: every send is written before it is made, and answered once."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col
from uuid_utils.compat import uuid7

from app.context import Context
from app.models import Job, JobStatus, Outcome, Submission
from app.secrets import CannotDecrypt
from app.worker.claims import renew

PATHS = {"video": "/v3/videos", "look": "/v3/avatars"}


@dataclass(frozen=True)
class Intent:
    """One send that is about to be made: exactly these bytes, under this key."""

    submission_id: str
    job_id: str
    account_id: str
    epoch: int
    path: str
    key: str
    body: bytes
    send_before: datetime  # a sender that wakes up later must not send
    deadline_at: datetime  # after it nobody wants the job any more


@dataclass(frozen=True)
class Answer:
    """What one send came to."""

    outcome: Outcome
    http_status: int | None = None
    code: str | None = None
    heygen_id: str | None = None


async def history(session: AsyncSession, job_id: str) -> list[Submission]:
    """Every send of a job, oldest first."""
    rows = select(Submission).where(col(Submission.job_id) == job_id)
    return list(await session.scalars(rows.order_by(col(Submission.n), col(Submission.send))))


def accepted_id(sends: Sequence[Submission]) -> str | None:
    """The id that HeyGen gave in answer to one of the sends, be it that the answer came too late for its claim."""
    return next((send.heygen_id for send in sends if send.outcome == Outcome.ACCEPTED), None)


async def disown(session: AsyncSession, job: Job) -> None:
    """Keep that the id which HeyGen gave for a job is another's, so that it is not believed again."""
    named = update(Submission).where(
        col(Submission.job_id) == job.id, col(Submission.heygen_id) == job.heygen_id
    )
    await session.execute(named.values(outcome=Outcome.UNCLEAR))


async def disowned(session: AsyncSession, job: Job, heygen_id: str) -> bool:
    """Whether HeyGen once gave this id for a job, and it was another's."""
    named = select(col(Submission.id)).where(
        col(Submission.job_id) == job.id,
        col(Submission.heygen_id) == heygen_id,
        col(Submission.outcome) == Outcome.UNCLEAR,
    )
    return await session.scalar(named.limit(1)) is not None


async def intend_first(ctx: Context, session: AsyncSession, job: Job, body: bytes) -> Intent:
    """Write down the send of a job that HeyGen certainly has not got. The claim must still stand.

    The number in the key rises only after a clear refusal. A send that provably was never written is made again under
    its key, with its bytes.
    """
    sends = await history(session, job.id)
    last = sends[-1] if sends else None
    if last is None or last.outcome == Outcome.REFUSED:
        return await _write(ctx, session, job, body, (last.n + 1 if last else 1, 1))
    return await _write(ctx, session, job, _bytes_of(ctx, sends) or body, (last.n, last.send + 1))


async def intend_repeat(
    ctx: Context, session: AsyncSession, job: Job, sends: list[Submission]
) -> Intent | None:
    """Write down a repeat of the last key with its very bytes; None where they are gone, or under a lost key."""
    try:
        last, body = sends[-1], _bytes_of(ctx, sends)
    except CannotDecrypt:
        return None
    return await _write(ctx, session, job, body, (last.n, last.send + 1)) if body is not None else None


def _bytes_of(ctx: Context, sends: list[Submission]) -> bytes | None:
    """What was sent first under the last key."""
    first = next(send for send in sends if send.n == sends[-1].n and send.send == 1)
    return ctx.secrets.decrypt(first.body_encrypted) if first.body_encrypted is not None else None


async def _write(
    ctx: Context, session: AsyncSession, job: Job, body: bytes, place: tuple[int, int]
) -> Intent:
    n, send = place
    now = ctx.clock.now()
    # However long the preparation took, the lease outlasts the call.
    await renew(ctx, session, job)
    submission_id, key = uuid7().hex, f"{job.id}-{n}"
    await session.execute(
        insert(Submission).values(
            id=submission_id,
            job_id=job.id,
            n=n,
            send=send,
            epoch=job.epoch,
            key=key,
            body_encrypted=ctx.secrets.encrypt(body) if send == 1 else None,
            body_sha256=hashlib.sha256(body).hexdigest(),
            sent_at=now,
            late=False,
            others_accepted=False,
        )
    )
    send_before = now + ctx.pace.lease - ctx.pace.create_timeout
    return Intent(
        submission_id,
        job.id,
        job.account_id,
        job.epoch,
        PATHS[job.kind],
        key,
        body,
        send_before,
        job.deadline_at,
    )


async def holds(session: AsyncSession, job_id: str, epoch: int, status: JobStatus) -> bool:
    """Whether the claim still stands; locks the row, so that it stands until the transaction ends."""
    row = select(col(Job.id)).where(col(Job.id) == job_id, col(Job.epoch) == epoch, col(Job.status) == status)
    return await session.scalar(row.with_for_update()) is not None


async def answered(
    session: AsyncSession, intent: Intent, answer: Answer, now: datetime, *, others_accepted: bool = False
) -> None:
    """Keep an answer, however late: it asks for no epoch, for the id in it may be worth money."""
    current = select(col(Job.epoch)).where(col(Job.id) == intent.job_id)
    late = await session.scalar(current) != intent.epoch
    await session.execute(
        update(Submission)
        .where(col(Submission.id) == intent.submission_id)
        .values(
            answered_at=now,
            outcome=answer.outcome,
            http_status=answer.http_status,
            code=answer.code,
            heygen_id=answer.heygen_id,
            late=late,
            others_accepted=others_accepted,
        )
    )
