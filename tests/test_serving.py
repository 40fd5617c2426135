"""A process that stops: who connects at the last moment does not keep it."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from starlette.responses import PlainTextResponse

from app.api.wire import Wire
from app.serving import ObedientServer, listen

ENOUGH = 3  # answers, to see that they would go on


class Surprised(ObedientServer):
    """Stops at once, in the instant between a connection's acceptance and its making."""

    def __init__(self, address: tuple[str, int]) -> None:
        config = uvicorn.Config(PlainTextResponse("Hello."), http=Wire, lifespan="off", log_config=None)
        super().__init__(config, asyncio.Event())
        self._address = address
        self.client: asyncio.Future[socket.socket] = asyncio.get_running_loop().create_future()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def main_loop(self) -> None:
        client = socket.create_connection(self._address)
        await asyncio.sleep(0)  # it is seen,
        await asyncio.sleep(0)  # accepted,
        await asyncio.sleep(0)  # and about to be made
        client.setblocking(False)
        self.client.set_result(client)


async def test_who_connects_as_the_process_stops_does_not_keep_it_from_its_end() -> None:
    with listen() as listener:
        server = Surprised(listener.getsockname())
        async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:
            tasks.create_task(server.serve(sockets=[listener]))
            reader, writer = await asyncio.open_connection(sock=await server.client)
            assert await _answers(reader, writer) <= 1
            writer.close()


async def _answers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> int:
    """How many requests are answered, one after the other, before the connection ends."""
    for answered in range(ENOUGH):
        try:
            writer.write(b"GET / HTTP/1.1\r\nHost: greenroom.test\r\n\r\n")
            await reader.readuntil(b"Hello.")
        except (asyncio.IncompleteReadError, ConnectionError):
            return answered
    return ENOUGH
