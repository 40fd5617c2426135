"""The worker: lanes that claim and perform, woken by hints, guaranteed by one cheap question about what is due."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

import structlog
from sqlalchemy import (
    BindParameter,
    ColumnElement,
    CompoundSelect,
    bindparam,
    false,
    literal,
    or_,
    select,
    union_all,
)
from sqlalchemy.orm import Mapped
from sqlmodel import col
from sqlmodel.sql.sqltypes import UTCDateTime

from app.context import Context
from app.database import DatabaseAway
from app.models import Account, Delivery, DeliveryStatus, File, Job, JobStatus, is_status
from app.worker import archive, deliver, expire, poll, prune, receivers, strays, submit, tidy, unsure
from app.worker.claims import served

log = structlog.get_logger(__name__)

PULSE = 0.5  # seconds between two questions about what is due
AFTER_FAULT = 1.0
SWEEPS_EVERY = 60.0
GRACE = timedelta(seconds=130)  # compose.yaml kills after 140 s


@dataclass(frozen=True)
class Lane:
    """One kind of work: `claim` answers None (or nothing) when there is none; `limit` performances run at once.

    It claims with the connections it is given. `accounts` names whose HeyGen a performance waits for.
    """

    name: str
    claim: Callable[[Context], Awaitable[Any]]
    perform: Callable[[Any], Awaitable[None]]
    limit: int
    accounts: Callable[[Any], Iterable[str]] = lambda _: ()


def lanes(ctx: Context, submits: int = 64) -> list[Lane]:
    """Every kind of work there is."""
    under_way, stray = deliver.UnderWay(), strays.Sweep(ctx)
    return [
        Lane("submit", submit.claim, lambda it: submit.submit(ctx, it), submits, _of_its_job),
        Lane("unsure", unsure.claim, lambda it: unsure.resolve(ctx, it), 8, _of_its_job),
        Lane("poll", poll.claim, lambda it: poll.poll(ctx, it), 4, lambda it: [it[0].account_id]),
        Lane(
            "deliver",
            lambda some: deliver.claim(some, under_way),
            lambda it: deliver.deliver(ctx, it, under_way),
            64,
        ),
        Lane("archive", archive.claim, lambda it: archive.archive(ctx, it), 4, _of_its_job),
        Lane("tidy", tidy.claim, lambda it: tidy.tidy(ctx, it), 4, lambda it: [it.account_id]),
        Lane("sweep", sweep, _nothing, 1),
        Lane("prune", prune.prune, _nothing, 1),
        Lane("strays", lambda _: stray.step(), _nothing, 1),
    ]


def _of_its_job(claimed: Any) -> list[str]:
    return [claimed.job.account_id]


class Places:
    """The places of one lane: where there are several accounts, one whose HeyGen hangs takes half of them at most."""

    def __init__(self, lane: Lane, wake: asyncio.Event) -> None:
        self._lane = lane
        self._wake = wake
        self._free = asyncio.Semaphore(lane.limit)
        self._taken: Counter[str] = Counter()
        self._passed_over = False  # the lane may rest while an account still has work, and no place

    async def one(self) -> None:
        """Wait for a free place, and take it."""
        await self._free.acquire()

    def open(self, ctx: Context) -> Context:
        """With those connections alone that may have the place."""
        most = max(1, self._lane.limit // 2)
        full = {name for name, count in self._taken.items() if count >= most}
        self._passed_over = len(ctx.connections) > 1 and bool(full)
        if not self._passed_over:
            return ctx
        some = {name: it for name, it in ctx.connections.items() if name not in full}
        return replace(ctx, connections=some)

    def begin(self, claimed: Any) -> None:
        """Whose it is now."""
        self._taken += Counter(self._lane.accounts(claimed))

    def end(self, claimed: Any) -> None:
        """Give it back."""
        self._taken -= Counter(self._lane.accounts(claimed))
        self._free.release()
        if self._passed_over:
            self._wake.set()

    def leave(self) -> None:
        """Give it back where there was nothing to claim."""
        self._free.release()


async def _nothing(_: Any) -> None:
    return None


async def sweep(ctx: Context) -> bool:
    """Deadlines, lost leases, forgotten waits and webhooks, paused accounts; False when there was nothing to do.

    A fault of one step ends none of the others; those that there were are raised at the end.
    """
    found, faults = False, []
    for step in (
        expire.expire,
        expire.reap,
        expire.free_waiting,
        receivers.free_held,
        expire.probe,
        _forecast,
    ):
        try:
            found = await step(ctx) or found
        except DatabaseAway:
            raise
        except Exception as error:  # noqa: BLE001 -- raised below
            faults.append(error)
    if faults:
        raise ExceptionGroup("steps of the sweep failed", faults)
    return found


async def _forecast(ctx: Context) -> bool:
    async with ctx.database.begin() as session:
        await ctx.forecast.refresh(session, ctx.connections, ctx.clock.now())
    return False


async def run(ctx: Context, stopping: asyncio.Event, submits: int = 64, *, grace: timedelta = GRACE) -> None:
    """Work until `stopping` is set; then claim nothing more, and let what is under way end.

    What has not after `grace` is given up: its row says what was begun, and brings it to another worker when its lease
    is over.
    """
    all_lanes = lanes(ctx, submits)
    pulse = asyncio.create_task(_pulse(ctx, stopping))
    running = [asyncio.create_task(_run_lane(ctx, lane, stopping)) for lane in all_lanes]
    await stopping.wait()
    for lane in all_lanes:
        ctx.wake.stir(lane.name)
    await asyncio.wait(running, timeout=grace.total_seconds())
    for task in (*running, pulse):
        task.cancel()
    await asyncio.gather(*running, pulse, return_exceptions=True)


async def _run_lane(ctx: Context, lane: Lane, stopping: asyncio.Event) -> None:
    wake = ctx.wake.event(lane.name)
    places = Places(lane, wake)
    async with asyncio.TaskGroup() as tasks:
        while not stopping.is_set():
            await places.one()
            wake.clear()
            if stopping.is_set():  # it may have waited for a place
                break
            claimed = await _guarded(lane, lane.claim(places.open(ctx)))
            if claimed:
                places.begin(claimed)
                tasks.create_task(_perform(lane, claimed, places))
                continue
            places.leave()
            await ctx.wake.rest(lane.name)


async def _perform(lane: Lane, claimed: Any, places: Places) -> None:
    try:
        await _guarded(lane, lane.perform(claimed))
    finally:
        places.end(claimed)


async def _guarded(lane: Lane, work: Awaitable[Any]) -> Any:
    """No fault ends a lane: what a step leaves undone comes up again when its lease ends."""
    try:
        return await work
    except Exception:
        log.exception("step_failed", lane=lane.name)
        await asyncio.sleep(AFTER_FAULT)
        return None


async def _pulse(ctx: Context, stopping: asyncio.Event) -> None:
    """Wake the lanes that have something due; the sweeps also now and then for what no index tells."""
    loop = asyncio.get_running_loop()
    next_sweep = loop.time()
    while not stopping.is_set():
        try:
            for name in await due_lanes(ctx):
                ctx.wake.stir(name)
        except Exception:
            log.exception("pulse_failed")
        if loop.time() >= next_sweep:
            next_sweep = loop.time() + SWEEPS_EVERY
            ctx.wake.stir("sweep")
            ctx.wake.stir("prune")
            ctx.wake.stir("strays")
        with suppress(TimeoutError):
            await asyncio.wait_for(stopping.wait(), PULSE * (1 + ctx.random.uniform(-0.2, 0.2)))


async def due_lanes(ctx: Context) -> list[str]:
    """The lanes that have work due now: one statement, one index probe a lane."""
    question = _question(tuple(ctx.connections))
    async with ctx.database.begin() as session:
        return list((await session.execute(question, {"now": ctx.clock.now()})).scalars())


@lru_cache(maxsize=8)
def _question(account_ids: tuple[str, ...]) -> CompoundSelect[str]:
    """Which lanes have work at `now`. It is long, and asked twice a second: made once for the accounts there are."""
    now = bindparam("now", type_=UTCDateTime())
    free = (col(Job.lease_until).is_(None) | (col(Job.lease_until) <= now), served(account_ids))
    unfinished = (col(Job.finished_at).is_(None), col(Job.rendered_at).is_(None))
    questions = {
        "submit": or_(false(), *(_queued(account_id, now) for account_id in account_ids)),
        "unsure": _due(col(Job.due_at), now, is_status(JobStatus.UNSURE), *free),
        "poll": _due(col(Job.due_at), now, is_status(JobStatus.PROCESSING), *free),
        "tidy": _due(col(Job.due_at), now, col(Job.finished_at).isnot(None), *free),
        "deliver": _due(col(Delivery.due_at), now, is_status(DeliveryStatus.OWED)),
        "archive": _due(col(File.due_at), now),
        "sweep": or_(
            _due(col(Job.deadline_at), now, *unfinished),
            _due(col(Job.lease_until), now, is_status(JobStatus.SUBMITTING)),
            _due(
                col(Account.probe_at),
                now,
                col(Account.id).in_(account_ids),
                col(Account.gate_until).is_(None) | (col(Account.gate_until) <= now),
            ),
        ),
    }
    return union_all(*(select(literal(name)).where(question) for name, question in questions.items()))


def _due(
    instant: Mapped[Any], now: BindParameter[datetime], *conditions: ColumnElement[bool]
) -> ColumnElement[bool]:
    """Whether there is a row whose instant has come."""
    # Asked for in the order of its index, not by EXISTS: for any one of many PostgreSQL would read the whole table.
    first = select(instant).where(*conditions, instant <= now).order_by(instant).limit(1)
    return first.scalar_subquery().isnot(None)


def _queued(account_id: str, now: BindParameter[datetime]) -> ColumnElement[bool]:
    """Whether the account has a job that may be sent now: one that is ready, or one whose delay is over."""
    waiting = (
        col(Job.account_id) == account_id,
        is_status(JobStatus.QUEUED),
        col(Job.waits_for_id).is_(None),
    )
    ready = select(col(Job.id)).where(*waiting, col(Job.due_at).is_(None))
    first = ready.order_by(col(Job.tenant_id), col(Job.rank), col(Job.id)).limit(1)
    return or_(first.scalar_subquery().isnot(None), _due(col(Job.due_at), now, *waiting))
