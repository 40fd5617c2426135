"""`/v3/videos`."""

from __future__ import annotations

import sqlite3
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from app.simulator.bodies import AvatarVideo, ImageVideo, VideoBody, kind_of, read
from app.simulator.casting import cast_video
from app.simulator.errors import invalid
from app.simulator.gate import call_of
from app.simulator.jobs import Job, accept
from app.simulator.routes.pages import WorldDep, listing, page_of
from app.simulator.videos import over, status

LARGEST_BULK = 100

router = APIRouter(prefix="/v3/videos")


@router.post("")
async def create_video(request: Request, world: WorldDep) -> Response:
    """Begin a render."""
    call = call_of(request, world)
    kinds: dict[str, type[VideoBody]] = {"avatar": AvatarVideo, "image": ImageVideo}

    async def draft(data: dict[str, Any]) -> Job:
        body = read(kind_of(data, kinds), data)
        order, cost = await cast_video(world, body)

        def answer(video_id: str) -> dict[str, Any]:
            named = (
                world.videos.another(video_id)
                if world.faults.strike("wrong_video_id", order.text)
                else video_id
            )
            return {"video_id": named, "status": "waiting", "output_format": body.output_format or "mp4"}

        early = False

        def save() -> str:
            nonlocal early
            early = world.faults.strike("callback_before_answer", order.text) is not None
            return world.videos.add(order, world.now(), 0.0 if early else world.render_seconds)

        async def begin(video_id: str) -> None:
            await world.studio.begin(video_id)
            if early:
                await world.studio.finished(video_id)
                await world.callbacks.send_due()

        return Job(title=body.title, cost=cost, save=save, answer=answer, begin=begin)

    return await accept(world, call, draft)


@router.get("")
async def list_videos(request: Request, world: WorldDep) -> dict[str, Any]:
    """Videos, newest first."""
    page = page_of(request, 10, 100)
    query = request.query_params
    rows = world.videos.page(query.get("title"), query.get("folder_id"), page.after, page.limit)
    now = world.now()
    return listing(rows, page, lambda row: world.videos.view(row, now, world.called_as))


@router.get("/statuses")
async def list_statuses(request: Request, world: WorldDep) -> dict[str, Any]:
    """Many statuses at once."""
    ids = [part for part in request.query_params.get("video_ids", "").split(",") if part]
    if not ids:
        raise invalid("video_ids", "'video_ids' is required.")
    if len(ids) > LARGEST_BULK:
        raise invalid("video_ids", f"'video_ids' must name at most {LARGEST_BULK} videos.")
    marks = ", ".join("?" * len(ids))
    found = world.store.all(f"SELECT * FROM videos WHERE deleted = 0 AND id IN ({marks})", *ids)  # noqa: S608
    rows = {row["id"]: row for row in found}
    now = world.now()
    return {"data": [_entry(video_id, rows.get(video_id), now) for video_id in ids]}


@router.get("/{video_id}")
async def get_video(video_id: str, world: WorldDep) -> dict[str, Any]:
    """One video."""
    return {"data": world.videos.view(world.videos.get(video_id), world.now(), world.called_as)}


@router.delete("/{video_id}")
async def delete_video(video_id: str, world: WorldDep) -> dict[str, Any]:
    """Delete for ever; a second time answers 404."""
    world.videos.delete(video_id)
    return {"data": {"id": video_id, "deleted": True}}


def _entry(video_id: str, row: sqlite3.Row | None, now: float) -> dict[str, Any]:
    word = "not_found" if row is None else status(row, now).replace("pending", "queued")
    error = None
    if row is not None and row["failure_code"] and over(row, now):
        error = {"code": row["failure_code"], "message": row["failure_message"]}
    return {"video_id": video_id, "status": word, "error": error, "batch_id": None, "item_index": None}
