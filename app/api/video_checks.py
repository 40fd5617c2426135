"""What can be known about a wanted video before it is stored: everything a caller could get wrong.

Tables first, in one short transaction; then HeyGen, from cached reads and within two seconds; the picture last.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, TypeVar

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app import grants
from app.api.asset_intake import own_asset, take_in
from app.api.photo_intake import bring_photo
from app.api.requests import InlineAsset
from app.api.video_requests import VideoRequest
from app.context import Context
from app.errors import InvalidParameter, NotFound
from app.heygen import schemas
from app.heygen.errors import HeyGenError, Missing
from app.models import Asset, GrantKind, Job, JobStatus, Look
from app.photos import sniff
from app.stored_request import put
from app.tenancy import Caller
from app.webhooks.destination import BadDestination, check_url

SOONEST, LATEST = timedelta(minutes=1), timedelta(days=7)
LOOK_UP_WITHIN = 2.0  # seconds
ENGINES = frozenset({"avatar_iii", "avatar_iv", "avatar_v"})

_T = TypeVar("_T")


@dataclass(frozen=True)
class Checked:
    """A request that may be stored: HeyGen's body, and what the worker has to put in."""

    body: dict[str, Any] = field(hash=False)
    look_id: str | None = None
    assets: tuple[tuple[tuple[str, ...], str], ...] = ()
    unchecked: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class LookFacts:
    """What is known of a look: its own id where it is ours; None for what nobody can tell now."""

    look_id: str | None = None
    heygen_id: str | None = None
    has_voice: bool | None = None
    engines: frozenset[str] = frozenset()
    unchecked: bool = False


async def check_video(ctx: Context, caller: Caller, request: VideoRequest, now: datetime) -> Checked:
    """The request, ready to be stored; raises InvalidParameter, NotFound, and Unavailable of the photo check."""
    _check_terms(ctx, caller, request, now)
    body = dict(request.upstream)
    async with ctx.database.begin() as session:
        avatar = await _own_look(session, caller, request.avatar_id, "avatar_id")
        reference = await _own_look(session, caller, _reference_id(body), "engine.reference_look_id")
        assets = await _own_assets(session, caller, request)
    avatar, reference, voice = await asyncio.gather(
        _look(ctx, caller, request.avatar_id, "avatar_id", avatar),
        _look(ctx, caller, _reference_id(body), "engine.reference_look_id", reference),
        _voice(ctx, caller, request.voice_id),
    )
    if avatar is not None:
        _check_fit(request, body, avatar)
    if reference is not None and reference.look_id is not None:
        if reference.heygen_id is None:
            raise _unusable("This reference avatar is not ready yet.", "engine.reference_look_id")
        body["engine"] = {**body["engine"], "reference_look_id": reference.heygen_id}
    unchecked = [
        ("look", heygen_id)
        for heygen_id, facts in ((request.avatar_id, avatar), (_reference_id(body), reference))
        if facts is not None and facts.unchecked and heygen_id is not None
    ]
    checked = Checked(body, avatar.look_id if avatar else None, assets, (*unchecked, *voice))
    return await _bring_pictures(ctx, caller, request, checked)


async def still_made(session: AsyncSession, look_id: str | None) -> str | None:
    """The look, where its making is not over yet.

    The lock holds off its end until our video is stored, so that this end finds the video waiting, or we find the end.
    """
    if look_id is None:
        return None
    making = select(col(Job.finished_at)).where(col(Job.id) == look_id).with_for_update(read=True)
    return look_id if await session.scalar(making) is None else None


