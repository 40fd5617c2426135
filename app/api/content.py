"""`/v3/videos/{id}/content`: the files that links in answers lead to. Never a redirect.

A redirect would make clients hand the signed link on as Referer.
"""

from __future__ import annotations

from functools import partial

from fastapi import APIRouter, Depends, Request
from sqlalchemy import select
from sqlmodel import col
from starlette.responses import Response

from app.api.dependencies import ContextDep, prove_identity
from app.api.file_answers import Described, from_heygen, from_storage, gone
from app.api.file_links import HolderDep
from app.api.openapi import FILE, LINK_OR_KEY
from app.api.upstream import reading
from app.api.video_answers import LINK_FIELDS, variants_of
from app.context import Context
from app.errors import InvalidParameter, NotFound, Unavailable
from app.models import File, Job, JobStatus

router = APIRouter(dependencies=[Depends(prove_identity)])

_TYPES = {
    "video": ("video/mp4", "mp4"),
    "captioned": ("video/mp4", "mp4"),
    "subtitle": ("application/x-subrip", "srt"),
    "thumbnail": ("image/jpeg", "jpg"),
    "gif": ("image/gif", "gif"),
}
# Others could be pages with scripts, run in the browser as if they were ours.
_HARMLESS = {"video/mp4": "mp4", "video/webm": "webm", "image/jpeg": "jpg", "image/png": "png"}


@router.head("/v3/videos/{video_id}/content", include_in_schema=False)
@router.get("/v3/videos/{video_id}/content", responses=FILE, openapi_extra=LINK_OR_KEY)
async def get_content(
    video_id: str,
    request: Request,
    ctx: ContextDep,
    holder: HolderDep,
    variant: str = "video",
) -> Response:
    """One file of a finished video, for whoever holds its link, or the key of its tenant."""
    tenant_id = await holder.tenant_id(f"/v3/videos/{video_id}/content", variant, "video")
    if variant not in LINK_FIELDS:
        raise InvalidParameter(f"'variant' must be one of {', '.join(LINK_FIELDS)}.", param="variant")
    job, file = await _find(ctx, video_id, variant, tenant_id)
    describe = partial(_described, job, variant)
    if file is not None and file.storage_key is not None:
        answer = await from_storage(ctx, request, file.storage_key, describe(file.mime))
        if answer is not None:
            return answer
    return await from_heygen(ctx, request, await _fresh_link(ctx, job, variant), describe)


async def _find(ctx: Context, video_id: str, variant: str, tenant_id: str | None) -> tuple[Job, File | None]:
    """The video, and our copy of the variant; raises NotFound for what there is not, or not yet."""
    rows = select(Job, File).outerjoin(
        File, (col(File.job_id) == col(Job.id)) & (col(File.variant) == variant)
    )
    rows = rows.where(col(Job.id) == video_id, col(Job.kind) == "video", col(Job.deleted_at).is_(None))
    if tenant_id is not None:
        rows = rows.where(col(Job.tenant_id) == tenant_id)
    async with ctx.database.begin() as session:
        row = (await session.execute(rows)).first()
    if row is None:
        raise NotFound.video(video_id)
    job, file = row
    result = job.result if job.status == JobStatus.COMPLETED else job.late_result
    if result is None or variant not in variants_of(result):
        raise gone()
    return job, file


async def _fresh_link(ctx: Context, job: Job, variant: str) -> str:
    """HeyGen's link of now: those it gave before may have expired."""
    connection = ctx.connections.get(job.account_id)
    if connection is None:
        raise Unavailable("The HeyGen account of this video is not connected now.", retry_after=5)
    with reading(gone()):
        video = await connection.catalog.video(job.heygen_id or "")
    link: str | None = getattr(video, LINK_FIELDS[variant])
    if link is None:
        raise gone()
    return link


def _described(job: Job, variant: str, told: str | None) -> Described:
    media_type, extension = _TYPES[variant]
    mime = (told or "").partition(";")[0].strip().lower()
    if mime in _HARMLESS:
        media_type, extension = mime, _HARMLESS[mime]
    # A variant of a video never changes: whoever has it has it.
    name = job.id if variant == "video" else f"{job.id}-{variant}"
    return Described(media_type, f"{name}.{extension}", f'"{job.id}-{variant}"')
