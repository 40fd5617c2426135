"""The witness: every request that came, and every job that was billed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from app.simulator.answers import Call
from app.simulator.store import Store


@dataclass(frozen=True)
class LedgerRow:
    """One thing that cost money."""

    id: int
    kind: str
    """`video`, `look` or `speech`."""
    job_id: str
    idempotency_key: str | None
    body_sha256: str
    title: str | None
    """A video's title, a look's name."""
    cost_usd: float
    """By the script, as the bill is written before the film is made."""
    at: datetime


@dataclass(frozen=True)
class RequestRow:
    """One request, in order of arrival."""

    seq: int
    method: str
    path: str
    """With its query."""
    status: int | None
    """None while unanswered, and where the connection was dropped."""
    at: datetime
    idempotency_key: str | None
    body_sha256: str
    retry_after: float | None
    """Seconds that it was told to wait."""


class Record:
    """The request log, the ledger and the highest number of jobs in flight."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def arrived(self, method: str, path: str, *, key: str | None, sha: str, file: bool, at: float) -> int:
        """Log a request before anything is done about it; answers its number."""
        return self._store.insert(
            "requests", method=method, path=path, at=at, idempotency_key=key, body_sha256=sha, file=int(file)
        )

    def answered(self, seq: int, status: int, retry_after: str | None = None) -> None:
        """Note what was answered, and the seconds of `Retry-After` where it said so."""
        self._store.write("UPDATE requests SET status = ? WHERE seq = ?", status, seq)
        if retry_after is not None:
            self._store.insert("waits", seq=seq, seconds=float(retry_after))

    def requests(
        self, method: str | None, path_prefix: str | None, *, files: bool = False
    ) -> list[RequestRow]:
        """API calls, or file downloads, oldest first."""
        rows = self._store.all(
            "SELECT *, (SELECT seconds FROM waits WHERE waits.seq = requests.seq) AS retry_after"
            " FROM requests WHERE file = ?1 AND (?2 IS NULL OR method = ?2)"
            " AND (?3 IS NULL OR substr(path, 1, length(?3)) = ?3) ORDER BY seq",
            int(files),
            method,
            path_prefix,
        )
        columns = ("seq", "method", "path", "status", "idempotency_key", "body_sha256", "retry_after")
        return [RequestRow(at=_instant(row["at"]), **{name: row[name] for name in columns}) for row in rows]

    def bill(self, call: Call, job_id: str, title: str | None, cost: float, at: float) -> None:
        """Write a bill; part of the transaction that makes the job."""
        self._store.insert(
            "ledger",
            kind=call.kind,
            job_id=job_id,
            idempotency_key=call.key,
            body_sha256=call.sha,
            title=title,
            cost_usd=cost,
            at=at,
        )

    def ledger(self) -> list[LedgerRow]:
        """Every bill, oldest first."""
        columns = ("id", "kind", "job_id", "idempotency_key", "body_sha256", "title", "cost_usd")
        rows = self._store.all("SELECT * FROM ledger ORDER BY id")
        return [LedgerRow(at=_instant(row["at"]), **{name: row[name] for name in columns}) for row in rows]

    def spent(self) -> float:
        """The sum of all bills, USD."""
        return self._store.number("SELECT sum(cost_usd) FROM ledger")

    def in_flight(self, now: float) -> int:
        """Jobs that are not terminal, videos and looks alike."""
        unfinished = 0.0
        for table in ("videos", "looks"):
            # Two queries, so that each is a range of the index on finish_at.
            count = f"SELECT count(*) FROM {table} WHERE deleted = 0 AND finish_at"  # noqa: S608 -- of constants
            unfinished += self._store.number(f"{count} > ?", now) + self._store.number(f"{count} IS NULL")
        late_films = "SELECT count(*) FROM videos WHERE filming = 1 AND deleted = 0 AND finish_at <= ?"
        return int(unfinished + self._store.number(late_films, now))

    def note_in_flight(self, count: int) -> None:
        """Remember the highest number ever seen."""
        self._store.write(
            "INSERT INTO facts VALUES ('peak', ?1) ON CONFLICT (name) DO UPDATE SET value = ?1"
            " WHERE CAST(value AS INTEGER) < CAST(?1 AS INTEGER)",
            str(count),
        )

    def peak_in_flight(self) -> int:
        """The highest number of jobs ever in flight at once."""
        return int(self._store.number("SELECT CAST(value AS INTEGER) FROM facts WHERE name = 'peak'"))


def _instant(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
