"""Any body of `POST /v3/videos`, by its type."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from app.simulator.bodies import AvatarVideo, ImageVideo, VideoBody, kind_of, read
from app.simulator.casting import cast_video
from app.simulator.scene_bodies import Cinematic, Studio
from app.simulator.scene_casting import cast_cinematic, cast_studio
from app.simulator.videos import Order
from app.simulator.world import World

KINDS: Mapping[str, type[BaseModel]] = {
    "avatar": AvatarVideo,
    "image": ImageVideo,
    "cinematic_avatar": Cinematic,
    "studio": Studio,
}


async def cast_any(world: World, data: Mapping[str, Any]) -> tuple[Order, float, str]:
    """What will be made, its price in USD, and the format it comes in. Raises Refused."""
    body = read(kind_of(data, KINDS), data)
    match body:
        case Cinematic():
            return *await cast_cinematic(world, body), "mp4"
        case Studio():
            return *await cast_studio(world, body), "mp4"
        case VideoBody():
            return *await cast_video(world, body), body.output_format or "mp4"
    raise TypeError(type(body).__name__)
