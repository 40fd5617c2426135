"""`/v3/avatars/looks/{id}/content`: the previews of looks that no photo of the caller's shows, streamed from HeyGen."""

from __future__ import annotations

from functools import partial

from fastapi import APIRouter, Request
from sqlalchemy import select
from sqlmodel import col
from starlette.responses import Response

from app.api.dependencies import ContextDep
from app.api.file_answers import Described, from_heygen, gone
from app.api.file_links import HolderDep
from app.api.openapi import FILE, LINK_OR_KEY
from app.api.upstream import reading
from app.context import Context
from app.errors import InvalidParameter, NotFound, Unavailable
from app.models import Look

router = APIRouter()

# Others could be pages with scripts, run in the browser as if they were ours.
_TYPES = {
    "image": {"image/jpeg": "jpg", "image/png": "png", "image/webp": "webp"},
    "video": {"video/mp4": "mp4", "video/webm": "webm"},
}


@router.head("/v3/avatars/looks/{look_id}/content", include_in_schema=False)
@router.get("/v3/avatars/looks/{look_id}/content", responses=FILE, openapi_extra=LINK_OR_KEY)
async def get_preview(
    look_id: str,
    request: Request,
    ctx: ContextDep,
    holder: HolderDep,
    variant: str = "image",
) -> Response:
    """What a look is like, for whoever holds its link, or the key of its tenant."""
    tenant_id = await holder.tenant_id(f"/v3/avatars/looks/{look_id}/content", variant, "look")
    if variant not in _TYPES:
        raise InvalidParameter(f"'variant' must be one of {', '.join(_TYPES)}.", param="variant")
    look = await _find(ctx, look_id, tenant_id)
    return await from_heygen(
        ctx, request, await _fresh_link(ctx, look, variant), partial(_described, look, variant)
    )


async def _find(ctx: Context, look_id: str, tenant_id: str | None) -> Look:
    rows = select(Look).where(col(Look.id) == look_id, col(Look.deleted_at).is_(None))
    if tenant_id is not None:
        rows = rows.where(col(Look.tenant_id) == tenant_id)
    async with ctx.database.begin() as session:
        look: Look | None = await session.scalar(rows)
    if look is None:
        raise NotFound.avatar(look_id)
    return look


async def _fresh_link(ctx: Context, look: Look, variant: str) -> str:
    """HeyGen's link of now: those it gave before may have expired."""
    connection = ctx.connections.get(look.account_id)
    if connection is None:
        raise Unavailable("The HeyGen account of this avatar is not connected now.", retry_after=5)
    if look.heygen_look_id is None:
        raise gone()
    with reading(gone()):
        theirs = await connection.catalog.look(look.heygen_look_id)
    link = theirs.preview_image_url if variant == "image" else theirs.preview_video_url
    if link is None:
        raise gone()
    return link


def _described(look: Look, variant: str, told: str | None) -> Described:
    known = _TYPES[variant]
    mime = (told or "").partition(";")[0].strip().lower()
    mime = mime if mime in known else next(iter(known))
    return Described(mime, f"{look.id}.{known[mime]}", f'"{look.id}-{variant}"')
