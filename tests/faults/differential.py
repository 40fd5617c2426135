"""One program on both databases: the same answers and the same tables, but for ids and tokens."""

import asyncio
import re
import tempfile
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from datetime import datetime
from itertools import zip_longest
from pathlib import Path
from typing import Any

from sqlalchemy import RowMapping, Table, select
from sqlmodel import SQLModel

from app.database import Database
from app.webhooks.outbox import CALLBACK
from tests.conftest import empty
from tests.faults.memory import MEMORY
from tests.faults.postgresql import own_postgresql
from tests.faults.program import Program
from tests.faults.quiet import without_logs
from tests.faults.result import Result
from tests.faults.rounds import Harness
from tests.inline_sqlite import InlineDatabase

OWN = {
    "events": "job_id number batch_id id",
    "submissions": "job_id n send",
    "callbacks": "job_id received_at",
    "files": "job_id variant",
    "deliveries": "event_id target",
    "attempts": "delivery_id number",
    "asset_uploads": "asset_id account_id",
    "asset_copies": "asset_id uploaded_at",
    "webhook_secrets": "id",
    "idempotency_keys": "tenant_id operation key",
}
ORDERS = (
    dict.fromkeys(("accounts", "tenants", "endpoints", "batches", "jobs", "groups", "looks", "assets"), "id")
    | OWN
)
"""The tables, each after those that it names, and in an order of its own. Ids rise with time."""
SECRET = re.compile(r"(_encrypted|token|sha256|_digest)$|^(answer|body)$")
ID, SHA = re.compile(r"[0-9a-f]{32}"), re.compile(r"[0-9a-f]{64}")
SIGNED = re.compile(r'signature=[\w-]+|"next_token":"[^"]+"|whsec_[^"]+')
FINE = re.compile(r"(:\d\d\.\d\d)\d+")
"""What is below a hundredth of a second: polls that go on at once read the clock in any order."""
SHOWN = 3  # differences of one program


def main(words: Sequence[str]) -> int:
    """From the command line; 1 where the databases differ."""
    return DIFFERENTIAL.main(words, about=__doc__)


def compare(programs: Sequence[int]) -> Result:
    """Program after program on a PostgreSQL of their own."""
    began = time.monotonic()
    found = asyncio.run(_compare(programs))
    return Result("differential", {"programs": float(len(programs))}, found, time.monotonic() - began)


async def _compare(programs: Sequence[int]) -> list[str]:
    async with own_postgresql() as server:
        database = Database(server.url)
        await database.migrate()
        await database.close()
        return await asyncio.to_thread(differences, programs, server.url)


def differences(programs: Iterable[int], postgresql_url: str) -> list[str]:
    """Where the two stories of a program part, at first; none is as it should be."""
    return asyncio.run(_differences(programs, postgresql_url))


async def _differences(programs: Iterable[int], postgresql_url: str) -> list[str]:
    found, inline, served = [], InlineDatabase(), Database(postgresql_url)
    try:
        for number in programs:
            await inline.renew()
            await empty(served)
            both = zip_longest(await story(number, inline), await story(number, served), fillvalue="nothing")
            parting = [f"databases differ: {one} <> {other}" for one, other in both if one != other]
            found += [f"{line} [{DIFFERENTIAL.again(number)}]" for line in parting[:SHOWN]]
    finally:
        await inline.engine.dispose()
        await served.close()
    return found


async def story(number: int, database: Database) -> list[str]:
    """What callers were answered and what the tables say in the end; ids are named in the order of their appearance."""
    with without_logs(), tempfile.TemporaryDirectory(prefix="greenroom-", dir=MEMORY) as folder:
        program = Program(number, database, Path(folder))
        await program.settle_in()
        try:
            await program.run()
            rows = [line async for line in _told(database)]
        finally:
            await program.end()
    names: dict[str, str] = {}

    def name(match: re.Match[str]) -> str:
        return names.setdefault(match[0], f"id-{len(names)}")

    lines = [*program.turns.broken, *program.answers, *rows]
    for pattern, instead in ((SIGNED, "signature"), (SHA, "sha256"), (FINE, r"\1"), (ID, name)):
        lines = [pattern.sub(instead, line) for line in lines]
    return lines


async def _told(database: Database) -> AsyncIterator[str]:
    # Of what was told already: polls that go on at once make events in any order.
    ranks = {CALLBACK: -1}
    for name, order in ORDERS.items():
        table: Table = SQLModel.metadata.tables[name]
        async with database.begin() as session:
            rows = (await session.execute(select(table))).mappings().all()
        columns = order.split()
        for row in sorted(
            rows, key=lambda it: [ranks.get(it[column], it[column] or 0) for column in columns]
        ):
            ranks.setdefault(str(row.get("id")), len(ranks))
            yield f"{name} {dict(_open(row))}"


def _open(row: RowMapping) -> Iterator[tuple[str, Any]]:
    for column, value in row.items():
        # Of a batch's items, polled at once, any may be the last.
        if not SECRET.search(column) and not (column == "source" and row["job_id"] is None):
            yield column, value.isoformat() if isinstance(value, datetime) else value


DIFFERENTIAL = Harness("differential", "programs", compare, short=20, full=160, at_once=20)
