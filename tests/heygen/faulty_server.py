"""A server on a raw socket that misbehaves as told, for tests of what each fault is taken for."""

import asyncio
import contextlib
import re
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

PATIENCE = 30  # seconds until a wait in a test is given up


@dataclass(frozen=True)
class Request:
    """One request as it arrived, to the byte."""

    head: bytes
    body: bytes

    @property
    def line(self) -> str:
        return self.head.split(b"\r\n", 1)[0].decode()

    @property
    def headers(self) -> dict[str, str]:
        lines = self.head.decode().split("\r\n")[1:-2]
        return {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}


class Connection:
    """One accepted connection, in the hands of a behaviour."""

    def __init__(
        self, server: "FaultyServer", reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._server = server
        self.reader = reader
        self._writer = writer

    async def request(self) -> Request:
        """Read one whole request and note it down."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
        request = Request(head, await self.reader.readexactly(int(length[1]) if length else 0))
        self._server.requests.append(request)
        return request

    async def send(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    def reset(self) -> None:
        """Close with RST instead of FIN."""
        sock: socket.socket = self._writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()

    def stop_reading(self) -> None:
        transport = self._writer.transport
        assert isinstance(transport, asyncio.ReadTransport)
        transport.pause_reading()

    async def hang(self) -> None:
        """Do nothing until the test is over."""
        await self._server.over.wait()

    async def drip(self, data: bytes) -> None:
        """Send `data` over and over, a byte at a time, until the test is over."""
        while not self._server.over.is_set():
            for index in range(len(data)):
                await self.send(data[index : index + 1])
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._server.over.wait(), 0.01)

    async def handshake(self, context: ssl.SSLContext) -> None:
        """Do the server's side of a TLS handshake; what is sent afterwards is not encrypted."""
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(incoming, outgoing, server_side=True)
        done = False
        while not done:
            try:
                tls.do_handshake()
                done = True
            except ssl.SSLWantReadError:
                pass
            await self.send(outgoing.read())
            if not done:
                incoming.write(await self.reader.read(65_536))


Behaviour = Callable[[Connection], Awaitable[None]]


class FaultyServer:
    """Serves every connection with one behaviour, on a free port of the loopback address."""

    def __init__(self, behave: Behaviour) -> None:
        self._behave = behave
        self._tasks: set[asyncio.Task[None]] = set()
        self.over = asyncio.Event()
        self.connections = 0
        self.requests: list[Request] = []
        self.url = ""

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.over.set()
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    @property
    def https_url(self) -> str:
        return self.url.replace("http://", "https://")

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        try:
            await self._behave(Connection(self, reader, writer))
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the client has gone, or the test is over
        finally:
            writer.close()
            with contextlib.suppress(OSError, asyncio.CancelledError):
                await writer.wait_closed()


def answer(status: str, body: bytes, headers: str = "Content-Type: application/json\r\n") -> bytes:
    """A well-formed answer: `status` is the code with its phrase."""
    return f"HTTP/1.1 {status}\r\n{headers}Content-Length: {len(body)}\r\n\r\n".encode() + body


def answers(*replies: bytes) -> Behaviour:
    """Give each request of a connection the next reply, the last one for all that follow."""

    async def behave(connection: Connection) -> None:
        left = list(replies)
        while True:
            await connection.request()
            await connection.send(left.pop(0) if len(left) > 1 else left[0])

    return behave


def closed_port() -> str:
    """An address nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"
