"""A small application behind the real middleware, and a real server for it."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import httpx
import structlog
import uvicorn
from fastapi import APIRouter, FastAPI, Query, Request
from starlette.exceptions import HTTPException
from starlette.responses import StreamingResponse

from app.api.json_body import read_json
from app.api.middleware import install_middleware
from app.api.wire import Wire
from app.errors import NotFound, RateLimited
from app.simulator.server import QuietServer


def build_app() -> FastAPI:
    """A small application with one route for each thing that can happen."""
    app = FastAPI(openapi_url=None)
    install_middleware(app)
    videos = APIRouter(prefix="/videos")

    @videos.get("")
    async def listed(limit: Annotated[int, Query(ge=1, le=100)] = 10) -> dict[str, int]:
        return {"limit": limit}

    @videos.post("")
    @app.post("/v3/avatars")
    @app.post("/v3/assets")
    @app.post("/callbacks/heygen/{token}")
    async def created(request: Request) -> dict[str, int]:
        return {"bytes": len(await request.body())}

    @videos.post("/batches")
    async def batched(request: Request) -> dict[str, Any]:
        return await read_json(request)

    @videos.get("/{video_id}")
    async def one(video_id: str, request: Request) -> dict[str, str]:
        structlog.get_logger().info("inside")
        return {"id": video_id, "request_id": request.state.request_id}

    @videos.post("/{video_id}/cancel")
    async def canceled(video_id: str) -> dict[str, str]:
        return {"canceled": video_id}

    app.include_router(videos, prefix="/v3")
    add_failures(app)
    return app


def add_failures(app: FastAPI) -> None:
    @app.get("/fail/missing")
    async def missing() -> None:
        raise NotFound.video("v1")

    @app.get("/fail/busy")
    async def busy() -> None:
        raise RateLimited("Slow down.", retry_after=3)

    @app.get("/fail/crash")
    async def crash() -> None:
        words = ["hidden", "value"]  # joined only at run time: the stack shows lines of code
        try:
            dict[str, int]()[" ".join(words)]
        except KeyError as cause:
            raise ValueError(" ".join(words)) from cause

    @app.get("/fail/halfway")
    async def halfway() -> StreamingResponse:
        async def parts() -> AsyncIterator[bytes]:
            yield b"first"
            raise ValueError

        return StreamingResponse(parts())

    @app.get("/fail/framework/{status}")
    async def framework(status: int) -> None:
        raise HTTPException(status, "Told by the framework.", headers={"X-Hint": "h"})

    @app.post("/fail/swallow")
    async def swallow(request: Request) -> dict[str, str]:
        try:
            await request.body()
        except Exception:  # noqa: BLE001 - as a framework's form parser might
            return {"read": "nothing"}
        return {"read": "all"}


@asynccontextmanager
async def served(app: Any, wire: type[Wire] = Wire) -> AsyncIterator[int]:
    """`app` behind a real server; gives its port."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = QuietServer(uvicorn.Config(app, http=wire, log_config=None, lifespan="off", access_log=False))
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield listener.getsockname()[1]
    finally:
        server.leave()
        await asyncio.wait_for(task, 10)


def error_of(answer: httpx.Response) -> dict[str, Any]:
    error: dict[str, Any] = answer.json()["error"]
    assert error["request_id"] == answer.headers["x-request-id"]
    assert isinstance(error["code"], str)
    assert isinstance(error["message"], str)
    return error


def scope_of(method: str, path: str, *headers: tuple[bytes, bytes]) -> dict[str, Any]:
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": list(headers),
    }
