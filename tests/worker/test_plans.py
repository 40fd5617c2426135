"""The hot statements find their rows by an index, however many finished and waiting rows there are."""

import re
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import httpx
from sqlalchemy import ColumnElement, String, cast, insert, literal, null, select, text, true, update
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.pool import NullPool
from sqlmodel import SQLModel, col

from app.api.callbacks import job_of
from app.api.queue_room import QueueRoom
from app.context import Context
from app.database import Database
from app.forecast import Forecast
from app.heygen.callback import parse
from app.models import (
    Account,
    ApiKey,
    Attempt,
    Callback,
    Delivery,
    Endpoint,
    Event,
    File,
    IdempotencyKey,
    Job,
    JobStatus,
    Submission,
    is_status,
)
from app.stored_request import StoredRequest
from app.tenancy import Caller
from app.worker import archive, deliver, expire, loop, poll, prune, receivers, submit, tidy, unsure
from app.worker.claims import put_all_back
from tests.api.callback_bodies import event
from tests.api.callers import VIDEO
from tests.conftest import START
from tests.factories import make_endpoint, make_tenant
from tests.statements import plans, recording
from tests.worker.conftest import Bench

# SQLite has no statistics to go by; PostgreSQL rightly reads small tables whole.
FINISHED = {"sqlite": 200, "postgresql": 12_000}
QUEUED = {"sqlite": 50, "postgresql": 2_000}

LARGE = "jobs|submissions|callbacks|events|deliveries|attempts|files|idempotency_keys|api_keys|endpoints"
WHOLE = re.compile(
    rf"^SCAN ({LARGE})$|Seq Scan on ({LARGE})\b"
    # All that wait, to find those that wait in vain.
    r"|INDEX jobs_waiting$"
    # An index that only serves to find everything of one account.
    r"|INDEX jobs_heygen \(account_id=\?( AND kind=\?)?\)"
)

# What the plans of each step must name: an index, or the column that a unique one is searched by.
STEPS = {
    "pulse": "jobs_queue jobs_delayed jobs_unsure jobs_processing jobs_owed jobs_deadline jobs_submitting"
    " deliveries_due files_due",
    "submit": "jobs_queue jobs_delayed jobs_slots submissions_of_job",
    "submit_on_trial": "jobs_submitting",
    "poll": "jobs_processing",
    "poll_soon": "jobs_processing",
    "give_back": "jobs",
    "forecast": "jobs_completed",
    "unsure": "jobs_unsure submissions_of_job callbacks_same_body",
    "expire": "jobs_deadline jobs_lagging submissions_of_job endpoints_of_tenant",
    "reap": "jobs_submitting submissions_of_job",
    "free_waiting": "jobs_waiting",
    "free_held": "deliveries_held",
    "tidy": "jobs_owed",
    "deliver": "deliveries_due",
    "archive": "files_due",
    "queue_room": "jobs_queue jobs_delayed jobs_waiting_of_tenant",
    "prune": "jobs_deleted submissions_of_job",
    "end_leases": "jobs_submitting jobs_unsure jobs_processing jobs_owed deliveries_due files_due",
    "callback": "callback_token_sha256 callbacks_same_body",
    "signed_callback": "jobs_heygen",
    "accept": "api_keys idempotency_keys",
    "replay": "idempotency_keys",
    "read": "submissions_of_job",
    "read_by_heygens_id": "jobs_heygen",
    "list": "jobs_of_tenant",
    "search": "jobs_of_tenant",
    "search_folder": "jobs_of_tenant",
    "statuses": "jobs_heygen",
    "batch": "jobs_of_batch",
    "batch_statuses": "jobs_of_batch",
    "content": "files",
    "delete": "jobs",
    "events": "events_(public|pkey)",  # everything is one tenant's here
    "events_of_type": "events_of_type",
    "events_of_video": "events_of_job",
    "events_of_batch": "events_of_batch",
    "undelivered": "deliveries_open",
    "enable": "deliveries_open",
}


