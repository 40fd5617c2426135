"""The service, its worker and a caller's endpoint, put together as the program itself does it."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any
from weakref import WeakKeyDictionary

import httpx
import uvicorn
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.datastructures import State
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.api.app import create_api
from app.api.wire import Wire
from app.clock import Clock
from app.context import Connection, Context, Links, Pace, Terms
from app.database import Database
from app.gates import StoredGate
from app.heygen.catalog import Catalog
from app.heygen.client import HeyGen
from app.secrets import Secrets
from app.serving import listen
from app.simulator.server import QuietServer
from app.storage import Storage
from app.watchdog import Watchdog
from app.webhooks.destination import guarded_client
from app.worker import archive, deliver, poll, submit, tidy, unsure
from app.worker.loop import SWEEPS_EVERY, due_lanes, sweep

_APPLICATIONS: list[FastAPI] = []
"""Those that nobody uses just now: putting one together takes longer than most tests."""

TLS = httpx.create_ssl_context()
"""Shared: reading the authorities' certificates takes longer than most tests."""


@asynccontextmanager
async def make_context(
    database: Database,
    clock: Clock,
    secrets: Secrets,
    accounts: Mapping[str, str],
    folder: Path,
    **values: Any,
) -> AsyncIterator[Context]:
    """A service on these tables, with a connection to HeyGen (or a simulator) at each account's URL."""
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(httpx.AsyncClient(verify=TLS, timeout=30))
        guarded = await stack.enter_async_context(guarded_client(allow_private=True, tls=TLS))
        connections, watchdog = {}, Watchdog()
        for account_id, url in accounts.items():
            limit = timedelta(seconds=10)
            heygen = HeyGen(
                http,
                url,
                "test-key",
                create_timeout=limit,
                read_timeout=limit,
                observe=watchdog.observe,
                now=clock.now,
            )
            catalog = Catalog(heygen, clock.now, StoredGate(database, clock, account_id))
            stack.push_async_callback(catalog.aclose)
            connections[account_id] = Connection(heygen, catalog, simulated=True)
        context = Context(
            database=database,
            clock=clock,
            secrets=secrets,
            storage=Storage(folder),
            connections=connections,
            webhooks=guarded,
            files=guarded,
            links=Links("http://greenroom.test", secrets.signing_keys("links")),
            pace=Pace(first_poll=timedelta(seconds=60), slowest_poll=timedelta(minutes=5)),
            callback_base=None,
            terms=Terms(allow_private_destinations=True),
            random=Random(7),
            watchdog=watchdog,
        )
        yield replace(context, **values)


@asynccontextmanager
async def serving(context: Context) -> AsyncIterator[Context]:
    """The API over real HTTP; the context that comes out knows its address."""
    app = _APPLICATIONS.pop() if _APPLICATIONS else create_api()
    with listen() as listener:
        served = at(_address(listener), context)
        app.state = State({"context": served})
        async with _running(app, listener):
            yield served
    _APPLICATIONS.append(app)


def at(url: str, context: Context) -> Context:
    """The context as it is where the API has this address."""
    return replace(context, links=replace(context.links, api_url=url), callback_base=url)


@asynccontextmanager
async def serving_app(app: Any) -> AsyncIterator[str]:
    """An ASGI application over real HTTP; its address."""
    with listen() as listener:
        async with _running(app, listener):
            yield _address(listener)


def _address(listener: socket.socket) -> str:
    return f"http://127.0.0.1:{listener.getsockname()[1]}"


@asynccontextmanager
async def _running(app: Any, listener: socket.socket) -> AsyncIterator[None]:
    server = QuietServer(uvicorn.Config(app, http=Wire, log_config=None, lifespan="off", ws="none"))
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield
    finally:
        server.leave()
        await task


LONG_AGO = datetime.min.replace(tzinfo=UTC)
_SWEPT: WeakKeyDictionary[Clock, datetime] = WeakKeyDictionary()
"""When the last of the sweeps was that come without being due, as the worker's own do."""


async def run_worker(context: Context, sweeps_every: float = SWEEPS_EVERY) -> int:
    """Run every step until none has anything left to do; how many steps did something."""
    under_way = deliver.UnderWay()
    steps: dict[str, Callable[[], Awaitable[bool]]] = {
        "submit": lambda: submit.submit_next(context),
        "unsure": lambda: unsure.resolve_next(context),
        "poll": lambda: poll.poll_next(context),
        "deliver": lambda: deliver.deliver_next(context, under_way),
        "archive": lambda: archive.archive_next(context),
        "tidy": lambda: tidy.tidy_next(context),
        "sweep": lambda: sweep(context),
    }
    done = 0
    if context.clock.now() - _SWEPT.get(context.clock, LONG_AGO) >= timedelta(seconds=sweeps_every):
        _SWEPT[context.clock] = context.clock.now()
        done += int(await sweep(context))
    while True:
        # The worker's own question: a step that it forgets would never run here either.
        found = [await steps[name]() for name in await due_lanes(context)]
        if not any(found):
            return done
        done += sum(found)


@dataclass
class Receiver:
    """What a caller's endpoint got, and what it answers: the statuses in turn, then 200. `answered` is what it said.

    It takes what comes to any of its `paths`.
    """

    url: str = ""
    statuses: list[int] = field(default_factory=list)
    requests: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    answered: list[int] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)

    @property
    def bodies(self) -> list[bytes]:
        """The bodies received, in order."""
        return [body for _, body in self.requests]

    async def take(self, request: Request) -> Response:
        """Answer one webhook."""
        self.requests.append((dict(request.headers), await request.body()))
        self.paths.append(request.url.path)
        self.answered.append(self.statuses.pop(0) if self.statuses else 200)
        return Response(status_code=self.answered[-1])


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    """A receiver over real HTTP."""
    receiver = Receiver()
    app = Starlette(routes=[Route("/{path:path}", receiver.take, methods=["POST"])])
    async with serving_app(app) as url:
        receiver.url = f"{url}/hook"
        yield receiver
