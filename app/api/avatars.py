"""`POST /v3/avatars`: a photo, footage or words become a look, which is a job that costs money."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime

from fastapi import APIRouter, Request
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col
from starlette.responses import Response
from uuid_utils.compat import uuid7

from app import secrets
from app.api import (
    answer_schemas,
    consents,
    group_changes,
    groups,
    idempotency,
    look_changes,
    look_content,
    looks,
    own_looks,
)
from app.api.answers import data_bytes
from app.api.avatar_materials import Material, bring_material
from app.api.avatar_requests import KINDS, AvatarRequest, parse_avatar
from app.api.dependencies import CallerDep, ContextDep
from app.api.idempotency import OnceDep
from app.api.json_body import canonical, read_as
from app.api.look_views import group_view, is_simulated, look_view
from app.api.openapi import creates
from app.api.queue_room import RoomDep
from app.api.video_checks import LATEST, SOONEST
from app.api.video_looks import still_made
from app.context import Context
from app.errors import InvalidParameter, NotFound
from app.lifecycle import By, enqueue
from app.models import Group, Job, Look
from app.stored_request import StoredRequest
from app.tenancy import Caller

router = APIRouter()
# Looks first: "looks" must not be taken for a group's id.
for part in (looks, look_changes, look_content, groups, group_changes, consents):
    router.include_router(part.router)


@dataclass(frozen=True, slots=True)
class Wanted:
    """One look as asked for, everything that needs the network done; `group_id` None is a new group."""

    request: AvatarRequest
    material: Material
    group_id: str | None
    deadline_at: datetime

    def reuse_hash(self, account_id: str) -> str | None:
        """What two equal looks of an account have in common; None where none may be equal to this one."""
        if not self.request.greenroom.reuse or self.material.same_as is None:
            return None
        same = [account_id, self.request.type, self.material.same_as, self.request.name, self.group_id]
        return hashlib.sha256(canonical(same)).hexdigest()


@router.post(
    "/v3/avatars",
    response_model=answer_schemas.One[answer_schemas.LookCreated],
    openapi_extra=creates(*KINDS.values()),
)
async def create_avatar(
    request: Request, ctx: ContextDep, caller: CallerDep, once: OnceDep, room: RoomDep
) -> Response:
    """Take in what a look is made of and queue its making; an equal one that lives is answered instead."""
    private = ctx.terms.allow_private_destinations
    body_hash, asked = await read_as(
        request, lambda body: (idempotency.hash_of(body), parse_avatar(body, allow_private=private))
    )
    replayed = await once.replay(ctx, caller, body_hash)
    if replayed is not None:
        return replayed
    await room.take(ctx, caller)
    wanted = await _prepare(ctx, caller, asked)

    async def make(session: AsyncSession) -> tuple[str, bytes]:
        return await _make(ctx, session, caller, wanted)

    try:
        answer = await idempotency.create(ctx, caller, once, body_hash, make)
    except IntegrityError:
        # An equal look was made at the same moment: it is there now, and it is the one to answer.
        answer = await idempotency.create(ctx, caller, once, body_hash, make)
    ctx.wake.hint("submit")
    return answer


async def _prepare(ctx: Context, caller: Caller, asked: AvatarRequest) -> Wanted:
    """Check all that can be checked, files last: that may take seconds."""
    if asked.test and not is_simulated(ctx, caller.account_id):
        raise InvalidParameter(
            "'test' cannot be used: this account makes avatars for real; there is no simulator behind it.",
            param="test",
        )
    now, deadline = ctx.clock.now(), asked.greenroom.deadline
    if deadline is not None and not now + SOONEST <= deadline <= now + LATEST:
        raise InvalidParameter(
            "'greenroom.deadline' must be between 1 minute and 7 days from now.", param="greenroom.deadline"
        )
    group_id = await _group_id(ctx, caller, asked.avatar_group_id)
    material = await bring_material(ctx, caller, asked)
    # Whoever a twin shows may take days to consent.
    patience = LATEST if asked.type == "digital_twin" else ctx.terms.look_deadline
    return Wanted(asked, material, group_id, deadline or now + patience)


async def _group_id(ctx: Context, caller: Caller, named: str | None) -> str | None:
    """The id, in our table, of the group that a look is for; it may be one of HeyGen's that is still to be adopted."""
    if named is None:
        return None
    async with ctx.database.begin() as session:
        group = await own_looks.find_group(session, caller, named)
        if group is None and caller.account_wide:
            group = await session.get(Group, named)
            held = await own_looks.held_groups(session, caller.account_id, [{"id": named}])
            if group is None and not held:
                return named
            adopted = group is not None and own_looks.is_adopted(group) and group.deleted_at is None
            group = group if adopted else None
    if group is None or group.account_id != caller.account_id:
        raise NotFound.avatar_group(named, param="avatar_group_id")
    return group.id


