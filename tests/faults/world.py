"""A service among its neighbours, each of them real and in reach: HeyGen, callers, a receiver, a database."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import httpx

from app.database import Database
from app.desk import at_desk, find_account
from app.settings import read_settings
from app.tenancy import create_key, create_tenant
from tests.faults import sources
from tests.faults.callers import Callers
from tests.faults.history import violations
from tests.faults.records import History, Secret, Tables, unsettled
from tests.faults.services import Nursery, nursery
from tests.processes import Program, new_database, simulate
from tests.services import Receiver, receiving

LEASE = 18.0  # seconds: the shortest that a create of three seconds allows
# The service reads the time before it writes it down, and machines are slow.
CLOCKS_DIFFER = timedelta(seconds=1)
LONGEST_READ = timedelta(seconds=4)  # READ_TIMEOUT and a little
CAP = 12  # slots of our account, where a harness wants no fewer; HeyGen would take many more
LOOK_EVERY = 0.4  # seconds between two looks at what is still to be done
LONGEST_STEP = 300.0  # seconds that the clocks are moved on at most, each time something is still to be done
SETTLES_WITHIN = 300.0  # over a bad network a file may fail so often that its next tries are six hours apart

Before = Callable[[str], AbstractAsyncContextManager[str]]
"""Puts something in front of an address; answers its own."""


@dataclass
class World:
    """Everything that one run has to do with."""

    simulator: Program
    nursery: Nursery
    receiver: Receiver
    database: Database
    callers: Callers
    random: Random
    folder: Path
    cap: int

    async def asked(self, path: str) -> Any:
        """What the simulator's control plane answers."""
        async with httpx.AsyncClient(base_url=f"{self.simulator.url}/simulator", timeout=60) as client:
            answer = await client.get(path)
        return answer.json()["data"]

    async def told(self, method: str, path: str, body: object = None) -> None:
        """Change how the simulator behaves."""
        async with httpx.AsyncClient(base_url=f"{self.simulator.url}/simulator", timeout=60) as client:
            (await client.request(method, path, json=body)).raise_for_status()

    async def tables(self) -> Tables:
        """The tables as they are now."""
        return await sources.read_tables(self.database)

    async def settle(self) -> list[str]:
        """Let time go on until nothing is left to be done; what is left after all that patience."""
        until, step, left = time.monotonic() + SETTLES_WITHIN, 10.0, ["not looked at yet"]
        while time.monotonic() < until:
            await asyncio.sleep(LOOK_EVERY)
            left = unsettled(await self.tables())
            if not left:
                break
            self.nursery.move_on(step)
            step = min(step * 1.5, LONGEST_STEP)
        return left

    async def history(self) -> History:
        """What everybody knows."""
        return History(
            tables=await self.tables(),
            bills=sources.bills(await self.asked("/ledger")),
            calls=sources.calls(await self.asked("/requests")),
            asks=self.callers.asks,
            webhooks=self.callers.webhooks(self.receiver),
            secrets=self.callers.secrets,
            peak=await self.peak(),
            cap=self.cap,
            clocks_differ=CLOCKS_DIFFER,
            longest_read=LONGEST_READ,
        )

    async def peak(self) -> int:
        """How many jobs HeyGen had at once at the most."""
        return int((await self.asked("/stats"))["peak_in_flight"])

    def log(self, broken: list[str]) -> str:
        """The end of what the services said, where that is of interest."""
        return self.nursery.said() if broken else ""

    async def judge(self) -> list[str]:
        """Let everything end, and tell which promises were broken."""
        await self.callers.stop()
        left = await self.settle()
        return [f"did not end: {line}" for line in left] + violations(await self.history())


@asynccontextmanager
async def world(
    folder: Path,
    random: Random,
    server_url: str | None = None,
    *,
    between: Before | None = None,
    before_receiver: Before | None = None,
    cap: int = CAP,
    render_seconds: float = 0.2,
    **settings: str,
) -> AsyncIterator[World]:
    """Neighbours for a service on SQLite or, with `server_url`, on a database of its own of that PostgreSQL.

    `between` and `before_receiver` put a proxy in front of an address: a context manager that answers its own.
    """
    await asyncio.to_thread(folder.mkdir, parents=True)
    async with AsyncExitStack() as stack:
        url = f"sqlite:///{folder / 'greenroom.db'}"
        if server_url is not None:
            url = await stack.enter_async_context(new_database(server_url))
        simulator = await stack.enter_async_context(
            simulate(folder, "--render-seconds", str(render_seconds), "--concurrency", "100")
        )
        heygen = simulator.url if between is None else await stack.enter_async_context(between(simulator.url))
        receiver = await stack.enter_async_context(receiving())
        hook = receiver.url
        if before_receiver is not None:
            hook = await stack.enter_async_context(before_receiver(receiver.url))
        environment = {
            "DATABASE_URL": url,
            "STORAGE_URL": str(folder / "files"),
            "SECRET_KEYS": "used in tests alone and nowhere else",
            "HEYGEN_API_KEY": "any",
            "HEYGEN_BASE_URL": heygen,
            "HEYGEN_CONCURRENCY": str(cap),
            "ALLOW_PRIVATE_DESTINATIONS": "true",
            "RATE_LIMIT_CREATES": "1000000",
            "RATE_LIMIT_READS": "1000000",
            "CREATE_TIMEOUT": "3",
            "READ_TIMEOUT": "3",
            "LEASE": str(LEASE),
            **settings,
        }
        database = Database(url)
        stack.push_async_callback(database.close)
        await database.migrate()
        tenant_id, key, secret = await _settle_in(environment, simulator.url)
        services = await stack.enter_async_context(nursery(folder, environment))
        api = await stack.enter_async_context(
            httpx.AsyncClient(base_url=services.url, headers={"x-api-key": key}, timeout=5)
        )

        def now() -> datetime:
            return datetime.now(UTC) + timedelta(seconds=services.ahead)

        callers = Callers(api, tenant_id, Secret(hook, secret), random, now)
        stack.push_async_callback(callers.give_up)
        made = World(simulator, services, receiver, database, callers, random, folder, cap)
        await made.told("PUT", "/timeline", {"look_seconds": 0.2})
        yield made


async def _settle_in(environment: dict[str, str], heygen: str) -> tuple[str, str, str]:
    """A tenant that sees the whole account, its key, and what signs its webhooks."""
    settings = read_settings(environment | {"HEYGEN_BASE_URL": heygen})
    async with at_desk(settings) as desk:
        account = await find_account(desk)
        now = desk.clock.now()
        async with desk.database.begin() as session:
            account = await session.merge(account)
            account.base_url = environment["HEYGEN_BASE_URL"]  # a proxy stands there: the account is the same
            tenant, secret = await create_tenant(
                session, "callers", account.id, account_wide=True, secrets=desk.secrets, now=now
            )
            key = await create_key(session, tenant.id, "tests", now)
    return tenant.id, key, secret


def say(words: str) -> None:
    """Tell people how it goes."""
    sys.stderr.write(f"{words}\n")
    sys.stderr.flush()
