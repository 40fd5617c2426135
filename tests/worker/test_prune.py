"""What nobody may ask for any more is forgotten; what somebody may is kept."""

from contextlib import suppress
from datetime import timedelta
from typing import Any

import httpx
from sqlalchemy import func, insert, select, update
from sqlmodel import SQLModel, col

from app import lifecycle
from app.lifecycle import By, Canceled
from app.models import Attempt, Callback, Delivery, EndpointStatus, Event, IdempotencyKey
from app.secrets import CannotDecrypt
from app.worker import submit
from app.worker.prune import prune
from tests.api.callers import create_video, read_video
from tests.factories import make_endpoint
from tests.services import Receiver
from tests.worker.conftest import Bench

OLD = "0" * 31  # the ids of rows rise with time; these are from 1970
CANARY = "canary-4711"


async def count(bench: Bench, table: type[SQLModel]) -> int:
    async with bench.context.database.begin() as session:
        return await session.scalar(select(func.count()).select_from(table)) or 0


async def sings(bench: Bench) -> list[str]:
    """The tables that hold the canary, in the clear or encrypted; deliveries go with their own retention."""
    found = []
    async with bench.context.database.begin() as session:
        for name, table in SQLModel.metadata.tables.items():
            rows = await session.execute(select(table))
            if name != "deliveries" and any(CANARY in _text(bench, value) for row in rows for value in row):
                found.append(name)
    return sorted(found)


def _text(bench: Bench, value: Any) -> str:
    if not isinstance(value, bytes):
        return str(value)
    with suppress(CannotDecrypt):
        value = bench.context.secrets.decrypt(value)
    return str(value.decode(errors="replace"))


async def create_look(api: httpx.AsyncClient, name: str, **values: Any) -> tuple[str, str]:
    """The ids of a look that words describe, and of its group."""
    body = {"type": "prompt", "name": name, "prompt": f"{name}, a pilot.", **values}
    answer = await api.post("/v3/avatars", json=body)
    assert answer.status_code == 200, answer.text
    item = answer.json()["data"]["avatar_item"]
    return item["id"], item["group_id"]


async def test_finished_deliveries_and_callbacks_past_their_time_are_forgotten(
    bench: Bench, receiver: Receiver
) -> None:
    await bench.queue(callback_url=receiver.url)
    await bench.settle()
    assert not await prune(bench.context)
    async with bench.context.database.begin() as session:
        await session.execute(update(Callback).values(id=OLD + "1"))
        event = (await session.scalars(select(Event).where(col(Event.type).isnot(None)))).one()
        old = {
            "tenant_id": event.tenant_id,
            "event_id": event.id,
            "url": "https://x.test",
            "attempts": 1,
            "epoch": 1,
        }
        old["created_at"] = bench.clock.now()
        for number, target in enumerate(("delivered", "dead", "owed", "held")):
            status = "owed" if target == "held" else target
            due_at = bench.clock.now() if target == "owed" else None
            await session.execute(
                insert(Delivery).values(
                    **old, id=f"{OLD}{number}", target=target, status=status, due_at=due_at
                )
            )
            await session.execute(
                insert(Attempt).values(
                    id=f"a{number}", delivery_id=f"{OLD}{number}", number=1, started_at=bench.clock.now()
                )
            )
    assert await prune(bench.context)
    assert not await prune(bench.context)
    async with bench.context.database.begin() as session:
        kept = set(await session.scalars(select(col(Delivery.target))))
    assert kept == {"callback", "owed"}
    assert await count(bench, Attempt) == 2
    assert await count(bench, Callback) == 0


