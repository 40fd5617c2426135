"""Every way a call can break once it may have been received."""

import asyncio

import pytest

from app.heygen.errors import NoAnswer
from app.heygen.exchange import ANSWER_LIMIT
from tests.heygen.calls import Call, both, create
from tests.heygen.conftest import Connect
from tests.heygen.faulty_server import PATIENCE, Behaviour, Connection, FaultyServer, answer, answers

CREATED = answer("200 OK", b'{"data": {"video_id": "v1", "status": "waiting"}}')
SHORT = 0.25  # seconds: for faults that only the deadline ends


def second_time(last: Behaviour) -> Behaviour:
    """Answer a connection's first request, then do `last`."""

    async def behave(connection: Connection) -> None:
        await connection.request()
        await connection.send(CREATED)
        await last(connection)

    return behave


async def reset_before_reading(connection: Connection) -> None:
    connection.reset()


async def reset_after_reading(connection: Connection) -> None:
    await connection.request()
    connection.reset()


async def close_after_reading(connection: Connection) -> None:
    await connection.request()


async def half_a_header(connection: Connection) -> None:
    await connection.request()
    await connection.send(b"HTTP/1.1 200 OK\r\nContent-Ty")


async def no_http(connection: Connection) -> None:
    await connection.request()
    await connection.send(b"\x00\x01 what is this\r\n\r\n")


async def short_body(connection: Connection) -> None:
    await connection.request()
    await connection.send(CREATED.replace(b"Content-Length: ", b"Content-Length: 9"))


async def reset_in_body(connection: Connection) -> None:
    await connection.request()
    await connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
    await connection.reader.read(0)
    connection.reset()


async def hang_unread(connection: Connection) -> None:
    connection.stop_reading()
    await connection.hang()


async def hang_after_reading(connection: Connection) -> None:
    await connection.request()
    await connection.hang()


async def hang_in_body(connection: Connection) -> None:
    await connection.request()
    await connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
    await connection.hang()


async def drip_header(connection: Connection) -> None:
    await connection.request()
    await connection.drip(b"H")


async def drip_body(connection: Connection) -> None:
    await connection.request()
    await connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    await connection.drip(b" ")


async def endless_continue(connection: Connection) -> None:
    await connection.request()
    await connection.drip(b"HTTP/1.1 100 Continue\r\n\r\n")


@both
@pytest.mark.parametrize(
    ("behave", "reasons"),
    [
        # Whether the RST is met by our read or before it is the system's choice; neither is ever "not sent".
        (reset_before_reading, {"reset", "closed"}),
        (reset_after_reading, {"reset"}),
        (close_after_reading, {"closed"}),
        (half_a_header, {"closed"}),
        (no_http, {"protocol"}),
        (short_body, {"protocol"}),
        (reset_in_body, {"reset"}),
    ],
)
async def test_a_connection_that_breaks_after_it_stood_leaves_the_outcome_open(
    connect: Connect, call: Call, behave: Behaviour, reasons: set[str]
) -> None:
    async with FaultyServer(behave) as server:
        with pytest.raises(NoAnswer) as caught:
            await call(connect(server.url))
    assert caught.value.reason in reasons


@both
@pytest.mark.parametrize(
    "behave", [hang_unread, hang_after_reading, hang_in_body, drip_header, drip_body, endless_continue]
)
async def test_one_deadline_ends_a_call_however_slowly_it_is_answered(
    connect: Connect, call: Call, behave: Behaviour
) -> None:
    async with FaultyServer(second_time(behave)) as server, asyncio.timeout(PATIENCE):
        await create(connect(server.url))  # so that connecting takes nothing of the short deadline
        with pytest.raises(NoAnswer) as caught:
            await call(connect(server.url, SHORT))
        assert server.connections == 1
    assert caught.value.reason == "timeout"


async def test_a_request_that_nobody_reads_ends_at_the_deadline(connect: Connect) -> None:
    async with FaultyServer(second_time(hang_unread)) as server, asyncio.timeout(PATIENCE):
        await create(connect(server.url))
        with pytest.raises(NoAnswer) as caught:
            await connect(server.url, SHORT).create("/v3/videos", b"x" * 20_000_000, "key-1")
    assert caught.value.reason == "timeout"


