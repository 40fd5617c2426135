"""What becomes of a request for an avatar: a look made of a photo, of footage, or of words."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

from app.simulator.avatar_bodies import AvatarBody, PhotoAvatar, PromptAvatar, TwinAvatar
from app.simulator.consents import PENDING
from app.simulator.errors import Refused, invalid
from app.simulator.jobs import Job
from app.simulator.looks import Appearance, status
from app.simulator.media import IMAGES, VIDEOS, picture_size
from app.simulator.portraits import draw, style_of
from app.simulator.world import World

LOOK_USD = 1.0


async def begin_training(world: World, body: AvatarBody) -> Job:
    """The job that makes the look. Raises Refused."""
    appearance = await _appearance(world, body)
    if body.avatar_group_id is not None:
        world.looks.own_group(body.avatar_group_id)

    def save() -> str:
        now, seconds = world.now(), world.look_seconds
        look_id = world.looks.add(body.name, body.avatar_group_id, appearance, now=now, seconds=seconds)
        if appearance.twin and world.consents.need(world.looks.get(look_id)["group_id"]) == PENDING:
            world.looks.rest(look_id, now)
        return look_id

    def answer(look_id: str) -> dict[str, Any]:
        now, looks = world.now(), world.looks
        row = looks.get(look_id)
        group = looks.group_view(looks.group(row["group_id"]), now, world.called_as)
        return {"avatar_item": looks.view(row, now, world.called_as), "avatar_group": group}

    return Job(title=body.name, cost=LOOK_USD, save=save, answer=answer)


async def _appearance(world: World, body: AvatarBody) -> Appearance:
    match body:
        case PhotoAvatar():
            file = await world.sources.bring(body.file, "file", IMAGES)
            size = picture_size(file.content())
            if size is None:
                raise invalid("file", "'file' must be a readable PNG or JPEG.")
            return Appearance(file.path, size)
        case TwinAvatar():
            file = await world.sources.bring(body.file, "file", VIDEOS)
            return _drawn(world, str(len(file.content())) + body.name, twin=True)
        case PromptAvatar():
            for number, image in enumerate(body.reference_images or ()):
                await world.sources.bring(image, f"reference_images.{number}", IMAGES)
            if body.avatar_id is not None and status(world.looks.get(body.avatar_id), world.now()) not in {
                None,
                "completed",
            }:
                raise Refused(409, "resource_not_ready", "The avatar is still processing.", "avatar_id")
            return _drawn(world, body.prompt)


def _drawn(world: World, text: str, *, twin: bool = False) -> Appearance:
    """A picture of somebody who is only described."""
    style = style_of(text)
    picture: Path = world.store.folder / "assets" / f"{uuid.uuid4().hex}.png"
    picture.write_bytes(draw(style))
    return Appearance(picture, style.size, twin=twin)
