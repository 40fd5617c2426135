"""The raw connection: what is no HTTP is told so in the envelope, and nobody holds a connection by sending slowly."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import httpx
import pytest
from starlette.types import Message, Receive

from app.api.body_limits import BodyLimits
from app.api.wire import Wire
from tests.api.edge import build_app, error_of, scope_of, served

POST = b"POST /v3/videos HTTP/1.1\r\nHost: x\r\n"
GET = b"GET /v3/videos/v1 HTTP/1.1\r\nHost: x\r\n"

UNREADABLE = {
    "noise": b"\x16\x03\x01\x02\x00\xff\r\n\r\n",
    "no version": b"GET /\r\n\r\n",
    "no host": b"GET / HTTP/1.1\r\n\r\n",
    "a negative length": POST + b"Content-Length: -1\r\n\r\n",
    "a length in words": POST + b"Content-Length: five\r\n\r\nhello",
    "two lengths": POST + b"Content-Length: 4\r\nContent-Length: 5\r\n\r\nhello",
    "two codings": POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n",
    "NUL in a header": GET + b"X-A: a\0b\r\n\r\n",
    "a blank in a name": GET + b"X A: b\r\n\r\n",
    "a folded line at the start": b"GET / HTTP/1.1\r\n folded: x\r\n\r\n",
    "a chunk of no size": POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
    "a length and a coding": POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
}

TOO_LARGE = {
    "a line without end": GET + b"X-A: " + b"a" * 70_000,
    "a block over 64 kB": GET + b"X-A: " + b"a" * 1_000_000 + b"\r\n\r\n",
    "a target without end": b"GET /" + b"a" * 200_000,
    "a block over 32 kB": GET + b"X-A: " + b"a" * 33_000 + b"\r\n\r\n",
    "101 headers": GET + b"".join(b"X-%d: a\r\n" % number for number in range(100)) + b"\r\n",
}


@pytest.fixture
async def port() -> AsyncIterator[int]:
    async with served(build_app()) as port:
        yield port


async def spoken(port: int, request: bytes) -> tuple[int, dict[str, str], dict[str, Any]]:
    """The status, the headers and the error of the only answer before the connection ends."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    answer = await asyncio.wait_for(reader.read(), 4)
    writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    assert int(headers["content-length"]) == len(body)
    error: dict[str, Any] = json.loads(body)["error"]
    assert error["request_id"] == headers["x-request-id"]
    assert headers["content-type"] == "application/json"
    return int(first.split()[1]), headers, error


@pytest.mark.parametrize("case", UNREADABLE)
async def test_what_is_no_http_is_told_so_in_the_envelope(port: int, case: str) -> None:
    status, headers, error = await spoken(port, UNREADABLE[case])
    assert (status, headers["connection"]) == (400, "close")
    assert (error["code"], error["retryable"]) == ("invalid_parameter", False)
    assert isinstance(error["message"], str)
    assert error["param"] == ("Content-Length" if case == "a length and a coding" else None)


@pytest.mark.parametrize("case", TOO_LARGE)
async def test_heads_have_a_size(port: int, case: str) -> None:
    status, headers, error = await spoken(port, TOO_LARGE[case])
    assert (status, headers["connection"], error["code"]) == (431, "close", "invalid_parameter")
    assert error["message"] == "A request may have at most 100 headers of 32 kB together."


async def test_a_head_of_a_hundred_headers_and_nearly_32_kb_is_taken(port: int) -> None:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
        usual = len(client.headers) + 1  # and Host
        many = {f"X-{number}": "a" * 300 for number in range(100 - usual)}
        assert (await client.get("/v3/videos/v1", headers=many)).status_code == 200
        refused = await client.get("/v3/videos/v1", headers=many | {"X-More": "a"})
        assert (refused.status_code, error_of(refused)["code"]) == (431, "invalid_parameter")


async def test_noise_after_an_answer_is_told_apart_from_it(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(GET + b"\r\nnoise\r\n\r\n")
    answers = await asyncio.wait_for(reader.read(), 30)
    writer.close()
    assert [answers.count(status) for status in (b"HTTP/1.1 200 ", b"HTTP/1.1 400 ")] == [1, 1]
    assert answers.index(b" 200 ") < answers.index(b" 400 ")


class Impatient(Wire):
    head_seconds = 0.3


class Patient(Wire):
    head_seconds = 1.0


@pytest.mark.parametrize(
    "begun",
    [b"", b"GET /v3/videos/v1 HT", GET + b"\r\n" + GET],
    ids=["nothing", "a first head", "another head"],
)
async def test_a_head_that_does_not_end_ends_the_connection(begun: bytes) -> None:
    async with served(build_app(), Impatient) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(begun)
        answers = b""
        try:
            async with asyncio.timeout(4):
                while not reader.at_eof():
                    with suppress(TimeoutError):
                        answers += await asyncio.wait_for(reader.read(1000), 0.05)
                        continue
                    writer.write(b"a")  # a byte now and then
        except ConnectionError:
            pass  # it ended while a byte was under way
        finally:
            writer.close()
        assert answers.count(b"HTTP/1.1 ") == begun.count(b"\r\n\r\n")


async def test_a_connection_that_asks_again_in_time_is_kept() -> None:
    async with (
        served(build_app(), Patient) as port,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client,
    ):
        loop = asyncio.get_running_loop()
        until = loop.time() + 1.2 * Patient.head_seconds
        peers = set()
        while loop.time() < until:
            async with client.stream("GET", "/v3/videos/v1") as answer:
                assert await answer.aread()
                peers.add(answer.extensions["network_stream"].get_extra_info("client_addr"))
        assert len(peers) == 1


async def wait_for_ever() -> Message:
    await asyncio.Event().wait()
    raise AssertionError


def dribbling(piece: bytes, pieces: int, *, pause: float = 0.01, ends: bool = False) -> Receive:
    """A client that sends so many pieces, a pause in seconds before each, and then either the end or nothing."""
    left = pieces

    async def receive() -> Message:
        nonlocal left
        if left == 0:
            return {"type": "http.request"} if ends else await wait_for_ever()
        left -= 1
        with suppress(TimeoutError):
            await asyncio.wait_for(wait_for_ever(), pause)
        return {"type": "http.request", "body": piece, "more_body": True}

    return receive


async def posted(receive: Receive, patience_seconds: float) -> list[Message]:
    """What is answered to a body that is received in this way."""
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    limits = BodyLimits(build_app(), patience_seconds=patience_seconds)
    await asyncio.wait_for(limits(scope_of("POST", "/v3/videos"), receive, send), 3)
    return sent


@pytest.mark.parametrize(("piece", "pieces"), [(b"", 0), (b"a", 10_000), (bytes(1024), 10)])
async def test_a_body_that_comes_too_slowly_is_waited_for_no_longer(piece: bytes, pieces: int) -> None:
    head, body = await posted(dribbling(piece, pieces), 0.2)
    assert head["status"] == 408
    assert (b"connection", b"close") in head["headers"]
    error = json.loads(body["body"])["error"]
    assert (error["code"], error["retryable"]) == ("request_timeout", True)


async def test_a_body_may_take_long_as_long_as_it_keeps_coming() -> None:
    head, body = await posted(dribbling(bytes(1024), 24, pause=0.05, ends=True), 1.0)
    assert head["status"] == 200
    assert json.loads(body["body"]) == {"bytes": 24 * 1024}
