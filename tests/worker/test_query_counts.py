"""How many statements the hot operations make: each is a round trip, so that one more has to be meant."""

from collections.abc import Awaitable
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import TypeVar, cast

import httpx
import pytest

from app import lifecycle
from app.heygen.client import HeyGen
from app.lifecycle import Accepted, By
from app.models import JobStatus
from app.stored_request import StoredRequest
from app.worker import loop, poll, submit
from tests.api.callback_bodies import event
from tests.api.callers import VIDEO
from tests.factories import new_job
from tests.statements import recording
from tests.worker.conftest import Bench

T = TypeVar("T")

# One tenant's, where nothing is special; the same on both databases.
ACCEPT = 5  # the look by HeyGen's id, and by ours; who may use the voice; the job and its event
KEY = 3  # whether it is known, before the checks and after them; its own row
REPLAY = 1  # the key's row has the answer
CLAIM = 10  # the account, its slots, delays and queue; the tenant's turn; the job, its event, sends, lease and intent
TURN = 1  # the account's, which a tenant that is ahead takes along
ANSWER = 9  # the account, twice; two looks for whose id it is; the epoch and the send; the job, twice, and its event
PULSE = 1  # all lanes together
CALLBACK = 4  # the hint; whether it is a repetition, or one too many; its own row
REPETITION = 2  # the hint and the count
SWEEP = 3  # what is due, what soon would be, and whether HeyGen may be asked
NOTHING_DUE = 1
GIVE_BACK = 1  # an UPDATE a row, all in one round trip
COMPLETED = 8  # the job, three times; its event, twice; who is told; what was sent is erased; its files


async def count(bench: Bench, step: Awaitable[T]) -> tuple[int, T]:
    """How many statements it took, and what came of it."""
    with recording(bench.context.database) as statements:
        done = await step
    return len(statements), done


async def test_accepting_a_video_takes_five_statements_and_three_for_its_key(
    bench: Bench, api: httpx.AsyncClient
) -> None:
    create, key = partial(api.post, "/v3/videos", json=VIDEO), {"Idempotency-Key": "mine"}
    await create()  # the tenant's queue is counted, and HeyGen asked for the look
    plain, first = await count(bench, create())
    keyed, second = await count(bench, create(headers=key))
    again, replayed = await count(bench, create(headers=key))
    assert [it.status_code for it in (first, second, replayed)] == [200] * 3
    assert (plain, keyed, again) == (ACCEPT, ACCEPT + KEY, REPLAY)


async def test_a_claim_takes_ten_statements_or_eleven_and_its_answer_nine(bench: Bench) -> None:
    await bench.queue(8)
    taken = []
    for _ in range(6):
        claimed, job = await count(bench, submit.claim(bench.context))
        assert job is not None
        answered, _ = await count(bench, submit.submit(bench.context, job))
        taken.append((claimed, answered))
    assert taken == [(CLAIM, ANSWER)] * 3 + [(CLAIM + TURN, ANSWER)] * 3
    assert bench.renders() == 6


async def test_the_pulse_asks_one_question(bench: Bench) -> None:
    await bench.queue(3)
    assert await count(bench, loop.due_lanes(bench.context)) == (PULSE, ["submit"])


async def test_a_callback_takes_four_statements_and_its_repetition_two(
    bench: Bench, api: httpx.AsyncClient
) -> None:
    await bench.queue()
    await bench.work()
    job = await bench.job()
    token = StoredRequest.unseal(job.request_encrypted or b"", bench.context.secrets).callback_token
    body = event(video_id=job.heygen_id)
    told, _ = await count(bench, api.post(f"/callbacks/heygen/{token}", content=body))
    told_again, _ = await count(bench, api.post(f"/callbacks/heygen/{token}", content=body))
    assert (told, told_again) == (CALLBACK, REPETITION)


class Rendering:
    """A HeyGen of which all videos are being made."""

    async def video_statuses(self, heygen_ids: list[str]) -> dict[str, str]:
        return dict.fromkeys(heygen_ids, "processing")


@pytest.mark.parametrize("videos", [10, poll.BULK])
async def test_a_hundred_running_videos_take_no_more_statements_than_ten(bench: Bench, videos: int) -> None:
    context, now = bench.context, bench.clock.now()
    ((account_id, connection),) = context.connections.items()
    by = By("worker", now)
    async with context.database.begin() as session:
        for job in [new_job(context.secrets, bench.tenant, now) for _ in range(videos)]:
            await lifecycle.enqueue(session, job, by)
            assert await lifecycle.claim(session, job.id, context.pace.lease, by)
            assert await lifecycle.apply(session, job.id, Accepted(f"at heygen {job.id}", now), by)
    rendering = replace(connection, heygen=cast("HeyGen", Rendering()))
    bench.context = replace(context, connections={account_id: rendering})
    claiming, jobs = await count(bench, poll.claim(bench.context))
    assert (claiming, len(jobs)) == (SWEEP, videos)
    assert await count(bench, poll.poll(bench.context, jobs)) == (GIVE_BACK, None)
    assert {job.asks for job in await bench.jobs()} == {1}
    assert await count(bench, poll.claim(bench.context)) == (NOTHING_DUE, [])


async def test_each_video_that_has_ended_takes_eight_statements_of_its_own(bench: Bench) -> None:
    bench.simulator.set_scenario("callbacks_lost")
    await bench.queue(3, script="[[stuck]]")
    await bench.queue(2)
    await bench.work()
    bench.clock.advance(timedelta(minutes=2))
    claiming, jobs = await count(bench, poll.claim(bench.context))
    recorded, _ = await count(bench, poll.poll(bench.context, jobs))
    assert (claiming, recorded) == (SWEEP, GIVE_BACK + 2 * COMPLETED)
    running, completed = [JobStatus.PROCESSING] * 3, [JobStatus.COMPLETED] * 2
    assert [job.status for job in await bench.jobs()] == running + completed