def numbered(prefix: str) -> Callable[[ColumnElement[int]], ColumnElement[str]]:
    """Texts that differ by a row's number."""
    return lambda number: literal(prefix) + cast(number + 10_000_000, String)


ID = numbered("0" * 24)  # lower than any real id: these rows came first
FIRST_ID = "0" * 24 + "10000001"
NEW = {"id": ID, "callback_token_sha256": numbered("t")}
OPEN = NEW | {"heygen_id": None, "result": None, "finished_at": None, "completed_by": None}
HISTORY: dict[type[SQLModel], dict[str, Any]] = {
    Submission: {"id": ID, "job_id": ID},
    Callback: {"id": ID, "job_id": ID},
    Event: {"id": ID, "job_id": ID},
    Delivery: {"id": ID, "event_id": ID, "status": "delivered", "due_at": None, "lease_until": None},
    Attempt: {"id": ID, "delivery_id": ID},
    File: {"job_id": ID, "due_at": None, "lease_until": None},
    IdempotencyKey: {"key": numbered("k"), "resource_id": ID},
    ApiKey: {"id": ID},
    Endpoint: {"id": ID, "deleted_at": START},
}


async def copy(session: AsyncSession, model: type[SQLModel], first: int, count: int, **values: Any) -> None:
    """Copies of a table's newest row, numbered from `first`; values are given, or made of the number."""
    table = SQLModel.metadata.tables[str(model.__tablename__)]
    rows = select(literal(first).label("number")).cte("rows", recursive=True)
    rows = rows.union_all(select(rows.c.number + 1).where(rows.c.number < first + count - 1))
    newest = select(table).order_by(next(iter(table.primary_key)).desc()).limit(1).subquery()
    columns = []
    for column in table.columns:
        value = values.get(column.name, newest.c[column.name])
        if callable(value) and not isinstance(value, ColumnElement):
            value = value(rows.c.number)
        elif not isinstance(value, ColumnElement):
            value = null() if value is None else literal(value, column.type)
            if session.get_bind().dialect.name == "postgresql":
                value = cast(value, column.type)  # it takes an untyped value for a text
        columns.append(value.label(column.name))
    copied = select(*columns).select_from(newest.join(rows, true()))
    await session.execute(insert(table).from_select([column.name for column in table.columns], copied))


async def crowd(bench: Bench, account: Account, endpoint_id: str, finished: int, queued: int) -> None:
    """Around one finished video: the history of another tenant, a queue, and some of all that can be due."""
    database, now = bench.context.database, bench.clock.now()
    others = {"tenant_id": (await make_tenant(database, account, now)).id}
    held = OPEN | {"slot_account_id": account.id}
    jobs: list[tuple[int, dict[str, Any]]] = [
        (finished, NEW | {"heygen_id": numbered("h")}),
        (queued, OPEN | {"status": "queued"}),
        (queued, OPEN | {"status": "queued", "due_at": now + timedelta(hours=1)}),
        (5, OPEN | {"status": "queued", "due_at": now}),
        (5, OPEN | {"status": "queued", "deadline_at": now}),
        (20, OPEN | {"status": "queued", "waits_for_id": FIRST_ID}),
        (5, held | {"status": "submitting", "lease_until": now}),
        (20, held | {"status": "unsure", "due_at": now, "hint_after": None}),
        (150, held | {"status": "processing", "due_at": now}),
        (150, held | {"status": "processing", "due_at": now + timedelta(hours=1)}),
        (5, NEW | {"heygen_id": None, "due_at": now}),
        (5, NEW | {"heygen_id": None, "deleted_at": now - timedelta(days=9)}),
        (150, NEW | {"heygen_id": None, "deleted_at": now}),
    ]
    async with database.begin() as session:
        first = 1
        for count, values in jobs:
            await copy(session, Job, first, count, **others, **values)
            first += count
        for model, values in HISTORY.items():
            await copy(session, model, 1, finished, **values)
        registered = {"id": numbered("0" * 23 + "1"), "event_id": ID, "target": endpoint_id}
        await copy(session, Delivery, 1, 5, status="owed", due_at=now, **registered)
        held = {"status": "owed", "due_at": None, "event_id": ID}
        await copy(session, Delivery, 6, 5, **held, id=registered["id"], target=endpoint_id)
        await copy(session, Delivery, 1, 20, **held, id=numbered("0" * 23 + "2"), target="disabled")
        await copy(session, File, 1, 5, job_id=ID, variant="gif", archived_at=None, due_at=now)
        await session.execute(update(Account).values(concurrency=10_000, limit_now=10_000))
    if not database.is_sqlite:
        await vacuum(database)


