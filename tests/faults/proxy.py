"""A bad network: a TCP proxy for HTTP that does to each request what its dice say."""

import asyncio
import re
import socket
import struct
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from random import Random
from urllib.parse import urlsplit, urlunsplit

FAULTS = (
    "latency",  # the answer comes late
    "down",  # for a moment nobody listens
    "reset_unread",  # cut before the request was read
    "reset_read",  # cut after it was read; it never arrives
    "lost",  # it arrives, its answer does not
    "half_head",  # the answer ends within its head
    "half_body",  # the answer ends within its body
    "twice",  # the answer comes twice
    "drip",  # the answer comes byte by byte
    "black_hole",  # it is read, and nothing comes back
    "black_hole_delivered",  # it arrives, and nothing comes back
    "repeated",  # it arrives twice
)
SPEECH = b"POST /v3/voices/speech "
LATE = 0.4  # seconds
DOWN = 0.3
DRIP = 0.002
HOLE = 4.0  # longer than we wait for HeyGen
LONGEST = 60.0
RESET = struct.pack("ii", 1, 0)  # SO_LINGER: close with a reset


@dataclass
class Proxy:
    """One address that stands before another; each connection is of one request."""

    target: tuple[str, int]
    random: Random
    share: float = 0.3  # of requests that something happens to
    faults: tuple[str, ...] = FAULTS
    struck: Counter[str] = field(default_factory=Counter)
    port: int = 0
    _server: asyncio.Server | None = None
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def open(self) -> None:
        """Listen; always at the same port."""
        self._server = await asyncio.start_server(self._begin, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Let go of everything."""
        if self._server is not None:
            self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _begin(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            with suppress(OSError, asyncio.IncompleteReadError, TimeoutError, asyncio.LimitOverrunError):
                async with asyncio.timeout(LONGEST):
                    await self._serve(reader, writer)
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        fault = self.random.choice(self.faults) if self.random.random() < self.share else ""
        self.struck[fault or "none"] += 1
        if fault == "reset_unread":
            return cut(writer)
        request = await read_request(reader)
        match fault:
            case "down":
                return await self._go_down(writer)
            case "reset_read":
                return cut(writer)
            case "black_hole":
                return await _nothing(reader, writer)
            # HeyGen honours no key for speech: who repeats that by himself pays twice, whoever asked for it.
            case "repeated" if SPEECH not in request:
                await self._ask(request)
        answer = await self._ask(request)
        return await give(fault, answer, reader, writer)

    async def _go_down(self, writer: asyncio.StreamWriter) -> None:
        cut(writer)
        server, self._server = self._server, None
        if server is None:
            return  # it is down already
        server.close()
        await asyncio.sleep(DOWN)
        await self.open()

    async def _ask(self, request: bytes) -> bytes:
        reader, writer = await asyncio.open_connection(*self.target)
        try:
            writer.write(request)
            await writer.drain()
            return await reader.read()
        finally:
            writer.close()


async def give(fault: str, answer: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Hand an answer on, in the way that a fault has it."""
    head = answer.find(b"\r\n\r\n") + 4
    match fault:
        case "lost":
            return cut(writer)
        case "black_hole_delivered":
            return await _nothing(reader, writer)
        case "half_head":
            answer = answer[: head // 2]
        case "half_body":
            answer = answer[: head + (len(answer) - head) // 2]
        case "twice":
            answer *= 2
        case "latency":
            await asyncio.sleep(LATE)
        case "drip":
            for start in range(min(len(answer), 300)):
                writer.write(answer[start : start + 1])
                await asyncio.sleep(DRIP)
            answer = answer[300:]
    writer.write(answer)
    await writer.drain()
    return None


async def _nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Say nothing until the client gives up, or four seconds are over."""
    with suppress(TimeoutError):
        await asyncio.wait_for(reader.read(), HOLE)
    cut(writer)


async def read_request(reader: asyncio.StreamReader) -> bytes:
    """One whole request, which asks that the connection be closed after its answer."""
    head = await reader.readuntil(b"\r\n\r\n")
    body = b""
    if length := re.search(rb"\r\ncontent-length: *(\d+)", head, re.IGNORECASE):
        body = await reader.readexactly(int(length[1]))
    elif re.search(rb"\r\ntransfer-encoding: *chunked", head, re.IGNORECASE):
        while not body.endswith(b"0\r\n\r\n"):
            body += await reader.readuntil(b"\r\n")
    head = re.sub(rb"\r\nconnection:[^\r]*", b"", head, flags=re.IGNORECASE)
    return head[:-2] + b"Connection: close\r\n\r\n" + body


def cut(writer: asyncio.StreamWriter) -> None:
    """End a connection with a reset."""
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    writer.transport.abort()


@asynccontextmanager
async def standing_before(proxy: Proxy, url: str) -> AsyncIterator[str]:
    """The address to use instead of that one."""
    parts = urlsplit(url)
    proxy.target = (parts.hostname or "", parts.port or 80)
    await proxy.open()
    try:
        yield urlunsplit(parts._replace(netloc=f"127.0.0.1:{proxy.port}"))
    finally:
        await proxy.close()
