"""`/v3/videos/batches`: up to a thousand videos at once, all of them stored or none."""

from __future__ import annotations

from datetime import datetime

from fastapi import APIRouter, Request
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.responses import Response
from uuid_utils.compat import uuid7

from app.api import answer_schemas
from app.api.answers import Limit100, data, data_bytes, read_limit
from app.api.batch_reads import MOST_ITEMS, batch_page
from app.api.batch_requests import BatchBody, BatchRequest, Faults, give_turn, parse_batch
from app.api.dependencies import CallerDep, ContextDep
from app.api.idempotency import OnceDep, create, hash_of
from app.api.json_body import read_json
from app.api.openapi import creates
from app.api.queue_room import RoomDep
from app.api.video_checks import Checked, check_named, check_own_terms, check_terms, look_up
from app.api.video_jobs import new_job
from app.api.video_looks import still_made
from app.context import Context
from app.errors import InvalidParameter, NotFound
from app.lifecycle import By, enqueue_all
from app.models import Batch, Job
from app.tenancy import Caller

router = APIRouter(prefix="/v3/videos/batches")


@router.post(
    "", response_model=answer_schemas.One[answer_schemas.BatchCreated], openapi_extra=creates(BatchBody)
)
async def create_batch(
    request: Request, ctx: ContextDep, caller: CallerDep, once: OnceDep, room: RoomDep
) -> Response:
    """Accept many videos for rendering, each with a life of its own."""
    body = await read_json(request)
    body_hash = hash_of(body)
    replayed = await once.replay(ctx, caller, body_hash)
    if replayed is not None:
        return replayed
    wanted = await parse_batch(
        body,
        forward_fields=ctx.terms.forward_fields,
        allow_private=ctx.terms.allow_private_destinations,
    )
    await room.take(ctx, caller, len(wanted.videos))
    now = ctx.clock.now()
    checked = await _check(ctx, caller, wanted, now)
    batch = _batch(caller, wanted.body, now)
    jobs = await _jobs(ctx, caller, wanted, checked, batch)

    async def store(session: AsyncSession) -> tuple[str, bytes]:
        unfinished = await still_made(session, [look_id for it in checked for look_id in it.look_ids])
        for job, it in zip(jobs, checked, strict=True):
            job.waits_for_id = min(unfinished.intersection(it.look_ids), default=None)
        session.add(batch)
        await enqueue_all(session, jobs, By("caller", now))
        return batch.id, data_bytes(_created(batch, jobs))

    answer = await create(ctx, caller, once, body_hash, store)
    ctx.wake.hint("submit")
    return answer


@router.get("/{batch_id}", response_model=answer_schemas.One[answer_schemas.Batch])
async def get_batch(
    batch_id: str, ctx: ContextDep, caller: CallerDep, limit: Limit100 = None, token: str | None = None
) -> Response:
    """A batch, and a page of its items in their order."""
    most = read_limit(limit, default=MOST_ITEMS, most=MOST_ITEMS)
    return data(await batch_page(ctx, caller, batch_id, most, token))


async def _check(ctx: Context, caller: Caller, wanted: BatchRequest, now: datetime) -> list[Checked]:
    """Every item, ready to be stored; raises InvalidParameter with the faults of all.

    Pictures by link are for HeyGen to fetch: a thousand would take longer than a caller waits.
    """
    check_own_terms(ctx, wanted.body.callback_url, wanted.body.greenroom.deadline, now)
    known = await look_up(ctx, caller, wanted.videos)
    faults, checked = Faults(), []
    for index, video in enumerate(wanted.videos):
        try:
            check_terms(ctx, caller, video, now)
            checked.append(check_named(caller, video, known))
        except (InvalidParameter, NotFound) as error:
            faults.add(index, error)
        await give_turn(index)
    faults.settle()
    return checked


def _batch(caller: Caller, body: BatchBody, now: datetime) -> Batch:
    return Batch(
        id=uuid7().hex,
        tenant_id=caller.tenant_id,
        title=body.title,
        callback_url=body.callback_url,
        callback_id=body.callback_id,
        batch_metadata=body.greenroom.metadata,
        total=len(body.videos),
        open=len(body.videos),
        created_at=now,
    )


async def _jobs(
    ctx: Context, caller: Caller, wanted: BatchRequest, checked: list[Checked], batch: Batch
) -> list[Job]:
    jobs = []
    for index, (video, it) in enumerate(zip(wanted.videos, checked, strict=True)):
        job = new_job(ctx, caller, video, it, wanted.options(video), batch.created_at)
        job.batch_id, job.batch_index = batch.id, index
        jobs.append(job)
        await give_turn(index)
    return jobs


def _created(batch: Batch, jobs: list[Job]) -> dict[str, object]:
    items = [
        {"item_index": job.batch_index, "video_id": job.id, "status": "queued", "error": None} for job in jobs
    ]
    return {
        "batch_id": batch.id,
        "status": "processing",
        "title": batch.title,
        "total_items": batch.total,
        "items": items,
    }
