"""`/callbacks/heygen/{token}`: a callback is a hint. It is kept, and moves nothing but the moment we ask."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx
import pytest
import structlog
from sqlalchemy import select
from sqlmodel import SQLModel, col

from app.context import Context
from app.models import Callback, Job, JobStatus, Tenant
from app.secrets import Secrets, token
from app.simulator.app import Simulator
from app.stored_request import StoredRequest
from app.worker import poll
from tests.api.callback_bodies import BODIES, event
from tests.api.callers import LOOK, VOICE
from tests.clocks import ManualClock
from tests.conftest import threaded
from tests.factories import queue_job
from tests.services import TLS, run_worker, serving

BODY = {"type": "avatar", "avatar_id": LOOK, "voice_id": VOICE, "script": "Hello there."}
SUCCESS = {"event_type": "avatar_video.success", "event_data": {"video_id": "v1", "callback_id": None}}


@pytest.fixture
async def heygen(served: Context) -> AsyncIterator[httpx.AsyncClient]:
    """Whoever posts to our callback address; nobody needs a key for that."""
    async with httpx.AsyncClient(base_url=served.links.api_url, verify=TLS, timeout=30) as client:
        yield client


@pytest.fixture
async def queued(served: Context, tenant: Tenant, secrets: Secrets, clock: ManualClock) -> Job:
    return await queue_job(served.database, secrets, tenant, clock.now(), body=BODY)


@pytest.fixture
async def processing(queued: Job, served: Context) -> Job:
    """A job that HeyGen has."""
    await run_worker(served)
    assert (await read(served, queued)).status == JobStatus.PROCESSING
    return queued


@pytest.fixture
def path(secrets: Secrets) -> Callable[[Job], str]:
    """Where HeyGen calls back for a job."""

    def path(job: Job) -> str:
        request = StoredRequest.unseal(job.request_encrypted or b"", secrets)
        return f"/callbacks/heygen/{request.callback_token}"

    return path


Path = Callable[[Job], str]


async def read(context: Context, job: Job) -> Job:
    """The row as it stands now."""
    async with context.database.begin() as session:
        return (await session.scalars(select(Job).where(col(Job.id) == job.id))).one()


async def kept(context: Context) -> list[Callback]:
    """Every callback in the table."""
    async with context.database.begin() as session:
        return list(await session.scalars(select(Callback).order_by(col(Callback.id))))


async def everything(context: Context) -> list[dict[str, Any]]:
    """Every row of a job or callback, column by column."""
    rows: list[dict[str, Any]] = []
    async with context.database.begin() as session:
        for table in ("jobs", "callbacks", "events"):
            found = await session.execute(select(SQLModel.metadata.tables[table]))
            rows += [dict(row) for row in found.mappings()]
    return rows


def reads(simulator: Simulator) -> int:
    """How often HeyGen was asked about videos."""
    return len(simulator.requests("GET", "/v3/videos"))


async def test_a_callback_makes_us_ask_at_once(
    heygen: httpx.AsyncClient,
    served: Context,
    processing: Job,
    path: Path,
    clock: ManualClock,
    simulator: Simulator,
) -> None:
    before = await read(served, processing)
    assert before.due_at is not None
    assert before.due_at > clock.now()
    simulator.finish(before.heygen_id or "")
    answer = await heygen.post(path(processing), json=SUCCESS)
    assert (answer.status_code, answer.json()) == (200, {"data": {}})
    assert served.wake.event("poll").is_set()
    assert served.wake.event("unsure").is_set()
    after = await read(served, processing)
    assert (after.status, after.due_at, after.called_back_at) == ("processing", clock.now(), clock.now())
    await run_worker(served)
    done = await read(served, processing)
    assert (done.status, done.completed_by) == ("completed", "callback")


async def test_what_came_is_kept_once_with_a_counter(
    heygen: httpx.AsyncClient, served: Context, processing: Job, path: Path, clock: ManualClock
) -> None:
    body = json.dumps(SUCCESS).encode()
    for _ in range(3):
        await heygen.post(path(processing), content=body)
    [row] = await kept(served)
    assert (row.job_id, row.times, row.body, row.received_at) == (processing.id, 3, body, clock.now())
    assert (row.event_type, row.heygen_id) == ("avatar_video.success", "v1")


@threaded
async def test_simultaneous_repeats_are_all_counted(
    heygen: httpx.AsyncClient, served: Context, processing: Job, path: Path
) -> None:
    answers = await asyncio.gather(*(heygen.post(path(processing), json=SUCCESS) for _ in range(20)))
    assert {answer.status_code for answer in answers} == {200}
    assert [row.times for row in await kept(served)] == [20]


async def test_at_most_twenty_different_bodies_are_kept_and_later_ones_are_hints_still(
    heygen: httpx.AsyncClient, served: Context, processing: Job, path: Path, clock: ManualClock
) -> None:
    for number in range(22):
        await heygen.post(path(processing), json={"n": number})
    assert len(await kept(served)) == 20
    clock.advance(timedelta(seconds=1))
    assert (await heygen.post(path(processing), json={"n": "last"})).status_code == 200
    await heygen.post(path(processing), json={"n": 0})
    assert sorted(row.times for row in await kept(served)) == [1] * 19 + [2]
    assert (await read(served, processing)).called_back_at == clock.now()


async def test_an_unknown_token_gets_the_same_answer_and_changes_nothing(
    heygen: httpx.AsyncClient, served: Context, processing: Job, path: Path, simulator: Simulator
) -> None:
    genuine = path(processing)
    known = await heygen.post(genuine, json=SUCCESS)
    before, asked = await everything(served), reads(simulator)
    start, _, secret = genuine.rpartition("/")
    forged = [
        *(token() for _ in range(200)),
        *(
            secret[:-1],
            secret.upper(),
            secret + "0",
            "0" * 32,
            "x",
            "%20",
            "é",
            "0" * 5000,
            "..%00".rstrip("0"),
        ),
        processing.id,
        processing.title_token,
        processing.callback_token_sha256,
    ]
    for wrong in forged:
        answer = await heygen.post(f"{start}/{wrong}", json=SUCCESS)
        assert (answer.status_code, answer.content) == (200, known.content), wrong
        assert answer.headers.keys() == known.headers.keys()
    assert await everything(served) == before
    served.wake.event("poll").clear()
    await heygen.post(f"{start}/{token()}", json=SUCCESS)
    assert not served.wake.event("poll").is_set()
    assert reads(simulator) == asked


async def test_a_storm_of_callbacks_costs_one_read_in_thirty_seconds(
    heygen: httpx.AsyncClient,
    served: Context,
    queued: Job,
    path: Path,
    clock: ManualClock,
    simulator: Simulator,
) -> None:
    simulator.set_scenario("stuck")
    await run_worker(served)
    asked = []
    for second in range(0, 60, 5):
        calls = (heygen.post(path(queued), json={"n": (second, n)}) for n in range(10))
        assert {answer.status_code for answer in await asyncio.gather(*calls)} == {200}
        await run_worker(served)
        asked.append(reads(simulator))
        clock.advance(timedelta(seconds=5))
    assert asked == [1] * 6 + [2] * 6
    assert (await read(served, queued)).status == JobStatus.PROCESSING


async def test_a_callback_never_moves_a_due_instant_back(
    heygen: httpx.AsyncClient, served: Context, processing: Job, path: Path, clock: ManualClock
) -> None:
    due_at = (await read(served, processing)).due_at
    assert due_at is not None
    clock.advance(due_at - clock.now() + timedelta(seconds=5))
    await heygen.post(path(processing), json=SUCCESS)
    assert (await read(served, processing)).due_at == due_at


async def test_a_lease_is_never_touched(
    heygen: httpx.AsyncClient, served: Context, processing: Job, path: Path, clock: ManualClock
) -> None:
    clock.advance(timedelta(minutes=10))
    [claimed] = await poll.claim(served)
    await heygen.post(path(processing), json=SUCCESS)
    after = await read(served, processing)
    assert (after.lease_until, after.epoch) == (claimed.lease_until, claimed.epoch)
    assert claimed.lease_until is not None
    assert await poll.claim(served) == [], "nobody else takes it meanwhile"
    # Not lost either: whoever gives the row back finds it due.
    assert after.due_at == clock.now() < claimed.lease_until


async def test_an_early_callback_waits_in_the_row_until_heygen_has_answered(
    heygen: httpx.AsyncClient, served: Context, queued: Job, path: Path, clock: ManualClock
) -> None:
    await heygen.post(path(queued), json=SUCCESS)
    before = await read(served, queued)
    assert (before.status, before.due_at, before.called_back_at) == ("queued", None, clock.now())
    assert len(await kept(served)) == 1


async def test_a_job_in_doubt_is_asked_about_at_once(
    heygen: httpx.AsyncClient,
    served: Context,
    queued: Job,
    path: Path,
    clock: ManualClock,
    simulator: Simulator,
) -> None:
    simulator.set_scenario("drop_after_accept", times=1)
    await run_worker(served)
    assert (await read(served, queued)).status == JobStatus.UNSURE
    await heygen.post(path(queued), json=SUCCESS)
    assert (await read(served, queued)).due_at == clock.now()


async def test_a_finished_job_stays_as_it_is(
    heygen: httpx.AsyncClient,
    served: Context,
    processing: Job,
    path: Path,
    clock: ManualClock,
    simulator: Simulator,
) -> None:
    clock.advance(timedelta(minutes=10))
    await run_worker(served)
    before, asked = await read(served, processing), reads(simulator)
    assert before.status == JobStatus.COMPLETED
    for kind in ("fail", "success"):
        body = event(f"avatar_video.{kind}", video_id=before.heygen_id, msg="No.")
        await heygen.post(path(processing), content=body)
        await run_worker(served)
    after = await read(served, processing)
    assert (after.status, after.number, after.result) == ("completed", before.number, before.result)
    assert (after.due_at, after.failure_code) == (None, None)
    assert reads(simulator) == asked


async def test_no_body_whatever_changes_a_status_or_breaks_anything(
    heygen: httpx.AsyncClient, served: Context, processing: Job, path: Path
) -> None:
    before = await read(served, processing)
    for case, body in BODIES.items():
        answer = await heygen.post(path(processing), content=body)
        assert (answer.status_code, answer.json()) == (200, {"data": {}}), case
    await run_worker(served)
    after = await read(served, processing)
    assert (after.status, after.heygen_id) == ("processing", before.heygen_id)
    assert after.failure_code is None


async def test_the_type_it_claims_does_not_matter(
    heygen: httpx.AsyncClient, served: Context, processing: Job, path: Path
) -> None:
    for kind in ("", "text/plain", "application/json; charset=utf-16", "multipart/form-data", "\x7f"):
        headers = {b"Content-Type": kind.encode(), b"Heygen-Signature": "é".encode()}
        answer = await heygen.post(path(processing), content=event(), headers=headers)
        assert answer.status_code == 200, kind

    async def pieces() -> AsyncIterator[bytes]:
        yield event()[:10]
        yield event()[10:]

    assert (await heygen.post(path(processing), content=pieces())).status_code == 200
    assert [row.times for row in await kept(served)] == [6]


async def test_what_is_too_large_or_encoded_is_refused_and_not_kept(
    heygen: httpx.AsyncClient, served: Context, processing: Job, path: Path
) -> None:
    large = await heygen.post(path(processing), content=b"x" * (64 * 1024 + 1))
    assert large.status_code == 413
    packed = gzip.compress(b"x" * 1000)
    encoded = await heygen.post(path(processing), content=packed, headers={"Content-Encoding": "gzip"})
    assert encoded.status_code == 400
    assert await kept(served) == []
    assert (await heygen.post(path(processing), content=b"x" * 64 * 1024)).status_code == 200


async def test_probes_are_answered_and_do_nothing(
    heygen: httpx.AsyncClient, served: Context, processing: Job, path: Path
) -> None:
    before = await everything(served)
    for method in ("GET", "HEAD", "OPTIONS"):
        for address in (path(processing), f"/callbacks/heygen/{token()}"):
            assert (await heygen.request(method, address)).status_code == 200
    assert await everything(served) == before


async def test_it_is_answered_only_once_it_is_stored(context: Context, queued: Job, path: Path) -> None:
    reached, go_on = asyncio.Event(), asyncio.Event()

    async def hold(name: str) -> None:
        if name == "callback.stored":
            reached.set()
            await go_on.wait()

    async with serving(replace(context, failpoint=hold)) as served:
        address = served.links.api_url + path(queued)
        async with httpx.AsyncClient(verify=TLS, timeout=30) as heygen, asyncio.TaskGroup() as tasks:
            posted = tasks.create_task(heygen.post(address, json=SUCCESS))
            async with asyncio.timeout(10):
                await reached.wait()
            stored, answered = len(await kept(context)), posted.done()
            go_on.set()
        assert (stored, answered) == (1, False)
        assert posted.result().status_code == 200


async def test_the_token_reaches_no_log(heygen: httpx.AsyncClient, processing: Job, path: Path) -> None:
    with structlog.testing.capture_logs() as lines:
        await heygen.post(path(processing), json=SUCCESS)
        await heygen.get(path(processing))
    assert [line["path"] for line in lines if line["event"] == "request"] == ["/callbacks/heygen/{token}"] * 2
    assert path(processing).rpartition("/")[2] not in repr(lines)
