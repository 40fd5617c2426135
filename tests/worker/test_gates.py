"""HeyGen is never called before its Retry-After, and an outage does not multiply the calls."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlmodel import col
from structlog.testing import capture_logs

from app import governor
from app.breaker import Breaker
from app.models import Account, File, JobStatus
from app.worker import archive, expire, poll, submit
from tests.services import make_context, run_worker
from tests.worker.conftest import Bench
from tests.worker.test_poll import forge


class Tolerant(Breaker):
    """Never opens."""

    def count(self, now: datetime, *, failed: bool) -> bool:  # noqa: ARG002 -- whatever is counted
        """Let it pass."""
        return False


async def rendering(bench: Bench, count: int = 1) -> None:
    """Some videos that HeyGen works on for an hour."""
    bench.simulator.set_timeline(render_seconds=3600)
    await bench.queue(count)
    await bench.work()


async def test_reads_obey_retry_after_even_in_a_process_that_starts_later(
    bench: Bench, account: Account, heygen_url: str, tmp_path: Path
) -> None:
    await rendering(bench, 3)
    bench.simulator.set_scenario("rate_limited", times=1, method="GET", seconds=600)
    await bench.pass_time(100, step=100)
    asked = bench.calls("GET")
    context = bench.context
    async with make_context(
        context.database, context.clock, context.secrets, {account.id: heygen_url}, tmp_path / "other"
    ) as restarted:
        for job in await bench.jobs():
            await forge(bench, job)
        for _ in range(9):
            bench.clock.advance(timedelta(seconds=60))
            await run_worker(restarted)
        assert bench.calls("GET") == asked == 1
        bench.clock.advance(timedelta(seconds=180))
        await run_worker(restarted)
    assert bench.calls("GET") > asked


async def test_the_reads_of_a_batch_stop_at_the_first_429(bench: Bench) -> None:
    await rendering(bench, 10)
    for job in await bench.jobs():
        await forge(bench, job)
    bench.simulator.set_scenario("rate_limited", method="GET", seconds=600)
    await bench.work()
    assert bench.calls("GET") <= poll.AT_ONCE, "those under way, and none after the first answer"


async def test_files_and_withdrawn_renders_wait_behind_the_gate_too(bench: Bench) -> None:
    withdrawn, finished = await bench.queue(2, archive=True)
    await bench.work()
    await bench.cancel(withdrawn.id)
    bench.clock.advance(timedelta(seconds=9))
    await bench.simulator.send_due_callbacks()
    jobs = await poll.claim(bench.context)
    await poll.poll(bench.context, jobs)
    async with bench.context.database.begin() as session:
        account = await session.get_one(Account, finished.account_id)
        account.gate_until = bench.clock.now() + timedelta(minutes=10)
    asked = bench.calls("GET")
    await bench.pass_time(590, step=59)
    assert await archive.claim(bench.context) is None
    assert bench.calls("GET") == asked
    await bench.pass_time(120, step=30)
    assert bench.calls("GET") > asked
    async with bench.context.database.begin() as session:
        late = select(col(File.variant)).where(col(File.archived_at).is_(None))
        assert list(await session.scalars(late)) == [], "they wait no longer than the gate is shut"


async def test_a_refused_key_stops_the_reads_until_it_is_looked_at_again(bench: Bench) -> None:
    await rendering(bench)
    bench.simulator.set_scenario("unauthorized")
    await bench.pass_time(100, step=100)
    asked = bench.calls("GET")
    await bench.pass_time(290, step=29)
    assert bench.calls("GET") == asked
    bench.simulator.clear_scenarios()
    await bench.pass_time(360, step=60)
    assert bench.calls("GET", "/v3/videos") > 1


@pytest.mark.parametrize(("seconds", "alarms"), [(900, 0), (901, 1)])
async def test_a_long_retry_after_is_obeyed_and_an_operator_is_told(
    bench: Bench, seconds: int, alarms: int
) -> None:
    await bench.queue(3)
    bench.simulator.set_scenario("rate_limited", times=1, seconds=seconds)
    with capture_logs() as lines:
        await bench.pass_time(seconds - 1, step=100)
    told = [line for line in lines if line["event"] == "retry_after_long"]
    assert [line["log_level"] for line in told] == ["error"] * alarms
    assert bench.calls("POST", "/v3/videos") == 1
    await bench.settle()
    assert bench.renders() == 3


async def create_twice(bench: Bench) -> None:
    await bench.queue(2)
    claims = [await submit.claim(bench.context) for _ in range(2)]
    for claimed in claims:
        assert claimed is not None
        await submit.submit(bench.context, claimed)


async def follow_two(bench: Bench) -> None:
    await rendering(bench, 2)
    bench.simulator.set_scenario("unauthorized")
    for job in await bench.jobs():
        await forge(bench, job)
    await poll.poll(bench.context, await poll.claim(bench.context))


async def read_twice(bench: Bench) -> None:
    (connection,) = bench.context.connections.values()
    both = asyncio.Barrier(2)

    async def ask() -> object:
        await both.wait()  # the second has passed the gate before the first is refused
        return await connection.heygen.users_me()

    reads = [connection.catalog.through_gate(ask) for _ in range(2)]
    await asyncio.gather(*reads, return_exceptions=True)


async def render_two(bench: Bench) -> None:
    await bench.queue(2)
    await bench.work()
    bench.clock.advance(timedelta(seconds=9))
    await bench.simulator.send_due_callbacks()
    await bench.work()
    assert {job.status for job in await bench.jobs()} == {JobStatus.FAILED}


@pytest.mark.parametrize(
    ("refused", "scenario", "reason"),
    [
        (create_twice, "unauthorized", "unauthorized"),
        (create_twice, "insufficient_credit", "insufficient_credit"),
        (follow_two, None, "unauthorized"),
        (read_twice, "unauthorized", "unauthorized"),
        (render_two, "no_credit", "movio_payment_insufficient_credit"),
    ],
)
async def test_an_operator_is_told_once_of_a_pause_and_of_its_end(
    bench: Bench,
    account: Account,
    refused: Callable[[Bench], Awaitable[None]],
    scenario: str | None,
    reason: str,
) -> None:
    """Each way meets two refusals."""
    if scenario is not None:
        bench.simulator.set_scenario(scenario)
    with capture_logs() as lines:
        await refused(bench)
        bench.simulator.clear_scenarios()
        bench.clock.advance(governor.PROBE_EVERY)
        assert await expire.probe(bench.context)
    paused, resumed = [line for line in lines if line["event"] in {"account_paused", "account_resumed"}]
    whose = {"account_id": account.id, "account": account.name}
    meaning = paused.pop("meaning")
    assert paused == whose | {"event": "account_paused", "log_level": "error", "reason": reason}
    for word in (
        "300 s",
        f"greenroom accounts add {account.name}",
        f"greenroom accounts resume {account.name}",
    ):
        assert word in meaning
    ended = {"event": "account_resumed", "log_level": "warning", "was": reason, "on_trial": False}
    assert resumed == whose | ended


async def test_an_outage_is_met_with_a_tenth_more_sends_and_one_a_second(bench: Bench) -> None:
    async with bench.context.database.begin() as session:
        account = await session.get_one(Account, bench.tenant.account_id)
        account.concurrency = account.limit_now = 20
    bench.simulator.set_scenario("outage", method="POST")
    # The breaker alone would stop the repeats here: it opens at twenty failures.
    connections = {
        account_id: replace(it, breaker=Tolerant()) for account_id, it in bench.context.connections.items()
    }
    bench.context = replace(bench.context, connections=connections)
    await bench.queue(20)
    await bench.work()
    assert bench.calls("POST") == 20
    for seconds in range(1, 21):
        bench.clock.advance(timedelta(seconds=1))
        await bench.work()
        assert bench.calls("POST") <= 1.1 * 20 + seconds + 1
    bench.simulator.clear_scenarios()
    await bench.settle()
    assert bench.renders() == 20


async def test_work_whose_deadline_has_passed_is_not_sent(
    bench: Bench, held_slots: Callable[[], Awaitable[int]]
) -> None:
    await bench.queue(deadline_at=bench.clock.now() + timedelta(seconds=5))
    claimed = await submit.claim(bench.context)
    assert claimed is not None
    bench.clock.advance(timedelta(seconds=5))
    await submit.submit(bench.context, claimed)
    await bench.work()
    assert bench.calls("POST", "/v3/videos") == 0
    job = await bench.job()
    assert (job.status, job.failure_code) == (JobStatus.FAILED, "deadline_exceeded")
    assert await held_slots() == 0
