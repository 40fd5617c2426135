"""Whether a video may be made, of whom, and with which voice: the rules that need more than the body."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.simulator.bodies import AssetInput, AvatarVideo, Background, ImageVideo, VideoBody
from app.simulator.catalog import Voice
from app.simulator.errors import Refused, invalid, not_found
from app.simulator.faults import without_magic
from app.simulator.filming import FilmRequest
from app.simulator.looks import failure_of
from app.simulator.looks import status as look_status
from app.simulator.media import AUDIO, IMAGES, picture_size, speech_seconds
from app.simulator.renders import frame_size
from app.simulator.scene_bodies import Actor, Spoken
from app.simulator.videos import Order
from app.simulator.world import World

USD_A_SECOND = 0.05
USD_A_SECOND_4K = 0.0667
NOT_USABLE = "avatar_not_usable"


@dataclass(frozen=True)
class Person:
    """Who will be seen."""

    photo: Path
    size: tuple[int, int]
    voice_id: str | None = None
    """The look's own voice."""
    failure: tuple[str, str] | None = None
    """Why it will fail, if that is clear already."""


async def cast_video(world: World, body: VideoBody) -> tuple[Order, float]:
    """What will be made, and its price in USD. Raises Refused."""
    person = await _person(world, body)
    voice = voice_of(world, body, person.voice_id)
    audio = await audio_of(world, body)
    if body.watermark is not None:
        await world.sources.bring(body.watermark.image, "watermark.image", IMAGES)
    settings = body.voice_settings
    speed = (settings.speed if settings else None) or 1.0
    width, height = frame_size(body.resolution, body.aspect_ratio, person.size)
    film = FilmRequest(
        photo=person.photo,
        script=None if body.script is None else without_magic(body.script) or " ",
        audio=audio,
        width=width,
        height=height,
        speed=speed,
        pitch=(settings.pitch if settings else None) or 0.0,
        locale=(settings.locale if settings else None) or (voice.locale if voice else None),
        background=await _background(world, body.background),
        remove_background=body.remove_background or False,
        motion_prompt=body.motion_prompt,
        expressiveness=body.expressiveness,
        caption=body.caption is not None and body.caption.style is not None,
        transparent=body.output_format == "webm",
    )
    order = Order(
        title=body.title,
        script=body.script,
        film=film,
        caption=body.caption is not None,
        burned_in=film.caption,
        callback_url=body.callback_url,
        callback_id=body.callback_id,
        folder_id=body.folder_id or None,
        failure=person.failure,
    )
    price = USD_A_SECOND_4K if body.resolution == "4k" else USD_A_SECOND
    return order, round(price * speech_seconds(body.script or "", speed), 4)


async def _person(world: World, body: VideoBody) -> Person:
    if isinstance(body, ImageVideo):
        image = await world.sources.bring(body.image, "image", IMAGES)
        size = picture_size(image.content())
        if size is None:
            raise invalid("image", "'image' must be a readable PNG or JPEG.")
        return Person(image.path, size)
    if not isinstance(body, AvatarVideo):
        raise TypeError(type(body).__name__)
    look = world.looks.get(body.avatar_id)
    check_engine(body, look, body.resolution)
    failure = readiness(world, look, f"{body.title or ''}\n{body.script or ''}")
    return Person(Path(look["photo"]), (look["width"], look["height"]), look["default_voice_id"], failure)


def readiness(world: World, look: sqlite3.Row, text: str, param: str = "avatar_id") -> tuple[str, str] | None:
    """Code and message where a video of this look will fail. Raises Refused where it cannot even begin."""
    state = look_status(look, world.now())
    if state == "failed":
        raise Refused(400, NOT_USABLE, failure_of(look)["message"], param)
    if state not in {"processing", "pending_consent"}:
        return None
    unready = world.faults.strike("look_unready", text) or {"answer": state}
    if unready["answer"] == "not_found":
        raise not_found("avatar", look["id"])
    if unready["answer"] == "late":
        return NOT_USABLE, "The avatar was not ready."
    if unready["answer"] == "pending_consent":
        raise Refused(400, "avatar_consent_required", "This avatar is waiting for consent.", param)
    raise Refused(409, "resource_not_ready", "The avatar is still processing.", param)


def check_engine(body: AvatarVideo | Actor, look: sqlite3.Row, resolution: str | None, at: str = "") -> None:
    """What this look can do with the engine that is asked for. Raises Refused."""
    engine = body.engine.type if body.engine else "avatar_iv"
    is_photo = look["avatar_type"] == "photo_avatar"
    if engine not in json.loads(look["engines"]):
        raise invalid(f"{at}engine", f"'{at}engine' {engine} is not supported by this avatar.")
    if engine == "avatar_iii" and is_photo and resolution == "4k":
        raise invalid("resolution", "'resolution' 4k is not supported for photo avatars with avatar_iii.")
    moves = engine == "avatar_v" or (is_photo and engine == "avatar_iv")
    if body.motion_prompt is not None and not moves:
        raise invalid(
            f"{at}motion_prompt", f"'{at}motion_prompt' is not supported by this avatar with {engine}."
        )
    if body.expressiveness is not None and not (is_photo and engine == "avatar_iv"):
        raise invalid(
            f"{at}expressiveness", f"'{at}expressiveness' is only for photo avatars with avatar_iv."
        )


def voice_of(world: World, body: VideoBody | Spoken, default_voice: str | None, at: str = "") -> Voice | None:
    """The voice that speaks; None where nobody speaks a script. Raises Refused."""
    voice_id = body.voice_id or default_voice
    if voice_id is None:
        if body.script is None:
            return None
        raise invalid(f"{at}voice_id", f"'{at}voice_id' is required with 'script'.")
    voice = world.voices.usable(voice_id, world.now())
    engine = body.voice_settings.engine_settings if body.voice_settings else None
    if engine is not None and engine.engine_type != "starfish":
        raise invalid(
            f"{at}voice_settings.engine_settings", "The voice is not of this engine; it is of 'starfish'."
        )
    return voice


async def audio_of(world: World, body: VideoBody | Spoken, at: str = "") -> Path | None:
    """The file that is spoken. Raises Refused."""
    if body.audio_asset_id is not None:
        return world.sources.uploaded(body.audio_asset_id, f"{at}audio_asset_id", AUDIO).path
    if body.audio_url is not None:
        return (await world.sources.download(body.audio_url, f"{at}audio_url", AUDIO)).path
    return None


async def _background(world: World, background: Background | None) -> str | Path | None:
    if background is None or background.type == "color":
        return background.value if background else None
    kind: dict[str, Any] = {"type": "url"} if background.url else {"type": "asset_id"}
    source = AssetInput(**kind, url=background.url, asset_id=background.asset_id)
    return (await world.sources.bring(source, "background", IMAGES)).path
