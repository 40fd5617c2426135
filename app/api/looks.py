"""`GET /v3/avatars/looks`: the caller's own looks, then HeyGen's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, BeforeValidator
from starlette.responses import Response

from app import grants
from app.api import answer_schemas, own_looks
from app.api.answers import Limit50, data, read_limit
from app.api.dependencies import CallerDep, ContextDep
from app.api.granted import granted_looks
from app.api.look_views import look_view
from app.api.two_phases import Listing, Ours, Theirs, chained
from app.api.upstream import connection_of, reading, shown
from app.context import Context
from app.errors import Forbidden, NotFound
from app.heygen import schemas
from app.models import Group
from app.tenancy import Caller

router = APIRouter()

Ownership = Literal["public", "private"]


OLDER_TYPES = {"video_avatar": "digital_twin"}


class LookFilter(BaseModel):
    """Which looks; HeyGen's names, older ones too."""

    group_id: str | None = None
    avatar_type: Annotated[
        Literal["studio_avatar", "digital_twin", "photo_avatar"] | None,
        BeforeValidator(lambda name: OLDER_TYPES.get(name, name)),
    ] = None
    ownership: Ownership | None = None
    limit: Limit50 = None
    token: str | None = None


@router.get("/v3/avatars/looks", response_model=answer_schemas.Page[answer_schemas.Look])
async def list_looks(ctx: ContextDep, caller: CallerDep, which: Annotated[LookFilter, Query()]) -> Response:
    """A page of looks."""
    limit = read_limit(which.limit, default=20, most=50)
    listing = Listing(ctx, caller, "looks", limit, which.token)
    group: Group | None = None
    if which.group_id:
        async with ctx.database.begin() as session:
            group = await own_looks.find_group(session, caller, which.group_id)
    return await listing.answer(_ours(ctx, caller, which, group), await _theirs(ctx, caller, which, group))


@router.get("/v3/avatars/looks/{look_id}", response_model=answer_schemas.One[answer_schemas.Look])
async def get_look(ctx: ContextDep, caller: CallerDep, look_id: str) -> Response:
    """One look: this is how its making is followed."""
    async with ctx.database.begin() as session:
        own = await own_looks.find_look(session, caller, look_id, ctx.secrets)
    if own is not None:
        return data(look_view(ctx, own, ctx.clock.now()))
    return data(shown((await look_at_heygen(ctx, caller, look_id)).raw))


async def look_at_heygen(
    ctx: Context, caller: Caller, look_id: str, *, changing: bool = False
) -> schemas.Look:
    """A look that is not the caller's own row; raises NotFound and, where it may be seen but not changed, Forbidden."""
    missing = NotFound.avatar(look_id)
    with reading(missing):
        look = await connection_of(ctx, caller).catalog.look(look_id)
    async with ctx.database.begin() as session:
        granted = await grants.covers_look(session, caller, look.id, look.group_id)
        held = await own_looks.held_looks(session, caller.account_id, [look.raw])
    # Only private looks have a status.
    if not granted and (held or (look.status is not None and not caller.account_wide)):
        raise missing
    if changing and (held or not caller.account_wide):
        raise not_yours("avatar") if look.status is not None else public_stays()
    return look


def public_stays() -> Forbidden:
    """Who sees the whole account hears this from HeyGen itself."""
    return Forbidden("Public avatars cannot be changed or deleted.")


def not_yours(thing: str) -> Forbidden:
    """What was granted is there to be seen and used."""
    return Forbidden(f"This {thing} was granted for use alone.", code="resource_access_denied")


def upstream_ownership(caller: Caller, asked: Ownership | None) -> Ownership | Literal[""] | None:
    """Whose things of HeyGen's the caller may list: None for all, empty for none."""
    if caller.account_wide:
        return asked
    return "" if asked == "private" else "public"


def _ours(ctx: Context, caller: Caller, which: LookFilter, group: Group | None) -> Ours | None:
    if which.ownership == "public" or (which.group_id and group is None):
        return None
    filters = {"avatar_type": which.avatar_type, "group_id": group.id if group is not None else None}
    given = {column: value for column, value in filters.items() if value is not None}

    async def ours(after: str, limit: int) -> Sequence[dict[str, Any]]:
        async with ctx.database.begin() as session:
            looks = await own_looks.look_page(session, caller, given, after, limit)
            completed = await own_looks.complete(session, looks, ctx.secrets)
        now = ctx.clock.now()
        return [look_view(ctx, own, now) for own in completed]

    return ours


async def _theirs(ctx: Context, caller: Caller, which: LookFilter, group: Group | None) -> Theirs | None:
    ownership = upstream_ownership(caller, which.ownership)
    group_id = which.group_id or None
    if group is not None:
        group_id = group.heygen_group_id if caller.account_wide else None
    if group is not None and group_id is None:
        return None
    granted = None
    if which.ownership != "public":
        granted = await granted_looks(ctx, caller, group_id, which.avatar_type)
    if ownership == "":
        return granted

    async def theirs(limit: int, token: str | None) -> tuple[Sequence[dict[str, Any]], str | None]:
        with reading():
            found = await connection_of(ctx, caller).catalog.looks(
                group_id=group_id,
                avatar_type=which.avatar_type,
                ownership=ownership,
                limit=limit,
                token=token,
            )
        async with ctx.database.begin() as session:
            held = await own_looks.held_looks(session, caller.account_id, found.items)
        return [shown(item) for item in found.items if item.get("id") not in held], found.next_token

    return chained(granted, theirs)
