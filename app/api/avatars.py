"""`POST /v3/avatars`: a photo becomes a look, which is a job that costs money."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from fastapi import APIRouter, Request
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col
from starlette.responses import Response
from uuid_utils.compat import uuid7

from app import secrets
from app.api import answer_schemas, groups, idempotency, looks, own_looks
from app.api.answers import data_bytes
from app.api.avatar_requests import AvatarRequest, parse_avatar
from app.api.dependencies import CallerDep, ContextDep
from app.api.idempotency import OnceDep
from app.api.json_body import canonical, read_json
from app.api.look_views import group_view, is_simulated, look_view
from app.api.openapi import creates
from app.api.photo_intake import UsablePhoto, usable_photo
from app.api.queue_room import RoomDep
from app.api.requests import StoredAsset
from app.api.video_checks import LATEST, SOONEST
from app.context import Context
from app.errors import InvalidParameter, NotFound
from app.lifecycle import By, enqueue
from app.models import Group, Job, Look
from app.stored_request import StoredRequest
from app.tenancy import Caller

router = APIRouter()
router.include_router(looks.router)  # first: "looks" must not be taken for a group's id
router.include_router(groups.router)


@dataclass(frozen=True, slots=True)
class Wanted:
    """One look as asked for, everything that needs the network done.

    `photo` None means an asset that only HeyGen knows, `group_id` None a new group.
    """

    request: AvatarRequest
    photo: UsablePhoto | None
    group_id: str | None
    deadline_at: datetime

    @property
    def asset_id(self) -> str:
        """The photo's id, ours where it is known here."""
        if self.photo is not None:
            return self.photo.asset.id
        assert isinstance(self.request.file, StoredAsset)  # noqa: S101 -- else there is a photo
        return self.request.file.asset_id

    def reuse_hash(self, account_id: str) -> str | None:
        """What two equal looks of an account have in common; None where the caller wants one of its own."""
        if not self.request.greenroom.reuse:
            return None
        photo = self.photo.asset.sha256 if self.photo else self.asset_id
        same = [account_id, self.request.type, photo, self.request.name, self.group_id]
        return hashlib.sha256(canonical(same)).hexdigest()


@router.post(
    "/v3/avatars",
    response_model=answer_schemas.One[answer_schemas.LookCreated],
    openapi_extra=creates(AvatarRequest),
)
async def create_avatar(
    request: Request, ctx: ContextDep, caller: CallerDep, once: OnceDep, room: RoomDep
) -> Response:
    """Take a photo in and queue the making of a look; an equal one that lives is answered instead."""
    body = await read_json(request)
    asked = parse_avatar(body)
    body_hash = idempotency.hash_of(body)
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
    """Check all that can be checked, the photo last: that may take seconds."""
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
    photo = await usable_photo(ctx, caller, asked.file)
    return Wanted(asked, photo, group_id, deadline or now + ctx.terms.look_deadline)


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
            group = group if group is not None and own_looks.is_adopted(group) else None
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
    group = await session.get(Group, wanted.group_id) if wanted.group_id is not None else None
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
        avatar_type="photo_avatar",
        facts=_first_facts(wanted.photo),
        reuse_hash=wanted.reuse_hash(caller.account_id),
        created_at=now,
    )
    session.add(look)
    await enqueue(session, job, By("caller", now))
    return look


def _job(ctx: Context, caller: Caller, wanted: Wanted, now: datetime) -> Job:
    asked, callback_token = wanted.request, secrets.token()
    stored = StoredRequest(
        body={
            "type": asked.type,
            "name": asked.name,
            "file": {"type": "asset_id", "asset_id": wanted.asset_id},
        },
        callback_token=callback_token,
        group_id=wanted.group_id,
        assets=[(("file", "asset_id"), wanted.asset_id)] if wanted.photo is not None else (),
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


def _first_facts(photo: UsablePhoto | None) -> dict[str, Any] | None:
    """What is known of the look before HeyGen says more."""
    return {"image_width": photo.width, "image_height": photo.height} if photo is not None else None