@both
@pytest.mark.parametrize(
    ("reply", "reason", "status", "code"),
    [
        (
            answer("502 Bad Gateway", b"<html>bad gateway</html>", "Content-Type: text/html\r\n"),
            "server_error",
            502,
            None,
        ),
        (answer("503 Busy", b"<html></html>", "Content-Type: text/html\r\n"), "server_error", 503, None),
        (answer("504 Gateway Timeout", b""), "server_error", 504, None),
        (
            answer("500 Oops", b'{"error": {"code": "internal_error", "message": "m"}}'),
            "server_error",
            500,
            "internal_error",
        ),
        (answer("408 Request Timeout", b""), "timeout", 408, None),
        (
            answer("409 Conflict", b'{"error": {"code": "REQUEST_IN_PROGRESS", "message": "m"}}'),
            "in_progress",
            409,
            "request_in_progress",
        ),
        (answer("200 OK", b"<html>hello</html>", "Content-Type: text/html\r\n"), "unreadable", 200, None),
        (answer("200 OK", b""), "unreadable", 200, None),
        (answer("204 No Content", b"").replace(b"Content-Length: 0\r\n", b""), "unreadable", 204, None),
        (answer("200 OK", b'{"data": {"status": "waiting"}}'), "unreadable", 200, None),
        (answer("200 OK", b'{"data": {"id": null, "video_id": ""}}'), "unreadable", 200, None),
        (answer("200 OK", b'{"data": []}'), "unreadable", 200, None),
        (answer("200 OK", b"[1, 2]"), "unreadable", 200, None),
        (answer("200 OK", b'{"data": ' + b"[" * 100_000), "unreadable", 200, None),
        (answer("200 OK", b'{"data": {"id": ' + b"1" * 5_000 + b"}}"), "unreadable", 200, None),
        (answer("200 OK", b'{"error": {"code": "oops"}, "data": null}'), "unreadable", 200, "oops"),
        (answer("200 OK", b"\x1f\x8b\x08", "Content-Encoding: gzip\r\n"), "unreadable", 200, None),
        (answer("302 Found", b"", "Location: /v3/elsewhere\r\n"), "unreadable", 302, None),
    ],
)
async def test_an_answer_that_settles_nothing_leaves_the_outcome_open(
    connect: Connect, call: Call, reply: bytes, reason: str, status: int, code: str | None
) -> None:
    async with FaultyServer(answers(reply)) as server:
        with pytest.raises(NoAnswer) as caught:
            await call(connect(server.url))
        assert len(server.requests) == 1  # nothing was followed or repeated
    assert (caught.value.reason, caught.value.http_status, caught.value.code) == (reason, status, code)


@both
async def test_an_endless_answer_is_cut_off(connect: Connect, call: Call) -> None:
    async def endless(connection: Connection) -> None:
        await connection.request()
        await connection.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
        while True:
            await connection.send(b" " * (ANSWER_LIMIT // 8))

    async with FaultyServer(endless) as server, asyncio.timeout(PATIENCE):
        with pytest.raises(NoAnswer) as caught:
            await call(connect(server.url))
    assert caught.value.reason == "unreadable"


@pytest.mark.parametrize(
    ("last", "reason"), [(close_after_reading, "closed"), (reset_after_reading, "reset")]
)
async def test_a_kept_connection_that_breaks_under_a_create_leaves_the_outcome_open(
    connect: Connect, last: Behaviour, reason: str
) -> None:
    """httpx raises RemoteProtocolError or ReadError then, and does not repeat the request by itself."""
    async with FaultyServer(second_time(last)) as server:
        heygen = connect(server.url)
        await create(heygen)
        with pytest.raises(NoAnswer) as caught:
            await create(heygen)
        assert server.connections == 1
        assert len(server.requests) == 2
    assert caught.value.reason == reason


async def test_a_kept_connection_reset_just_before_a_create_is_never_taken_for_unsent(
    connect: Connect,
) -> None:
    async def reset_on_first_byte(connection: Connection) -> None:
        await connection.reader.read(1)
        connection.reset()

    async with FaultyServer(second_time(reset_on_first_byte)) as server:
        heygen = connect(server.url)
        await create(heygen)
        with pytest.raises(NoAnswer) as caught:
            await create(heygen)
    assert caught.value.reason in {"reset", "closed"}


async def test_a_kept_connection_seen_to_be_closed_is_replaced(connect: Connect) -> None:
    async def close(connection: Connection) -> None:
        """The FIN arrives with the answer, so it is there before the next request is written."""

    async with FaultyServer(second_time(close)) as server:
        heygen = connect(server.url)
        await create(heygen)
        await create(heygen)
        assert server.connections == 2
        assert len(server.requests) == 2


async def test_a_cancelled_call_stays_cancelled(connect: Connect) -> None:
    async with FaultyServer(hang_after_reading) as server:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(create(connect(server.url)), SHORT)
