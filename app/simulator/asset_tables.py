"""The tables behind direct uploads and private voices."""

from __future__ import annotations

TABLES = """
CREATE TABLE IF NOT EXISTS uploads (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,      -- of the asset that it becomes
    batch_id TEXT,
    item_index INTEGER,
    name TEXT NOT NULL,
    content_type TEXT NOT NULL,
    size_bytes INTEGER NOT NULL,
    checksum TEXT,
    path TEXT,                    -- null: no bytes yet
    failure TEXT,                 -- why its completion failed
    created_at REAL NOT NULL
);
CREATE INDEX IF NOT EXISTS uploads_by_batch ON uploads (batch_id) WHERE batch_id IS NOT NULL;

CREATE TABLE IF NOT EXISTS upload_batches (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    title TEXT,
    created_at REAL NOT NULL
);

CREATE TABLE IF NOT EXISTS voices (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    language TEXT NOT NULL,
    gender TEXT NOT NULL,
    clone INTEGER NOT NULL,       -- 0: made by a design, ready at once and without a status
    created_at REAL NOT NULL,
    finish_at REAL NOT NULL,
    failure TEXT,                 -- message; null where it succeeds
    deleted INTEGER NOT NULL DEFAULT 0
);
"""
