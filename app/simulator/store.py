"""The simulator's own SQLite file: what it was asked, made and billed survives a kill."""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from app.simulator import asset_tables

TABLES = """
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL);

CREATE TABLE IF NOT EXISTS requests (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    method TEXT NOT NULL,
    path TEXT NOT NULL,
    status INTEGER,               -- null while unanswered, and for ever where the connection was dropped
    at REAL NOT NULL,
    idempotency_key TEXT,
    body_sha256 TEXT NOT NULL,
    file INTEGER NOT NULL         -- 1: a download, not an API call
);

CREATE TABLE IF NOT EXISTS waits (
    seq INTEGER PRIMARY KEY,      -- the request's
    seconds REAL NOT NULL         -- what it was told to wait
);

CREATE TABLE IF NOT EXISTS ledger (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,           -- video | look | speech
    job_id TEXT NOT NULL,
    idempotency_key TEXT,
    body_sha256 TEXT NOT NULL,
    title TEXT,
    cost_usd REAL NOT NULL,
    at REAL NOT NULL
);
-- Append-only: a bill that could be rewritten would prove nothing.
CREATE TRIGGER IF NOT EXISTS ledger_keeps BEFORE UPDATE ON ledger
    BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER IF NOT EXISTS ledger_stays BEFORE DELETE ON ledger
    BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;

CREATE TABLE IF NOT EXISTS answers (
    operation TEXT NOT NULL,      -- method and path
    key TEXT NOT NULL,
    status INTEGER NOT NULL,
    headers TEXT NOT NULL,
    body BLOB NOT NULL,
    at REAL NOT NULL,
    PRIMARY KEY (operation, key)
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS assets (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    mime_type TEXT NOT NULL,
    size_bytes INTEGER NOT NULL,
    path TEXT NOT NULL,
    created_at REAL NOT NULL,
    deleted INTEGER NOT NULL DEFAULT 0
);

CREATE TABLE IF NOT EXISTS groups (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    public INTEGER NOT NULL,
    gender TEXT,
    default_voice_id TEXT,
    created_at REAL NOT NULL,
    deleted INTEGER NOT NULL DEFAULT 0
);

CREATE TABLE IF NOT EXISTS looks (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    group_id TEXT NOT NULL,
    name TEXT NOT NULL,
    avatar_type TEXT NOT NULL,
    public INTEGER NOT NULL,
    gender TEXT,
    default_voice_id TEXT,
    engines TEXT NOT NULL,        -- JSON list
    photo TEXT,                   -- file
    width INTEGER,
    height INTEGER,
    created_at REAL NOT NULL,
    finish_at REAL,               -- null: never
    failure TEXT,                 -- message; null where it succeeds
    deleted INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS looks_by_finish ON looks (finish_at) WHERE deleted = 0;
CREATE INDEX IF NOT EXISTS looks_by_group ON looks (group_id) WHERE deleted = 0;

CREATE TABLE IF NOT EXISTS consents (
    group_id TEXT PRIMARY KEY,    -- a group with a digital twin in it
    status TEXT NOT NULL,         -- pending | approved | declined
    reroute_url TEXT
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS videos (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    title TEXT,
    text TEXT NOT NULL,           -- title and script, for scenarios that strike later
    script TEXT,
    folder_id TEXT,
    created_at REAL NOT NULL,
    processing_at REAL NOT NULL,
    finish_at REAL,               -- null: never
    filming INTEGER NOT NULL,     -- 1: not finished before the film is there
    film_request TEXT,            -- JSON, while filming
    film TEXT,                    -- file
    duration REAL,
    failure_code TEXT,
    failure_message TEXT,
    unknown_status INTEGER NOT NULL,
    file_late REAL NOT NULL,      -- seconds
    photo TEXT,
    caption INTEGER NOT NULL,
    burned_in INTEGER NOT NULL,
    callback_id TEXT,
    deleted INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS videos_by_finish ON videos (finish_at) WHERE deleted = 0;
CREATE INDEX IF NOT EXISTS videos_filming ON videos (id) WHERE filming = 1;

CREATE TABLE IF NOT EXISTS captioned_films (
    video_id TEXT PRIMARY KEY,
    film TEXT NOT NULL            -- file
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS callbacks (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    video_id TEXT NOT NULL,
    named_id TEXT NOT NULL,       -- the video it speaks of; another one where it is forged
    kind TEXT NOT NULL,           -- outcome | success | fail
    url TEXT NOT NULL,
    after_finish REAL,            -- seconds; null: due whatever the video does
    due_at REAL,                  -- null: the video has no end yet, or this is over
    first_due_at REAL,
    attempts INTEGER NOT NULL DEFAULT 0,
    delivered_at REAL
);
CREATE INDEX IF NOT EXISTS callbacks_due ON callbacks (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX IF NOT EXISTS callbacks_by_video ON callbacks (video_id);

CREATE TABLE IF NOT EXISTS endpoints (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    url TEXT NOT NULL,
    events TEXT,                  -- JSON list; null: all
    entity_id TEXT,
    secret TEXT NOT NULL,
    created_at REAL NOT NULL,
    deleted INTEGER NOT NULL DEFAULT 0
);

CREATE TABLE IF NOT EXISTS planned_events (
    video_id TEXT PRIMARY KEY,
    after_finish REAL NOT NULL,   -- seconds
    copies INTEGER NOT NULL,      -- for each endpoint
    due_at REAL                   -- null: the video has no end yet
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS planned_events_due ON planned_events (due_at) WHERE due_at IS NOT NULL;

CREATE TABLE IF NOT EXISTS events (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    entity_id TEXT NOT NULL,
    event_type TEXT NOT NULL,
    body BLOB NOT NULL,           -- what is posted, and signed
    created_at REAL NOT NULL
);
CREATE INDEX IF NOT EXISTS events_by_entity ON events (entity_id);

CREATE TABLE IF NOT EXISTS deliveries (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    event_id TEXT NOT NULL,
    endpoint_id TEXT NOT NULL,
    due_at REAL,                  -- null: this is over
    first_due_at REAL NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    delivered_at REAL
);
CREATE INDEX IF NOT EXISTS deliveries_due ON deliveries (due_at) WHERE due_at IS NOT NULL;
"""


