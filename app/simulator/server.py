"""Serves a simulator over real HTTP."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from itertools import count

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from app.simulator.app import Simulator
from app.simulator.gate import TRANSPORT


class CuttableProtocol(H11Protocol):
    """Lets a request reach its own connection, to end it without an answer."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # what TCP has
        super().connection_made(transport)
        self.app_state = {**self.app_state, TRANSPORT: transport}


class QuietServer(uvicorn.Server):
    """Leaves signals to the process it runs in, and leaves at once when nothing is under way."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._told = asyncio.Event()

    def leave(self) -> None:
        """Take nothing more, and end when what is under way has ended."""
        self.should_exit = True
        self._told.set()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def main_loop(self) -> None:
        # Each tenth tick is the one that sets the date of the answers; all that the others ask is told by `leave`.
        for tick in count(step=10):
            if await self.on_tick(tick):
                return
            with suppress(TimeoutError):
                await asyncio.wait_for(self._told.wait(), timeout=1)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        await asyncio.sleep(0)  # what is idle closes in the next turn of the loop
        if self.server_state.connections or self.server_state.tasks:
            await super().shutdown(sockets)
        else:
            await self.lifespan.shutdown()


@asynccontextmanager
async def running(simulator: Simulator, listener: socket.socket | None = None) -> AsyncIterator[str]:
    """Serve in this event loop, on a free port of this machine or on a socket that listens; yields the base URL."""
    with listener or _listen() as taken:
        server = QuietServer(_config(simulator))
        task = asyncio.create_task(server.serve(sockets=[taken]))
        try:
            host, port, *_ = taken.getsockname()
            yield f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        finally:
            server.leave()
            simulator.release()
            await task


def _listen() -> socket.socket:
    # Named as TCP: asyncio switches Nagle's delay off only for sockets that say so, and it costs 40 ms an answer.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.bind(("127.0.0.1", 0))
        listener.listen(1024)
    except OSError:
        listener.close()
        raise
    return listener


def _config(simulator: Simulator) -> uvicorn.Config:
    return uvicorn.Config(
        simulator.app,
        http=CuttableProtocol,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        loop="asyncio",
        timeout_graceful_shutdown=5,
    )
