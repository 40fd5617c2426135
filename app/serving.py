"""How a process listens, answers, and stops when it is told to."""

import asyncio
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import structlog
import uvicorn
from fastapi import FastAPI

from app.api.app import create_api
from app.api.wire import Wire
from app.context import Context

log = structlog.get_logger(__name__)

LATECOMERS_EVERY = 0.1  # seconds


@contextmanager
def stopped_by(stop: Callable[[], object]) -> Iterator[None]:
    """Call it as soon as the process is told to stop, by Ctrl-C or by SIGTERM; who tells a second time does not wait."""
    events = asyncio.get_running_loop()

    def deaf() -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            events.remove_signal_handler(number)

    def hear() -> None:
        deaf()
        stop()
        log.info("stopping", meaning="What is under way ends; a second signal does not wait for it.")

    for number in (signal.SIGINT, signal.SIGTERM):
        events.add_signal_handler(number, hear)
    try:
        yield
    finally:
        deaf()


async def answer(context: Context, listener: socket.socket, stopping: asyncio.Event) -> None:
    """Answer requests until the process is told to stop; then set the event, and let those under way end."""
    await answer_with(create_api(context), listener, stopping)


async def answer_with(app: FastAPI, listener: socket.socket, stopping: asyncio.Event) -> None:
    """Answer with an application whose context is set."""
    config = uvicorn.Config(
        app,
        http=Wire,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=120,
    )
    await ObedientServer(config, stopping).serve(sockets=[listener])


def listen(host: str = "127.0.0.1", port: int = 0) -> socket.socket:
    """A socket that waits for connections; port 0 takes a free one. Raises OSError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((host, port), family=family, backlog=2048)
    # Inherited by every connection. Nagle's delay costs 40 ms an answer, and asyncio switches it off only for sockets
    # that name TCP as their protocol, which those of `create_server` do not.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


class ObedientServer(uvicorn.Server):
    """Stops when it is told to, and well: uvicorn would raise the signal again, as if the process had died of it.

    The event is set at once: no request that takes long keeps the worker claiming.
    """

    def __init__(self, config: uvicorn.Config, stopping: asyncio.Event) -> None:
        super().__init__(config)
        self._stopping = stopping

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take Ctrl-C and SIGTERM for as long as requests are answered."""
        with stopped_by(self._stop):
            yield

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take no more connections, and end those that there are once they are answered."""
        telling = asyncio.create_task(self._tell_latecomers(set(self.server_state.connections)))
        try:
            await super().shutdown(sockets)
        finally:
            telling.cancel()

    async def _tell_latecomers(self, told: set[Any]) -> None:
        # uvicorn tells the connections that there are when it begins. One that was accepted just then is made a moment
        # later, and would be answered for as long as its client goes on to ask.
        while True:
            for connection in set(self.server_state.connections) - told:
                connection.shutdown()
                told.add(connection)
            await asyncio.sleep(LATECOMERS_EVERY)

    def _stop(self) -> None:
        self.should_exit = True
        self._stopping.set()