async def test_what_is_held_or_called_back_is_kept_for_its_time_whatever_the_machine_takes_for_the_time(
    bench: Bench,
) -> None:
    bench.clock.advance(timedelta(days=36500))
    now, kept = bench.clock.now(), bench.context.terms.retention
    disabled = {"status": EndpointStatus.DISABLED}
    await make_endpoint(bench.context.database, bench.context.secrets, bench.tenant, now, **disabled)
    await bench.queue()
    await bench.settle()
    for late, left in (
        (timedelta(), (1, 1)),
        (kept - timedelta(hours=2), (1, 1)),
        (timedelta(hours=3), (0, 0)),
    ):
        bench.clock.advance(late)
        await prune(bench.context)
        assert (await count(bench, Delivery), await count(bench, Callback)) == left


async def test_idempotency_keys_are_kept_for_two_days(bench: Bench) -> None:
    async with bench.context.database.begin() as session:
        session.add(
            IdempotencyKey(
                tenant_id=bench.tenant.id,
                operation="POST /v3/videos",
                key="order-1",
                body_sha256="h",
                resource_id="r",
                answer_encrypted=b"x",
                created_at=bench.clock.now(),
            )
        )
    bench.clock.advance(timedelta(hours=47))
    assert not await prune(bench.context)
    bench.clock.advance(timedelta(hours=2))
    assert await prune(bench.context)
    assert await count(bench, IdempotencyKey) == 0


async def test_what_a_caller_wrote_of_what_it_deleted_is_nowhere_after_eight_days(
    bench: Bench, api: httpx.AsyncClient, receiver: Receiver
) -> None:
    words = {"script": CANARY, "title": CANARY, "callback_url": f"{receiver.url}/{CANARY}"}
    deleted = await create_video(api, **words, greenroom={"metadata": {"for": CANARY}})
    kept = await create_video(api, callback_url=receiver.url, greenroom={"metadata": {"order": 1}})
    living, group = await create_look(api, "Ann")
    alone, _ = await create_look(api, CANARY)
    beside, _ = await create_look(api, f"{CANARY} too", avatar_group_id=group)
    await bench.settle()
    for path in (f"videos/{deleted}", f"avatars/looks/{alone}", f"avatars/looks/{beside}"):
        assert (await api.delete(f"/v3/{path}")).status_code == 200
    await bench.work()
    paths = [f"/v3/videos/{kept}", f"/v3/avatars/looks/{living}", f"/v3/avatars/{group}"]
    bench.clock.advance(timedelta(days=7, hours=23))
    assert not await prune(bench.context)
    assert await sings(bench) == ["groups", "jobs", "looks"]
    before = [(await api.get(path)).json()["data"] for path in paths]
    bench.clock.advance(timedelta(hours=2))
    assert await prune(bench.context)
    assert not await prune(bench.context)
    assert await sings(bench) == []
    after = [(await api.get(path)).json()["data"] for path in paths]
    assert (await api.get(f"/v3/videos/{deleted}")).status_code == 404
    assert [it.get("title") or it["name"] for it in after] == [it.get("title") or it["name"] for it in before]
    assert [it.get("greenroom") for it in after] == [it.get("greenroom") for it in before]
    bill = [(job.billable, job.result and job.result.get("duration")) for job in (await bench.jobs())[:2]]
    assert bill[0] == bill[1] == (True, (await read_video(api, kept))["duration"])


async def test_what_was_deleted_in_doubt_loses_its_script_and_is_deleted_at_heygen_all_the_same(
    bench: Bench,
) -> None:
    bench.simulator.set_scenario("gateway_timeout_after_accept", times=1)
    (job,) = await bench.queue(script=CANARY)
    assert await submit.submit_next(bench.context)
    async with bench.context.database.begin() as session:
        assert await lifecycle.apply(session, job.id, Canceled(deleted=True), By("caller", bench.clock.now()))
    assert await sings(bench) == ["jobs", "submissions"]
    bench.clock.advance(timedelta(days=8, hours=1))
    assert (await bench.job()).slot_account_id is not None, "nobody has looked it up yet"
    assert await prune(bench.context)
    assert await sings(bench) == []
    await bench.pass_time(900, step=60)
    assert (await bench.job()).heygen_deleted_at is not None
    assert bench.calls("DELETE", "/v3/videos/") == 1