def _check_terms(ctx: Context, caller: Caller, request: VideoRequest, now: datetime) -> None:
    connection = ctx.connections.get(caller.account_id)
    if request.test and not (connection is not None and connection.simulated):
        raise InvalidParameter(
            "'test' cannot be used: this account renders for real; there is no simulator behind it.",
            param="test",
        )
    if request.callback_url is not None:
        try:
            check_url(request.callback_url, allow_private=ctx.terms.allow_private_destinations)
        except BadDestination as error:
            raise InvalidParameter(
                f"'callback_url' must be a publicly accessible HTTPS URL: {error.message}.",
                param="callback_url",
            ) from error
    deadline = request.greenroom.deadline
    if deadline is not None and not now + SOONEST <= deadline <= now + LATEST:
        raise InvalidParameter(
            "'greenroom.deadline' must be between 1 minute and 7 days from now.", param="greenroom.deadline"
        )


# --- looks and voices ----------------------------------------------------------------------------------------------


async def _own_look(
    session: AsyncSession, caller: Caller, avatar_id: str | None, param: str
) -> LookFacts | None:
    """The facts of the tenant's own look, by our id or HeyGen's; None where no row of ours holds the id."""
    if avatar_id is None:
        return None
    rows = select(Look, Job).join(Job, col(Job.id) == col(Look.id))
    at_heygen = (col(Look.account_id) == caller.account_id, col(Look.heygen_look_id) == avatar_id)
    row = (await session.execute(rows.where(col(Look.id) == avatar_id))).first()
    row = row or (await session.execute(rows.where(*at_heygen))).first()
    if row is None:
        return None
    look, making = row
    if look.tenant_id != caller.tenant_id or look.deleted_at is not None:
        raise NotFound.avatar(avatar_id, param=param)
    if making.status in {JobStatus.FAILED, JobStatus.CANCELED}:
        raise _unusable(making.failure_message or "This avatar could not be made.", param)
    if look.account_id != caller.account_id:
        raise _unusable("This avatar belongs to another HeyGen account.", param)
    if making.status != JobStatus.COMPLETED:
        return LookFacts(look_id=look.id)
    facts = look.facts or {}
    return LookFacts(
        look_id=look.id,
        heygen_id=look.heygen_look_id,
        has_voice=bool(facts.get("default_voice_id")),
        engines=_engines(facts.get("supported_api_engines")),
    )


async def _look(
    ctx: Context, caller: Caller, avatar_id: str | None, param: str, own: LookFacts | None
) -> LookFacts | None:
    """The facts of a look that is ours, or else HeyGen's own; raises NotFound for one the caller may not see."""
    if own is not None or avatar_id is None:
        return own
    missing = NotFound.avatar(avatar_id, param=param)
    connection = ctx.connections.get(caller.account_id)
    look = await _ask(connection.catalog.look(avatar_id), missing) if connection else None
    if look is None:
        return LookFacts(unchecked=not caller.account_wide)
    if look.status is not None and not caller.account_wide:
        raise missing  # only private looks have a status
    if schemas.look_state(look) == "failed":
        raise _unusable(look.error_message or "This avatar could not be made.", param)
    return LookFacts(
        has_voice=look.default_voice_id is not None, engines=_engines(look.supported_api_engines)
    )


async def _voice(ctx: Context, caller: Caller, voice_id: str | None) -> tuple[tuple[str, str], ...]:
    """What the worker still has to check about the voice; raises NotFound for one the caller may not use."""
    if voice_id is None:
        return ()
    missing = NotFound.voice(voice_id, param="voice_id")
    async with ctx.database.begin() as session:
        visible = bool(await grants.may_see(session, caller, GrantKind.VOICE, [voice_id]))
    if caller.account_wide and not visible:
        raise missing
    connection = ctx.connections.get(caller.account_id)
    voice = await _ask(connection.catalog.voice(voice_id), missing) if connection else None
    if visible:
        return ()
    if voice is None:
        return (("voice", voice_id),)
    if schemas.is_private_voice(voice):
        raise missing
    return ()


async def _ask(read: Awaitable[_T], missing: NotFound) -> _T | None:
    """What HeyGen says; None where it cannot be asked now, which is no reason to refuse a job."""
    try:
        async with asyncio.timeout(LOOK_UP_WITHIN):
            return await read
    except Missing as error:
        raise missing from error
    except (HeyGenError, TimeoutError):
        return None


