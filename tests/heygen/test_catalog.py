"""One question for many callers, and an answer that keeps for as long as it may."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.heygen.catalog import Catalog
from app.heygen.errors import AccountBlocked, Missing, NoAnswer, NotSent, RateLimited
from tests.heygen.conftest import Connect
from tests.heygen.faulty_server import PATIENCE, Connection, FaultyServer, answer

SECOND = timedelta(seconds=1)
Ask = Callable[[Catalog], Awaitable[Any]]


@dataclass
class Clock:
    """Time that passes when told to."""

    at: datetime = datetime(2026, 10, 21, 7, 28, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.at


@dataclass
class Upstream:
    """HeyGen's part: what it says next, and a gate to hold the answer back."""

    status: str = "200 OK"
    payload: Any = None
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, connection: Connection) -> None:
        while True:
            await connection.request()
            self.arrived.set()
            await self.gate.wait()
            await connection.send(answer(self.status, json.dumps(self.payload).encode()))


def open_upstream(payload: Any, status: str = "200 OK") -> Upstream:
    upstream = Upstream(status, payload)
    upstream.gate.set()
    return upstream


def page(*names: str) -> dict[str, Any]:
    return {"data": [{"id": name} for name in names], "has_more": False, "next_token": None}


ONE = {"data": {"id": "x", "voice_id": "x", "status": None}}
PRIVATE = {"data": {"id": "x", "voice_id": "x", "status": "processing"}}
DAY = timedelta(hours=24)
FIVE_MINUTES = timedelta(minutes=5)

voices: Ask = lambda catalog: catalog.voices(language="English")  # noqa: E731
look: Ask = lambda catalog: catalog.look("x")  # noqa: E731


@pytest.mark.parametrize(
    ("ask", "payload", "fresh"),
    [
        (lambda catalog: catalog.voices(), page("a"), FIVE_MINUTES),
        (lambda catalog: catalog.voices(type="public"), page("a"), FIVE_MINUTES),
        (lambda catalog: catalog.voices(type="private"), page("a"), 5 * SECOND),
        (lambda catalog: catalog.voice("x"), ONE, FIVE_MINUTES),
        (lambda catalog: catalog.voice("x"), PRIVATE, 5 * SECOND),
        (lambda catalog: catalog.looks(ownership="public"), page("a"), FIVE_MINUTES),
        (lambda catalog: catalog.looks(ownership="private"), page("a"), 5 * SECOND),
        (lambda catalog: catalog.looks(), page("a"), 5 * SECOND),
        (look, ONE, FIVE_MINUTES),
        (look, PRIVATE, 5 * SECOND),
        (lambda catalog: catalog.groups(ownership="public"), page("a"), FIVE_MINUTES),
        (lambda catalog: catalog.groups(), page("a"), 5 * SECOND),
        (lambda catalog: catalog.group("x"), ONE, 5 * SECOND),
        (lambda catalog: catalog.video("x"), ONE, 5 * SECOND),
    ],
)
async def test_an_answer_keeps_for_its_time_and_no_longer(
    connect: Connect, ask: Ask, payload: Any, fresh: timedelta
) -> None:
    clock = Clock()
    async with FaultyServer(open_upstream(payload)) as server:
        catalog = Catalog(connect(server.url), clock)
        first = await ask(catalog)
        clock.at += fresh - timedelta(milliseconds=1)
        assert await ask(catalog) == first
        assert len(server.requests) == 1
        clock.at += timedelta(milliseconds=1)
        assert await ask(catalog) == first
        assert len(server.requests) == 2


async def test_any_number_of_callers_at_once_cost_one_request(connect: Connect) -> None:
    upstream = Upstream(payload=page("a"))
    async with FaultyServer(upstream) as server, asyncio.timeout(PATIENCE):
        catalog = Catalog(connect(server.url), Clock())
        callers = [asyncio.create_task(catalog.voices(language="English", token=None)) for _ in range(50)]
        await upstream.arrived.wait()
        upstream.gate.set()
        pages = await asyncio.gather(*callers)
        assert len(server.requests) == 1
    assert {found.items[0]["id"] for found in pages} == {"a"}


async def test_the_first_caller_may_leave_without_the_others_noticing(connect: Connect) -> None:
    upstream = Upstream(payload=page("a"))
    async with FaultyServer(upstream) as server, asyncio.timeout(PATIENCE):
        catalog = Catalog(connect(server.url), Clock())
        first, *others = [asyncio.ensure_future(voices(catalog)) for _ in range(5)]
        await upstream.arrived.wait()
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        upstream.gate.set()
        assert all(found.items for found in await asyncio.gather(*others))
        assert len(server.requests) == 1


async def test_a_read_that_every_caller_left_still_fills_the_cache(connect: Connect) -> None:
    upstream = Upstream(payload=page("a"))
    async with FaultyServer(upstream) as server, asyncio.timeout(PATIENCE):
        catalog = Catalog(connect(server.url), Clock())
        only = asyncio.ensure_future(voices(catalog))
        await upstream.arrived.wait()
        only.cancel()
        with pytest.raises(asyncio.CancelledError):
            await only
        upstream.gate.set()
        await voices(catalog)
        assert len(server.requests) == 1


