"""`/v3/webhooks`."""

from __future__ import annotations

import json
import sqlite3
from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from app.simulator.answers import Step
from app.simulator.bodies import read
from app.simulator.errors import invalid
from app.simulator.events import EVENT_TYPES
from app.simulator.gate import call_of
from app.simulator.routes.pages import WorldDep, listing, page_of
from app.simulator.webhook_bodies import EndpointCreate, EndpointPatch

router = APIRouter(prefix="/v3/webhooks")


@router.post("/endpoints")
async def create_endpoint(request: Request, world: WorldDep) -> Response:
    """Register an endpoint; its secret is shown once."""
    call = call_of(request, world)

    async def prepare() -> Step:
        body = read(EndpointCreate, call.json())

        def commit() -> Response:
            made = world.endpoints.add(body.url, body.events, body.entity_id, world.now())
            row = world.endpoints.get(made)
            return JSONResponse({"data": _endpoint(row) | {"secret": row["secret"]}})

        return Step(commit)

    return await world.answers.once(call, prepare)


@router.get("/endpoints")
async def list_endpoints(request: Request, world: WorldDep) -> dict[str, Any]:
    """Endpoints, newest first."""
    page = page_of(request, 10, 100)
    return listing(world.endpoints.page(page.after, page.limit), page, _endpoint)


@router.patch("/endpoints/{endpoint_id}")
async def change_endpoint(endpoint_id: str, request: Request, world: WorldDep) -> dict[str, Any]:
    """Another address, another list."""
    body = read(EndpointPatch, call_of(request, world).json())
    world.endpoints.get(endpoint_id)
    if body.url is None and body.events is None:
        raise invalid(None, "At least one of 'url' or 'events' must be provided.")
    world.endpoints.change(endpoint_id, body.url, body.events)
    return {"data": _endpoint(world.endpoints.get(endpoint_id))}


@router.delete("/endpoints/{endpoint_id}")
async def delete_endpoint(endpoint_id: str, world: WorldDep) -> dict[str, Any]:
    """Delete for ever; a second time answers 404."""
    world.endpoints.delete(endpoint_id)
    return {"error": None, "data": {}}


@router.post("/endpoints/{endpoint_id}/rotate-secret")
async def rotate_secret(endpoint_id: str, request: Request, world: WorldDep) -> Response:
    """A new secret in the place of the old one."""

    async def prepare() -> Step:
        def commit() -> Response:
            secret = world.endpoints.rotate(endpoint_id)
            return JSONResponse({"data": {"endpoint_id": endpoint_id, "secret": secret}})

        return Step(commit)

    return await world.answers.once(call_of(request, world), prepare)


@router.get("/event-types")
async def list_event_types() -> dict[str, Any]:
    """All of them, in one page."""
    types = [{"event_type": name, "description": line} for name, line in EVENT_TYPES.items()]
    return {"data": types, "has_more": False, "next_token": None}


@router.get("/events")
async def list_events(request: Request, world: WorldDep) -> dict[str, Any]:
    """What happened, newest first."""
    page = page_of(request, 10, 100)
    event_type = request.query_params.get("event_type") or None
    if event_type is not None and event_type not in EVENT_TYPES:
        raise invalid("event_type", "'event_type' must be one of HeyGen's event types.")
    world.tell()
    entity_id = request.query_params.get("entity_id") or None
    return listing(world.events.page(event_type, entity_id, page.after, page.limit), page, _event)


def _endpoint(row: sqlite3.Row) -> dict[str, Any]:
    return {
        "endpoint_id": row["id"],
        "url": row["url"],
        "events": None if row["events"] is None else json.loads(row["events"]),
        "status": "enabled",
        "created_at": _iso(row["created_at"]),
        "secret": None,
    }


def _event(row: sqlite3.Row) -> dict[str, Any]:
    return {
        "event_id": row["id"],
        "event_type": row["event_type"],
        "event_data": json.loads(row["body"])["event_data"],
        "created_at": _iso(row["created_at"]),
    }


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
