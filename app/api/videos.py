"""`/v3/videos`: create, read, list, delete and cancel. Creating only stores; the worker talks to HeyGen."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Header, Query, Request
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.responses import Response

from app.api import answer_schemas
from app.api.answers import Ids, Limit100, data, data_bytes, page, read_ids, read_limit
from app.api.batch_reads import batch_statuses
from app.api.dependencies import CallerDep, ContextDep
from app.api.idempotency import OnceDep, create, hash_of
from app.api.json_body import read_as
from app.api.openapi import UNCHANGED, creates
from app.api.queue_room import RoomDep
from app.api.removal import DELETED_KNOWN, hide
from app.api.two_phases import Listing
from app.api.upstream import connection_of, reading
from app.api.video_answers import tagged, video_view
from app.api.video_bodies import KINDS
from app.api.video_checks import check_video
from app.api.video_jobs import new_job
from app.api.video_looks import still_made
from app.api.video_reads import (
    Filters,
    find_video,
    heygens_page,
    own_page,
    video_at_heygen,
    video_statuses,
)
from app.api.video_requests import parse_video
from app.context import Context
from app.errors import Conflict, InvalidParameter, NotFound
from app.lifecycle import By, Canceled, apply, enqueue
from app.models import UNFINISHED, JobStatus
from app.tenancy import Caller

router = APIRouter(prefix="/v3/videos")

MOST_IDS = 100
"""In one question for statuses, as at HeyGen."""

# Any text may be an id: a query that is there is never null.


@router.post(
    "",
    response_model=answer_schemas.One[answer_schemas.VideoCreated],
    openapi_extra=creates(*KINDS.values()),
)
async def create_video(
    request: Request, ctx: ContextDep, caller: CallerDep, once: OnceDep, room: RoomDep
) -> Response:
    """Accept a video for rendering."""
    parse = partial(
        parse_video,
        forward_fields=ctx.terms.forward_fields,
        allow_private=ctx.terms.allow_private_destinations,
    )
    body_hash, wanted = await read_as(request, lambda body: (hash_of(body), parse(body)))
    replayed = await once.replay(ctx, caller, body_hash)
    if replayed is not None:
        return replayed
    await room.take(ctx, caller)
    checked = await check_video(ctx, caller, wanted, ctx.clock.now())
    job = new_job(ctx, caller, wanted, checked, wanted.greenroom, ctx.clock.now())

    async def store(session: AsyncSession) -> tuple[str, bytes]:
        job.waits_for_id = min(await still_made(session, checked.look_ids), default=None)
        await enqueue(session, job, By("caller", job.created_at))
        output_format = checked.body.get("output_format", "mp4")
        return job.id, data_bytes({"video_id": job.id, "status": "waiting", "output_format": output_format})

    answer = await create(ctx, caller, once, body_hash, store)
    ctx.wake.hint("submit")
    return answer


@router.get("", response_model=answer_schemas.Page[answer_schemas.Video])
async def get_videos(
    ctx: ContextDep,
    caller: CallerDep,
    title: str | None = None,
    folder_id: str | None = None,
    limit: Limit100 = None,
    token: str | None = None,
) -> Response:
    """A page of videos, newest first."""
    listing = Listing(ctx, caller, "videos", read_limit(limit, default=10, most=100), token)
    filters = Filters(title, folder_id)
    theirs = partial(heygens_page, ctx, caller, filters) if caller.account_wide else None
    return await listing.answer(partial(own_page, ctx, caller, filters), theirs)


@router.get("/statuses", response_model=answer_schemas.Page[answer_schemas.VideoStatus])
async def get_statuses(
    ctx: ContextDep,
    caller: CallerDep,
    video_ids: Annotated[Ids, Query()] = None,
    batch_ids: Annotated[Ids, Query()] = None,
) -> Response:
    """The status of up to 100 videos and batches, in the order asked; of a batch, that of each of its items."""
    videos, batches = read_ids(video_ids), read_ids(batch_ids)
    if not videos and not batches:
        raise InvalidParameter(f"'video_ids' must name between 1 and {MOST_IDS} videos.", param="video_ids")
    if len(videos) + len(batches) > MOST_IDS:
        param = "video_ids" if len(videos) > MOST_IDS or not batches else "batch_ids"
        raise InvalidParameter(
            f"'video_ids' and 'batch_ids' must name at most {MOST_IDS} together.", param=param
        )
    entries = await video_statuses(ctx, caller, videos) if videos else []
    return page([*entries, *await batch_statuses(ctx, caller, batches)], None)


@router.get("/{video_id}", response_model=answer_schemas.One[answer_schemas.Video], responses=UNCHANGED)
async def get_video(
    video_id: str, ctx: ContextDep, caller: CallerDep, if_none_match: Annotated[str | None, Header()] = None
) -> Response:
    """One video, with links that stay the same for a day."""
    async with ctx.database.begin() as session:
        own = await find_video(session, caller, video_id)
    if own is None:
        return data(await video_at_heygen(ctx, caller, video_id))
    return tagged(video_view(ctx, own, ctx.clock.now()), if_none_match)


@router.delete("/{video_id}", response_model=answer_schemas.One[answer_schemas.VideoRemoved])
async def delete_video(video_id: str, ctx: ContextDep, caller: CallerDep) -> Response:
    """Hide a video at once; the worker cancels what is under way and deletes HeyGen's copy."""
    now = ctx.clock.now()
    async with ctx.database.begin() as session:
        own = await find_video(session, caller, video_id, deleted_since=now - DELETED_KNOWN)
        if own is not None and own.job.deleted_at is None:
            by = By("caller", now)
            moved = own.job.status in UNFINISHED and await apply(
                session, own.job.id, Canceled(deleted=True), by
            )
            if not moved:
                await hide(session, own.job.id, by)
    await ctx.failpoint("withdraw.stored")
    if own is None:
        await _delete_at_heygen(ctx, caller, video_id)
    ctx.wake.hint("tidy")
    ctx.wake.hint("deliver")
    return data({"id": video_id, "deleted": True})


@router.post("/{video_id}/cancel", response_model=answer_schemas.One[answer_schemas.VideoCanceled])
async def cancel_video(video_id: str, ctx: ContextDep, caller: CallerDep) -> Response:
    """Withdraw a video; `billable` tells whether HeyGen may have it already."""
    async with ctx.database.begin() as session:
        own = await find_video(session, caller, video_id)
        if own is None:
            raise NotFound.video(video_id)
        await apply(session, own.job.id, Canceled(), By("caller", ctx.clock.now()))
        await session.refresh(own.job)
    await ctx.failpoint("withdraw.stored")
    if own.job.status != JobStatus.CANCELED:
        raise Conflict(f"Video {video_id} is {own.job.status} already and cannot be canceled.")
    ctx.wake.hint("deliver")
    ours = {"phase": own.job.status, "billable": own.job.billable}
    return data({"id": own.job.id, "status": "failed", "greenroom": ours})


async def _delete_at_heygen(ctx: Context, caller: Caller, video_id: str) -> None:
    """Delete a video that was not made through us, for who sees the whole account; raises NotFound, Unavailable."""
    await video_at_heygen(ctx, caller, video_id)
    with reading(NotFound.video(video_id)):
        connection = connection_of(ctx, caller)
        await connection.catalog.through_gate(lambda: connection.heygen.delete_video(video_id))
    connection.catalog.forget("video", video_id)
