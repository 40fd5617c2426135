"""One service with its HeyGen and its callers, in process: jobs, faults, restarts, and time until all is over."""

import asyncio
import contextvars
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

import httpx
from sqlalchemy import delete, select, union_all
from sqlmodel import SQLModel, col
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.context import Connection, Context, Pace
from app.database import Database, transaction_open
from app.gates import StoredGate
from app.heygen.catalog import Catalog
from app.heygen.client import HeyGen
from app.models import Account, Delivery, DeliveryStatus, File, Job, JobStatus, is_status
from app.secrets import Secrets
from app.simulator.app import Simulator
from app.worker import expire
from tests.clocks import ManualClock
from tests.faults import sources
from tests.faults.history import violations
from tests.faults.injection import Armed, Crash, FaultyTransport, Front, Injected, Shot, Wire, injected, is_in
from tests.faults.records import Ask, History, Secret, Webhook
from tests.services import at, make_context, run_worker, serving_app

SLOTS = 4
KEY_MAX_AGE = timedelta(minutes=30)
PACE = Pace(key_max_age=KEY_MAX_AGE)
BEYOND_A_LEASE = PACE.lease + timedelta(seconds=30)
FIRST_STEPS, LONGEST_STEP = timedelta(seconds=10), timedelta(minutes=10)
MOST_STEPS = 200
LOCKS_NOTHING = {"sweep.read"}
"""Points within a transaction that holds no lock yet."""


