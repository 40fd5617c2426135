"""`/v3/voices`."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request

from app.simulator.catalog import VOICES, Voice, find_voice
from app.simulator.errors import invalid, not_found
from app.simulator.routes.pages import envelope, page_of

router = APIRouter(prefix="/v3/voices")


@router.get("")
async def list_voices(request: Request) -> dict[str, Any]:
    """The public voices; there are no private ones."""
    page = page_of(request, 20, 100)
    query = request.query_params
    if query.get("type", "public") not in {"public", "private"}:
        raise invalid("type", "'type' must be one of: public, private.")
    wanted = [
        (number, voice)
        for number, voice in enumerate(VOICES)
        if query.get("type") != "private"
        and query.get("language", voice.language) == voice.language
        and query.get("gender", voice.gender) == voice.gender
        and query.get("engine", "starfish") == "starfish"
        and (page.after is None or number > page.after)
    ]
    shown = wanted[: page.limit]
    return envelope([_view(voice) for _, voice in shown], shown[-1][0] if len(wanted) > page.limit else None)


@router.get("/{voice_id}")
async def get_voice(voice_id: str) -> dict[str, Any]:
    """One voice."""
    voice = find_voice(voice_id)
    if voice is None:
        raise not_found("voice", voice_id)
    return {"data": _view(voice)}


def _view(voice: Voice) -> dict[str, Any]:
    return {
        "voice_id": voice.voice_id,
        "name": voice.name,
        "language": voice.language,
        "gender": voice.gender,
        "type": "public",
        "support_pause": True,
        "support_locale": True,
        "preview_audio_url": None,
    }
