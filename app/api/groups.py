"""`GET /v3/avatars`: groups, the characters that looks belong to; the caller's own, then HeyGen's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel
from starlette.responses import Response

from app import grants
from app.api import answer_schemas, own_looks
from app.api.answers import Limit50, data, read_limit
from app.api.dependencies import CallerDep, ContextDep
from app.api.granted import granted_groups
from app.api.look_views import group_view
from app.api.looks import Ownership, not_yours, public_stays, upstream_ownership
from app.api.two_phases import Listing, Ours, Theirs, chained
from app.api.upstream import connection_of, reading, shown
from app.context import Context
from app.errors import NotFound
from app.models import GrantKind
from app.tenancy import Caller

router = APIRouter()


class GroupFilter(BaseModel):
    """Which groups; HeyGen's names."""

    ownership: Ownership | None = None
    limit: Limit50 = None
    token: str | None = None


@router.get("/v3/avatars", response_model=answer_schemas.Page[answer_schemas.Group])
async def list_groups(ctx: ContextDep, caller: CallerDep, which: Annotated[GroupFilter, Query()]) -> Response:
    """A page of groups."""
    limit = read_limit(which.limit, default=20, most=50)
    listing = Listing(ctx, caller, "groups", limit, which.token)
    ours = _ours(ctx, caller) if which.ownership != "public" else None
    return await listing.answer(ours, await _theirs(ctx, caller, which.ownership))


@router.get("/v3/avatars/{group_id}", response_model=answer_schemas.One[answer_schemas.Group])
async def get_group(ctx: ContextDep, caller: CallerDep, group_id: str) -> Response:
    """One group."""
    async with ctx.database.begin() as session:
        group = await own_looks.find_group(session, caller, group_id)
        ours = [group] if group is not None and not own_looks.is_adopted(group) else []
        own = await own_looks.complete_groups(session, ours, ctx.secrets)
    if own:
        return data(group_view(ctx, own[0], ctx.clock.now()))
    return data(shown(await group_at_heygen(ctx, caller, group_id)))


async def group_at_heygen(
    ctx: Context, caller: Caller, group_id: str, *, changing: bool = False
) -> Mapping[str, Any]:
    """A group that is not the caller's own row; raises NotFound and, where it may be seen but not changed, Forbidden."""
    missing = NotFound.avatar_group(group_id)
    async with ctx.database.begin() as session:
        granted = await grants.covers(session, caller, GrantKind.GROUP, group_id)
    with reading(missing):
        catalog = connection_of(ctx, caller).catalog
        if not caller.account_wide and not granted:
            # Nothing in a group tells surely whether it is public; its looks do.
            public = await catalog.looks(group_id=group_id, ownership="public", limit=1)
            if not public.items:
                raise missing
        found = await catalog.group(group_id)
    async with ctx.database.begin() as session:
        held = await own_looks.held_groups(session, caller.account_id, [found])
    if held and not granted:
        raise missing
    if changing and (held or not caller.account_wide):
        raise not_yours("avatar group") if granted else public_stays()
    return found


def _ours(ctx: Context, caller: Caller) -> Ours:
    async def ours(after: str, limit: int) -> Sequence[dict[str, Any]]:
        async with ctx.database.begin() as session:
            groups = await own_looks.group_page(session, caller, after, limit)
            completed = await own_looks.complete_groups(session, groups, ctx.secrets)
        now = ctx.clock.now()
        return [group_view(ctx, own, now) for own in completed]

    return ours


async def _theirs(ctx: Context, caller: Caller, asked: Ownership | None) -> Theirs | None:
    ownership = upstream_ownership(caller, asked)
    granted = await granted_groups(ctx, caller) if asked != "public" else None
    if ownership == "":
        return granted

    async def theirs(limit: int, token: str | None) -> tuple[Sequence[dict[str, Any]], str | None]:
        with reading():
            found = await connection_of(ctx, caller).catalog.groups(
                ownership=ownership, limit=limit, token=token
            )
        async with ctx.database.begin() as session:
            held = await own_looks.held_groups(session, caller.account_id, found.items)
        return [shown(item) for item in found.items if item.get("id") not in held], found.next_token

    return chained(granted, theirs)