@dataclass
class Stage:
    """The parts that outlive a process, and the process of the day: `context`."""

    database: Database
    clock: ManualClock
    secrets: Secrets
    simulator: Simulator
    heygen_url: str
    folder: Path
    front: Front
    front_url: str = ""
    hook_url: str = ""  # of single jobs
    endpoint_url: str = ""  # of the tenant
    wire: Wire = field(default_factory=Wire)
    armed: Armed = field(default_factory=lambda: Armed((), _nothing))
    asks: list[Ask] = field(default_factory=list)
    webhooks: list[Webhook] = field(default_factory=list)
    told_secrets: list[Secret] = field(default_factory=list)
    restarts: int = 0
    slots: int = SLOTS
    _context: Context | None = None
    _process: AsyncExitStack = field(default_factory=AsyncExitStack)
    _sweeps_every: float = 0
    _bills: int = 0
    _calls: int = 0

    @property
    def context(self) -> Context:
        """The process that is alive."""
        assert self._context is not None, "no process was started"
        return self._context

    @property
    def unmet(self) -> list[str]:
        """The points that were not reached (often enough), and the fault of the wire that no exchange came for."""
        return self.armed.left + [f"{fault}: no exchange" for fault in [self.wire.fault] if fault is not None]

    async def clear(self) -> None:
        """Forget the run before: empty tables, and a HeyGen whose record begins here."""
        await self._process.aclose()
        self._context, self.wire.fault = None, None
        self.front.alive = False
        async with self.database.begin() as session:
            for table in reversed(SQLModel.metadata.sorted_tables):
                await session.execute(delete(table))
        self.asks, self.webhooks, self.restarts = [], [], 0
        self._bills, self._calls = len(self.simulator.ledger()), len(self.simulator.requests())

    async def start(self, account: Account, shots: Sequence[Shot]) -> None:
        """The first process, with these faults before it."""
        self.armed = Armed(shots, self._strike)
        # Where it is the sweeps that are struck they come with each step, not every half a minute.
        self._sweeps_every = 0 if any(shot.point.startswith(("sweep.", "reap.")) for shot in shots) else 30
        self._account_id = account.id
        await self._be_born()

    async def _be_born(self) -> None:
        await self._process.aclose()
        self._process = AsyncExitStack()
        self._context = await self._process.enter_async_context(self._new_context(self.armed))
        self.front.serve(self._context)
        if self.database.is_sqlite:
            await expire.end_leases(self._context)

    @asynccontextmanager
    async def _new_context(self, failpoint: Armed | None) -> AsyncIterator[Context]:
        async with (
            httpx.AsyncClient(transport=FaultyTransport(self.wire), timeout=30) as http,
            make_context(self.database, self.clock, self.secrets, {}, self.folder) as bare,
        ):
            limit = timedelta(seconds=10)
            heygen = HeyGen(http, self.heygen_url, "test-key", create_timeout=limit, read_timeout=limit)
            gate = StoredGate(self.database, self.clock, self._account_id)
            catalog = Catalog(heygen, self.clock.now, gate)
            connections = {self._account_id: Connection(heygen, catalog, simulated=True)}
            context = replace(at(self.front_url, bare), connections=connections, pace=PACE)
            try:
                yield replace(context, failpoint=failpoint) if failpoint is not None else context
            finally:
                await catalog.aclose()

    async def _strike(self, shot: Shot) -> None:
        match shot.fault:
            case "crash":
                raise Crash
            case "error":
                raise Injected(shot.point)
            case "cancel":
                raise asyncio.CancelledError
            case "delay":
                self.clock.advance(BEYOND_A_LEASE)
                await self._let_another_work(shot.point)
            case fault:
                self.wire.fault = fault

    async def _let_another_work(self, point: str) -> None:
        """Another worker does all there is while this one stands still."""
        if transaction_open.get() and (self.database.is_sqlite or point not in LOCKS_NOTHING):
            return  # it would wait for this one
        async with self._new_context(None) as another:
            # Of its own context variables: this task may hold a transaction, that one does not.
            work = asyncio.create_task(run_worker(another, sweeps_every=0), context=contextvars.Context())
            await work

    async def survive(self, error: BaseException | None = None) -> bool:
        """Go on after a fault, in a new process where the old one is dead; True where there was a fault."""
        if error is not None and not injected(error):
            raise error
        if self.front.alive and (error is None or not is_in(error, Crash)):
            return error is not None
        self.restarts += 1
        await self._be_born()
        return True

    async def work(self) -> None:
        """Every step of the worker until none has anything to do, whatever happens meanwhile."""
        while True:
            await self.survive()
            try:
                await run_worker(self.context, sweeps_every=self._sweeps_every)
            except BaseException as error:  # noqa: BLE001 -- `survive` raises what is no fault of ours
                await self.survive(error)
            else:
                return

    async def settle(self) -> None:
        """Let time pass, from one due instant to the next, until nothing is left to be done."""
        for step in range(MOST_STEPS):
            await self.work()
            await self.simulator.send_due_callbacks()
            if await self.survive():
                continue
            coming = await self._coming()
            if not coming:
                return
            longest = FIRST_STEPS if step < 2 else LONGEST_STEP
            soonest = min(coming) - self.clock.now()
            self.clock.advance(min(max(soonest, timedelta(seconds=1)), longest))

    async def _coming(self) -> list[datetime]:
        """When there is something to do, for whatever is not at rest; what is overdue waits for something else."""
        instants = (
            select(col(Job.due_at)),
            select(col(Job.lease_until)).where(is_status(JobStatus.SUBMITTING)),
            select(col(Job.deadline_at)).where(col(Job.finished_at).is_(None)),
            select(col(Delivery.due_at)).where(is_status(DeliveryStatus.OWED)),
            select(col(File.due_at)),
        )
        async with self.database.begin() as session:
            found = (await session.scalars(union_all(*instants))).all()
        now = self.clock.now()
        return [it if it > now else now + LONGEST_STEP for it in found if it is not None]

    async def judge(self) -> list[str]:
        """The promises that this run broke."""
        bills = sources.bills(self.simulator.ledger()[self._bills :])
        return violations(
            History(
                tables=await sources.read_tables(self.database),
                bills=bills,
                calls=sources.calls(self.simulator.requests()[self._calls :]),
                asks=self.asks,
                webhooks=self.webhooks,
                secrets=self.told_secrets,
                peak=self.simulator.peak_in_flight(),
                cap=self.slots,
                key_max_age=KEY_MAX_AGE,
            )
        )

    async def take_webhook(self, request: Request) -> Response:
        """The callers' receiver."""
        status = 500 if self.wire.take("lost") else 200
        self.webhooks.append(Webhook.got(str(request.url), request.headers, await request.body(), status))
        return Response(status_code=status)

    async def close(self) -> None:
        """End the last process."""
        await self._process.aclose()


@asynccontextmanager
async def staged(
    database: Database,
    clock: ManualClock,
    secrets: Secrets,
    simulator: Simulator,
    heygen_url: str,
    folder: Path,
) -> AsyncIterator[Stage]:
    """A stage on these tables, on which one run can follow another."""
    wire = Wire()
    stage = Stage(database, clock, secrets, simulator, heygen_url, folder, Front(wire), wire=wire)
    receiver = Starlette(routes=[Route("/{path}", stage.take_webhook, methods=["POST"])])
    async with serving_app(receiver) as hook, serving_app(stage.front) as front:
        stage.hook_url, stage.endpoint_url, stage.front_url = f"{hook}/hook", f"{hook}/endpoint", front
        try:
            yield stage
        finally:
            await stage.close()


async def _nothing(_: Shot) -> None:
    return None
