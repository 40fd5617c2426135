"""The lanes of one process, from their start to their stop."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import cast

import httpx
import pytest
from sqlalchemy import select
from sqlmodel import col
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from app import governor
from app.governor import Told
from app.heygen.client import HeyGen
from app.heygen.errors import NotSent
from app.heygen.schemas import Created
from app.models import Account, JobStatus
from app.worker import expire, loop, submit
from tests.factories import make_account, make_tenant, queue_job
from tests.services import TLS, make_context, serving_app
from tests.worker.conftest import Bench


async def test_after_a_stop_nothing_more_is_claimed_and_what_is_under_way_ends(bench: Bench) -> None:
    await bench.queue(2)
    about_to_send, go_on, stopping = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def hold(name: str) -> None:
        if name == "submit.intended":
            about_to_send.set()
            await go_on.wait()

    one_at_a_time = loop.run(replace(bench.context, failpoint=hold), stopping, submits=1)
    async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:
        tasks.create_task(one_at_a_time)
        await about_to_send.wait()
        stopping.set()
        go_on.set()
    assert [job.status for job in await bench.jobs()] == [JobStatus.PROCESSING, JobStatus.QUEUED]
    assert bench.renders() == 1


class Silent(httpx.AsyncHTTPTransport):
    """The wire to a HeyGen that takes a create, and gives no answer for as long as anybody waits."""

    def __init__(self) -> None:
        super().__init__(verify=TLS)
        self.taken = asyncio.Event()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        answer = await super().handle_async_request(request)
        await answer.aread()
        self.taken.set()
        return await asyncio.Future[httpx.Response]()


async def test_a_call_that_outlasts_the_grace_of_a_stop_is_handed_over_and_paid_for_once(
    bench: Bench, heygen_url: str, held_slots: Callable[[], Awaitable[int]]
) -> None:
    bench.simulator.set_scenario("callbacks_lost")  # the same key alone tells that HeyGen has it
    (job,) = await bench.queue()
    context, wire, stopping = bench.context, Silent(), asyncio.Event()
    patience = context.pace.create_timeout
    async with httpx.AsyncClient(transport=wire) as http:
        silent = HeyGen(http, heygen_url, "test-key", create_timeout=patience, read_timeout=patience)
        connections = {name: replace(it, heygen=silent) for name, it in context.connections.items()}
        stopped = replace(context, connections=connections)
        running = asyncio.create_task(loop.run(stopped, stopping, grace=timedelta(seconds=0.1)))
        async with asyncio.timeout(20):
            await wire.taken.wait()
        stopping.set()
        async with asyncio.timeout(5):
            await running
    assert bench.renders() == 1
    (send,) = await bench.submissions()
    assert (send.answered_at, send.outcome) == (None, None)
    await bench.work()
    assert (await bench.job()).status == JobStatus.SUBMITTING, "nobody takes it before its lease is over"
    assert await held_slots() == 1
    bench.clock.advance(context.pace.lease)
    await bench.settle()
    assert await bench.facts(job.id) == ["Enqueued", "Claimed", "Unclear", "Accepted", "Completed"]
    assert [it.key for it in await bench.submissions()] == [send.key] * 2
    assert (bench.renders(), await held_slots()) == (1, 0)


async def test_a_deadline_that_cannot_be_recorded_keeps_no_other_sweep_from_its_turn(bench: Bench) -> None:
    (job,) = await bench.queue()
    assert await submit.claim(bench.context) is not None  # and its worker is gone
    async with bench.context.database.begin() as session:
        await governor.pause(session, job.account_id, "unauthorized", bench.clock.now())
    bench.clock.advance(timedelta(hours=1))

    async def break_down(name: str) -> None:
        if name == "sweep.read":
            raise LookupError("a row that cannot be worked on")

    with pytest.raises(ExceptionGroup) as caught:
        await loop.sweep(replace(bench.context, failpoint=break_down))
    assert caught.group_contains(LookupError)
    assert (await bench.job()).status == JobStatus.UNSURE, "its lease was found over"
    assert (await bench.account()).paused_reason is None, "HeyGen was asked whether it is well"


async def test_an_account_whose_heygen_hangs_does_not_keep_the_others_waiting_for_their_probe(
    bench: Bench, tmp_path: Path
) -> None:
    both = asyncio.Barrier(2)

    async def answer(_: Request) -> Response:
        try:
            async with asyncio.timeout(3):
                await both.wait()
        except (TimeoutError, asyncio.BrokenBarrierError):
            return Response(status_code=503)
        return JSONResponse({"data": {"username": "somebody"}})

    context = bench.context
    ids = [(await make_account(context.database, bench.clock.now())).id for _ in range(2)]
    async with context.database.begin() as session:
        for account_id in ids:
            await governor.pause(session, account_id, "unauthorized", bench.clock.now())
    bench.clock.advance(timedelta(hours=1))
    async with (
        serving_app(Starlette(routes=[Route("/{path:path}", answer)])) as url,
        make_context(
            context.database, context.clock, context.secrets, dict.fromkeys(ids, url), tmp_path / "x"
        ) as two,
    ):
        assert await expire.probe(two)
    async with context.database.begin() as session:
        paused = await session.scalars(select(col(Account.id)).where(col(Account.paused_at).isnot(None)))
        assert list(paused) == []


class Hanging:
    """A HeyGen that answers no create until it is let go; `excess` is set by one that is more than enough."""

    def __init__(self, enough: int, excess: asyncio.Event) -> None:
        self.creates = 0
        self.enough = asyncio.Event()
        self.go_on = asyncio.Event()
        self._enough = enough
        self._excess = excess

    async def create(self, *_asked: object) -> Created:
        self.creates += 1
        if self.creates == self._enough:
            self.enough.set()
        if self.creates > self._enough:
            self._excess.set()
        await self.go_on.wait()
        raise NotSent("unreachable")


async def test_an_account_whose_heygen_hangs_leaves_half_of_the_places_to_the_others(bench: Bench) -> None:
    context, now = bench.context, bench.clock.now()
    ((account_id, connection),) = context.connections.items()
    other = await make_account(context.database, now, concurrency=100, limit_now=100)
    neighbour = await make_tenant(context.database, other, now)
    places, decided, stopping = 10, asyncio.Event(), asyncio.Event()
    hanging = Hanging(places // 2, decided)
    stuck = replace(connection, heygen=cast("HeyGen", hanging))

    async def tell(name: str) -> None:
        if name == "submit.recorded":
            decided.set()

    for _ in range(places + 1):
        await queue_job(context.database, context.secrets, neighbour, now)
    two = replace(context, connections={other.id: stuck, account_id: connection}, failpoint=tell)
    running = asyncio.create_task(loop.run(two, stopping, submits=places))
    async with asyncio.timeout(30):
        await hanging.enough.wait()
        await bench.queue()
        await decided.wait()
        assert hanging.creates == places / 2
        assert bench.renders() == 1
        stopping.set()
        hanging.go_on.set()
        await running


async def test_a_probe_that_waits_for_the_gate_does_not_keep_the_sweep_awake(bench: Bench) -> None:
    now = bench.clock.now()
    account = await bench.account()
    async with bench.context.database.begin() as session:
        await governor.pause(session, account.id, "unauthorized", now)
        await governor.gate(session, account.id, Told(timedelta(hours=1)), now)
    bench.clock.advance(timedelta(minutes=30))
    assert "sweep" not in await loop.due_lanes(bench.context)
    bench.clock.advance(timedelta(minutes=30))
    assert "sweep" in await loop.due_lanes(bench.context)
