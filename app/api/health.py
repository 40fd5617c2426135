"""Whether this process is alive, and whether it can do its work; both without a key."""

from __future__ import annotations

import structlog
from fastapi import APIRouter
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import col
from starlette.responses import JSONResponse, Response

from app.api import health_schemas
from app.api.dependencies import ContextDep
from app.api.openapi import NO_KEY
from app.database import DatabaseAway, SchemaBehind
from app.errors import Unavailable
from app.models import Account

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

router = APIRouter()


@router.get("/healthz", response_model=health_schemas.Alive, openapi_extra=NO_KEY)
async def alive() -> Response:
    """This process answers; a reason to restart it where it does not."""
    return JSONResponse({"status": "ok"})


@router.get("/readyz", response_model=health_schemas.Ready, openapi_extra=NO_KEY)
async def ready(ctx: ContextDep) -> Response:
    """The database answers and its tables are current; a paused account, a full queue or news of HeyGen's is no reason
    to stop callers.
    """
    try:
        await ctx.database.check_schema()
        async with ctx.database.begin() as session:
            paused = select(col(Account.name), col(Account.paused_reason)).where(
                col(Account.paused_at).isnot(None), col(Account.id).in_(ctx.connections)
            )
            accounts = [{"name": name, "reason": reason} for name, reason in await session.execute(paused)]
    except SchemaBehind as error:
        raise Unavailable(str(error)) from error
    except (DatabaseAway, SQLAlchemyError) as error:
        log.warning("database_unavailable", error=type(error).__name__)
        raise Unavailable("The database does not answer.", retry_after=5) from error
    return JSONResponse(
        {
            "status": "ready",
            "simulated": any(connection.simulated for connection in ctx.connections.values()),
            "completion": "polling" if ctx.callback_base is None else "callbacks",
            "paused_accounts": accounts,
            "contract": ctx.watchdog.report(),
        }
    )
