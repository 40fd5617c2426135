"""The simulated HeyGen: an ASGI application and the handle tests hold it by."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import cache

from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute

from app.simulator.errors import Refused
from app.simulator.gate import Gate
from app.simulator.novelties import Novelties
from app.simulator.record import LedgerRow, RequestRow
from app.simulator.routes import (
    assets,
    avatars,
    batches,
    consents,
    control,
    files,
    uploads,
    users,
    videos,
    voices,
    webhooks,
)
from app.simulator.world import Options, World

__all__ = ["LedgerRow", "Options", "RequestRow", "Simulator"]

TICK_SECONDS = 0.1


@cache
def _routes() -> list[BaseRoute]:
    """Those of every simulator in this process: FastAPI works them out at the first request, which takes a while."""
    together = APIRouter()
    for part in (
        uploads,
        assets,
        consents,
        avatars,
        batches,
        control,
        files,
        users,
        videos,
        voices,
        webhooks,
    ):
        together.include_router(part.router)
    return together.routes


class Simulator:
    """One simulated HeyGen account. Build a new one on the same folder to see what survives a kill."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self._world = World(options)
        self.app = FastAPI(
            title="HeyGen simulator",
            openapi_url=None,
            docs_url=None,
            redoc_url=None,
            redirect_slashes=False,
            lifespan=self._lifespan,
            routes=_routes(),
        )
        self.app.state.world = self._world
        self.app.add_middleware(Novelties, world=self._world)
        self.app.add_middleware(Gate, world=self._world)
        self.app.add_exception_handler(Refused, _refused)
        self.app.add_exception_handler(RequestValidationError, _unreadable)
        self.app.add_exception_handler(HTTPException, _no_such_route)

    def ledger(self) -> list[LedgerRow]:
        """Every bill, oldest first: the truth about paid renders."""
        return self._world.record.ledger()

    def requests(
        self, method: str | None = None, path_prefix: str | None = None, *, files: bool = False
    ) -> list[RequestRow]:
        """Every API call, oldest first; `files`: every download instead."""
        return self._world.record.requests(method, path_prefix, files=files)

    def peak_in_flight(self) -> int:
        """The highest number of jobs ever in flight at once."""
        return self._world.record.peak_in_flight()

    def stats(self) -> dict[str, int]:
        """`videos`, `looks`, `renders` (billed), `in_flight`, `peak_in_flight`."""
        return self._world.stats()

    def set_scenario(
        self, name: str, times: int | None = None, match: str | None = None, **options: bool | float | str
    ) -> None:
        """Switch a scenario on. Raises Refused for a name, option or value that does not exist."""
        self._world.faults.set(name, times, match, options)

    def clear_scenarios(self) -> None:
        """Switch all scenarios off; slow creates go on at once."""
        self._world.faults.clear()

    def finish(self, video_id: str) -> None:
        """End a render, or the training of a look, now. Raises Refused (404)."""
        self._world.finish(video_id)

    def consent(self, group_id: str, *, approved: bool = True) -> None:
        """Decide as the person whom a digital twin shows. Raises Refused (404)."""
        self._world.decide(group_id, approved=approved)

    def set_timeline(self, render_seconds: float | None = None, look_seconds: float | None = None) -> None:
        """How long jobs take that are made from now on."""
        self._world.set_timeline(render_seconds, look_seconds)

    async def send_due_callbacks(self) -> int:
        """Try each callback that is due once; answers how many were tried."""
        return await self._world.call_back()

    def release(self) -> None:
        """Let slow creates go on."""
        self._world.faults.release()

    async def close(self) -> None:
        """Let go of everything; the files stay."""
        await self._world.close()
        self._world.store.close()

    @asynccontextmanager
    async def _lifespan(self, _: FastAPI) -> AsyncIterator[None]:
        await self._world.studio.resume()
        calling = asyncio.create_task(self._call_back()) if self.options.background else None
        try:
            yield
        finally:
            if calling is not None:
                calling.cancel()
                with suppress(asyncio.CancelledError):
                    await calling
            await self._world.close()

    async def _call_back(self) -> None:
        while True:
            await self._world.call_back()
            await asyncio.sleep(TICK_SECONDS)


async def _refused(_: Request, error: Exception) -> Response:
    if not isinstance(error, Refused):
        raise error
    return error.response()


async def _unreadable(_: Request, error: Exception) -> Response:
    return Refused(400, "invalid_parameter", str(error)).response()


async def _no_such_route(_: Request, error: Exception) -> Response:
    code = error.status_code if isinstance(error, HTTPException) else 404
    word = "method_not_allowed" if code == 405 else "not_found"
    return Refused(code, word, "The simulator does not serve this path and method.").response()
