"""`/v3/webhooks/event-types` and `/v3/webhooks/events`: what may be told, and what was."""

from __future__ import annotations

import json
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel
from sqlalchemy import ColumnElement, Select, exists, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased
from sqlmodel import col
from starlette.responses import Response

from app.api import answer_schemas
from app.api.answers import Limit100, page, read_cursor, read_limit, sign_cursor
from app.api.dependencies import CallerDep, ContextDep
from app.api.webhook_endpoints import iso
from app.models import Batch, Delivery, Endpoint, Event, undelivered
from app.tenancy import Caller
from app.webhooks.event_types import DESCRIPTIONS, EventType

router = APIRouter(prefix="/v3/webhooks")


class EventFilter(BaseModel):
    """Which events; HeyGen's names, and `undelivered` for those that somebody who asked was not told yet."""

    event_type: EventType | None = None
    entity_id: str | None = None
    undelivered: bool = False
    limit: Limit100 = None
    token: str | None = None


@router.get("/event-types", response_model=answer_schemas.Page[answer_schemas.EventTypeItem])
async def list_event_types(caller: CallerDep) -> Response:  # noqa: ARG001 (a key is needed all the same)
    """All event types, in one page."""
    types = [{"event_type": name, "description": words} for name, words in DESCRIPTIONS.items()]
    return page(types, None)


@router.get("/events", response_model=answer_schemas.Page[answer_schemas.WebhookEvent])
async def list_events(ctx: ContextDep, caller: CallerDep, which: Annotated[EventFilter, Query()]) -> Response:
    """A page of the tenant's events, newest first, whether or not anybody was told of them."""
    count, keys = read_limit(which.limit, default=10, most=100), ctx.secrets.signing_keys("cursors")
    scope = f"{caller.tenant_id} webhook events"
    before = read_cursor(keys, which.token, scope=scope).last_id if which.token else None
    async with ctx.database.begin() as session:
        about = await _about(session, which.entity_id)
        found = (await session.scalars(_rows(caller, which, about, before, count + 1))).all()
    shown = found[:count]
    more = len(found) > count
    next_token = sign_cursor(keys, "ours", shown[-1].id, scope=scope) if more else None
    return page([_view(event) for event in shown], next_token)


async def _about(session: AsyncSession, entity_id: str | None) -> list[ColumnElement[bool]]:
    """What makes an event one of that entity: of a batch, else of a video or a look."""
    if entity_id is None:
        return []
    its = aliased(Event)
    batch = await session.get(Batch, entity_id)
    subject = col(its.batch_id) if batch is not None else col(its.job_id)
    # Their ids first: for the order of the page, SQLite would rather go through all events of the tenant.
    return [col(Event.id).in_(select(col(its.id)).where(subject == entity_id))]


def _rows(
    caller: Caller, which: EventFilter, about: list[ColumnElement[bool]], before: str | None, limit: int
) -> Select[Event]:
    wanted = [col(Event.tenant_id) == caller.tenant_id, col(Event.type).isnot(None), *about]
    if which.event_type is not None:
        wanted.append(col(Event.type) == which.event_type)
    newest = select(Event).order_by(col(Event.id).desc())
    if not which.undelivered:
        if before is not None:
            wanted.append(col(Event.id) < before)
        return newest.where(*wanted).limit(limit)
    # Found by what is open, for that is little beside all that ever happened.
    forgotten = exists().where(col(Endpoint.id) == col(Delivery.target), col(Endpoint.deleted_at).isnot(None))
    owed = (
        select(col(Delivery.event_id))
        .join(Event, col(Event.id) == col(Delivery.event_id))
        .where(
            col(Delivery.tenant_id) == caller.tenant_id,
            undelivered(),
            ~forgotten,
            *wanted,
        )
        .distinct()
        .order_by(col(Delivery.event_id).desc())
        .limit(limit)
    )
    if before is not None:
        owed = owed.where(col(Delivery.event_id) < before)
    return newest.where(col(Event.id).in_(owed))


def _view(event: Event) -> dict[str, Any]:
    return {
        "event_id": event.id,  # as the headers of its deliveries name it
        "event_type": event.type,
        "event_data": json.loads(event.body or b"{}").get("event_data", {}),
        "created_at": iso(event.at),
    }
