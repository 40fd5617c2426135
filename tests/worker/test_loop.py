"""The lanes of one process, from their start to their stop."""

import asyncio
from dataclasses import replace

from app.models import JobStatus
from app.worker import loop
from tests.worker.conftest import Bench


async def test_after_a_stop_nothing_more_is_claimed_and_what_is_under_way_ends(bench: Bench) -> None:
    await bench.queue(2)
    about_to_send, go_on, stopping = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def hold(name: str) -> None:
        if name == "submit.intended":
            about_to_send.set()
            await go_on.wait()

    one_at_a_time = loop.run(replace(bench.context, failpoint=hold), stopping, submits=1)
    async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:
        tasks.create_task(one_at_a_time)
        await about_to_send.wait()
        stopping.set()
        go_on.set()
    assert [job.status for job in await bench.jobs()] == [JobStatus.PROCESSING, JobStatus.QUEUED]
    assert bench.renders() == 1
