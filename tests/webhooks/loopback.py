"""A server on the loopback address that says exactly the bytes a test wants, and knows who came."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

Reply = Callable[[asyncio.StreamWriter], Awaitable[None]]


class Loopback:
    """Answers every request with `reply`; `accepted` counts connections, `requests` holds what was read."""

    def __init__(self, reply: Reply) -> None:
        self.accepted = 0
        self.requests: list[bytes] = []
        self.port = 0
        self.hung_up = asyncio.Event()
        """Set once a client has closed its connection while it was being answered."""
        self.connections: dict[asyncio.Future[None], asyncio.StreamWriter] = {}
        self._reply = reply

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        self.connections[asyncio.ensure_future(self._converse(reader, writer))] = writer

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            while not writer.is_closing():
                head = await reader.readuntil(b"\r\n\r\n")
                _, _, length = head.lower().partition(b"content-length:")
                body = await reader.readexactly(int(length.split(b"\r\n")[0] or 0))
                self.requests.append(head + body)
                await self._reply(writer)
                await writer.drain()
        self.hung_up.set()
        writer.close()

    async def hang_up(self) -> None:
        """End every conversation at once."""
        for conversation, writer in self.connections.items():
            writer.transport.abort()
            conversation.cancel()
        await asyncio.gather(*self.connections, return_exceptions=True)


def say(answer: bytes, *, close: bool = False) -> Reply:
    """The same bytes for everyone."""

    async def reply(writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        if close:
            await writer.drain()
            writer.close()

    return reply


def ok(body: bytes = b"", headers: bytes = b"", status: bytes = b"200 OK") -> Reply:
    """A well-formed answer."""
    return say(b"HTTP/1.1 %s\r\n%sContent-Length: %d\r\n\r\n%s" % (status, headers, len(body), body))


def endlessly(head: bytes, piece: bytes, pause: float = 0) -> Reply:
    """A beginning, and then the same piece again and again for as long as the client listens."""

    async def reply(writer: asyncio.StreamWriter) -> None:
        writer.write(head)
        never = asyncio.Event()
        while True:
            writer.write(piece)
            await writer.drain()  # raises once the client has hung up
            with suppress(TimeoutError):
                await asyncio.wait_for(never.wait(), pause)

    return reply


@asynccontextmanager
async def loopback(reply: Reply, tls: ssl.SSLContext | None = None) -> AsyncIterator[Loopback]:
    """A listening server, gone afterwards."""
    server = Loopback(reply)
    listener = await asyncio.start_server(server.serve, "127.0.0.1", 0, ssl=tls)
    server.port = listener.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listener.close()
        await server.hang_up()