async def _make(ctx: Context, session: AsyncSession, caller: Caller, wanted: Wanted) -> tuple[str, bytes]:
    """Within one transaction: the equal look that there is, or a new one with its job."""
    look = await _equal_look(session, caller, wanted)
    reused = look is not None
    if look is None:
        look = await _new_look(ctx, session, caller, wanted)
    now = ctx.clock.now()
    own = (await own_looks.complete(session, [look], ctx.secrets))[0]
    item = look_view(ctx, own, now)
    item["greenroom"]["reused"] = reused
    group = await session.get_one(Group, look.group_id)
    own_group = (await own_looks.complete_groups(session, [group], ctx.secrets))[0]
    # Of a group that only HeyGen knows there is nothing to tell; HeyGen itself allows a null here.
    shown = None if own_looks.is_adopted(group) else group_view(ctx, own_group, now)
    return look.id, data_bytes({"avatar_item": item, "avatar_group": shown})


async def _equal_look(session: AsyncSession, caller: Caller, wanted: Wanted) -> Look | None:
    reuse_hash = wanted.reuse_hash(caller.account_id)
    if reuse_hash is None:
        return None
    equal = (col(Look.tenant_id) == caller.tenant_id, col(Look.reuse_hash) == reuse_hash)
    return (await session.scalars(select(Look).where(*equal))).one_or_none()


async def _new_look(ctx: Context, session: AsyncSession, caller: Caller, wanted: Wanted) -> Look:
    now = ctx.clock.now()
    group = await _lasting_group(session, wanted.group_id) if wanted.group_id is not None else None
    if group is None:
        group = Group(
            id=wanted.group_id or uuid7().hex,
            tenant_id=caller.tenant_id,
            account_id=caller.account_id,
            name=wanted.request.name,
            heygen_group_id=wanted.group_id,
            created_at=now,
        )
        session.add(group)
        await session.flush()
    job = _job(ctx, caller, wanted, now)
    look = Look(
        id=job.id,
        tenant_id=caller.tenant_id,
        account_id=caller.account_id,
        group_id=group.id,
        name=wanted.request.name,
        avatar_type="digital_twin" if wanted.request.type == "digital_twin" else "photo_avatar",
        facts=dict(wanted.material.facts) if wanted.material.facts else None,
        reuse_hash=wanted.reuse_hash(caller.account_id),
        created_at=now,
    )
    session.add(look)
    if wanted.material.look_id is not None:
        job.waits_for_id = next(iter(await still_made(session, [wanted.material.look_id])), None)
    await enqueue(session, job, By("caller", now))
    return look


async def _lasting_group(session: AsyncSession, group_id: str) -> Group | None:
    """The group's row, held so that it is not deleted with its last look before this one is in it."""
    rows = select(Group).where(col(Group.id) == group_id).with_for_update(read=True)
    group: Group | None = await session.scalar(rows.execution_options(populate_existing=True))
    if group is not None and group.deleted_at is not None:
        raise NotFound.avatar_group(group_id, param="avatar_group_id")
    return group


def _job(ctx: Context, caller: Caller, wanted: Wanted, now: datetime) -> Job:
    asked, material, callback_token = wanted.request, wanted.material, secrets.token()
    stored = StoredRequest(
        body={"type": asked.type, "name": asked.name, **material.body},
        callback_token=callback_token,
        look_id=material.look_id,
        group_id=wanted.group_id,
        assets=material.assets,
        unchecked=material.unchecked,
    )
    return Job(
        id=uuid7().hex,
        tenant_id=caller.tenant_id,
        account_id=caller.account_id,
        kind="look",
        type=asked.type,
        request_encrypted=stored.seal(ctx.secrets),
        job_metadata=asked.greenroom.metadata,
        rank=-asked.greenroom.priority,
        deadline_at=wanted.deadline_at,
        title_token=secrets.token(),
        callback_token_sha256=secrets.digest(callback_token),
        created_at=now,
    )
