"""`/v3/voices`."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from app.simulator.answers import Call
from app.simulator.asset_bodies import SpeechBody, VoiceClone, VoiceDesign
from app.simulator.bodies import read
from app.simulator.catalog import VOICES
from app.simulator.errors import Dropped, Refused, gateway_page, invalid
from app.simulator.faults import without_magic
from app.simulator.filming import FilmError
from app.simulator.gate import call_of
from app.simulator.routes.pages import WorldDep, envelope, page_of
from app.simulator.speakers import Line
from app.simulator.world import World

RECORDINGS = frozenset({"audio/mpeg", "audio/wav", "video/mp4", "video/webm"})
USD_A_SECOND = 0.000667

router = APIRouter(prefix="/v3/voices")


@router.get("")
async def list_voices(request: Request, world: WorldDep) -> dict[str, Any]:
    """The public voices, or the private ones that are complete."""
    page = page_of(request, 20, 100)
    query = request.query_params
    if query.get("type", "public") not in {"public", "private"}:
        raise invalid("type", "'type' must be one of: public, private.")
    private = query.get("type") == "private"
    ids = (
        [row["id"] for row in world.voices.private(world.now())]
        if private
        else [it.voice_id for it in VOICES]
    )
    wanted = [
        (number, voice)
        for number, voice in enumerate(map(world.voices.listed, ids))
        if query.get("language", voice["language"]) == voice["language"]
        and query.get("gender", voice["gender"]) == voice["gender"]
        and query.get("engine", "starfish") == "starfish"
        and (page.after is None or number > page.after)
    ]
    shown = wanted[: page.limit]
    return envelope([view for _, view in shown], shown[-1][0] if len(wanted) > page.limit else None)


@router.post("")
async def design_voice(request: Request, world: WorldDep) -> Response:
    """Up to three voices that fit the words."""
    call = replace(call_of(request, world), kind="voice")
    body = read(VoiceDesign, call.json())
    if body.gender not in {None, "male", "female"}:
        raise invalid("gender", "'gender' must be one of: male, female.")

    def make() -> dict[str, Any]:
        ids = world.voices.design(body.prompt, body.gender, body.locale, body.seed or 0, call.now)
        return {"voices": [world.voices.listed(voice_id) for voice_id in ids], "seed": body.seed or 0}

    return _answer(world, call, body.prompt, make)


@router.post("/clone")
async def clone_voice(request: Request, world: WorldDep) -> Response:
    """A voice of a recording. HeyGen documents no Idempotency-Key here: each call makes one."""
    call = replace(call_of(request, world), kind="voice")
    body = read(VoiceClone, call.json())
    await world.sources.bring(body.audio, "audio", RECORDINGS)
    return _answer(
        world,
        call,
        body.voice_name,
        lambda: {"voice_clone_id": world.voices.clone(body.voice_name, body.language, call.now)},
    )


@router.post("/speech")
async def speak(request: Request, world: WorldDep) -> Response:
    """A text, spoken, and billed by its length. No Idempotency-Key here either."""
    call = replace(call_of(request, world), kind="speech")
    body = read(SpeechBody, call.json())
    voice = world.voices.usable(body.voice_id, call.now)
    if slow := world.faults.strike("slow_create", body.text, kind=call.kind):
        await world.faults.hold(slow["seconds"])
    speech_id = uuid.uuid4().hex
    target = world.sources.folder / f"{speech_id}.wav"
    try:
        line = Line(without_magic(body.text) or " ", body.speed or 1.0, body.locale or voice.locale)
        said = await world.speaker.say(line, target)
    except FilmError as error:
        raise Refused(500, "voice_provider_error", str(error)) from None

    def make() -> dict[str, Any]:
        world.record.bill(call, speech_id, None, round(said.duration * USD_A_SECOND, 6), call.now)
        url = world.links.make(world.called_as, f"/files/speech/{speech_id}/{target.name}", call.now)
        return {
            "audio_url": url,
            "duration": said.duration,
            "request_id": speech_id,
            "word_timestamps": said.words,
        }

    return _answer(world, call, body.text, make)


@router.get("/{voice_id}")
async def get_voice(voice_id: str, world: WorldDep) -> dict[str, Any]:
    """One voice."""
    return {"data": world.voices.shown(voice_id, world.now())}


@router.delete("/{voice_id}")
async def delete_voice(voice_id: str, world: WorldDep) -> dict[str, Any]:
    """Delete for ever; a second time answers 404."""
    world.voices.delete(voice_id)
    return {"data": {"voice_id": voice_id}}


def _answer(world: World, call: Call, text: str, make: Callable[[], dict[str, Any]]) -> Response:
    """Do it, unless a scenario strikes before; what strikes after it hides that it was done."""
    strike, facts = world.faults.strike, {"kind": call.kind}
    if strike("unavailable_before_accept", text, call.sha, **facts):
        raise Refused(503, "service_unavailable", "Service unavailable.")
    if strike("insufficient_credit", text, **facts):
        raise Refused(402, "insufficient_credit", "Insufficient credit.")
    with world.store.transaction():
        data = make()
    if strike("drop_after_accept", text, **facts):
        raise Dropped
    if strike("gateway_timeout_after_accept", text, **facts):
        return gateway_page(504, "Gateway Time-out")
    return JSONResponse({"data": data})