class Store:
    """One connection, used from one event loop; every call is short."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._connection = sqlite3.connect(folder / "simulator.sqlite3", isolation_level=None)
        self._connection.row_factory = sqlite3.Row
        # A rollback journal without syncs survives the death of the process, which is all that is promised.
        self._connection.execute("PRAGMA journal_mode = TRUNCATE")
        self._connection.execute("PRAGMA synchronous = OFF")
        self._connection.execute("PRAGMA busy_timeout = 5000")
        self._connection.executescript(TABLES)
        self._connection.executescript(asset_tables.TABLES)

    def script(self, tables: str) -> None:
        """Make further tables."""
        self._connection.executescript(tables)

    def close(self) -> None:
        """Let go of the file; what was committed is in it."""
        self._connection.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")

    def insert(self, table: str, **values: Any) -> int:
        """Add a row; answers its number. Names come from code, never from a request."""
        marks = ", ".join("?" * len(values))
        sql = f"INSERT INTO {table} ({', '.join(values)}) VALUES ({marks})"  # noqa: S608 -- see above
        return self._connection.execute(sql, tuple(values.values())).lastrowid or 0

    def write(self, sql: str, *values: Any) -> int:
        """Run one statement; answers how many rows it changed."""
        return self._connection.execute(sql, values).rowcount

    def one(self, sql: str, *values: Any) -> sqlite3.Row | None:
        """The first row."""
        row: sqlite3.Row | None = self._connection.execute(sql, values).fetchone()
        return row

    def all(self, sql: str, *values: Any) -> list[sqlite3.Row]:
        """Every row."""
        return self._connection.execute(sql, values).fetchall()

    def number(self, sql: str, *values: Any) -> float:
        """The single number a query answers; 0 for none."""
        row = self.one(sql, *values)
        return row[0] if row is not None and row[0] is not None else 0

    def secret(self) -> bytes:
        """What signs links; made once, kept in the file so that a restart breaks no link."""
        self.write("INSERT OR IGNORE INTO facts VALUES ('secret', ?)", secrets.token_hex(32))
        row = self.one("SELECT value FROM facts WHERE name = 'secret'")
        return bytes.fromhex(row["value"]) if row else b""
