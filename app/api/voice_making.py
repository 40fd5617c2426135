"""`POST /v3/voices`, `/v3/voices/clone` and `/v3/voices/speech`: done at HeyGen while the caller waits, and paid for.

What a tenant clones, and what is designed for it, is its own: no other tenant sees it or speaks with it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from fastapi import APIRouter, Request
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.responses import Response

from app import grants
from app.api import answer_schemas
from app.api.answers import data_bytes
from app.api.dependencies import CallerDep, ContextDep
from app.api.heygen_copies import naming
from app.api.idempotency import OnceDep, hash_of
from app.api.json_body import read_as, read_json
from app.api.openapi import creates
from app.api.paid_calls import Attempt, pay_once
from app.api.recordings import bring_recording, heygen_source
from app.api.upstream import connection_of, shown
from app.api.voice_requests import Speech, VoiceClone, VoiceDesign, parse
from app.api.voice_rights import readable, shown_of
from app.context import Context
from app.errors import NotFound
from app.models import GrantKind
from app.tenancy import Caller

router = APIRouter(prefix="/v3/voices")


@router.post(
    "", response_model=answer_schemas.One[answer_schemas.Designed], openapi_extra=creates(VoiceDesign)
)
async def design_voice(request: Request, ctx: ContextDep, caller: CallerDep, once: OnceDep) -> Response:
    """Up to three voices that fit a description."""
    body = await read_json(request)
    _, wire = parse(VoiceDesign, body, ctx.terms.forward_fields)

    async def call(attempt: Attempt) -> Mapping[str, Any]:
        found = await _post(ctx, caller, "/v3/voices", wire, attempt)
        voices = [voice for voice in found.get("voices") or () if isinstance(voice, Mapping)]
        visible, made = await shown_of(ctx, caller, voices)
        return {"told": {**found, "voices": [shown(voice) for voice in visible]}, "made": made}

    async def keep(found: Mapping[str, Any], session: AsyncSession) -> tuple[str, bytes]:
        await _own(ctx, session, caller, found["made"])
        return "design", data_bytes(found["told"])

    return await pay_once(ctx, caller, once, hash_of(body), call, keep)


@router.post(
    "/clone", response_model=answer_schemas.One[answer_schemas.Cloned], openapi_extra=creates(VoiceClone)
)
async def clone_voice(request: Request, ctx: ContextDep, caller: CallerDep, once: OnceDep) -> Response:
    """A voice made of a recording; `GET /v3/voices/{id}` tells when it is complete."""
    read = partial(
        parse,
        VoiceClone,
        forward_fields=ctx.terms.forward_fields,
        allow_private=ctx.terms.allow_private_destinations,
    )
    body_hash, (wanted, wire) = await read_as(request, lambda body: (hash_of(body), read(body)))
    del wire["audio"]  # it is told as HeyGen knows it, and may be large

    async def call(attempt: Attempt) -> Mapping[str, Any]:
        recording = await bring_recording(ctx, caller, wanted.audio)
        source = await heygen_source(ctx, caller, wanted.audio, recording)
        async with naming(ctx, caller, recording, "audio.asset_id"):
            return await _post(ctx, caller, "/v3/voices/clone", wire | {"audio": source}, attempt)

    async def keep(found: Mapping[str, Any], session: AsyncSession) -> tuple[str, bytes]:
        voice_id = str(found["voice_clone_id"])
        await _own(ctx, session, caller, [voice_id])
        return voice_id, data_bytes(dict(found))

    return await pay_once(ctx, caller, once, body_hash, call, keep)


@router.post(
    "/speech", response_model=answer_schemas.One[answer_schemas.Spoken], openapi_extra=creates(Speech)
)
async def speak(request: Request, ctx: ContextDep, caller: CallerDep, once: OnceDep) -> Response:
    """A text, spoken; the link is HeyGen's own."""
    body = await read_json(request)
    wanted, wire = parse(Speech, body, ctx.terms.forward_fields)
    missing = NotFound.voice(wanted.voice_id, param="voice_id")

    async def call(attempt: Attempt) -> Mapping[str, Any]:
        await readable(ctx, caller, wanted.voice_id, missing)
        return await _post(ctx, caller, "/v3/voices/speech", wire, attempt)

    async def keep(found: Mapping[str, Any], _: AsyncSession) -> tuple[str, bytes]:
        return "speech", data_bytes(dict(found))

    return await pay_once(ctx, caller, once, hash_of(body), call, keep)


async def _own(ctx: Context, session: AsyncSession, caller: Caller, voice_ids: Sequence[str]) -> None:
    """What was made just now is the caller's, and is seen at once."""
    await grants.own(session, caller, GrantKind.VOICE, voice_ids, ctx.clock.now())
    for voice_id in voice_ids:
        connection_of(ctx, caller).catalog.forget("voice", voice_id)


async def _post(
    ctx: Context, caller: Caller, path: str, body: Mapping[str, Any], attempt: Attempt
) -> Mapping[str, Any]:
    content = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
    connection = connection_of(ctx, caller)
    # The account's breaker is told of none of these: they hold no slot, and speech that fails must not stop the videos.
    return await connection.catalog.through_gate(
        lambda: attempt.pay(connection.heygen.make_voice(path, content, attempt.key))
    )
