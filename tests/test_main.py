"""How the service listens."""

import asyncio
import socket

from app.main import listen


async def test_an_answer_leaves_at_once() -> None:
    delayed = asyncio.Future[int]()

    async def answer(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection: socket.socket = writer.get_extra_info("socket")
        delayed.set_result(connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        writer.close()

    with listen() as listener:
        async with await asyncio.start_server(answer, sock=listener):
            _, writer = await asyncio.open_connection(*listener.getsockname())
            assert await delayed != 0, "Nagle's delay is on"
            writer.close()
