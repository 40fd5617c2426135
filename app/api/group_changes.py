"""`DELETE /v3/avatars/{group}`: our rows at once, a group that only HeyGen knows through HeyGen."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from app.api import answer_schemas, own_looks
from app.api.answers import data
from app.api.dependencies import CallerDep, ContextDep
from app.api.groups import group_at_heygen
from app.api.removal import DELETED_KNOWN, living_looks, remove_group
from app.api.upstream import acting, connection_of
from app.context import Context
from app.errors import Conflict, NotFound
from app.heygen.errors import Missing
from app.lifecycle import By
from app.models import Group
from app.tenancy import Caller

router = APIRouter()


@router.delete("/v3/avatars/{group_id}", response_model=answer_schemas.One[answer_schemas.Removed])
async def delete_group(group_id: str, ctx: ContextDep, caller: CallerDep) -> Response:
    """Hide a group with all its looks at once; the worker deletes HeyGen's copies."""
    now = ctx.clock.now()
    async with ctx.database.begin() as session:
        group = await own_looks.find_group(session, caller, group_id, deleted_since=now - DELETED_KNOWN)
        adopted = group is not None and own_looks.is_adopted(group) and group.deleted_at is None
        if group is not None and not adopted and group.deleted_at is None:
            await remove_group(session, group, By("caller", now))
    await ctx.failpoint("withdraw.stored")
    if group is None or adopted:
        await _delete_at_heygen(ctx, caller, group_id, group)
    for lane in ("tidy", "deliver", "submit"):
        ctx.wake.hint(lane)
    return data({"id": group_id})


async def _delete_at_heygen(ctx: Context, caller: Caller, group_id: str, adopted: Group | None) -> None:
    """Have HeyGen delete a group of its own, and then what we have made in it."""
    connection = connection_of(ctx, caller)
    try:
        await group_at_heygen(ctx, caller, group_id, changing=True)
        await _check_alone(ctx, caller, adopted)
        with acting(NotFound.avatar_group(group_id)):
            await connection.catalog.through_gate(lambda: connection.heygen.delete_group(group_id))
    except NotFound as error:
        # HeyGen has deleted it already: perhaps for this caller, and the process died before our rows followed.
        if adopted is None or not caller.account_wide or not isinstance(error.__cause__, Missing):
            raise
        await _check_alone(ctx, caller, adopted)
    connection.catalog.forget("group", group_id)
    if adopted is not None:
        async with ctx.database.begin() as session:
            await remove_group(
                session, await session.get_one(Group, adopted.id), By("caller", ctx.clock.now())
            )


async def _check_alone(ctx: Context, caller: Caller, adopted: Group | None) -> None:
    """Raise Conflict where others have looks in it."""
    if adopted is not None:
        async with ctx.database.begin() as session:
            looks = await living_looks(session, [adopted.id])
        if any(look.tenant_id != caller.tenant_id for look in looks):
            raise Conflict("Others have looks in this avatar group.")