async def vacuum(database: Database) -> None:
    """What autovacuum does in time: without it an index alone is as dear as its table, and plans are a toss-up."""
    engine = create_async_engine(database.engine.url, isolation_level="AUTOCOMMIT", poolclass=NullPool)
    async with engine.connect() as connection:
        await connection.execute(text("VACUUM ANALYZE"))
    await engine.dispose()


async def give_back(ctx: Context) -> bool:
    """Put back one batch of jobs, as a poll does that found them running."""
    async with ctx.database.begin() as session:
        held = select(Job).where(is_status(JobStatus.PROCESSING)).order_by(col(Job.due_at)).limit(2)
        running = list(await session.scalars(held))
    async with ctx.database.begin() as session:
        waits = [(job, ctx.clock.now() + timedelta(hours=1)) for job in running]
        await put_all_back(session, waits, asked=True)
    return bool(waits)


async def learn(ctx: Context) -> bool:
    """Read how long HeyGen took lately."""
    forecast = Forecast()
    async with ctx.database.begin() as session:
        await forecast.refresh(session, ctx.connections, ctx.clock.now())
    return any(forecast.spread(account_id, "video", "avatar") for account_id in ctx.connections)


async def claim_on_trial(ctx: Context) -> bool:
    """Ask for a job of an account that sends one at a time; who sends has just been claimed."""
    async with ctx.database.begin() as session:
        await session.execute(update(Account).values(on_trial=True))
    waits = await submit.claim(ctx) is None
    async with ctx.database.begin() as session:
        await session.execute(update(Account).values(on_trial=False))
    return waits


async def count_queue(ctx: Context, video: Job) -> bool:
    """Count a tenant's queue, as a process does for its first create."""
    caller = Caller(video.tenant_id, "acme", video.account_id, account_wide=True, key_id="key")
    await QueueRoom().take(ctx, caller)
    return True


async def read_batch(api: httpx.AsyncClient, path: str) -> httpx.Response:
    """Make a small batch and read it."""
    made = (await api.post("/v3/videos/batches", json={"videos": [VIDEO, VIDEO]})).json()["data"]
    return await api.get(path.format(made["batch_id"]))


