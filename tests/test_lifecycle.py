"""Every status with every fact: what is legal moves the job, anything else changes nothing."""

import itertools
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update
from sqlmodel import SQLModel, col

from app.database import Database
from app.lifecycle import (
    TRANSITIONS,
    Accepted,
    By,
    Canceled,
    Claimed,
    Completed,
    ConsentOwed,
    Expired,
    Fact,
    Failed,
    Released,
    Rendered,
    Unclear,
    apply,
    claim,
    free_waiting,
)
from app.models import TERMINAL, Delivery, Event, File, Job, JobStatus, Look, Submission, Tenant
from app.secrets import Secrets
from tests.conftest import START
from tests.factories import make_account, make_tenant, queue_job, queue_look

LATER = START + timedelta(minutes=1)
SECRETS = Secrets(["k" * 32])

FACTS: dict[str, Fact] = {
    "Released": Released("refused", LATER),
    "Unclear": Unclear("timeout", LATER),
    "Accepted": Accepted("heygen-1", LATER),
    "Rendered": Rendered(LATER),
    "ConsentOwed": ConsentOwed(LATER),
    "Completed": Completed({"duration": 4.2, "variants": ["video", "thumbnail"]}, "https://render.test/v"),
    "Failed": Failed("rendering_failed", "It went wrong."),
    "Canceled": Canceled(),
    "Expired": Expired(),
}

# Written out by hand from the drawing in lifecycle.py, so that a change there is a change here.
LEGAL = {
    ("submitting", "Released"): "queued",
    ("submitting", "Unclear"): "unsure",
    ("processing", "Unclear"): "unsure",
    ("submitting", "Accepted"): "processing",
    ("unsure", "Accepted"): "processing",
    ("unsure", "Rendered"): "processing",
    ("processing", "Rendered"): "processing",
    ("processing", "ConsentOwed"): "processing",
    ("unsure", "Completed"): "completed",
    ("processing", "Completed"): "completed",
    **{(status, "Failed"): "failed" for status in ("queued", "submitting", "unsure", "processing")},
    **{(status, "Expired"): "failed" for status in ("queued", "submitting", "unsure", "processing")},
    **{(status, "Canceled"): "canceled" for status in ("queued", "submitting", "unsure", "processing")},
}

# How a job gets into each status, by facts alone.
WAYS: dict[str, list[Fact]] = {
    "queued": [],
    "submitting": [Claimed()],
    "unsure": [Claimed(), FACTS["Unclear"]],
    "processing": [Claimed(), FACTS["Accepted"]],
    "completed": [Claimed(), FACTS["Accepted"], FACTS["Completed"]],
    "failed": [FACTS["Failed"]],
    "canceled": [FACTS["Canceled"]],
}


@pytest.fixture
async def tenant(database: Database) -> Tenant:
    account = await make_account(database, START)
    return await make_tenant(database, account, START)


async def tell(database: Database, job_id: str, fact: Fact, epoch: int | None = None) -> bool:
    async with database.begin() as session:
        if isinstance(fact, Claimed):
            return await claim(session, job_id, timedelta(seconds=180), By("worker", START)) is not None
        return await apply(session, job_id, fact, By("worker", LATER, epoch))


async def bring_to(database: Database, tenant: Tenant, status: str, **values: Any) -> Job:
    job = await queue_job(database, SECRETS, tenant, START, **values)
    for fact in WAYS[status]:
        assert await tell(database, job.id, fact)
    return await read(database, job.id)


async def begin_send(database: Database, job: Job) -> None:
    """Write down a send that is not answered yet."""
    async with database.begin() as session:
        session.add(
            Submission(
                id="s1",
                job_id=job.id,
                n=1,
                send=1,
                epoch=1,
                key="k",
                body_encrypted=b"x",
                body_sha256="h",
                sent_at=START,
            )
        )


async def read(database: Database, job_id: str) -> Job:
    async with database.begin() as session:
        return (await session.scalars(select(Job).where(col(Job.id) == job_id))).one()


async def snapshot(database: Database) -> list[Any]:
    async with database.begin() as session:
        return [
            (await session.execute(select(SQLModel.metadata.tables[name]))).all()
            for name in ("jobs", "events", "deliveries", "files")
        ]


