"""Real processes that are killed and frozen in the middle of their work: every video is made, and paid for, once."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import select
from sqlmodel import col

from app.database import Database
from app.models import Event
from tests.api.callers import VIDEO, VOICE
from tests.processes import Program, eventually, make_key, new_database, run, serve, settings, simulate

CAP = 20
HELD = {"options": {"seconds": 1000}}  # until it is switched off


async def asked(simulator: Program, path: str) -> Any:
    """What the simulator's control plane answers."""
    async with httpx.AsyncClient(base_url=f"{simulator.url}/simulator", timeout=30) as client:
        answer = await client.get(path)
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]


async def told(simulator: Program, method: str, path: str, body: object = None) -> None:
    """Change how the simulator behaves."""
    async with httpx.AsyncClient(base_url=f"{simulator.url}/simulator", timeout=30) as client:
        answer = await client.request(method, path, json=body)
    assert answer.status_code == 200, answer.text


def at_simulator(simulator: Program) -> dict[str, str]:
    """The settings of a service whose HeyGen this is. The simulator itself would take more than the cap."""
    return {"HEYGEN_BASE_URL": simulator.url, "HEYGEN_API_KEY": "any", "HEYGEN_CONCURRENCY": str(CAP)}


def caller(program: Program, key: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=program.url, headers={"x-api-key": key}, timeout=60)


async def create(api: httpx.AsyncClient, count: int) -> list[str]:
    """That many videos' ids."""
    ids = []
    for _ in range(count):
        answer = await api.post("/v3/videos", json=VIDEO)
        assert answer.status_code == 200, answer.text
        ids.append(answer.json()["data"]["video_id"])
    return ids


async def statuses(api: httpx.AsyncClient, ids: list[str]) -> Counter[str]:
    """How many of the videos stand where."""
    answer = await api.get("/v3/videos/statuses", params={"video_ids": ",".join(ids)})
    assert answer.status_code == 200, answer.text
    return Counter(entry["status"] for entry in answer.json()["data"])


async def all_completed(api: httpx.AsyncClient, ids: list[str]) -> bool:
    found = await statuses(api, ids)
    assert not found["failed"], found
    assert not found["not_found"], found
    return found["completed"] == len(ids)


async def renders(simulator: Program) -> list[str]:
    """Whom each billed render was for: the key names the job, so that twice for one job is seen."""
    return [row["idempotency_key"].rpartition("-")[0] for row in await asked(simulator, "/ledger")]


async def billed(simulator: Program, count: int) -> bool:
    return len(await renders(simulator)) >= count


async def unanswered(simulator: Program, count: int) -> bool:
    """Whether that many creates are waiting for HeyGen's answer."""
    creates = await asked(simulator, "/requests?method=POST")
    return sum(1 for create in creates if create["status"] is None) >= count


async def at_rest(simulator: Program) -> bool:
    return bool((await asked(simulator, "/stats"))["in_flight"] == 0)


@pytest.mark.timeout(300)
async def test_a_service_killed_in_the_middle_of_fifty_videos_makes_each_of_them_once(tmp_path: Path) -> None:
    async with simulate(tmp_path, "--render-seconds", "0.3", "--concurrency", "100") as simulator:
        here = settings(tmp_path, **at_simulator(simulator))
        key = await make_key(tmp_path, "caller", here)
        async with serve(tmp_path, **here) as first, caller(first, key) as api:
            ids = await create(api, 25)
            await eventually(lambda: billed(simulator, 10), first, simulator)
            await told(simulator, "PUT", "/scenarios/slow_create", HELD)
            ids += await create(api, 25)
            await eventually(lambda: unanswered(simulator, 5), first, simulator)
            await first.kill()
        await told(simulator, "DELETE", "/scenarios")  # HeyGen accepts them; their sender is gone
        assert len(await renders(simulator)) < 50, "it was killed in the middle"
        async with serve(tmp_path, **here) as second, caller(second, key) as api:
            assert (await statuses(api, ids))["not_found"] == 0
            await eventually(lambda: all_completed(api, ids), second, simulator)
        assert sorted(await renders(simulator)) == sorted(ids)
        assert (await asked(simulator, "/stats"))["peak_in_flight"] <= CAP