def steps(
    bench: Bench, api: httpx.AsyncClient, video: Job, endpoint_id: str
) -> dict[str, Callable[[], Awaitable[Any]]]:
    """Everything that happens often, with something to do for each."""
    ctx = bench.context
    token = StoredRequest.unseal(video.request_encrypted or b"", ctx.secrets).callback_token
    create = lambda: api.post("/v3/videos", json=VIDEO, headers={"Idempotency-Key": "new"})  # noqa: E731
    return {
        "pulse": lambda: loop.due_lanes(ctx),
        "submit": lambda: submit.claim(ctx),
        "submit_on_trial": lambda: claim_on_trial(ctx),
        "poll": lambda: poll.claim(ctx),
        "poll_soon": lambda: poll.claim(ctx),
        "give_back": lambda: give_back(ctx),
        "forecast": lambda: learn(ctx),
        "unsure": lambda: unsure.claim(ctx),
        "expire": lambda: expire.expire(ctx),
        "reap": lambda: expire.reap(ctx),
        "free_waiting": lambda: expire.free_waiting(ctx),
        "free_held": lambda: receivers.free_held(ctx),
        "tidy": lambda: tidy.claim(ctx),
        "deliver": lambda: deliver.claim(ctx, deliver.UnderWay()),
        "archive": lambda: archive.claim(ctx),
        "queue_room": lambda: count_queue(ctx, video),
        "prune": lambda: prune.prune(ctx),
        "end_leases": lambda: expire.end_leases(ctx),
        "callback": lambda: api.post(f"/callbacks/heygen/{token}", json={"event_type": "new"}),
        "signed_callback": lambda: job_of(ctx, parse(event(video_id=video.heygen_id))),
        "accept": create,
        "replay": create,
        "read": lambda: api.get(f"/v3/videos/{video.id}"),
        "read_by_heygens_id": lambda: api.get(f"/v3/videos/{video.heygen_id}"),
        "list": lambda: api.get("/v3/videos"),
        "search": lambda: api.get("/v3/videos?title=nobody's"),
        "search_folder": lambda: api.get("/v3/videos?folder_id=nobody's"),
        "statuses": lambda: api.get(f"/v3/videos/statuses?video_ids={video.id},{video.heygen_id}"),
        "batch": lambda: read_batch(api, "/v3/videos/batches/{}"),
        "batch_statuses": lambda: read_batch(api, "/v3/videos/statuses?batch_ids={}"),
        "content": lambda: api.get(f"/v3/videos/{video.id}/content"),
        "delete": lambda: api.delete(f"/v3/videos/{video.id}"),
        "events": lambda: api.get("/v3/webhooks/events"),
        "events_of_type": lambda: api.get("/v3/webhooks/events?event_type=avatar_video.fail"),
        "events_of_video": lambda: api.get(f"/v3/webhooks/events?entity_id={video.id}"),
        "events_of_batch": lambda: read_batch(api, "/v3/webhooks/events?entity_id={}"),
        "undelivered": lambda: api.get("/v3/webhooks/events?undelivered=true"),
        "enable": lambda: api.patch(f"/v3/webhooks/endpoints/{endpoint_id}", json={"status": "enabled"}),
    }


async def test_no_hot_statement_reads_a_whole_table(
    bench: Bench, api: httpx.AsyncClient, account: Account, engine_name: str
) -> None:
    answer = await api.post(
        "/v3/videos",
        json=VIDEO | {"callback_url": "http://127.0.0.1:9/hook"},
        headers={"Idempotency-Key": "first"},
    )
    assert answer.status_code == 200, answer.text
    await bench.settle()
    video = await bench.job()
    ctx = bench.context
    endpoint, _ = await make_endpoint(ctx.database, ctx.secrets, bench.tenant, ctx.clock.now())
    await crowd(bench, account, endpoint.id, FINISHED[engine_name], QUEUED[engine_name])
    database = ctx.database
    faults = []
    for name, step in steps(bench, api, video, endpoint.id).items():
        with recording(database) as statements:
            done = await step()
        assert done or name == "end_leases", f"{name} had nothing to do"
        if isinstance(done, httpx.Response):
            assert done.status_code == 200, done.text
        read = []
        for statement in {it.sql: it for it in statements if it.finds_rows}.values():
            plan = await plans(database, statement)
            # The attempts of 500 deliveries: of the few thousand that are here PostgreSQL rather reads all.
            by_ids = name == "prune" and statement.sql.startswith(
                "DELETE FROM attempts WHERE attempts.delivery_id IN"
            )
            whole = [line for line in plan if WHOLE.search(line) and not by_ids]
            faults += [f"{name}: {line}\n{statement.sql}" for line in whole]
            read += plan
        missing = [index for index in STEPS[name].split() if not re.search(rf"\b{index}\b", "\n".join(read))]
        faults += [f"{name}: no use of {index} in {read}" for index in missing]
    assert not faults, "\n\n".join(faults)
