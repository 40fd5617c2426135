"""The API as one ASGI application."""

from __future__ import annotations

from collections import Counter
from functools import cache
from urllib.parse import parse_qsl

from fastapi import APIRouter, FastAPI
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Lifespan, Receive, Scope, Send

from app.api import (
    asset_lists,
    assets,
    avatars,
    batches,
    callbacks,
    content,
    direct_uploads,
    health,
    upload_link,
    upload_reads,
    users,
    videos,
    voice_making,
    voices,
    webhook_endpoints,
    webhook_events,
)
from app.api.answers import SEVERAL, answer_error
from app.api.dependencies import AnswerHeaders
from app.api.middleware import install_middleware
from app.api.openapi import ERRORS, install_openapi
from app.context import Context
from app.errors import ApiError, InvalidParameter, NotFound, shown


def create_api(context: Context | None = None, lifespan: Lifespan[FastAPI] | None = None) -> FastAPI:
    """The application; `context` may be set later, as `app.state.context`, before the first request."""
    # The pages that FastAPI makes of the schema load scripts from other hosts: only the schema itself is served.
    app = FastAPI(
        title="Greenroom",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
        routes=_routes(),
    )
    if context is not None:
        app.state.context = context
    app.add_middleware(AnswerHeaders)
    app.add_middleware(PlainAddress)
    install_middleware(app)
    install_openapi(app)
    return app


@cache
def _routes() -> list[BaseRoute]:
    """Those of every application in this process: FastAPI works them out at the first request, which takes a while."""
    together = APIRouter(responses=ERRORS)
    # Literal paths before those with an id in the same place.
    for module in (upload_reads, direct_uploads, upload_link, asset_lists, voice_making, batches):
        together.include_router(module.router)
    for module in (assets, avatars, voices, videos, content, users, webhook_endpoints, webhook_events):
        together.include_router(module.router)
    for module in (callbacks, health):
        together.include_router(module.router)
    return together.routes


class PlainAddress:
    """ASGI middleware: refuses what can be read in two ways, and U+0000, for which PostgreSQL would not even look."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and (error := _fault(scope)) is not None:
            await answer_error(error, scope, receive, send)
        else:
            await self.app(scope, receive, send)


def _fault(scope: Scope) -> ApiError | None:
    if "\x00" in scope["path"]:
        return NotFound("There is nothing at this path.")
    query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
    for name, value in query:
        if "\x00" in name:
            return InvalidParameter("The query must not contain the character U+0000.")
        if "\x00" in value:
            named = shown(name)
            return InvalidParameter(f"{named!r} must not contain the character U+0000.", param=named)
    if scope["path"].startswith("/v3/"):
        for name, count in Counter(name for name, _ in query).items():
            if count > 1 and name not in SEVERAL:
                return InvalidParameter(f"{name!r} must be given once.", param=name)
    return None
