"""`/callbacks/heygen`, registered at HeyGen: what is signed is a hint, what is not signed or not ours is nothing."""

import asyncio
import hmac
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import httpx
import pytest

from app.context import Context
from app.models import Job, JobStatus, Tenant
from app.secrets import Secrets
from app.simulator.app import Simulator
from app.stored_request import StoredRequest
from tests.api.callback_bodies import event
from tests.api.callers import error_of
from tests.api.test_callbacks import everything, kept, read, reads
from tests.clocks import ManualClock
from tests.factories import queue_job, queue_look
from tests.services import TLS, run_worker, serving

OLD, NEW = "whsec_b2xkIG9uZQ==", "whsec_bmV3IG9uZQ=="
PATH = "/callbacks/heygen"


@pytest.fixture
async def served(context: Context) -> AsyncIterator[Context]:
    """The service in the middle of a rotation: two secrets."""
    async with serving(replace(context, callback_secrets=(OLD, NEW))) as served:
        yield served


@pytest.fixture
async def heygen(served: Context) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=served.links.api_url, verify=TLS, timeout=30) as client:
        yield client


@pytest.fixture
async def processing(served: Context, tenant: Tenant, secrets: Secrets, clock: ManualClock) -> Job:
    """A video that HeyGen has."""
    job = await queue_job(served.database, secrets, tenant, clock.now())
    await run_worker(served)
    return await read(served, job)


def signature(body: bytes, secret: str = NEW) -> str:
    return hmac.digest(secret.encode(), body, "sha256").hex()


def signed(body: bytes, secret: str = NEW, **more: str) -> dict[str, str]:
    return {"Heygen-Signature": signature(body, secret), **more}


def success(job: Job, **data: object) -> bytes:
    return event(video_id=job.heygen_id, **data)


async def test_a_signed_callback_makes_us_ask_at_once_whichever_secret_signed_it(
    heygen: httpx.AsyncClient,
    served: Context,
    processing: Job,
    clock: ManualClock,
    simulator: Simulator,
) -> None:
    body = success(processing)
    simulator.finish(processing.heygen_id or "")
    for headers in (signed(body, OLD), {"Signature": signature(body)}):
        answer = await heygen.post(PATH, content=body, headers=headers)
        assert (answer.status_code, answer.json()) == (200, {"data": {}})
    assert served.wake.event("poll").is_set()
    assert [(row.job_id, row.times) for row in await kept(served)] == [(processing.id, 2)]
    await run_worker(served)
    done = await read(served, processing)
    assert (done.status, done.completed_by, reads(simulator)) == ("completed", "callback", 1)


async def test_what_is_wrongly_signed_is_answered_like_an_unknown_token_and_keeps_nothing(
    heygen: httpx.AsyncClient, served: Context, processing: Job, clock: ManualClock
) -> None:
    body = success(processing)
    right = signature(body)
    unknown = await heygen.post(f"{PATH}/unknown", content=body)
    before = await everything(served)
    now = int(clock.now().timestamp())
    wrong: list[list[tuple[str, str]]] = [
        [],
        [("Heygen-Signature", "")],
        [("Heygen-Signature", signature(body, "whsec_other"))],
        [("Heygen-Signature", signature(body, NEW.removeprefix("whsec_")))],
        [("Heygen-Signature", signature(json.dumps(json.loads(body), indent=1).encode()))],
        [("Heygen-Signature", f"sha256={right}")],
        [("Heygen-Signature", right.upper())],
        [("Heygen-Signature", right[:-1])],
        [("Heygen-Signature", "0" * 64), ("Signature", right)],
        [("Heygen-Signature", right), ("Heygen-Signature", right)],
        [("Heygen-Signature", "é" * 64)],
        [("Webhook-Signature", right)],
        *(
            [("Signature", right), ("Heygen-Timestamp", at)]
            for at in ("0", "9" * 31, "NaN", "", str(now - 301))
        ),
    ]
    for headers in wrong:
        sent = [(name.encode(), value.encode()) for name, value in headers]
        answer = await heygen.post(PATH, content=body, headers=sent)
        assert (answer.status_code, answer.content) == (200, unknown.content), headers
        assert answer.headers.keys() == unknown.headers.keys()
    assert await everything(served) == before
    assert served.watchdog.report()["ignored_callbacks"] == {"bad_signature": len(wrong)}
    near = signed(body, **{"Heygen-Timestamp": str(now + 299), "Heygen-Event-Id": "any"})
    await heygen.post(PATH, content=body, headers=near)
    assert [row.times for row in await kept(served)] == [1]


