"""`/v3/videos`."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from app.simulator.errors import invalid
from app.simulator.gate import call_of
from app.simulator.jobs import Job, accept
from app.simulator.kinds import cast_any
from app.simulator.routes.pages import WorldDep, listing, page_of
from app.simulator.videos import entry

LARGEST_BULK = 100

router = APIRouter(prefix="/v3/videos")


@router.post("")
async def create_video(request: Request, world: WorldDep) -> Response:
    """Begin a render."""
    call = call_of(request, world)

    async def draft(data: dict[str, Any]) -> Job:
        order, cost, output_format = await cast_any(world, data)

        def answer(video_id: str) -> dict[str, Any]:
            named = (
                world.videos.another(video_id)
                if world.faults.strike("wrong_video_id", order.text)
                else video_id
            )
            return {"video_id": named, "status": "waiting", "output_format": output_format}

        early = False

        def save() -> str:
            nonlocal early
            early = world.faults.strike("callback_before_answer", order.text) is not None
            return world.videos.add(order, world.now(), 0.0 if early else world.render_seconds)

        async def begin(video_id: str) -> None:
            await world.studio.begin(video_id)
            if early:
                await world.studio.finished(video_id)
                await world.call_back()

        return Job(title=order.title, cost=cost, save=save, answer=answer, begin=begin)

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
    ids, batch_ids = (
        [part for part in request.query_params.get(name, "").split(",") if part]
        for name in ("video_ids", "batch_ids")
    )
    if not ids and not batch_ids:
        raise invalid("video_ids", "'video_ids' is required.")
    if len(ids) + len(batch_ids) > LARGEST_BULK:
        raise invalid("video_ids", f"'video_ids' must name at most {LARGEST_BULK} videos.")
    marks = ", ".join("?" * len(ids))
    found = world.store.all(f"SELECT * FROM videos WHERE deleted = 0 AND id IN ({marks})", *ids)  # noqa: S608 -- marks alone
    rows = {row["id"]: row for row in found}
    now = world.now()
    entries = [entry(video_id, rows.get(video_id), now, *world.batches.place(video_id)) for video_id in ids]
    return {"data": entries + [it for batch_id in batch_ids for it in world.batches.entries(batch_id, now)]}


@router.get("/{video_id}")
async def get_video(video_id: str, world: WorldDep) -> dict[str, Any]:
    """One video."""
    return {"data": world.videos.view(world.videos.get(video_id), world.now(), world.called_as)}


@router.delete("/{video_id}")
async def delete_video(video_id: str, world: WorldDep) -> dict[str, Any]:
    """Delete for ever; a second time answers 404."""
    world.videos.delete(video_id)
    return {"data": {"id": video_id, "deleted": True}}
