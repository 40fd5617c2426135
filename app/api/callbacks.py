"""HeyGen calls back here. A callback is a hint that asking HeyGen is worthwhile; no status is written.

Whoever calls gets the same answer: it tells nothing about the token. The URL carries no signature, the token in it is
all there is (128 random bits, stored as a hash).
"""

from __future__ import annotations

import hashlib
from datetime import datetime

from fastapi import APIRouter, Request
from sqlalchemy import case, func, literal, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col
from sqlmodel.sql.sqltypes import UTCDateTime
from starlette.responses import Response
from uuid_utils.compat import uuid7

from app.api import answer_schemas
from app.api.answers import data
from app.api.dependencies import ContextDep
from app.api.openapi import NO_KEY
from app.heygen.callback import parse
from app.models import Callback, Job, JobStatus
from app.secrets import digest

MOST_ROWS = 20
"""Different bodies kept for one job: what comes beyond them is a hint all the same."""

router = APIRouter()


@router.post(
    "/callbacks/heygen/{token}",
    response_model=answer_schemas.One[answer_schemas.Answer],
    openapi_extra=NO_KEY,
)
async def receive_callback(request: Request, ctx: ContextDep, token: str) -> Response:
    """Store what came and look at the job soon."""
    body = await request.body()
    now = ctx.clock.now()
    async with ctx.database.begin() as session:
        job_id = await _hint(session, token, now)
        if job_id is not None:
            await _store(session, job_id, body, now)
    if job_id is not None:
        await ctx.failpoint("callback.stored")
        ctx.wake.hint("poll")
        ctx.wake.hint("unsure")
    return data({})


@router.api_route("/callbacks/heygen/{token}", methods=["GET", "HEAD", "OPTIONS"], include_in_schema=False)
async def answer_probe() -> Response:
    """HeyGen has been seen to try an address before it uses it."""
    return data({})


async def _hint(session: AsyncSession, token: str, now: datetime) -> str | None:
    """Make the token's job due, at most once in 30 s (the reader sets `hint_after`); its id, None for no such job.

    This locks the row, so callbacks of one job come one after the other. A lease is a column of its own and stays.
    """
    soon = case((col(Job.hint_after) > now, col(Job.hint_after)), else_=literal(now, UTCDateTime()))
    later = col(Job.due_at).is_(None) | (col(Job.due_at) > soon)
    asked = col(Job.status).in_([JobStatus.UNSURE, JobStatus.PROCESSING])
    job_id: str | None = await session.scalar(
        update(Job)
        .where(col(Job.callback_token_sha256) == digest(token))
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
            id=uuid7().hex,
            job_id=job_id,
            event_type=event.event_type,
            heygen_id=event.heygen_id,
            body=body,
            body_sha256=body_sha256,
            received_at=now,
        )
    )
