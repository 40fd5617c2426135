"""`/v3/webhooks/endpoints`: where a tenant wants its events told, each address with secrets of its own."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from fastapi import APIRouter, Request
from sqlalchemy import ColumnElement, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col
from starlette.responses import JSONResponse, Response
from uuid_utils.compat import uuid7

from app import tenancy
from app.api import answer_schemas
from app.api.answers import Limit100, data, data_bytes, page, read_cursor, read_limit, sign_cursor
from app.api.dependencies import CallerDep, ContextDep
from app.api.idempotency import OnceDep, create, hash_of
from app.api.json_body import read_json
from app.api.openapi import ONCE, creates, takes
from app.api.webhook_requests import EndpointCreate, EndpointUpdate, parse_create, parse_update
from app.context import Context
from app.errors import InvalidParameter, NotFound
from app.models import Delivery, DeliveryStatus, Endpoint, EndpointStatus, undelivered
from app.tenancy import Caller
from app.webhooks.event_types import DESCRIPTIONS

MOST_ENDPOINTS = 50
"""Of one tenant: every event is compared with each of them."""
DELETED_AGAIN = timedelta(hours=24)
"""How long a repeated delete is answered as the first was: a client that lost the answer asks again."""
AT_ONCE = 1_000  # deliveries changed in one transaction
FRESH = {"populate_existing": True}

router = APIRouter(prefix="/v3/webhooks/endpoints")

One = answer_schemas.One[answer_schemas.Endpoint]


@router.post("", response_model=One, openapi_extra=creates(EndpointCreate))
async def create_endpoint(request: Request, ctx: ContextDep, caller: CallerDep, once: OnceDep) -> Response:
    """Register an endpoint; its secret is shown here and never again."""
    body = await read_json(request)
    wanted = parse_create(body, allow_private=ctx.terms.allow_private_destinations)

    async def store(session: AsyncSession) -> tuple[str, bytes]:
        count = select(func.count()).select_from(Endpoint).where(*_living(caller))
        if (await session.scalar(count) or 0) >= MOST_ENDPOINTS:
            message = f"A tenant may have {MOST_ENDPOINTS} webhook endpoints: delete one first."
            raise InvalidParameter(message, code="resource_limit_reached")
        endpoint = Endpoint(
            id=uuid7().hex,
            tenant_id=caller.tenant_id,
            url=wanted.url,
            event_types=_distinct(wanted.events),
            entity_id=wanted.entity_id,
            status=EndpointStatus.ENABLED,
            created_at=ctx.clock.now(),
        )
        session.add(endpoint)
        await session.flush()
        now, tenant_id = endpoint.created_at, caller.tenant_id
        secret = await tenancy.create_secret(session, ctx.secrets, now, tenant_id, endpoint.id)
        return endpoint.id, data_bytes(_view(endpoint) | {"secret": secret})

    return await create(ctx, caller, once, hash_of(body), store)


@router.get("", response_model=answer_schemas.Page[answer_schemas.Endpoint])
async def list_endpoints(
    ctx: ContextDep, caller: CallerDep, limit: Limit100 = None, token: str | None = None
) -> Response:
    """A page of endpoints, newest first."""
    count, keys = read_limit(limit, default=10, most=100), ctx.secrets.signing_keys("cursors")
    scope = f"{caller.tenant_id} webhook endpoints"
    rows = select(Endpoint).where(*_living(caller)).order_by(col(Endpoint.id).desc()).limit(count + 1)
    if token:
        rows = rows.where(col(Endpoint.id) < read_cursor(keys, token, scope=scope).last_id)
    async with ctx.database.begin() as session:
        found = (await session.scalars(rows)).all()
    shown = found[:count]
    more = len(found) > count
    next_token = sign_cursor(keys, "ours", shown[-1].id, scope=scope) if more else None
    return page([_view(endpoint) for endpoint in shown], next_token)


@router.get("/{endpoint_id}", response_model=One)
async def get_endpoint(endpoint_id: str, ctx: ContextDep, caller: CallerDep) -> Response:
    """One endpoint, and how it fares."""
    async with ctx.database.begin() as session:
        return data(_view(await _own(session, caller, endpoint_id)))


@router.patch("/{endpoint_id}", response_model=One, openapi_extra=takes(EndpointUpdate))
async def update_endpoint(endpoint_id: str, request: Request, ctx: ContextDep, caller: CallerDep) -> Response:
    """Change an endpoint. Enabling sends what was held for it or given up, as far as it is kept."""
    body = await read_json(request)
    wanted = parse_update(body, allow_private=ctx.terms.allow_private_destinations)
    async with ctx.database.begin() as session:
        await _own(session, caller, endpoint_id)
        changed = update(Endpoint).where(col(Endpoint.id) == endpoint_id).values(_changes(wanted))
        endpoint = (await session.scalars(changed.returning(Endpoint), execution_options=FRESH)).one()
    if wanted.status == "enabled":
        await _send_again(ctx, endpoint)
    return data(_view(endpoint))


@router.delete("/{endpoint_id}", response_model=answer_schemas.Nothing)
async def delete_endpoint(endpoint_id: str, ctx: ContextDep, caller: CallerDep) -> Response:
    """Forget an endpoint, and what it is still owed."""
    now = ctx.clock.now()
    own = (col(Endpoint.id) == endpoint_id, col(Endpoint.tenant_id) == caller.tenant_id)
    async with ctx.database.begin() as session:
        living = update(Endpoint).where(*own, col(Endpoint.deleted_at).is_(None))
        await session.execute(living.values(deleted_at=now))
        deleted_at = await session.scalar(select(col(Endpoint.deleted_at)).where(*own))
    if deleted_at is None or now - deleted_at > DELETED_AGAIN:
        raise NotFound.webhook(endpoint_id)
    owed = col(Delivery.status) == DeliveryStatus.OWED
    await _change_all(
        ctx, caller.tenant_id, endpoint_id, owed, DeliveryStatus.DEAD, due_at=None, finished_at=now
    )
    return JSONResponse({"error": None, "data": {}})


@router.post(
    "/{endpoint_id}/rotate-secret",
    response_model=answer_schemas.One[answer_schemas.EndpointSecret],
    openapi_extra=ONCE,
)
async def rotate_secret(endpoint_id: str, ctx: ContextDep, caller: CallerDep, once: OnceDep) -> Response:
    """A new secret; those before it go on to sign for 24 hours."""
    now = ctx.clock.now()

    async def store(session: AsyncSession) -> tuple[str, bytes]:
        await _own(session, caller, endpoint_id)
        secret = await tenancy.rotate_secret(session, ctx.secrets, now, caller.tenant_id, endpoint_id)
        return endpoint_id, data_bytes({"endpoint_id": endpoint_id, "secret": secret})

    return await create(ctx, caller, once, hash_of({}), store)


def _living(caller: Caller) -> tuple[ColumnElement[bool], ...]:
    return col(Endpoint.tenant_id) == caller.tenant_id, col(Endpoint.deleted_at).is_(None)


async def _own(session: AsyncSession, caller: Caller, endpoint_id: str) -> Endpoint:
    """The caller's endpoint, its row locked; raises NotFound."""
    rows = select(Endpoint).where(*_living(caller), col(Endpoint.id) == endpoint_id)
    endpoint = await session.scalar(rows.with_for_update(key_share=True))
    if endpoint is None:
        raise NotFound.webhook(endpoint_id)
    return endpoint


