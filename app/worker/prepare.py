"""From a stored request to the exact bytes for HeyGen."""

import copy
import json
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.context import Context
from app.heygen.titles import with_token
from app.models import Asset, AssetUpload, Group, Job, JobStatus, Look
from app.stored_request import StoredRequest, put

CALLBACK_PATH = "/callbacks/heygen"
WITHOUT_CALLBACKS = frozenset({"cinematic_avatar"})
"""The types of video that HeyGen has no callback fields for: it would refuse them."""


@dataclass(frozen=True)
class Ready:
    """Nothing is missing: these bytes can be sent."""

    body: bytes


@dataclass(frozen=True)
class Missing:
    """Files that HeyGen does not have yet, and ids that still have to prove public."""

    assets: tuple[Asset, ...]
    unchecked: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Waits:
    """The look it needs is still being made."""

    look_id: str


@dataclass(frozen=True)
class Unusable:
    """It can never be sent."""

    code: str
    message: str


Preparation = Ready | Missing | Waits | Unusable


async def prepare(ctx: Context, session: AsyncSession, job: Job, checked: bool = False) -> Preparation:
    """Put HeyGen's ids in the place of ours, as far as the tables know them."""
    request = StoredRequest.unseal(job.request_encrypted or b"", ctx.secrets)
    body = copy.deepcopy(request.body)
    for translate in (_looks, _group):
        found = await translate(session, job, request, body)
        if found is not None:
            return found
    await _name(session, job, body)
    missing = await _assets(session, job, request, body)
    unchecked = () if checked else tuple((kind, heygen_id) for kind, heygen_id in request.unchecked)
    if missing or unchecked:
        return Missing(missing, unchecked)
    return Ready(_complete(ctx, job, request, body))


async def _looks(
    session: AsyncSession, job: Job, request: StoredRequest, body: dict[str, object]
) -> Preparation | None:
    """One that can never be used ends the job, whatever the others are waited for."""
    found = [await _look(session, job, look_id, path, body) for path, look_id in request.every_look]
    unready = [it for it in found if it is not None]
    return next((it for it in unready if isinstance(it, Unusable)), unready[0] if unready else None)


async def _look(
    session: AsyncSession, job: Job, look_id: str, path: Sequence[str], body: dict[str, object]
) -> Preparation | None:
    row = (
        await session.execute(
            select(Look, Job).join(Job, col(Job.id) == col(Look.id)).where(col(Look.id) == look_id)
        )
    ).first()
    if row is None:
        return Unusable("avatar_not_found", f"Avatar {look_id} not found")
    look, making = row
    if making.status in {JobStatus.FAILED, JobStatus.CANCELED}:
        return Unusable("avatar_not_usable", making.failure_message or "This avatar could not be made.")
    if look.deleted_at is not None:
        return Unusable("avatar_not_usable", "This avatar was deleted.")
    if making.status != JobStatus.COMPLETED:
        return Waits(look.id)
    if look.account_id != job.account_id:
        return Unusable("avatar_not_usable", "This avatar belongs to another HeyGen account.")
    put(body, path, look.heygen_look_id)
    return None


async def _group(
    session: AsyncSession, job: Job, request: StoredRequest, body: dict[str, object]
) -> Preparation | None:
    """A look for an existing group waits until HeyGen has told that group's id."""
    if request.group_id is None:
        return None
    group = await session.get(Group, request.group_id)
    if group is None or group.deleted_at is not None:
        return Unusable("avatar_group_not_found", f"Avatar group {request.group_id} not found")
    if group.heygen_group_id is not None:
        body["avatar_group_id"] = group.heygen_group_id
        return None
    earlier = await session.scalar(
        select(col(Look.id))
        .join(Job, col(Job.id) == col(Look.id))
        .where(col(Look.group_id) == group.id, col(Job.finished_at).is_(None), col(Look.id) < job.id)
        .order_by(col(Look.id))
        .limit(1)
    )
    # The first look of a group makes the group at HeyGen; where it failed, this one does.
    return Waits(earlier) if earlier is not None else None


async def _name(session: AsyncSession, job: Job, body: dict[str, object]) -> None:
    """A look may have been renamed while it waited."""
    look = await session.get(Look, job.id) if job.kind == "look" else None
    if look is not None:
        body["name"] = look.name


async def _assets(
    session: AsyncSession, job: Job, request: StoredRequest, body: dict[str, object]
) -> tuple[Asset, ...]:
    missing = []
    for path, asset_id in request.assets:
        upload = await session.get(AssetUpload, (asset_id, job.account_id), populate_existing=True)
        if upload is not None:
            put(body, path, upload.heygen_asset_id)
        else:
            missing.append((await session.scalars(select(Asset).where(col(Asset.id) == asset_id))).one())
    return tuple(missing)


def _complete(ctx: Context, job: Job, request: StoredRequest, body: dict[str, object]) -> bytes:
    if job.kind == "look":
        body["name"] = with_token(str(body.get("name") or ""), job.title_token)
    else:
        body["title"] = with_token(job.title, job.title_token)
        if ctx.callback_base is not None and job.type not in WITHOUT_CALLBACKS:
            body["callback_url"] = f"{ctx.callback_base}{CALLBACK_PATH}/{request.callback_token}"
            body["callback_id"] = job.id
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
