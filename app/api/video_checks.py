"""What can be known about wanted videos before they are stored: everything a caller could get wrong.

Tables first, in one short transaction; then HeyGen, from cached reads and within two seconds; pictures last.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from app import grants
from app.api.heygen_assets import absent_assets
from app.api.video_bodies import Speaker
from app.api.video_files import Files, Places, bring_files, find_files, own_places
from app.api.video_looks import (
    LookFacts,
    VoiceFacts,
    heygens_looks,
    heygens_voices,
    own_looks,
    refuse,
    unusable,
)
from app.api.video_requests import VideoRequest
from app.context import Context
from app.errors import InvalidParameter
from app.models import GrantKind
from app.stored_request import put
from app.tenancy import Caller
from app.webhooks.destination import BadDestination, check_url

SOONEST, LATEST = timedelta(minutes=1), timedelta(days=7)


@dataclass(frozen=True)
class Checked:
    """A request that may be stored: HeyGen's body, and what the worker has to put in."""

    body: dict[str, Any] = field(hash=False)
    look_id: str | None = None
    looks: Places = ()
    assets: Places = ()
    unchecked: tuple[tuple[str, str], ...] = ()

    @property
    def look_ids(self) -> list[str]:
        """Every look of ours that it needs."""
        return [*filter(None, [self.look_id]), *(look_id for _, look_id in self.looks)]


@dataclass(frozen=True, slots=True)
class Known:
    """What the tables and HeyGen tell of everything that some requests name, by the names they give it."""

    looks: Mapping[str, LookFacts]
    voices: Mapping[str, VoiceFacts]
    files: Files


async def check_video(ctx: Context, caller: Caller, request: VideoRequest, now: datetime) -> Checked:
    """The request, ready to be stored; raises InvalidParameter, NotFound, and Unavailable of the photo check."""
    check_terms(ctx, caller, request, now)
    checked = check_named(caller, request, await look_up(ctx, caller, [request]))
    body, brought = await bring_files(ctx, caller, request, checked.body)
    kept = tuple(place for place in checked.assets if place[0] != ("image", "asset_id"))
    return replace(checked, body=body, assets=(*kept, *brought))


def check_terms(ctx: Context, caller: Caller, request: VideoRequest, now: datetime) -> None:
    """What the service grants; raises InvalidParameter."""
    connection = ctx.connections.get(caller.account_id)
    if request.test and not (connection is not None and connection.simulated):
        raise InvalidParameter(
            "'test' cannot be used: this account renders for real; there is no simulator behind it.",
            param="test",
        )
    check_own_terms(ctx, request.callback_url, request.greenroom.deadline, now)


def check_own_terms(ctx: Context, callback_url: str | None, deadline: datetime | None, now: datetime) -> None:
    """The same of what the caller is told, and until when it waits."""
    if callback_url is not None:
        check_callback(ctx, callback_url)
    if deadline is not None and not now + SOONEST <= deadline <= now + LATEST:
        raise InvalidParameter(
            "'greenroom.deadline' must be between 1 minute and 7 days from now.", param="greenroom.deadline"
        )


def check_callback(ctx: Context, callback_url: str) -> None:
    """Raises InvalidParameter for an address that nothing will be posted to."""
    try:
        check_url(callback_url, allow_private=ctx.terms.allow_private_destinations)
    except BadDestination as error:
        raise InvalidParameter(
            f"'callback_url' must be a publicly accessible HTTPS URL: {error.message}.",
            param="callback_url",
        ) from error


async def look_up(ctx: Context, caller: Caller, requests: Sequence[VideoRequest]) -> Known:
    """What can be told of all that they name, each thing asked for once."""
    look_ids = {named.id for it in requests for named in (*it.looks, *it.references)}
    async with ctx.database.begin() as session:
        own = await own_looks(session, caller, look_ids)
        asset_ids = {named.id for it in requests for named in it.assets}
        files = await find_files(session, caller, asset_ids)
        voice_ids = sorted({named.id for it in requests for named in it.voices})
        rights = await grants.rights(session, caller, GrantKind.VOICE, voice_ids)
    theirs, voices, absent = await asyncio.gather(
        heygens_looks(ctx, caller, sorted(look_ids - own.keys())),
        heygens_voices(ctx, caller, voice_ids, rights),
        absent_assets(ctx, caller, files.left_to_heygen(caller, asset_ids)),
    )
    return Known(own | theirs, voices, replace(files, absent=absent))