@pytest.mark.parametrize(("status", "fact"), list(itertools.product(WAYS, FACTS)))
async def test_a_fact_moves_a_job_only_as_the_drawing_says(
    database: Database, tenant: Tenant, status: str, fact: str
) -> None:
    job = await bring_to(database, tenant, status, callback_url="https://caller.test/hook")
    assert job.status == status
    before = await snapshot(database)
    moved = await tell(database, job.id, FACTS[fact])
    if (status, fact) not in LEGAL:
        assert not moved
        assert await snapshot(database) == before
        return
    assert moved
    after = await read(database, job.id)
    assert after.status == LEGAL[status, fact]
    assert after.number == job.number + 1
    async with database.begin() as session:
        event = (await session.scalars(select(Event).where(col(Event.number) == after.number))).one()
        deliveries = len(list(await session.scalars(select(Delivery))))
    assert (event.fact, event.from_status, event.to_status) == (fact, status, after.status)
    assert (event.type is not None) == (after.status in TERMINAL)
    assert deliveries == (1 if after.status in TERMINAL else 0)


@pytest.mark.parametrize("status", [status for status in WAYS if status != "queued"])
async def test_only_a_queued_job_can_be_claimed(database: Database, tenant: Tenant, status: str) -> None:
    job = await bring_to(database, tenant, status)
    before = await snapshot(database)
    assert not await tell(database, job.id, Claimed())
    assert await snapshot(database) == before


def test_the_table_is_the_drawing() -> None:
    drawn = {
        (source.value, fact.__name__): target.value
        for fact, (sources, target) in TRANSITIONS.items()
        for source in sources
    }
    assert drawn == LEGAL | {("queued", "Claimed"): "submitting"}


@pytest.mark.parametrize("fact", ["Released", "Unclear", "Accepted", "Failed"])
async def test_a_worker_that_lost_its_claim_writes_nothing(
    database: Database, tenant: Tenant, fact: str
) -> None:
    job = await bring_to(database, tenant, "submitting")
    assert await tell(database, job.id, FACTS["Released"], job.epoch)
    assert await tell(database, job.id, Claimed())
    before = await snapshot(database)
    assert not await tell(database, job.id, FACTS[fact], job.epoch)
    assert await snapshot(database) == before


@pytest.mark.parametrize("status", ["submitting", "unsure", "processing"])
@pytest.mark.parametrize("fact", ["Completed", "Failed"])
async def test_the_end_frees_the_slot(database: Database, tenant: Tenant, status: str, fact: str) -> None:
    job = await bring_to(database, tenant, status)
    assert job.slot_account_id == tenant.account_id
    if await tell(database, job.id, FACTS[fact]):
        assert (await read(database, job.id)).slot_account_id is None


@pytest.mark.parametrize("fact", ["Canceled", "Expired"])
@pytest.mark.parametrize("status", ["submitting", "unsure", "processing"])
async def test_a_render_that_goes_on_without_its_caller_keeps_its_slot(
    database: Database, tenant: Tenant, status: str, fact: str
) -> None:
    job = await bring_to(database, tenant, status)
    await begin_send(database, job)
    await tell(database, job.id, FACTS[fact])
    after = await read(database, job.id)
    assert after.slot_account_id == tenant.account_id
    assert (after.epoch, after.lease_until) == (job.epoch, job.lease_until)
    assert after.due_at is not None, "somebody must look after the slot"


@pytest.mark.parametrize("fact", ["Canceled", "Expired"])
async def test_what_is_withdrawn_before_anything_was_sent_gives_its_slot_back_at_once(
    database: Database, tenant: Tenant, fact: str
) -> None:
    job = await bring_to(database, tenant, "submitting")
    await tell(database, job.id, FACTS[fact])
    after = await read(database, job.id)
    assert (after.slot_account_id, after.due_at, after.billable) == (None, None, False)


@pytest.mark.parametrize(
    ("status", "billable"), [("queued", False), ("submitting", False), ("unsure", True), ("processing", True)]
)
async def test_a_cancel_says_whether_money_may_be_spent(
    database: Database, tenant: Tenant, status: str, billable: bool
) -> None:
    job = await bring_to(database, tenant, status)
    await tell(database, job.id, Canceled())
    assert (await read(database, job.id)).billable is billable


