"""`/v3/avatars`."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from app.simulator.avatar_bodies import KINDS, LookPatch, PromptAvatar
from app.simulator.bodies import kind_of, read
from app.simulator.errors import invalid
from app.simulator.gate import call_of
from app.simulator.jobs import Job, accept
from app.simulator.routes.pages import WorldDep, listing, page_of
from app.simulator.training import begin_training

router = APIRouter(prefix="/v3/avatars")


@router.post("")
async def create_avatar(request: Request, world: WorldDep) -> Response:
    """Begin to train a look."""

    async def draft(data: dict[str, Any]) -> Job:
        kind = kind_of(data, KINDS)
        if kind is not PromptAvatar and data.get("file") is None:
            raise invalid("files", "At least one file source is required: provide file.")
        return await begin_training(world, read(kind, data))

    return await accept(world, call_of(request, world), draft)


@router.get("")
async def list_groups(request: Request, world: WorldDep) -> dict[str, Any]:
    """Groups, newest first, public ones last."""
    page = page_of(request, 20, 50)
    ownership = _choice(request, "ownership", ("public", "private"))
    rows = world.looks.group_page(ownership, page.after, page.limit)
    now = world.now()
    return listing(rows, page, lambda row: world.looks.group_view(row, now, world.called_as))


@router.get("/looks")
async def list_looks(request: Request, world: WorldDep) -> dict[str, Any]:
    """Looks, newest first, public ones last."""
    page = page_of(request, 20, 50)
    filters = {
        "group_id": request.query_params.get("group_id"),
        "avatar_type": _choice(request, "avatar_type", ("studio_avatar", "digital_twin", "photo_avatar")),
        "ownership": _choice(request, "ownership", ("public", "private")),
    }
    now = world.now()
    rows = world.looks.page(filters, page.after, page.limit)
    return listing(rows, page, lambda row: world.looks.view(row, now, world.called_as))


@router.get("/looks/{look_id}")
async def get_look(look_id: str, world: WorldDep) -> dict[str, Any]:
    """One look."""
    return {"data": world.looks.view(world.looks.get(look_id), world.now(), world.called_as)}


@router.patch("/looks/{look_id}")
async def rename_look(look_id: str, request: Request, world: WorldDep) -> dict[str, Any]:
    """Another name."""
    body = read(LookPatch, call_of(request, world).json())
    world.looks.rename(look_id, body.name)
    return await get_look(look_id, world)


@router.delete("/looks/{look_id}")
async def delete_look(look_id: str, world: WorldDep) -> dict[str, Any]:
    """Delete a look, and its group with the last one."""
    world.looks.delete(look_id)
    return {"data": {"id": look_id}}


@router.get("/{group_id}")
async def get_group(group_id: str, world: WorldDep) -> dict[str, Any]:
    """One group."""
    return {"data": world.looks.group_view(world.looks.group(group_id), world.now(), world.called_as)}


@router.delete("/{group_id}")
async def delete_group(group_id: str, world: WorldDep) -> dict[str, Any]:
    """Delete a group with its looks."""
    world.looks.delete_group(group_id)
    return {"data": {"id": group_id}}


def _choice(request: Request, name: str, choices: tuple[str, ...]) -> str | None:
    value = request.query_params.get(name) or None
    if value is not None and value not in choices:
        raise invalid(name, f"'{name}' must be one of: {', '.join(choices)}.")
    return value