def check_named(caller: Caller, request: VideoRequest, known: Known) -> Checked:
    """The request against what it names, as far as that is known; raises InvalidParameter and NotFound."""
    body, looks, unchecked = request.upstream, [], []
    for named in request.looks:
        look: LookFacts = refuse(known.looks, named.id, named.path)
        if look.look_id is not None:
            looks.append((tuple(named.path.split(".")), look.look_id))
        unchecked += [("look", named.id)] if look.unchecked else []
    for named in request.references:
        reference: LookFacts = refuse(known.looks, named.id, named.path)
        if reference.look_id is not None and reference.heygen_id is None:
            raise unusable("This reference avatar is not ready yet.")(named.path)
        if reference.heygen_id is not None:
            body = copy.deepcopy(body)
            put(body, named.path.split("."), reference.heygen_id)
        unchecked += [("look", named.id)] if reference.unchecked else []
    for named in request.voices:
        voice: VoiceFacts = refuse(known.voices, named.id, named.path)
        unchecked += [("voice", named.id)] if voice.unchecked else []
    for speaker in request.speakers:
        _check_fit(speaker, body.get("resolution"), known)
    alone = request.type == "avatar" and bool(looks)
    return Checked(
        body,
        look_id=looks[0][1] if alone else None,
        looks=() if alone else tuple(looks),
        assets=own_places(caller, request, known.files),
        unchecked=tuple(dict.fromkeys(unchecked)),
    )


def _check_fit(speaker: Speaker, resolution: str | None, known: Known) -> None:
    """The look and the voice against what is asked of them."""
    at, speech, acted = speaker.at, speaker.speech, speaker.acted
    settings = speech.voice_settings.engine_settings if speech.voice_settings else None
    voice = known.voices[speech.voice_id] if speech.voice_id is not None else VoiceFacts()
    if settings is not None and voice.engines and settings.engine_type not in voice.engines:
        path = f"{at}voice_settings.engine_settings.engine_type"
        raise InvalidParameter(
            f"'{path}' must be one that this voice has: {', '.join(sorted(voice.engines))}.", param=path
        )
    if acted is None:
        return
    look = known.looks[acted.avatar_id]
    if speech.script is not None and speech.voice_id is None and look.has_voice is False:
        raise InvalidParameter(
            f"'{at}voice_id' is required: this avatar has no voice of its own.", param=f"{at}voice_id"
        )
    engine = acted.engine.type if acted.engine is not None else None
    if engine is not None and look.engines and engine not in look.engines:
        raise InvalidParameter(
            f"'{at}engine' must be one that this avatar supports: {', '.join(sorted(look.engines))}.",
            param=f"{at}engine.type",
        )
    _check_kind(speaker, look, engine or "avatar_iv", resolution)


def _check_kind(speaker: Speaker, look: LookFacts, engine: str, resolution: str | None) -> None:
    """What only avatars made of photos can do, or cannot."""
    acted, is_photo = speaker.acted, look.avatar_type == "photo_avatar"
    if acted is None or look.avatar_type is None:
        return
    if is_photo and engine == "avatar_iii" and resolution == "4k":
        raise InvalidParameter(
            "'resolution' cannot be '4k' for a photo avatar with the engine 'avatar_iii'.", param="resolution"
        )
    for name in ("motion_prompt", "expressiveness"):
        moves = is_photo or (name == "motion_prompt" and engine == "avatar_v")
        if getattr(acted, name) is not None and not moves:
            path = f"{speaker.at}{name}"
            raise InvalidParameter(
                f"'{path}' cannot be used with this avatar and the engine '{engine}'.", param=path
            )