async def test_different_questions_are_asked_apart(connect: Connect) -> None:
    async with FaultyServer(open_upstream(page("a"))) as server:
        catalog = Catalog(connect(server.url), Clock())
        await catalog.voices(language="English")
        await catalog.voices(language="English", token=None)  # the same question as the first
        await catalog.voices(language="French")
        await catalog.voices(gender="English")
        await catalog.looks()
        await catalog.groups()
        assert len(server.requests) == 5


@pytest.mark.parametrize(
    ("status", "error"), [("503 Busy", NoAnswer), ("429 Slow Down", RateLimited), ("401 No", AccountBlocked)]
)
async def test_a_failure_reaches_everyone_who_waited_and_is_not_kept(
    connect: Connect, status: str, error: type[Exception]
) -> None:
    upstream = Upstream(status, page("a"))
    async with FaultyServer(upstream) as server, asyncio.timeout(PATIENCE):
        catalog = Catalog(connect(server.url), Clock())
        callers = [asyncio.ensure_future(voices(catalog)) for _ in range(5)]
        await upstream.arrived.wait()
        upstream.gate.set()
        found = await asyncio.gather(*callers, return_exceptions=True)
        assert [type(it) for it in found] == [error] * 5
        assert len(server.requests) == 1
        upstream.status = "200 OK"
        assert (await voices(catalog)).items
        assert len(server.requests) == 2


async def test_what_is_missing_is_not_asked_for_again_for_half_a_minute(connect: Connect) -> None:
    clock = Clock()
    upstream = open_upstream({"error": {"code": "avatar_not_found", "message": "m"}}, "404 Not Found")
    async with FaultyServer(upstream) as server:
        catalog = Catalog(connect(server.url), clock)
        for _ in range(3):
            with pytest.raises(Missing, match="avatar_not_found"):
                await look(catalog)
        clock.at += 29 * SECOND
        with pytest.raises(Missing):
            await look(catalog)
        assert len(server.requests) == 1
        upstream.status, upstream.payload = "200 OK", ONE
        clock.at += SECOND
        assert (await look(catalog)).id == "x"


async def test_a_kept_miss_gathers_no_tracebacks(connect: Connect) -> None:
    async with FaultyServer(open_upstream({}, "404 Not Found")) as server:
        catalog = Catalog(connect(server.url), Clock())
        depths = []
        for _ in range(5):
            with pytest.raises(Missing) as caught:
                await look(catalog)
            depths.append(len(caught.traceback))
    assert depths[1] == depths[-1]


@pytest.mark.parametrize(("status", "error"), [("503 Busy", NoAnswer), ("429 Slow Down", RateLimited)])
async def test_in_an_outage_what_is_public_is_served_for_a_day(
    connect: Connect, status: str, error: type[Exception]
) -> None:
    clock = Clock()
    upstream = open_upstream(page("a"))
    async with FaultyServer(upstream) as server:
        catalog = Catalog(connect(server.url), clock)
        first = await voices(catalog)
        upstream.status = status
        clock.at += DAY - SECOND
        assert await voices(catalog) == first
        assert len(server.requests) == 2
        assert await voices(catalog) == first  # not every caller waits for HeyGen to fail once more
        assert len(server.requests) == 2
        clock.at += 5 * SECOND
        with pytest.raises(error):
            await voices(catalog)


async def test_an_unreachable_heygen_is_an_outage_too(connect: Connect) -> None:
    clock = Clock()
    async with FaultyServer(open_upstream(page("a"))) as server:
        catalog = Catalog(connect(server.url), clock)
        first = await voices(catalog)
    clock.at += FIVE_MINUTES
    assert await voices(catalog) == first
    with pytest.raises(NotSent):
        await catalog.voices(language="French")


@pytest.mark.parametrize(
    "ask", [lambda catalog: catalog.voices(type="private"), lambda catalog: catalog.voices()]
)
async def test_a_refusal_or_a_private_thing_is_never_papered_over(connect: Connect, ask: Ask) -> None:
    clock = Clock()
    upstream = open_upstream(page("a"))
    async with FaultyServer(upstream) as server:
        catalog = Catalog(connect(server.url), clock)
        private = await catalog.voices(type="private")
        await ask(catalog)
        assert private.items
        clock.at += FIVE_MINUTES
        upstream.status = "401 Unauthorized"
        with pytest.raises(AccountBlocked):
            await ask(catalog)
        upstream.status = "503 Busy"
        with pytest.raises(NoAnswer):
            await catalog.voices(type="private")


async def test_the_least_recently_used_answer_makes_room(connect: Connect) -> None:
    async with FaultyServer(open_upstream(ONE)) as server:
        catalog = Catalog(connect(server.url), Clock(), capacity=2)
        for heygen_id in ("a", "b", "a", "c", "a", "b"):
            await catalog.look(heygen_id)
        asked = [request.line.split("/")[-2].split(" ")[0] for request in server.requests]
    assert asked == ["a", "b", "c", "b"]


async def test_closing_ends_what_is_under_way(connect: Connect) -> None:
    upstream = Upstream(payload=page("a"))
    async with FaultyServer(upstream) as server, asyncio.timeout(PATIENCE):
        catalog = Catalog(connect(server.url, PATIENCE), Clock())
        caller = asyncio.ensure_future(voices(catalog))
        await upstream.arrived.wait()
        await catalog.aclose()
        with pytest.raises(asyncio.CancelledError):
            await caller