async def test_what_was_made_outside_of_greenroom_and_unknown_events_are_counted_and_not_kept(
    heygen: httpx.AsyncClient, served: Context, processing: Job
) -> None:
    before = await everything(served)
    for body in (
        event(video_id="f" * 32),
        event("photo_avatar_train.success", avatar_id="f" * 32, callback_id="theirs"),
        event(callback_id=processing.title_token),
        event("batch.finished", batch_id="b"),
        event("avatar_video.explained", video_id=processing.heygen_id),
        event("avatar video\x1b[2J", video_id=processing.heygen_id),
        event(None, video_id=processing.heygen_id),
        b"",
        b"[" * 30_000,
    ):
        assert (await heygen.post(PATH, content=body, headers=signed(body))).status_code == 200, body
    assert await everything(served) == before
    ready = (await heygen.get("/readyz")).json()
    assert ready["status"] == "ready"
    assert ready["contract"]["ignored_callbacks"] == {"unknown_job": 4, "unknown_event": 5}
    assert {row["name"]: row["times"] for row in ready["contract"]["unknown"]} == {
        "avatar_video.explained": 1,
        "(no word)": 4,
    }
    assert {(row["kind"], row["operation"]) for row in ready["contract"]["unknown"]} == {
        ("event", "callback")
    }


async def test_an_event_that_comes_both_ways_nearly_at_once_is_told_once(
    heygen: httpx.AsyncClient,
    served: Context,
    processing: Job,
    clock: ManualClock,
    simulator: Simulator,
) -> None:
    """Where an endpoint is registered and the order named a callback_url, HeyGen sends each event to both."""
    simulator.finish(processing.heygen_id or "")
    body = success(processing, callback_id=processing.id)
    token = StoredRequest.unseal(processing.request_encrypted or b"", served.secrets).callback_token
    both = [(PATH, signed(body)), (f"{PATH}/{token}", {})] * 3
    answers = await asyncio.gather(*(heygen.post(to, content=body, headers=how) for to, how in both))
    assert {answer.status_code for answer in answers} == {200}
    assert [row.times for row in await kept(served)] == [6]
    await run_worker(served)
    for to, how in both:
        await heygen.post(to, content=body, headers=how)
    clock.advance(timedelta(minutes=2))
    await run_worker(served)
    done = await read(served, processing)
    assert (done.status, reads(simulator)) == ("completed", 1)


async def test_a_job_whose_answer_was_lost_is_found_by_what_we_called_it_and_confirmed_by_heygen(
    heygen: httpx.AsyncClient,
    served: Context,
    tenant: Tenant,
    secrets: Secrets,
    clock: ManualClock,
    simulator: Simulator,
) -> None:
    job = await queue_job(served.database, secrets, tenant, clock.now())
    simulator.set_scenario("drop_after_accept", times=1)
    await run_worker(served)
    assert (await read(served, job)).status == JobStatus.UNSURE
    simulator.set_scenario("outage", method="POST")  # no repeat can tell
    [bill] = simulator.ledger()
    body = event(video_id=bill.job_id, callback_id=job.id)
    await heygen.post(PATH, content=body, headers=signed(body))
    await run_worker(served)
    found = await read(served, job)
    assert (found.status, found.heygen_id) == ("processing", bill.job_id)


async def test_a_look_is_found_by_its_own_id(
    heygen: httpx.AsyncClient,
    served: Context,
    tenant: Tenant,
    secrets: Secrets,
    clock: ManualClock,
) -> None:
    job = await queue_look(
        served.database,
        secrets,
        tenant,
        clock.now(),
        status=JobStatus.QUEUED,
        heygen_id="a" * 32,
    )
    body = event("photo_avatar_train.success", avatar_id="a" * 32)
    await heygen.post(PATH, content=body, headers=signed(body))
    assert (await read(served, job)).called_back_at == clock.now()


async def test_probes_are_answered_before_there_is_a_secret_and_posts_are_not(context: Context) -> None:
    """HeyGen may try the address while the endpoint is being registered, which is what makes the secret."""
    body = event(video_id="v")
    async with (
        serving(context) as served,
        httpx.AsyncClient(base_url=served.links.api_url, verify=TLS) as heygen,
    ):
        for method in ("GET", "HEAD", "OPTIONS"):
            assert (await heygen.request(method, PATH)).status_code == 200
        for secret in (NEW, ""):
            answer = await heygen.post(PATH, content=body, headers=signed(body, secret))
            assert error_of(answer) == (404, "not_found", None)
