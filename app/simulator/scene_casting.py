"""Cinematic and studio videos: what they show, scene by scene, and what that costs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from app.simulator.bodies import AssetInput, VoiceSettings
from app.simulator.casting import USD_A_SECOND, USD_A_SECOND_4K, audio_of, check_engine, readiness, voice_of
from app.simulator.errors import invalid
from app.simulator.faults import without_magic
from app.simulator.filming import FilmRequest
from app.simulator.media import IMAGES, VIDEOS, picture_size, speech_seconds
from app.simulator.renders import frame_size
from app.simulator.scene_bodies import Actor, ActorScene, Cinematic, ClipScene, ImageScene, Spoken, Studio
from app.simulator.sources import File
from app.simulator.videos import Order
from app.simulator.world import World

CINEMATIC_USD = 7.0
CINEMATIC_SECONDS = 10
MOST_VIDEOS, MOST_IMAGES = 3, 9


@dataclass(frozen=True)
class Shot:
    """One scene as it will be filmed; sizes are set when the first is known."""

    film: FilmRequest
    size: tuple[int, int] | None
    seconds: float
    failure: tuple[str, str] | None = None


async def cast_cinematic(world: World, body: Cinematic) -> tuple[Order, float]:
    """What will be made, and its price in USD. Raises Refused."""
    text = f"{body.title or ''}\n{body.prompt}"
    looks = [world.looks.get(look_id) for look_id in body.avatar_id]
    failures = [readiness(world, look, text) for look in looks]
    files = [
        await world.sources.bring(file, f"references.{index}", IMAGES | VIDEOS)
        for index, file in enumerate(body.references or ())
    ]
    _check_references(files)
    width, height = frame_size(body.resolution or "720p", body.aspect_ratio, None)
    each = (body.duration or CINEMATIC_SECONDS) / len(looks)
    shots = [
        FilmRequest(
            width=width, height=height, photo=Path(look["photo"]), seconds=each, camera=True, caption=False
        )
        for look in looks
    ]
    order = Order(
        title=body.title,
        script=body.prompt,
        film=replace(shots[0], then=tuple(shots[1:])),
        caption=False,
        burned_in=False,
        callback_url=None,
        callback_id=None,
        folder_id=body.folder_id or None,
        failure=next(filter(None, failures), None),
    )
    return order, CINEMATIC_USD


def _check_references(files: list[File]) -> None:
    videos = sum(file.mime_type in VIDEOS for file in files)
    if videos > MOST_VIDEOS or len(files) - videos > MOST_IMAGES:
        raise invalid(
            "references", f"'references' must be at most {MOST_VIDEOS} videos and {MOST_IMAGES} images."
        )


async def cast_studio(world: World, body: Studio) -> tuple[Order, float]:
    """What will be made, and its price in USD. Raises Refused: all of it is made, or nothing."""
    if body.watermark is not None:
        await world.sources.bring(body.watermark.image, "watermark.image", IMAGES)
    shots = [await _shot(world, body, index) for index in range(len(body.scenes))]
    size = next((shot.size for shot in shots if shot.size), None)
    width, height = frame_size(body.resolution, body.aspect_ratio, size)
    burned_in = body.caption is not None and body.caption.style is not None
    films = [replace(shot.film, width=width, height=height, caption=burned_in) for shot in shots]
    order = Order(
        title=body.title,
        script=" ".join(filter(None, (_speaker(scene).script for scene in body.scenes))) or None,
        film=replace(films[0], then=tuple(films[1:])),
        caption=body.caption is not None,
        burned_in=burned_in,
        callback_url=body.callback_url,
        callback_id=body.callback_id,
        folder_id=body.folder_id or None,
        failure=next((shot.failure for shot in shots if shot.failure), None),
    )
    price = USD_A_SECOND_4K if body.resolution == "4k" else USD_A_SECOND
    return order, round(price * sum(shot.seconds for shot in shots), 4)


def _speaker(scene: ActorScene | ImageScene | ClipScene) -> Spoken:
    return scene.input if isinstance(scene, ActorScene) else scene


async def _shot(world: World, body: Studio, index: int) -> Shot:
    scene = body.scenes[index]
    match scene:
        case ActorScene():
            return await _acted(world, body, scene.input, f"scenes.{index}.input.")
        case ImageScene():
            image = await world.sources.bring(scene.source, f"scenes.{index}.source", IMAGES)
            size = picture_size(image.content())
            if size is None:
                raise invalid(f"scenes.{index}.source", "'source' must be a readable PNG or JPEG.")
            said = await _said(world, scene, None, f"scenes.{index}.")
            shown = FilmRequest(0, 0, photo=image.path, seconds=scene.duration, **said)
            return Shot(shown, size, scene.duration or _length(scene))
        case _:
            return await _clip(world, scene, f"scenes.{index}.")


async def _acted(world: World, body: Studio, actor: Actor, at: str) -> Shot:
    look = world.looks.get(actor.avatar_id)
    check_engine(actor, look, body.resolution, at)
    failure = readiness(world, look, f"{body.title or ''}\n{actor.script or ''}", f"{at}avatar_id")
    film = FilmRequest(
        0,
        0,
        photo=Path(look["photo"]),
        background=actor.background.color if actor.background else None,
        motion_prompt=actor.motion_prompt,
        expressiveness=actor.expressiveness,
        **await _said(world, actor, look["default_voice_id"], at),
    )
    return Shot(film, (look["width"], look["height"]), _length(actor), failure)


async def _clip(world: World, scene: ClipScene, at: str) -> Shot:
    source: AssetInput = scene.source
    clip = await world.sources.bring(source, f"{at}source", VIDEOS)
    playback = scene.playback
    volume = 1.0 if playback is None or playback.volume is None else playback.volume
    muted = playback is not None and bool(playback.mute)
    said = await _said(world, scene, None, at)
    film = FilmRequest(0, 0, clip=clip.path, volume=0.0 if muted else volume, **said)
    return Shot(film, None, _length(scene))


async def _said(world: World, speech: Spoken, default_voice: str | None, at: str) -> dict[str, Any]:
    voice = voice_of(world, speech, default_voice, at)
    settings: VoiceSettings | None = speech.voice_settings
    return {
        "script": None if speech.script is None else without_magic(speech.script) or " ",
        "audio": await audio_of(world, speech, at),
        "speed": (settings.speed if settings else None) or 1.0,
        "pitch": (settings.pitch if settings else None) or 0.0,
        "locale": (settings.locale if settings else None) or (voice.locale if voice else None),
    }


def _length(speech: Spoken) -> float:
    settings = speech.voice_settings
    return speech_seconds(speech.script or "", (settings.speed if settings else None) or 1.0)
