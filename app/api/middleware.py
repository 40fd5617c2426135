"""What stands around every route: request ids, the access log, tidy paths, body limits, and every error's way out."""

from __future__ import annotations

import errno
import re
import time
import traceback

import structlog
import uuid_utils
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.routing import BaseRoute, Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.answers import answer_error, error_answer
from app.api.body_limits import BodyLimits
from app.api.requests import faults_in
from app.database import DatabaseAway
from app.errors import (
    ApiError,
    Conflict,
    Forbidden,
    InsufficientCredit,
    InternalError,
    InvalidParameter,
    MethodNotAllowed,
    NotFound,
    PayloadTooLarge,
    RateLimited,
    Unauthorized,
    Unavailable,
    shown,
)

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

REQUEST_ID = re.compile(r"[A-Za-z0-9_.:-]{1,128}")
RETRY_SECONDS = 5
NO_ROOM = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EMFILE, errno.ENFILE, errno.ESTALE}
)
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
HEYGENS_ALONE = re.compile(
    r"/+v3/(videos/[^/]+/scenes|folders|api_keys|video-agents|video-translations|lipsyncs|overdubs|ai-clipping"
    r"|background-removals|filler-word-removals|templates|brand-kits|brand-glossaries|audio)(/|$)"
)
"""Paths of HeyGen's that are not served: docs/HEYGEN_API.md lists them."""
CLIENT_CLOSED_REQUEST = 499  # in the log only: nobody is there to be told


def install_middleware(app: FastAPI) -> None:
    """Put everything of this file around `app`; the first request comes after the last call of this."""
    app.router.redirect_slashes = False  # HeyGen's clients must never be redirected
    app.add_middleware(BodyLimits)
    app.add_middleware(TidyPath)
    app.add_middleware(RequestContext)  # added last, hence outermost
    install_errors(app)


def install_errors(app: FastAPI) -> None:
    """Answer every error, the framework's own too, with the envelope of `app.errors`."""

    @app.exception_handler(ApiError)
    async def on_api_error(request: Request, error: ApiError) -> Response:
        return error_answer(error, request.scope)

    @app.exception_handler(HTTPException)
    async def on_http_exception(request: Request, error: HTTPException) -> Response:
        return error_answer(_from_framework(error, request), request.scope)

    @app.exception_handler(DatabaseAway)
    async def on_absent_database(request: Request, error: DatabaseAway) -> Response:
        log.warning("database_away", reason=str(error))
        return error_answer(_away("database"), request.scope)

    @app.exception_handler(OSError)
    async def on_absent_storage(request: Request, error: OSError) -> Response:
        if error.errno not in NO_ROOM:
            raise error  # a defect of ours
        log.warning("storage_away", reason=errno.errorcode[error.errno])
        return error_answer(_away("file storage"), request.scope)

    @app.exception_handler(RequestValidationError)
    async def on_invalid_request(request: Request, error: RequestValidationError) -> Response:
        return error_answer(InvalidParameter.of(faults_in(error)), request.scope)


class RequestContext:
    """ASGI middleware: names the request, logs it in one line, and is the last net under every exception.

    The line holds no query, no body and no path as sent (paths may carry a callback's token): only the route's
    template, or "unmatched".
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request_id = _request_id(scope)
        scope.setdefault("state", {})["request_id"] = request_id
        status: int | None = None
        started = time.perf_counter()

        async def send_named(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["X-Request-Id"] = request_id
            await send(message)

        with structlog.contextvars.bound_contextvars(request_id=request_id):
            try:
                await self.app(scope, receive, send_named)
            except ClientDisconnect:
                pass  # it hung up while we read: no error of ours, and nobody to answer
            except Exception as error:  # noqa: BLE001 - the last net; logged with its stack
                log.error("request_crashed", error=type(error).__qualname__, stack=stack_of(error))  # noqa: TRY400 -- no message
                if status is None:
                    await answer_error(InternalError(), scope, receive, send_named)
                # Else the answer stays unfinished, and the server closes the connection: the client notices.
            finally:
                log.info(
                    "request",
                    method=scope["method"],
                    path=template_of(scope),
                    status=status or CLIENT_CLOSED_REQUEST,
                    duration_ms=round((time.perf_counter() - started) * 1000, 1),
                )


class TidyPath:
    """ASGI middleware: several slashes count as one, and an encoded slash leads nowhere.

    A base URL that ends in a slash makes clients ask for `//v3/…`. They also encode the slashes of an id, which the
    server decodes again: `/v3/videos/a%2Fcancel` must not reach the route `/v3/videos/{id}/cancel`.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            raw: bytes = scope.get("raw_path") or b""
            if b"%2f" in raw.lower():
                await answer_error(_unknown_path(scope["path"]), scope, receive, send)
                return
            # In place, not in a copy: the log line reads what the router writes here.
            scope["path"] = re.sub(r"/{2,}", "/", scope["path"])
            scope["raw_path"] = re.sub(rb"/{2,}", b"/", raw)
        await self.app(scope, receive, send)


def template_of(scope: Scope) -> str:
    """The matched route's path with its placeholders, prefixes included; "unmatched" where there is none."""
    # FastAPI keeps a route as its own router declared it; the whole path stands in the context.
    route = scope.get("fastapi", {}).get("effective_route_context") or scope.get("route")
    return getattr(route, "path", None) or "unmatched"


def stack_of(error: BaseException) -> str:
    """Where it happened, cause after cause, without messages: pydantic's and SQLAlchemy's hold the values."""
    parts: list[str] = []
    link: BaseException | None = error
    while link is not None and len(parts) < 5:
        parts.append("".join(traceback.format_tb(link.__traceback__)) + type(link).__qualname__)
        link = link.__cause__ or link.__context__
    return "\nwhile handling\n".join(parts)


def _request_id(scope: Scope) -> str:
    given = Headers(scope=scope).get("x-request-id", "")
    return given if REQUEST_ID.fullmatch(given) else uuid_utils.uuid7().hex


_BY_STATUS: dict[int, type[ApiError]] = {
    kind.status: kind
    for kind in (
        Unauthorized,
        InsufficientCredit,
        Forbidden,
        NotFound,
        MethodNotAllowed,
        Conflict,
        PayloadTooLarge,
        RateLimited,
        Unavailable,
    )
}


def _away(what: str) -> Unavailable:
    return Unavailable(
        f"Greenroom's {what} does not answer now: repeat the request, with the Idempotency-Key if it had one.",
        retry_after=RETRY_SECONDS,
    )


def _from_framework(error: HTTPException, request: Request) -> ApiError:
    if error.status_code == NotFound.status:
        return _unknown_path(request.scope["path"])
    if error.status_code == MethodNotAllowed.status:
        message = f"{shown(request.method)} is not served on this path."
        return MethodNotAllowed(message, headers={"Allow": ", ".join(_served(request))})
    fallback = InternalError if error.status_code >= 500 else InvalidParameter
    ours = _BY_STATUS.get(error.status_code, fallback)(str(error.detail))
    ours.headers.update(error.headers or {})
    return ours


def _served(request: Request) -> list[str]:
    """Every method of the resource (RFC 9110 §15.5.6): the framework knows only those of one of its routes."""
    routes: list[BaseRoute] = request.app.routes
    return [
        method
        for method in METHODS
        if any(route.matches({**request.scope, "method": method})[0] == Match.FULL for route in routes)
    ]


def _unknown_path(path: str) -> NotFound:
    if HEYGENS_ALONE.match(path):
        return NotFound.path()
    ours = re.match(r"/+v3(/|$)", path)
    return NotFound.unknown_path() if ours else NotFound("There is nothing at this path.")
