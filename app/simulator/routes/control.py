"""`/simulator`: what a test or a curious person may do that no HeyGen would allow."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request
from pydantic import Field

from app.simulator.bodies import Body, parse, read
from app.simulator.faults import find
from app.simulator.routes.pages import WorldDep
from app.simulator.world import World

router = APIRouter(prefix="/simulator")


class SwitchOn(Body):
    """`PUT /simulator/scenarios/{name}`."""

    times: int | None = None
    match: str | None = None
    options: dict[str, Any] = Field(default_factory=dict)


class Timeline(Body):
    """`PUT /simulator/timeline`; for jobs made from now on."""

    render_seconds: Annotated[float, Field(ge=0, le=1e9)] | None = None
    look_seconds: Annotated[float, Field(ge=0, le=1e9)] | None = None


@router.get("")
async def explain(world: WorldDep) -> dict[str, Any]:
    """What this is."""
    return {
        "about": "A simulator of HeyGen's v3 API. It renders for nothing, keeps a ledger of what HeyGen would bill,"
        " and misbehaves on demand.",
        "api": "/v3/… as at api.heygen.com, with any x-api-key"
        + (" it knows" if world.options.api_keys else ""),
        "control": {
            "GET /simulator/ledger": "every billed video and look",
            "GET /simulator/requests": "every API call; ?method=, ?path_prefix=, ?files=1 for downloads instead",
            "GET /simulator/stats": "numbers",
            "GET /simulator/scenarios": "what can go wrong, and what is on",
            "PUT /simulator/scenarios/{name}": '{"times": 1, "match": "part of a title", "options": {}} switches on',
            "DELETE /simulator/scenarios/{name}": "switches off; without a name: all",
            "PUT /simulator/timeline": '{"render_seconds": 8, "look_seconds": 4}',
            "POST /simulator/videos/{id}/finish": "ends a render, or the training of a look, now",
            "POST /simulator/callbacks": "sends the callbacks that are due",
        },
        "magic": "[[name]] or [[name: argument]] in a script, title or avatar name does what the scenario does.",
    }


@router.get("/ledger")
async def ledger(world: WorldDep) -> dict[str, Any]:
    """Every bill."""
    return {"data": [asdict(row) for row in world.record.ledger()]}


@router.get("/requests")
async def requests(
    world: WorldDep, method: str | None = None, path_prefix: str | None = None, files: Literal["0", "1"] = "0"
) -> dict[str, Any]:
    """Every call."""
    rows = world.record.requests(method, path_prefix, files=files == "1")
    return {"data": [asdict(row) for row in rows]}


@router.get("/stats")
async def stats(world: WorldDep) -> dict[str, Any]:
    """Numbers."""
    return {"data": world.stats()}


@router.get("/scenarios")
async def scenarios(world: WorldDep) -> dict[str, Any]:
    """The registry, and what is on."""
    return {"data": world.faults.describe()}


@router.put("/scenarios/{name}")
async def switch_on(name: str, request: Request, world: WorldDep) -> dict[str, Any]:
    """Switch a scenario on."""
    content = await request.body()
    body = read(SwitchOn, parse(content) if content else {})
    world.faults.set(name, body.times, body.match, body.options)
    return _state(world, name)


@router.delete("/scenarios/{name}")
async def switch_off(name: str, world: WorldDep) -> dict[str, Any]:
    """Switch a scenario off."""
    world.faults.clear(find(name).name)
    return _state(world, name)


@router.delete("/scenarios")
async def switch_all_off(world: WorldDep) -> dict[str, Any]:
    """Switch all scenarios off."""
    world.faults.clear()
    return {"data": {}}


@router.put("/timeline")
async def timeline(request: Request, world: WorldDep) -> dict[str, Any]:
    """Change how long jobs take."""
    body = read(Timeline, parse(await request.body()))
    world.set_timeline(body.render_seconds, body.look_seconds)
    return {"data": {"render_seconds": world.render_seconds, "look_seconds": world.look_seconds}}


@router.post("/videos/{job_id}/finish")
async def finish(job_id: str, world: WorldDep) -> dict[str, Any]:
    """End a render or a training now."""
    world.finish(job_id)
    return {"data": {"id": job_id}}


@router.post("/callbacks")
async def send_callbacks(world: WorldDep) -> dict[str, Any]:
    """Send what is due."""
    return {"data": {"sent": await world.call_back()}}


def _state(world: World, name: str) -> dict[str, Any]:
    return {"data": next(row for row in world.faults.describe() if row["name"] == name)}
