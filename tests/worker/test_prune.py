"""What nobody may ask for any more is forgotten; what somebody may is kept."""

from datetime import timedelta

from sqlalchemy import func, insert, select, update
from sqlmodel import SQLModel, col

from app.models import Attempt, Callback, Delivery, Event, IdempotencyKey
from app.worker.prune import prune
from tests.services import Receiver
from tests.worker.conftest import Bench

OLD = "0" * 31  # the ids of rows rise with time; these are from 1970


async def count(bench: Bench, table: type[SQLModel]) -> int:
    async with bench.context.database.begin() as session:
        return await session.scalar(select(func.count()).select_from(table)) or 0


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
