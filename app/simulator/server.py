"""Serves a simulator over real HTTP."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from app.simulator.app import Simulator
from app.simulator.gate import TRANSPORT


class CuttableProtocol(H11Protocol):
    """Lets a request reach its own connection, to end it without an answer."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.app_state = {**self.app_state, TRANSPORT: transport}


class QuietServer(uvicorn.Server):
    """Leaves signals to the process it runs in."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def running(simulator: Simulator, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[str]:
    """Serve in this event loop; yields the base URL. Port 0: any that is free."""
    with _listen(host, port) as listener:
        server = QuietServer(_config(simulator))
        task = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            shown = f"[{host}]" if ":" in host else host
            yield f"http://{shown}:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            simulator.release()
            await task


def serve(simulator: Simulator, host: str, port: int) -> None:
    """Serve until a signal comes."""
    config = _config(simulator)
    config.host, config.port = host, port
    uvicorn.Server(config).run()


def _listen(host: str, port: int) -> socket.socket:
    # Named as TCP: asyncio switches Nagle's delay off only for sockets that say so, and it costs 40 ms an answer.
    listener = socket.socket(
        socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP
    )
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
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