async def test_a_late_result_is_kept_and_moves_nothing(database: Database, tenant: Tenant) -> None:
    job = await bring_to(database, tenant, "processing", callback_url="https://caller.test/hook")
    await tell(database, job.id, Expired())
    assert not await tell(database, job.id, FACTS["Completed"])
    after = await read(database, job.id)
    assert after.status == JobStatus.FAILED
    assert after.failure_code == "deadline_exceeded"
    assert after.late_result == {"duration": 4.2, "variants": ["video", "thumbnail"]}
    assert after.slot_account_id is None
    async with database.begin() as session:
        facts = list(await session.scalars(select(col(Event.fact)).order_by(col(Event.number))))
        deliveries = list(await session.scalars(select(Delivery)))
        files = list(await session.scalars(select(col(File.variant))))
    assert facts == ["Enqueued", "Claimed", "Accepted", "Expired", "late"]
    assert len(deliveries) == 1
    assert sorted(files) == ["thumbnail", "video"]


async def test_an_answer_that_comes_after_a_cancel_is_kept(database: Database, tenant: Tenant) -> None:
    job = await bring_to(database, tenant, "submitting")
    await begin_send(database, job)
    await tell(database, job.id, Canceled())
    assert not await tell(database, job.id, Accepted("heygen-9", LATER), job.epoch)
    after = await read(database, job.id)
    assert (after.status, after.heygen_id, after.billable) == (JobStatus.CANCELED, "heygen-9", True)
    assert after.due_at == LATER
    assert after.slot_account_id == tenant.account_id


async def test_the_stored_bytes_go_when_the_job_ends(database: Database, tenant: Tenant) -> None:
    job = await bring_to(database, tenant, "processing")
    await begin_send(database, job)
    await tell(database, job.id, FACTS["Completed"])
    async with database.begin() as session:
        assert await session.scalar(select(col(Submission.body_encrypted))) is None


@pytest.mark.parametrize(
    ("fact", "reusable"), [("Completed", True), ("Failed", False), ("Canceled", False), ("Expired", False)]
)
async def test_the_end_of_a_look_frees_what_waits_for_it(
    database: Database, tenant: Tenant, fact: str, reusable: bool
) -> None:
    look = await queue_look(database, SECRETS, tenant, START)
    async with database.begin() as session:
        await session.execute(update(Look).values(reuse_hash="same photo"))
    waiting = await queue_job(database, SECRETS, tenant, START, waits_for_id=look.id)
    if fact == "Completed":
        await tell(database, look.id, Claimed())
        await tell(database, look.id, Accepted("look-1", LATER, "group-1"))
    await tell(database, look.id, FACTS[fact])
    assert (await read(database, waiting.id)).waits_for_id is None
    async with database.begin() as session:
        row = (await session.scalars(select(Look))).one()
    assert (row.reuse_hash is not None) is reusable
    assert row.heygen_look_id == ("look-1" if fact == "Completed" else None)


async def test_many_waiting_videos_are_freed_in_batches(database: Database, tenant: Tenant) -> None:
    look = await queue_look(database, SECRETS, tenant, START)
    for _ in range(5):
        await queue_job(database, SECRETS, tenant, START, waits_for_id=look.id)
    async with database.begin() as session:
        assert await free_waiting(session, look.id, limit=3) == 3
        assert await free_waiting(session, look.id, limit=3) == 2


async def test_a_callback_that_came_first_makes_the_next_look_immediate(
    database: Database, tenant: Tenant
) -> None:
    job = await bring_to(database, tenant, "submitting")
    async with database.begin() as session:
        await session.execute(update(Job).values(called_back_at=START))
    await tell(database, job.id, Accepted("heygen-1", LATER + timedelta(hours=1)))
    assert (await read(database, job.id)).due_at == LATER


async def test_numbers_have_no_gaps(database: Database, tenant: Tenant) -> None:
    job = await bring_to(database, tenant, "completed")
    async with database.begin() as session:
        numbers = list(await session.scalars(select(col(Event.number)).order_by(col(Event.number))))
    assert numbers == list(range(1, job.number + 1))