@pytest.mark.timeout(300)
async def test_a_stop_waits_for_what_is_under_way_and_a_second_signal_does_not(tmp_path: Path) -> None:
    async with simulate(tmp_path, "--render-seconds", "0.3") as simulator:
        here = settings(tmp_path, **at_simulator(simulator)) | {"HEYGEN_CONCURRENCY": "1"}
        key = await make_key(tmp_path, "caller", here)
        async with serve(tmp_path, "--no-worker", **here) as api_only, caller(api_only, key) as api:
            ids = await create(api, 2)
            assert await api_only.stop() == 0
        await told(simulator, "PUT", "/scenarios/slow_create", HELD)
        async with run(tmp_path, "worker", **here) as patient:
            await eventually(lambda: unanswered(simulator, 1), patient, simulator)
            patient.process.terminate()
            await patient.said("stopping")
            await told(simulator, "DELETE", "/scenarios")
            assert await patient.ended(within=60) == 0, "the create has ended, and the process with it"
        assert await renders(simulator) == ids[:1], "nothing new was begun"
        await told(simulator, "PUT", "/scenarios/slow_create", HELD)
        async with run(tmp_path, "worker", **here) as hasty:
            await eventually(lambda: unanswered(simulator, 1), hasty, simulator)
            hasty.process.terminate()
            await hasty.said("stopping")
            hasty.process.terminate()
            assert await hasty.ended(within=10) != 0


@pytest.mark.timeout(300)
async def test_a_request_that_takes_long_keeps_no_worker_working_beyond_a_stop(tmp_path: Path) -> None:
    async with simulate(tmp_path, "--render-seconds", "0.3") as simulator:
        here = settings(tmp_path, **at_simulator(simulator)) | {"HEYGEN_CONCURRENCY": "1"}
        key = await make_key(tmp_path, "caller", here)
        async with serve(tmp_path, **here) as service, caller(service, key) as api:
            await told(
                simulator, "PUT", "/scenarios/slow_create", {"options": {"seconds": 1000, "kind": "speech"}}
            )
            speech = asyncio.create_task(
                api.post("/v3/voices/speech", json={"text": "Hello.", "voice_id": VOICE})
            )
            await eventually(lambda: unanswered(simulator, 1), service, simulator)
            await create(api, 20)
            await eventually(lambda: billed(simulator, 1), service, simulator)
            service.process.terminate()
            await service.said("stopping")
            begun = await renders(simulator)
            await eventually(lambda: at_rest(simulator), service, simulator)
            assert len(await renders(simulator)) <= len(begun) + 1, "no more than was under way"
            assert not speech.done(), "it may still be answered"
            service.process.terminate()
            assert await service.ended(within=10) != 0, "who tells a second time does not wait"
            with pytest.raises(httpx.TransportError):
                await speech


@pytest.fixture
async def own_postgresql(postgresql: str) -> AsyncIterator[str]:
    async with new_database(postgresql) as url:
        yield url


@pytest.mark.timeout(300)
async def test_a_replica_that_is_frozen_beyond_its_lease_doubles_nothing_when_it_wakes(
    tmp_path: Path, own_postgresql: str
) -> None:
    database = Database(own_postgresql)
    await database.migrate()
    async with simulate(tmp_path, "--render-seconds", "0.3", "--concurrency", "100") as simulator:
        here = settings(
            tmp_path,
            **at_simulator(simulator),
            DATABASE_URL=own_postgresql,
            SECRET_KEYS="used in tests alone and nowhere else",
            CREATE_TIMEOUT="3",
            READ_TIMEOUT="3",
            LEASE="18",
        )
        key = await make_key(tmp_path, "caller", here)
        async with serve(tmp_path, **here) as frozen, caller(frozen, key) as at_frozen:
            await told(simulator, "PUT", "/scenarios/slow_create", HELD)
            ids = await create(at_frozen, 5)
            await eventually(lambda: unanswered(simulator, 5), frozen, simulator)
            frozen.freeze()
            await told(simulator, "DELETE", "/scenarios")  # HeyGen accepts them; their sender cannot hear it
            async with serve(tmp_path, **here) as other, caller(other, key) as at_other:
                await eventually(lambda: all_completed(at_other, ids), other, simulator)
                assert other.log.count("lease_over") == 5, "it took over what the frozen one held"
                frozen.thaw()
                more = await create(at_frozen, 10)
                await eventually(lambda: all_completed(at_frozen, ids + more), frozen, other, simulator)
        assert sorted(await renders(simulator)) == sorted(ids + more)
        assert (await asked(simulator, "/stats"))["peak_in_flight"] <= CAP
    async with database.begin() as session:
        events = list(await session.scalars(select(Event).order_by(col(Event.job_id), col(Event.number))))
    await database.close()
    for video_id in ids:
        line = [event for event in events if event.job_id == video_id]
        assert [event.number for event in line] == list(range(1, len(line) + 1))
        assert [event.fact for event in line] == ["Enqueued", "Claimed", "Unclear", "Accepted", "Completed"]