def _check_fit(request: VideoRequest, body: Mapping[str, Any], look: LookFacts) -> None:
    """The look against what is asked of it, as far as it is known."""
    if request.script is not None and request.voice_id is None and look.has_voice is False:
        raise InvalidParameter(
            "'voice_id' is required: this avatar has no voice of its own.", param="voice_id"
        )
    engine = body.get("engine", {}).get("type")
    if engine is not None and look.engines and engine not in look.engines:
        raise InvalidParameter(
            f"'engine' must be one that this avatar supports: {', '.join(sorted(look.engines))}.",
            param="engine.type",
        )


def _engines(value: object) -> frozenset[str]:
    """The engines among HeyGen's words that a request can name; older names tell nothing."""
    return ENGINES.intersection(value) if isinstance(value, list | tuple) else frozenset()


def _reference_id(body: Mapping[str, Any]) -> str | None:
    reference: str | None = body.get("engine", {}).get("reference_look_id")
    return reference


def _unusable(message: str, param: str) -> InvalidParameter:
    return InvalidParameter(message, code="avatar_not_usable", param=param)


# --- files ---------------------------------------------------------------------------------------------------------


async def _own_assets(
    session: AsyncSession, caller: Caller, request: VideoRequest
) -> tuple[tuple[tuple[str, ...], str], ...]:
    """Where in the body assets of ours stand; raises NotFound, and InvalidParameter for the wrong kind of file."""
    ours = []
    for path, asset_id in request.assets:
        if path == "image.asset_id":
            continue  # looked at as a photo later
        asset = await own_asset(session, caller, asset_id, path)
        if asset is None:
            if not caller.account_wide or await session.get(Asset, asset_id) is not None:
                raise NotFound.asset(asset_id, param=path)
            continue  # HeyGen may know it
        kind = "audio" if path == "audio_asset_id" else "image"
        if not asset.mime.startswith(f"{kind}/"):
            raise InvalidParameter(f"'{path}' must be an {kind} file, not {asset.mime}.", param=path)
        ours.append((tuple(path.split(".")), asset_id))
    return tuple(ours)


async def _bring_pictures(ctx: Context, caller: Caller, request: VideoRequest, checked: Checked) -> Checked:
    """Make assets of the pictures that came as URL or inside the request."""
    body, assets = dict(checked.body), list(checked.assets)
    if request.image is not None:
        photo_id = await bring_photo(ctx, caller, request.image, "image")
        if photo_id is not None:
            body["image"] = {"type": "asset_id", "asset_id": photo_id}
            assets.append((("image", "asset_id"), photo_id))
    for path, picture in request.inline:
        if path != "image":
            asset_id = await _keep_picture(ctx, caller, picture, f"{path}.data")
            body = _with_asset(body, path.split("."), asset_id)
            assets.append(((*path.split("."), "asset_id"), asset_id))
    return replace(checked, body=body, assets=tuple(assets))


async def _keep_picture(ctx: Context, caller: Caller, picture: InlineAsset, param: str) -> str:
    """A watermark may be as small as it likes, so it is no photo to check."""
    mime = sniff(picture.data)
    if mime != picture.media_type:
        raise InvalidParameter(
            f"'{param}' is {mime or 'no picture'}, but declared as {picture.media_type}.", param=param
        )

    async def content() -> AsyncIterator[bytes]:
        yield picture.data

    return (await take_in(ctx, caller, content(), "picture")).id


def _with_asset(body: dict[str, Any], path: list[str], asset_id: str) -> dict[str, Any]:
    parent, key = path
    changed = {**body, parent: {**body[parent]}}
    changed[parent][key] = {"type": "asset_id"}
    put(changed, (*path, "asset_id"), asset_id)
    return changed
