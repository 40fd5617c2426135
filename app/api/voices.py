"""`GET /v3/voices`: HeyGen's own, cached and shared."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel
from starlette.responses import Response

from app.api import answer_schemas
from app.api.answers import Limit100, data, page, read_limit
from app.api.dependencies import CallerDep, ContextDep
from app.api.upstream import connection_of, reading, shown
from app.errors import NotFound

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
    """A page of voices; private ones belong to the HeyGen account, so only those who see all of it see them."""
    limit = read_limit(which.limit, default=20, most=100)
    if which.type == "private" and not caller.account_wide:
        return page([], None)
    with reading():
        found = await connection_of(ctx, caller).catalog.voices(
            type=which.type,
            engine=which.engine or None,
            language=which.language or None,
            gender=which.gender or None,
            limit=limit,
            token=which.token or None,
        )
    return page([shown(voice) for voice in found.items], found.next_token)


@router.get("/v3/voices/{voice_id}", response_model=answer_schemas.One[answer_schemas.Voice])
async def get_voice(ctx: ContextDep, caller: CallerDep, voice_id: str) -> Response:
    """One voice."""
    missing = NotFound.voice(voice_id)
    with reading(missing):
        voice = await connection_of(ctx, caller).catalog.voice(voice_id)
    # Only clones, which are private, have a status.
    private = voice.get("type") == "private" or bool(voice.get("status"))
    if private and not caller.account_wide:
        raise missing
    return data(shown(voice))
