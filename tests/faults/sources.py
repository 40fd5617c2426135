"""Where histories come from: the tables, a simulator at hand or over HTTP, and files that other processes wrote."""

import base64
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlmodel import col

from app.database import Database
from app.models import Batch, Delivery, Endpoint, Event, File, IdempotencyKey, Job, Submission
from app.simulator.app import LedgerRow, RequestRow
from tests.faults.records import (
    Ask,
    BatchRow,
    Bill,
    Call,
    DeliveryRow,
    EndpointRow,
    EventRow,
    JobRow,
    SendRow,
    Tables,
    Webhook,
)

JOB = (
    *("id", "tenant_id", "account_id", "kind", "status", "number", "heygen_id", "slot_account_id"),
    *("failure_code", "billable", "callback_url", "callback_id", "due_at", "finished_at"),
    *("batch_id", "batch_index"),
)
BATCH = ("id", "tenant_id", "total", "open", "completed", "callback_url", "callback_id", "finished_at")
EVENT = ("id", "job_id", "number", "fact", "from_status", "to_status", "type", "body", "detail")
SEND = ("job_id", "key", "body_sha256", "n", "send", "sent_at", "answered_at", "http_status", "outcome")
DELIVERY = ("id", "event_id", "target", "url", "status", "attempts")
ENDPOINT = ("id", "tenant_id", "url", "event_types", "entity_id")


async def read_tables(database: Database) -> Tables:
    """The tables as they stand, read in one transaction."""
    async with database.begin() as session:

        async def rows(table: Any, names: Iterable[str], *more: Any) -> list[dict[str, Any]]:
            columns = [col(getattr(table, name)) for name in names]
            return [dict(row) for row in (await session.execute(select(*columns, *more))).mappings()]

        kept = col(Submission.body_encrypted).isnot(None).label("body_kept")
        keys = await session.execute(
            select(
                col(IdempotencyKey.tenant_id),
                col(IdempotencyKey.operation),
                col(IdempotencyKey.key),
                col(IdempotencyKey.resource_id),
            )
        )
        due = select(col(File.job_id)).where(col(File.due_at).isnot(None))
        return Tables(
            jobs=[JobRow(**row) for row in await rows(Job, JOB)],
            events=[_event(**row) for row in await rows(Event, EVENT)],
            sends=[SendRow(**row) for row in await rows(Submission, SEND, kept)],
            deliveries=[DeliveryRow(**row) for row in await rows(Delivery, DELIVERY)],
            batches=[BatchRow(**row) for row in await rows(Batch, BATCH)],
            endpoints=[EndpointRow(**row) for row in await rows(Endpoint, ENDPOINT)],
            bound={(tenant, operation, key): job_id for tenant, operation, key, job_id in keys},
            files_due=list(await session.scalars(due)),
        )


def _event(detail: Mapping[str, Any] | None, **row: Any) -> EventRow:
    return EventRow(**row, batch_id=(detail or {}).get("batch_id"))


def bills(rows: Iterable[LedgerRow | Mapping[str, Any]]) -> list[Bill]:
    """Of `Simulator.ledger()`, or of the `data` of `GET /simulator/ledger`."""
    return [
        Bill(row["kind"], row["job_id"], row["idempotency_key"], row["body_sha256"], _instant(row["at"]))
        for row in map(_mapping, rows)
    ]


def calls(rows: Iterable[RequestRow | Mapping[str, Any]]) -> list[Call]:
    """Of `Simulator.requests()`, or of the `data` of `GET /simulator/requests`."""
    return [
        Call(
            method=row["method"],
            path=row["path"],
            status=row["status"],
            at=_instant(row["at"]),
            key=row["idempotency_key"],
            body_sha256=row["body_sha256"],
            retry_after=row["retry_after"],
        )
        for row in map(_mapping, rows)
    ]


def note(file: Path, record: Ask | Webhook) -> None:
    """Append one line; what is in the file survives a kill of the process that wrote it."""
    row = asdict(record)
    if isinstance(record, Webhook):
        row["body"] = base64.b64encode(record.body).decode()
        row["at"] = record.at.isoformat()
    with file.open("a", encoding="utf-8") as lines:
        lines.write(json.dumps(row) + "\n")


def asks(*files: Path) -> list[Ask]:
    """What clients noted, each in a file of its own."""
    return [Ask(**row | {"items": tuple(row["items"])}) for row in _lines(files)]


def webhooks(*files: Path) -> list[Webhook]:
    """What receivers noted."""
    return [
        Webhook(**row | {"body": base64.b64decode(row["body"]), "at": _instant(row["at"])})
        for row in _lines(files)
    ]


def _lines(files: Iterable[Path]) -> Iterator[dict[str, Any]]:
    """Whole lines only: the last one of a killed process may be torn."""
    for file in files:
        for line in file.read_text(encoding="utf-8").splitlines(keepends=True) if file.exists() else ():
            if line.endswith("\n"):
                yield json.loads(line)


def _mapping(row: LedgerRow | RequestRow | Mapping[str, Any]) -> Mapping[str, Any]:
    return row if isinstance(row, Mapping) else asdict(row)


def _instant(value: datetime | str) -> datetime:
    return value if isinstance(value, datetime) else datetime.fromisoformat(value)
