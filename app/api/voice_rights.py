"""Which voices a caller may see, speak with and delete."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import structlog

from app import grants
from app.api.upstream import connection_of, reading
from app.context import Context
from app.errors import ApiError, NotFound
from app.heygen.schemas import is_private_voice
from app.models import GrantKind
from app.tenancy import Caller

log = structlog.get_logger(__name__)


async def readable(ctx: Context, caller: Caller, voice_id: str, missing: NotFound) -> Mapping[str, Any]:
    """The voice as HeyGen shows it; raises `missing` for one that the caller may not see, and Unavailable."""
    async with ctx.database.begin() as session:
        rights = await grants.rights(session, caller, GrantKind.VOICE, [voice_id])
    if voice_id in rights.hidden:
        raise missing
    with reading(missing):
        voice = await connection_of(ctx, caller).catalog.voice(voice_id)
    if is_private_voice(voice) and voice_id not in rights.visible:
        raise missing
    return voice


async def seen(ctx: Context, caller: Caller, voice_ids: Sequence[str]) -> set[str]:
    """Those of these private voices that the caller may see."""
    async with ctx.database.begin() as session:
        return await grants.may_see(session, caller, GrantKind.VOICE, voice_ids)


async def shown_of(
    ctx: Context, caller: Caller, voices: Sequence[Mapping[str, Any]]
) -> tuple[list[Mapping[str, Any]], list[str]]:
    """Of the voices that a design answers: those the caller may see, and the ids of those made for it just now.

    HeyGen searches for a design among all voices of the account, so it may find another tenant's clone, too. A private
    voice that nobody here made is new unless it is seen to have a status, as clones have.
    """
    private = [str(voice.get("voice_id")) for voice in voices if voice.get("type") == "private"]
    if not private:
        return list(voices), []
    async with ctx.database.begin() as session:
        rights = await grants.rights(session, caller, GrantKind.VOICE, private)
    made = [
        voice_id
        for voice_id in private
        if voice_id not in rights.held and await _is_new(ctx, caller, voice_id)
    ]
    hidden = set(private) - rights.visible - set(made)
    return [voice for voice in voices if voice.get("voice_id") not in hidden], made


async def _is_new(ctx: Context, caller: Caller, voice_id: str) -> bool:
    try:
        with reading(NotFound.voice(voice_id)):
            voice = await connection_of(ctx, caller).catalog.voice(voice_id)
    except NotFound:
        return True  # what was made just now is read a moment later
    except ApiError as error:
        # A clone of the account's own looks the same: nobody is given that. The operator can grant what is lost.
        log.warning("design_not_attributed", voice_id=voice_id, tenant_id=caller.tenant_id, reason=str(error))
        return False
    return not voice.get("status")
