"""`POST /v3/avatars/{group}/consent`: passed through to HeyGen, which asks whoever a digital twin shows."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col
from starlette.responses import Response
from uuid_utils.compat import uuid7

from app.api import answer_schemas, idempotency, own_looks
from app.api.answers import data_bytes
from app.api.avatar_materials import own_footage
from app.api.avatar_requests import ConsentRequest, parse_consent
from app.api.dependencies import CallerDep, ContextDep
from app.api.file_inputs import UrlAsset
from app.api.groups import group_at_heygen
from app.api.heygen_copies import at_heygen, naming
from app.api.idempotency import Once, OnceDep
from app.api.json_body import read_as
from app.api.look_views import group_view
from app.api.openapi import creates
from app.api.upstream import acting, connection_of, shown
from app.context import Context
from app.errors import NotFound, NotReady
from app.models import Asset, Group
from app.tenancy import Caller

router = APIRouter()


@router.post(
    "/v3/avatars/{group_id}/consent",
    response_model=answer_schemas.One[answer_schemas.ConsentAsked],
    openapi_extra=creates(ConsentRequest),
)
async def ask_consent(
    group_id: str, request: Request, ctx: ContextDep, caller: CallerDep, once: OnceDep
) -> Response:
    """Ask for consent; the answer has the page where it is given, unless footage of it came along."""
    private = ctx.terms.allow_private_destinations
    body_hash, asked = await read_as(
        request, lambda body: (idempotency.hash_of(body), parse_consent(body, allow_private=private))
    )
    replayed = await once.replay(ctx, caller, body_hash)
    if replayed is not None:
        return replayed
    group, heygen_id = await _group(ctx, caller, group_id)
    wire, footage = await _wire(ctx, caller, asked)
    key = _key(caller, once, wire)
    with acting(NotFound.avatar_group(group_id)):
        connection = connection_of(ctx, caller)
        async with naming(ctx, caller, footage, "consent_video.asset_id"):
            told = await connection.catalog.through_gate(
                lambda: connection.heygen.create_consent(heygen_id, wire, key)
            )
    connection.catalog.forget("group", heygen_id)

    async def keep(session: AsyncSession) -> tuple[str, bytes]:
        view = await _kept(ctx, session, caller, group, told)
        return group_id, data_bytes({"avatar_group": view, "url": told.get("url")})

    return await idempotency.create(ctx, caller, once, body_hash, keep)


async def _group(ctx: Context, caller: Caller, group_id: str) -> tuple[Group | None, str]:
    """The row of a group of ours, and HeyGen's id; raises NotFound, Forbidden, and NotReady before it is made there."""
    async with ctx.database.begin() as session:
        group = await own_looks.find_group(session, caller, group_id)
    if group is None or own_looks.is_adopted(group):
        await group_at_heygen(ctx, caller, group_id, changing=True)
        return group, group_id
    if group.heygen_group_id is None:
        raise NotReady("This avatar group is not made yet.")
    return group, group.heygen_group_id


async def _wire(ctx: Context, caller: Caller, asked: ConsentRequest) -> tuple[dict[str, Any], Asset | None]:
    """HeyGen's body, and the file of ours that it names, which is there by now."""
    wire, video = asked.model_dump(exclude_none=True), asked.consent_video
    if video is None or isinstance(video, UrlAsset):
        return wire, None
    asset = await own_footage(ctx, caller, video, "consent_video")
    if asset is not None:
        with acting(NotFound.asset(asset.id, param="consent_video.asset_id")):
            heygen_id = await at_heygen(ctx, caller, asset)
        wire["consent_video"] = {"type": "asset_id", "asset_id": heygen_id}
    return wire, asset


def _key(caller: Caller, once: Once, wire: Mapping[str, Any]) -> str:
    """HeyGen's Idempotency-Key: one for each of the caller's and body, so that a lost answer is given again.

    The body is HeyGen's: that it did not know a file is not said of the next copy.
    """
    if once.key is None:
        return uuid7().hex
    named = f"{caller.tenant_id} {once.operation} {once.key} {idempotency.hash_of(wire)}"
    return hashlib.sha256(named.encode()).hexdigest()


async def _kept(
    ctx: Context, session: AsyncSession, caller: Caller, group: Group | None, told: Mapping[str, Any]
) -> dict[str, Any]:
    """The group as the caller knows it, where its consent stands kept."""
    theirs = told.get("avatar_group")
    theirs = theirs if isinstance(theirs, Mapping) else {}
    if group is None or own_looks.is_adopted(group):
        return shown(theirs)
    status = theirs.get("consent_status")
    if isinstance(status, str):
        mine = (col(Group.id) == group.id, col(Group.tenant_id) == caller.tenant_id)
        await session.execute(update(Group).where(*mine).values(consent_status=status))
        group = await session.get_one(Group, group.id, populate_existing=True)
    own = (await own_looks.complete_groups(session, [group], ctx.secrets))[0]
    return group_view(ctx, own, ctx.clock.now())
