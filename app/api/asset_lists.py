"""`GET /v3/assets`: the assets of one owner, newest first; the tenant's own, then HeyGen's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Query
from sqlalchemy import select
from sqlmodel import col
from starlette.responses import Response

from app import asset_copies
from app.api import answer_schemas
from app.api.answers import Limit100, read_limit
from app.api.asset_views import asset_view
from app.api.dependencies import CallerDep, ContextDep
from app.api.two_phases import Listing, Ours, Theirs
from app.api.upstream import connection_of, reading
from app.context import Context
from app.errors import NotFound
from app.models import Account, Asset
from app.tenancy import Caller

EMPTY_PAGES = 10  # of HeyGen's that show nothing but ours, asked for at once

router = APIRouter()


@router.get("/v3/assets/search", include_in_schema=False)
async def search_assets(caller: CallerDep) -> Response:  # noqa: ARG001 (a key is needed all the same)
    """HeyGen's library of stock pictures, which is not served: without this it would be taken for an asset's id."""
    raise NotFound.path()


@router.get("/v3/assets", response_model=answer_schemas.Page[answer_schemas.Asset])
async def list_assets(
    ctx: ContextDep,
    caller: CallerDep,
    username: Annotated[str, Query(min_length=1)],
    folder_id: str | None = None,
    limit: Limit100 = None,
    token: str | None = None,
) -> Response:
    """A page of assets. Under its own name a tenant that sees the whole account finds the account's, too."""
    own = username == caller.tenant_name
    listing = Listing(ctx, caller, f"assets {username}", read_limit(limit, default=20, most=100), token)
    ours = _ours(ctx, caller) if own and not folder_id else None
    theirs = None
    if caller.account_wide:
        async with ctx.database.begin() as session:
            account = await session.get_one(Account, caller.account_id)
        theirs = _theirs(ctx, caller, account.username if own else username, folder_id)
    return await listing.answer(ours, theirs)


def _ours(ctx: Context, caller: Caller) -> Ours:
    async def ours(before: str, limit: int) -> Sequence[dict[str, Any]]:
        rows = select(Asset).where(col(Asset.tenant_id) == caller.tenant_id, col(Asset.deleted_at).is_(None))
        if before:
            rows = rows.where(col(Asset.id) < before)
        async with ctx.database.begin() as session:
            assets = (await session.scalars(rows.order_by(col(Asset.id).desc()).limit(limit))).all()
        now = ctx.clock.now()
        return [asset_view(ctx, caller, asset, now) for asset in assets]

    return ours


def _theirs(ctx: Context, caller: Caller, owner: str, folder_id: str | None) -> Theirs:
    async def theirs(limit: int, token: str | None) -> tuple[Sequence[dict[str, Any]], str | None]:
        connection = connection_of(ctx, caller)
        shown: list[dict[str, Any]] = []
        for _ in range(EMPTY_PAGES):
            with reading():
                found = await connection.catalog.through_gate(
                    partial(
                        connection.heygen.list_assets,
                        username=owner,
                        folder_id=folder_id,
                        limit=limit,
                        token=token,
                    )
                )
            async with ctx.database.begin() as session:
                held = await asset_copies.ours(session, caller.account_id, _ids(found.items))
            token = found.next_token
            shown = [dict(item) for item in found.items if item.get("id") not in held]
            if shown or token is None:
                break
        return shown, token

    return theirs


def _ids(items: Iterable[Mapping[str, Any]]) -> list[str]:
    return [heygen_id for item in items if isinstance(heygen_id := item.get("id"), str)]
