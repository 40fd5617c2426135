"""`GET /v3/voices`: HeyGen's own, cached and shared; private ones for those who made them, or were granted them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel
from starlette.responses import Response

from app import grants
from app.api import answer_schemas
from app.api.answers import Limit100, data, page, read_limit
from app.api.dependencies import CallerDep, ContextDep
from app.api.upstream import connection_of, reading, shown
from app.api.voice_rights import readable, seen
from app.context import Context
from app.errors import Forbidden, NotFound
from app.heygen.errors import Missing
from app.heygen.schemas import is_private_voice
from app.models import GrantKind
from app.tenancy import Caller

EMPTY_PAGES = 10  # of HeyGen's that show nothing of the caller's, asked for at once

router = APIRouter()


class VoiceFilter(BaseModel):
    """Which voices; HeyGen's names, and HeyGen's own `token`."""

    type: Literal["public", "private"] = "public"
    engine: str | None = None
    language: str | None = None
    gender: str | None = None
    limit: Limit100 = None
    token: str | None = None


@router.get("/v3/voices", response_model=answer_schemas.Page[answer_schemas.Voice])
async def list_voices(ctx: ContextDep, caller: CallerDep, which: Annotated[VoiceFilter, Query()]) -> Response:
    """A page of voices."""
    limit = read_limit(which.limit, default=20, most=100)
    if which.type == "private" and not await _has_any(ctx, caller):
        return page([], None)
    items: list[Mapping[str, Any]] = []
    token = which.token or None
    for _ in range(EMPTY_PAGES):
        with reading():
            found = await connection_of(ctx, caller).catalog.voices(
                type=which.type,
                engine=which.engine or None,
                language=which.language or None,
                gender=which.gender or None,
                limit=limit,
                token=token,
            )
        items, token = await _visible(ctx, caller, found.items), found.next_token
        if items or token is None:
            break
    return page([shown(voice) for voice in items], token)


@router.get("/v3/voices/{voice_id}", response_model=answer_schemas.One[answer_schemas.Voice])
async def get_voice(ctx: ContextDep, caller: CallerDep, voice_id: str) -> Response:
    """One voice; this is also how the making of a clone is followed."""
    return data(shown(await readable(ctx, caller, voice_id, NotFound.voice(voice_id))))


@router.delete("/v3/voices/{voice_id}", response_model=answer_schemas.One[answer_schemas.VoiceRemoved])
async def delete_voice(ctx: ContextDep, caller: CallerDep, voice_id: str) -> Response:
    """Delete a clone of the caller's own, or of the account for who sees all of it."""
    missing = NotFound.voice(voice_id)
    async with ctx.database.begin() as session:
        grant = await grants.find(session, caller, GrantKind.VOICE, voice_id)
        visible = await grants.may_see(session, caller, GrantKind.VOICE, [voice_id])
    if voice_id not in visible:
        raise missing
    if grant is None and not is_private_voice(await readable(ctx, caller, voice_id, missing)):
        raise Forbidden("Public voices cannot be deleted.")
    if grant is not None and not grant.owned:
        raise Forbidden("This voice was granted to you; only who made it may delete it.")
    connection = connection_of(ctx, caller)
    with reading(missing):
        try:
            await connection.catalog.through_gate(lambda: connection.heygen.delete_voice(voice_id))
        except Missing:
            if grant is None:  # a first answer may have been lost: the owner is told that it is gone
                raise
    connection.catalog.forget("voice", voice_id)
    async with ctx.database.begin() as session:
        await grants.forget(session, caller.account_id, GrantKind.VOICE, voice_id)
    return data({"voice_id": voice_id})


async def _has_any(ctx: Context, caller: Caller) -> bool:
    """Whether there may be a private voice that the caller sees: else HeyGen need not be asked."""
    if caller.account_wide:
        return True
    async with ctx.database.begin() as session:
        return await grants.has_any(session, caller, GrantKind.VOICE)


async def _visible(
    ctx: Context, caller: Caller, voices: tuple[Mapping[str, Any], ...]
) -> list[Mapping[str, Any]]:
    private = [str(voice.get("voice_id")) for voice in voices if voice.get("type") == "private"]
    hidden = set(private) - await seen(ctx, caller, private) if private else set()
    return [voice for voice in voices if voice.get("voice_id") not in hidden]
