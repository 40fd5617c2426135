"""HeyGen calls back here. A callback is a hint that asking HeyGen is worthwhile; no status is written.

Whoever calls gets the same answer: it tells nothing about the token, nor about the signature. A job's own address
carries no signature, the token in it is all there is (128 random bits, stored as a hash); the address of an endpoint
that is registered at HeyGen has no token, and only what is signed counts.
"""

from __future__ import annotations

import hashlib
from datetime import datetime

from fastapi import APIRouter, Depends, Request
from sqlalchemy import ColumnElement, case, func, literal, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col
from sqlmodel.sql.sqltypes import UTCDateTime
from starlette.responses import Response

from app.api import answer_schemas
from app.api.answers import data
from app.api.dependencies import ContextDep, prove_identity
from app.api.openapi import NO_KEY
from app.context import Context
from app.errors import NotFound
from app.heygen.callback import CallbackEvent, parse, verify_signature
from app.heygen.contract import EVENT_TYPES, word
from app.models import Callback, Job, JobStatus
from app.models.ids import id_at
from app.secrets import digest

MOST_ROWS = 20
"""Different bodies kept for one job: what comes beyond them is a hint all the same."""

router = APIRouter(dependencies=[Depends(prove_identity)])


@router.post(
    "/callbacks/heygen/{token}",
    response_model=answer_schemas.One[answer_schemas.Answer],
    openapi_extra=NO_KEY,
)
async def receive_callback(request: Request, ctx: ContextDep, token: str) -> Response:
    """Store what came and look at the job soon."""
    body = await request.body()
    if await _take(ctx, col(Job.callback_token_sha256) == digest(token), body):
        _known(ctx, parse(body).event_type)
    return data({})


@router.post(
    "/callbacks/heygen",
    response_model=answer_schemas.One[answer_schemas.Answer],
    openapi_extra=NO_KEY,
)
async def receive_signed_callback(request: Request, ctx: ContextDep) -> Response:
    """Take what HeyGen posts to the registered endpoint, of jobs that are ours; of others nothing is kept."""
    if not ctx.callback_secrets:
        raise NotFound("There is nothing at this path: no HEYGEN_WEBHOOK_SECRET is set.")
    body, now = await request.body(), ctx.clock.now()
    if not any(verify_signature(secret, request.headers, body, now) for secret in ctx.callback_secrets):
        ctx.watchdog.ignored("bad_signature")
        return data({})
    event = parse(body)
    if not _known(ctx, event.event_type):
        ctx.watchdog.ignored("unknown_event")
        return data({})
    job_id = await job_of(ctx, event)
    if job_id is None or not await _take(ctx, col(Job.id) == job_id, body):
        ctx.watchdog.ignored("unknown_job")
    return data({})


@router.api_route("/callbacks/heygen", methods=["GET", "HEAD", "OPTIONS"], include_in_schema=False)
@router.api_route("/callbacks/heygen/{token}", methods=["GET", "HEAD", "OPTIONS"], include_in_schema=False)
async def answer_probe() -> Response:
    """HeyGen has been seen to try an address before it uses it, and before it tells the secret of an endpoint there."""
    return data({})


async def _take(ctx: Context, whose: ColumnElement[bool], body: bytes) -> bool:
    """Store a callback and look at its job soon; False where there is no such job."""
    now = ctx.clock.now()
    async with ctx.database.begin() as session:
        job_id = await _hint(session, whose, now)
        if job_id is not None:
            await _store(session, job_id, body, now)
    if job_id is None:
        return False
    await ctx.failpoint("callback.stored")
    ctx.wake.hint("poll")
    ctx.wake.hint("unsure")
    return True


def _known(ctx: Context, event_type: str | None) -> bool:
    """Whether this version knows such an event; what it does not know is counted."""
    known = event_type in EVENT_TYPES
    if not known:
        ctx.watchdog.met("event", "callback", word(event_type))
    return known


async def job_of(ctx: Context, event: CallbackEvent) -> str | None:
    """The job that a signed callback tells of: by HeyGen's id, else by what we gave as `callback_id`, the job's own.

    Where HeyGen's answer was lost, only the latter leads to the job.
    """
    async with ctx.database.begin() as session:
        if event.heygen_id is not None:
            by_id: str | None = await session.scalar(
                select(col(Job.id)).where(
                    col(Job.account_id).in_(list(ctx.connections)),
                    col(Job.kind).in_(["video", "look"]),
                    col(Job.heygen_id) == event.heygen_id,
                )
            )
            if by_id is not None:
                return by_id
        if event.callback_id is None:
            return None
        job_id: str | None = await session.scalar(select(col(Job.id)).where(col(Job.id) == event.callback_id))
        return job_id


async def _hint(session: AsyncSession, whose: ColumnElement[bool], now: datetime) -> str | None:
    """Make the job due, at most once in 30 s (the reader sets `hint_after`); its id, None for no such job.

    This locks the row, so callbacks of one job come one after the other. A lease is a column of its own and stays.
    """
    soon = case((col(Job.hint_after) > now, col(Job.hint_after)), else_=literal(now, UTCDateTime()))
    later = col(Job.due_at).is_(None) | (col(Job.due_at) > soon)
    asked = col(Job.status).in_([JobStatus.UNSURE, JobStatus.PROCESSING])
    job_id: str | None = await session.scalar(
        update(Job)
        .where(whose)
        .values(called_back_at=now, due_at=case((asked & later, soon), else_=col(Job.due_at)))
        .returning(col(Job.id))
        .execution_options(synchronize_session=False)
    )
    return job_id


async def _store(session: AsyncSession, job_id: str, body: bytes, now: datetime) -> None:
    body_sha256 = hashlib.sha256(body).hexdigest()
    again = await session.scalar(
        update(Callback)
        .where(col(Callback.job_id) == job_id, col(Callback.body_sha256) == body_sha256)
        .values(times=col(Callback.times) + 1)
        .returning(col(Callback.id))
        .execution_options(synchronize_session=False)
    )
    if again is not None:
        return
    kept = await session.scalar(select(func.count()).where(col(Callback.job_id) == job_id))
    if kept is not None and kept >= MOST_ROWS:
        return
    event = parse(body)
    session.add(
        Callback(
            id=id_at(now),
            job_id=job_id,
            event_type=event.event_type,
            heygen_id=event.heygen_id,
            body=body,
            body_sha256=body_sha256,
            received_at=now,
        )
    )
