"""What more replicas bring: the same videos through one, two and four services on one PostgreSQL; part of `make bench`.

Real processes over loopback, HeyGen is the simulator in a process of its own, and nobody calls back: they poll. A machine
with more cores than processes tells more of the rates; what a video costs is told by any.
"""

import argparse
import asyncio
import os
import platform
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path

import httpx

from app.database import Database
from tests.api.callers import VIDEO
from tests.faults.postgresql import own_postgresql
from tests.processes import Program, eventually, make_key, new_database, serve, settings, simulate

SIZES = (1, 2, 4)
AT_ONCE = 16  # callers
SLOTS = 200
TICKS = os.sysconf("SC_CLK_TCK")


async def measure(folder: Path, server_url: str, size: int, videos: int) -> str:
    """One line of the table."""
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(new_database(server_url))
        database = Database(url)
        stack.push_async_callback(database.close)
        await database.migrate()
        words = ("--render-seconds", "0.5", "--concurrency", str(SLOTS))
        simulator = await stack.enter_async_context(simulate(folder, *words))
        here = settings(
            folder, DATABASE_URL=url, SECRET_KEYS="used in benchmarks alone and nowhere else", ARCHIVE="false"
        )
        here |= {"HEYGEN_BASE_URL": simulator.url, "HEYGEN_API_KEY": "any", "HEYGEN_CONCURRENCY": str(SLOTS)}
        here |= {"RATE_LIMIT_CREATES": "1000000", "LOG_LEVEL": "WARNING"}
        key = await make_key(folder, "caller", here)
        services = [await stack.enter_async_context(serve(folder, **here)) for _ in range(size)]
        client = await stack.enter_async_context(httpx.AsyncClient(headers={"x-api-key": key}, timeout=60))
        before, began = sum(map(cpu_seconds, services)), time.monotonic()
        ids = await create(client, services, videos)
        accepted = time.monotonic() - began
        await eventually(lambda: all_completed(client, services[0], ids), *services, within=600)
        took = time.monotonic() - began
        cpu = (sum(map(cpu_seconds, services)) - before) / videos * 1000
        return f"| {size} | {videos / accepted:,.0f} | {videos / took:,.0f} | {cpu:,.1f} |"


async def create(client: httpx.AsyncClient, services: list[Program], videos: int) -> list[str]:
    """Order them from all services in turn; their ids."""
    orders = iter(range(videos))
    ids: list[str] = []

    async def order() -> None:
        for number in orders:
            answer = await client.post(f"{services[number % len(services)].url}/v3/videos", json=VIDEO)
            answer.raise_for_status()
            ids.append(answer.json()["data"]["video_id"])

    async with asyncio.TaskGroup() as tasks:
        for _ in range(AT_ONCE):
            tasks.create_task(order())
    return ids


async def all_completed(client: httpx.AsyncClient, service: Program, ids: list[str]) -> bool:
    """Whether each of them has its end, by pages of a hundred: the first that has not is asked about again."""
    while ids:
        some = ",".join(ids[-100:])
        answer = await client.get(f"{service.url}/v3/videos/statuses", params={"video_ids": some})
        if any(it["status"] != "completed" for it in answer.json()["data"]):
            return False
        del ids[-100:]
    return True


def cpu_seconds(program: Program) -> float:
    """What a process has used so far (proc(5))."""
    fields = Path(f"/proc/{program.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


async def main(options: argparse.Namespace) -> None:
    """One size after the other, on databases of their own."""
    print(
        f"{platform.machine()}, {os.cpu_count()} CPUs, Python {platform.python_version()}, PostgreSQL without fsync"
    )
    print(f"{options.videos} videos of half a second, {SLOTS} slots, {AT_ONCE} callers at once\n")
    print(
        "| Replicas | accepted a second | finished a second | CPU of the services per video, ms |\n|---|---|---|---|"
    )
    async with own_postgresql() as server:
        for size in SIZES:
            with tempfile.TemporaryDirectory(prefix="greenroom-bench-") as folder:
                print(await measure(Path(folder), server.url, size, options.videos), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--videos", type=int, default=600)
    asyncio.run(main(parser.parse_args()))
