"""Pictures and other files that tests upload, and a server that offers them."""

import asyncio
import io
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import uvicorn
from PIL import Image
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from app.simulator.server import QuietServer

FOOTAGE = b"\x00\x00\x00\x18ftypmp42" + bytes(5_000)
"""An mp4 by its first bytes."""


def picture(width: int = 600, height: int = 800, color: str = "#336699", kind: str = "PNG") -> bytes:
    """A picture of one colour."""
    content = io.BytesIO()
    Image.new("RGB", (width, height), color).save(content, kind)
    return content.getvalue()


async def upload(
    api: httpx.AsyncClient, content: bytes, name: str = "portrait.png", **headers: str
) -> httpx.Response:
    """Upload as HeyGen's own client does: it declares no type."""
    file = (name, content, "application/octet-stream")
    return await api.post("/v3/assets", files={"file": file}, headers=headers)


async def uploaded(api: httpx.AsyncClient, content: bytes | None = None) -> str:
    """The id of an uploaded picture."""
    answer = await upload(api, content or picture())
    assert answer.status_code == 200, answer.text
    return str(answer.json()["data"]["asset_id"])


@dataclass
class PhotoServer:
    """Offers files by path; `/slow` answers once `release` is set, `/moved` redirects."""

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    release: asyncio.Event = field(default_factory=asyncio.Event)

    async def serve(self, request: Request) -> Response:
        """Answer one request."""
        path = request.url.path
        self.asked.append(path)
        if path == "/slow":
            await self.release.wait()
        if path == "/moved":
            return RedirectResponse("/photo.png")
        if path not in self.files:
            return Response("the secret page of an internal host", 404)
        return Response(self.files[path], media_type="text/html")


@asynccontextmanager
async def photo_server() -> AsyncIterator[PhotoServer]:
    """A photo server over real HTTP, with one good photo at `/photo.png`."""
    server = PhotoServer(files={"/photo.png": picture()})
    app: Any = Starlette(routes=[Route("/{path:path}", server.serve)])
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        running = QuietServer(uvicorn.Config(app, log_config=None, lifespan="off", ws="none"))
        task = asyncio.create_task(running.serve(sockets=[listener]))
        try:
            yield server
        finally:
            server.release.set()
            running.leave()
            await task
