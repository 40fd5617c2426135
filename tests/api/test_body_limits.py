"""How much a request may bring, and how a client learns that it was too much."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest
from starlette.types import Message

from app.api.body_limits import DEFAULT_LIMIT, KB, MB, BodyLimits, limit_of
from tests.api.edge import build_app, error_of, scope_of, served


@pytest.fixture
async def api() -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(build_app())
    async with httpx.AsyncClient(transport=transport, base_url="http://greenroom") as client:
        yield client


@pytest.fixture
async def real() -> AsyncIterator[httpx.AsyncClient]:
    async with (
        served(build_app()) as port,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=30) as client,
    ):
        yield client


@pytest.mark.parametrize(
    ("path", "limit"),
    [
        ("/v3/videos", 135 * MB),
        ("/v3/videos/batches", 16 * MB),
        ("/v3/avatars", 135 * MB),
        ("/v3/avatars/g1/consent", 135 * MB),
        ("/v3/assets", 101 * MB),
        ("/v3/assets/a1/upload", 101 * MB),
        ("/v3/assets/a1/b2/upload", DEFAULT_LIMIT),
        ("/v3/assets/a1/complete", DEFAULT_LIMIT),
        ("/v3/assets/direct-uploads/batches", DEFAULT_LIMIT),
        ("/v3/voices/clone", 135 * MB),
        ("/callbacks/heygen", 64 * KB),
        ("/callbacks/heygen/t", 64 * KB),
        ("/v3/webhooks/endpoints", DEFAULT_LIMIT),
        ("/v3/videos/v1/cancel", DEFAULT_LIMIT),
        ("/callbacks", DEFAULT_LIMIT),
    ],
)
def test_each_path_has_its_limit(path: str, limit: int) -> None:
    assert limit_of(path) == limit


async def in_chunks(size: int, piece: int = MB) -> AsyncIterator[bytes]:
    for start in range(0, size, piece):
        yield bytes(min(piece, size - start))


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_body_of_the_limit_passes_and_one_byte_more_is_refused(
    real: httpx.AsyncClient, chunked: bool
) -> None:
    for size, status in ((64 * KB, 200), (64 * KB + 1, 413)):
        content = in_chunks(size, 16 * KB) if chunked else bytes(size)
        answer = await real.post("/callbacks/heygen/t", content=content)
        assert answer.status_code == status


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_refused_client_sees_why_every_time(real: httpx.AsyncClient, chunked: bool) -> None:
    callback, upload = ("/callbacks/heygen/t", 20 * MB, "64 kB"), ("/v3/assets", 128 * MB, "101 MB")
    for path, size, most in (callback, callback, callback, upload):
        answer = await real.post(path, content=in_chunks(size) if chunked else bytes(size))
        assert (answer.status_code, answer.headers["connection"]) == (413, "close")
        assert error_of(answer)["code"] == "payload_too_large"
        assert error_of(answer)["message"].startswith(
            f"The request body must be at most {most} on this path."
        )


async def test_a_limit_holds_whatever_the_route_makes_of_it(real: httpx.AsyncClient) -> None:
    answer = await real.post("/fail/swallow", content=in_chunks(MB))
    assert answer.status_code == 413


@pytest.mark.parametrize("encoding", ["gzip", "br", "deflate, gzip"])
async def test_an_encoded_body_is_refused(real: httpx.AsyncClient, encoding: str) -> None:
    answer = await real.post("/v3/videos", content=bytes(MB), headers={"Content-Encoding": encoding})
    assert answer.status_code == 400
    error = error_of(answer)
    assert (error["code"], error["param"]) == ("invalid_parameter", "Content-Encoding")


async def test_identity_is_no_encoding(api: httpx.AsyncClient) -> None:
    answer = await api.post("/v3/videos", content=b"abc", headers={"Content-Encoding": "identity"})
    assert answer.json() == {"bytes": 3}


async def test_a_body_is_read_as_json_or_refused(api: httpx.AsyncClient) -> None:
    assert (await api.post("/v3/videos/batches", json={"a": 1})).json() == {"a": 1}
    answer = await api.post("/v3/videos/batches", content=b'{"a": 1}')
    assert (answer.status_code, error_of(answer)["param"]) == (400, "Content-Type")


async def test_a_client_that_declares_much_and_sends_nothing_is_answered_all_the_same() -> None:
    app = BodyLimits(build_app(), drain_seconds=0.05)
    async with served(app) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"POST /v3/videos HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n{")
        answer = await asyncio.wait_for(reader.read(), 10)
        writer.close()
        await writer.wait_closed()
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"payload_too_large" in answer


async def test_a_client_that_waits_for_permission_is_answered_without_its_body() -> None:
    async with served(build_app()) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        head = b"POST /v3/videos HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 1000000000\r\n\r\n"
        writer.write(head)
        answer = await asyncio.wait_for(reader.read(), 5)  # sooner than a drain would give up
        writer.close()
        await writer.wait_closed()
    assert answer.startswith(b"HTTP/1.1 413 ")


async def test_a_body_that_ends_with_the_byte_too_many_is_answered_at_once() -> None:
    body: list[Message] = [{"type": "http.request", "body": bytes(KB + 1), "more_body": False}]
    sent: list[Message] = []

    async def receive() -> Message:
        return body.pop()  # a second read would fail

    async def send(message: Message) -> None:
        sent.append(message)

    app = BodyLimits(build_app(), limits={"/v3/videos": KB})
    await app(scope_of("POST", "/v3/videos"), receive, send)
    assert sent[0]["status"] == 413


async def test_large_bodies_share_so_much_memory_and_files_that_stream_need_none() -> None:
    app = BodyLimits(build_app(), limits={"/v3/videos": 8 * MB, "/v3/assets": 8 * MB}, room=3 * MB)
    arrived, gone = asyncio.Event(), asyncio.Event()

    async def ask(path: str, size: int, *, slow: bool = False) -> int:
        parts: list[Message] = [{"type": "http.request", "body": bytes(size), "more_body": slow}]
        statuses: list[int] = []

        async def receive() -> Message:
            if parts:
                return parts.pop()
            arrived.set()
            await gone.wait()
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Message) -> None:
            statuses.append(message.get("status", 0))

        await app(scope_of("POST", path), receive, send)
        return statuses[0]

    slow = asyncio.create_task(ask("/v3/videos", 3 * MB, slow=True))
    await arrived.wait()
    assert await ask("/v3/videos", 3 * MB) == 429
    assert [await ask("/v3/videos", 2 * MB), await ask("/v3/assets", 8 * MB)] == [200, 200]
    gone.set()
    assert await slow == 200
    assert await ask("/v3/videos", 4 * MB) == 200, "what ended makes room"


async def test_an_endless_body_is_not_read_for_ever() -> None:
    read = 0

    async def endless() -> Message:
        nonlocal read
        read += 1
        return {"type": "http.request", "body": bytes(KB), "more_body": True}

    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    app = BodyLimits(build_app(), limits={"/v3/videos": 4 * KB}, drain_bytes=8 * KB)
    await app(scope_of("POST", "/v3/videos"), endless, send)
    assert sent[0]["status"] == 413
    assert read == 5 + 8


@pytest.mark.parametrize("declared", [b"9" * 30, b"-1", b"x", "²".encode("latin-1")])
async def test_a_strange_length_is_no_crash(declared: bytes) -> None:
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"{}", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    await build_app()(scope_of("POST", "/v3/videos", (b"content-length", declared)), receive, send)
    assert sent[0]["status"] == (413 if declared.isdigit() else 200)