def _changes(wanted: EndpointUpdate) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    if wanted.url is not None:
        changes |= {
            "url": wanted.url,
            "failing_since": None,
        }  # how the old address fared says nothing of this one
    if wanted.events is not None:
        changes["event_types"] = _distinct(wanted.events)
    if wanted.status is not None:
        on = wanted.status == "enabled"
        changes |= {
            "status": wanted.status,
            "disabled_reason": None if on else "caller",
            "failing_since": None,
        }
    return changes


async def _send_again(ctx: Context, endpoint: Endpoint) -> None:
    """Owe afresh what the endpoint was not told, be it held or given up; what is due some time stays as it is."""
    dead = col(Delivery.status) == DeliveryStatus.DEAD
    afresh = {"due_at": ctx.clock.now(), "finished_at": None, "attempts_before": col(Delivery.attempts)}
    await _change_all(
        ctx,
        endpoint.tenant_id,
        endpoint.id,
        dead | col(Delivery.due_at).is_(None),
        DeliveryStatus.OWED,
        **afresh,
    )
    ctx.wake.hint("deliver")


async def _change_all(
    ctx: Context,
    tenant_id: str,
    endpoint_id: str,
    which: ColumnElement[bool],
    to: DeliveryStatus,
    **values: Any,
) -> None:
    """Change all deliveries to an endpoint that did not arrive, and are such; some at a time, for there may be many."""
    its = (col(Delivery.tenant_id) == tenant_id, undelivered(), col(Delivery.target) == endpoint_id, which)
    some = select(col(Delivery.id)).where(*its).limit(AT_ONCE)
    changed = AT_ONCE
    while changed == AT_ONCE:
        async with ctx.database.begin() as session:
            done = await session.execute(
                update(Delivery)
                .where(col(Delivery.id).in_(some))
                .values(status=to, **values)
                .execution_options(synchronize_session=False)
            )
            changed = int(getattr(done, "rowcount", 0))


def _distinct(events: list[Any] | None) -> list[Any] | None:
    return None if events is None else list(dict.fromkeys(events))


def _view(endpoint: Endpoint) -> dict[str, Any]:
    """An endpoint as HeyGen shows it; all events are listed by name, for its command line shows no null."""
    return {
        "endpoint_id": endpoint.id,
        "url": endpoint.url,
        "events": list(DESCRIPTIONS) if endpoint.event_types is None else endpoint.event_types,
        "status": endpoint.status,
        "created_at": iso(endpoint.created_at),
        "secret": None,
        "greenroom": {
            "entity_id": endpoint.entity_id,
            "disabled_reason": endpoint.disabled_reason,
            "failing_since": iso(endpoint.failing_since) if endpoint.failing_since is not None else None,
        },
    }


def iso(instant: datetime) -> str:
    """An instant as HeyGen writes it about webhooks: ISO 8601 in UTC."""
    return instant.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"
