"""`PATCH` and `DELETE /v3/avatars/looks/{id}`: our rows at once; looks that only HeyGen knows through HeyGen."""

from __future__ import annotations

import structlog
from fastapi import APIRouter, Request
from sqlalchemy import case, update
from sqlmodel import col
from starlette.responses import Response

from app.api import answer_schemas, own_looks
from app.api.answers import data
from app.api.avatar_requests import LookChange, parse_change
from app.api.dependencies import CallerDep, ContextDep
from app.api.json_body import read_json
from app.api.look_views import look_view
from app.api.looks import look_at_heygen
from app.api.openapi import takes
from app.api.own_looks import OwnLook
from app.api.removal import DELETED_KNOWN, remove_looks
from app.api.upstream import acting, connection_of, shown
from app.context import Context
from app.errors import InvalidParameter, NotFound
from app.heygen import schemas
from app.heygen.errors import HeyGenError, Refused
from app.heygen.titles import token_of, with_token
from app.lifecycle import By
from app.models import Job, Look
from app.tenancy import Caller

log = structlog.get_logger(__name__)

router = APIRouter()


@router.patch(
    "/v3/avatars/looks/{look_id}",
    response_model=answer_schemas.One[answer_schemas.Look],
    openapi_extra=takes(LookChange),
)
async def rename_look(look_id: str, request: Request, ctx: ContextDep, caller: CallerDep) -> Response:
    """Give a photo avatar or digital twin another name."""
    name = parse_change(await read_json(request)).name
    async with ctx.database.begin() as session:
        own = await own_looks.find_look(session, caller, look_id, ctx.secrets)
    if own is None:
        return data(shown(await _rename_at_heygen(ctx, caller, look_id, name)))
    # While the worker renames HeyGen's copy, ours may come first there: then it has to be told once more.
    owed = not await _rename_copy(ctx, own, name) or own.job.due_at is not None
    async with ctx.database.begin() as session:
        if owed:
            # While the look is made the poll finds out at its end, which this lock holds off.
            ended = col(Job.finished_at).isnot(None)
            due_at = case((ended, ctx.clock.now()), else_=col(Job.due_at))
            await session.execute(update(Job).where(col(Job.id) == own.look.id).values(due_at=due_at))
        # Equal looks have equal names: whoever asks for the old one again wants a look of that name.
        renamed = update(Look).where(col(Look.id) == own.look.id, col(Look.name) != name)
        await session.execute(renamed.values(name=name, reuse_hash=None))
        own = await own_looks.find_look(session, caller, own.look.id, ctx.secrets)
    if own is None:
        raise NotFound.avatar(look_id)
    if owed:
        ctx.wake.hint("tidy")
    return data(look_view(ctx, own, ctx.clock.now()))


@router.delete("/v3/avatars/looks/{look_id}", response_model=answer_schemas.One[answer_schemas.Removed])
async def delete_look(look_id: str, ctx: ContextDep, caller: CallerDep) -> Response:
    """Hide a look at once, and its group with the last one; the worker deletes HeyGen's copy."""
    now = ctx.clock.now()
    async with ctx.database.begin() as session:
        own = await own_looks.find_look(
            session, caller, look_id, ctx.secrets, deleted_since=now - DELETED_KNOWN
        )
        if own is not None and own.look.deleted_at is None:
            await remove_looks(session, [own.look], By("caller", now))
    await ctx.failpoint("withdraw.stored")
    if own is None:
        await _delete_at_heygen(ctx, caller, look_id)
    for lane in ("tidy", "deliver", "submit"):
        ctx.wake.hint(lane)
    return data({"id": look_id})


async def _delete_at_heygen(ctx: Context, caller: Caller, look_id: str) -> None:
    """Delete a look that was not made through us."""
    await look_at_heygen(ctx, caller, look_id, changing=True)
    with acting(NotFound.avatar(look_id)):
        connection = connection_of(ctx, caller)
        await connection.catalog.through_gate(lambda: connection.heygen.delete_look(look_id))
    connection.catalog.forget("look", look_id)


async def _rename_copy(ctx: Context, own: OwnLook, name: str) -> bool:
    """Let HeyGen's copy follow, its token kept; False where that is left to the worker.

    What HeyGen calls it is shown to nobody here, so that only a no counts.
    """
    heygen_id, connection = own.look.heygen_look_id, ctx.connections.get(own.look.account_id)
    if heygen_id is None or connection is None:
        return False
    marked = with_token(name, own.job.title_token)
    try:
        await connection.catalog.through_gate(lambda: connection.heygen.rename_look(heygen_id, marked))
    except HeyGenError as error:
        log.warning("rename_failed", look_id=own.look.id, reason=error.reason)
        if isinstance(error, Refused) and error.http_status == InvalidParameter.status:
            raise InvalidParameter(error.message or "HeyGen refuses this name.", param="name") from error
        return False
    return True


async def _rename_at_heygen(ctx: Context, caller: Caller, look_id: str, name: str) -> dict[str, object]:
    """Rename a look that was not made through us; one that another Greenroom made keeps its token."""
    found: schemas.Look = await look_at_heygen(ctx, caller, look_id, changing=True)
    token = token_of(found.name)
    wanted = with_token(name, token) if token is not None else name
    with acting(NotFound.avatar(look_id)):
        connection = connection_of(ctx, caller)
        renamed = await connection.catalog.through_gate(
            lambda: connection.heygen.rename_look(look_id, wanted)
        )
    connection.catalog.forget("look", look_id)
    return dict(renamed.raw)
