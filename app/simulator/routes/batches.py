"""`/v3/videos/batches`."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from app.simulator.answers import Step
from app.simulator.bodies import read
from app.simulator.errors import Refused
from app.simulator.gate import call_of
from app.simulator.jobs import obstruct
from app.simulator.kinds import cast_any
from app.simulator.routes.pages import WorldDep, envelope, page_of
from app.simulator.scene_bodies import BatchBody
from app.simulator.videos import Order

router = APIRouter(prefix="/v3/videos/batches")


@router.post("")
async def create_batch(request: Request, world: WorldDep) -> Response:
    """Begin many renders, or none. They wait for each other: none is refused for want of a slot."""
    call = call_of(request, world)

    async def prepare() -> Step:
        data = call.json()
        await obstruct(world, call)
        body = read(BatchBody, data)
        drafts: list[tuple[Order, float]] = []
        for index, video in enumerate(body.videos):
            try:
                order, cost, _ = await cast_any(world, video)
            except Refused as refusal:
                raise refusal.within(f"videos.{index}") from None
            drafts.append((order, cost))
        made: list[str] = []

        def commit() -> Response:
            now = world.now()
            for order, cost in drafts:
                made.append(world.videos.add(order, now, world.render_seconds))
                world.record.bill(call, made[-1], order.title, cost, now)
            batch_id = world.batches.add(made, body.title, body.callback_url)
            return JSONResponse(
                {"data": {"batch_id": batch_id, "status": "processing", "total_items": len(made)}}
            )

        async def finish(answer: Response) -> Response:
            for video_id in made:
                await world.studio.begin(video_id)
            return answer

        return Step(commit, finish)

    return await world.answers.once(call, prepare)


@router.get("/{batch_id}")
async def get_batch(batch_id: str, request: Request, world: WorldDep) -> dict[str, Any]:
    """One batch, with a page of its items; the cursor stands inside."""
    page = page_of(request, 100, 100)
    view = world.batches.view(batch_id, world.now(), page.after, page.limit)
    items = view["items"]
    more = len(items) > page.limit
    shown = items[: page.limit]
    cursor = envelope([], shown[-1]["item_index"] if more else None)
    return {"data": view | {"items": shown} | {name: cursor[name] for name in ("has_more", "next_token")}}
