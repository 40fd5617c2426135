"""Batches: many videos of one request, and the word at the end of the last."""

from __future__ import annotations

import sqlite3
import uuid
from collections import Counter
from collections.abc import Sequence
from typing import Any

from app.simulator.callbacks import Callbacks
from app.simulator.errors import Refused
from app.simulator.events import Events
from app.simulator.store import Store
from app.simulator.videos import entry

TABLES = """
CREATE TABLE IF NOT EXISTS batches (
    id TEXT PRIMARY KEY,
    title TEXT,
    callback_url TEXT
);
CREATE TABLE IF NOT EXISTS batch_items (
    batch_id TEXT NOT NULL,
    item_index INTEGER NOT NULL,
    video_id TEXT NOT NULL UNIQUE,
    PRIMARY KEY (batch_id, item_index)
) WITHOUT ROWID;
"""


class Batches:
    """The table of batches."""

    def __init__(self, store: Store, callbacks: Callbacks, events: Events) -> None:
        self._store = store
        self._callbacks = callbacks
        self._events = events
        store.script(TABLES)

    def add(self, video_ids: Sequence[str], title: str | None, callback_url: str | None) -> str:
        """Make a batch of videos, as part of the transaction that makes them; answers its id."""
        batch_id = uuid.uuid4().hex
        self._store.insert("batches", id=batch_id, title=title, callback_url=callback_url)
        for index, video_id in enumerate(video_ids):
            self._store.insert("batch_items", batch_id=batch_id, item_index=index, video_id=video_id)
        return batch_id

    def place(self, video_id: str) -> tuple[str | None, int | None]:
        """The batch of a video, and where in it the video is."""
        row = self._store.one("SELECT batch_id, item_index FROM batch_items WHERE video_id = ?", video_id)
        return (row["batch_id"], row["item_index"]) if row else (None, None)

    def entries(self, batch_id: str, now: float) -> list[dict[str, Any]]:
        """Its items in a bulk answer."""
        rows = self._store.all(
            "SELECT batch_items.*, batch_items.video_id AS named, videos.* FROM batch_items LEFT JOIN videos"
            " ON videos.id = batch_items.video_id AND videos.deleted = 0 WHERE batch_id = ?"
            " ORDER BY item_index",
            batch_id,
        )
        if not rows:
            missing = entry("", None, now, batch_id, None)
            return [missing | {"video_id": None}]
        return [
            entry(row["named"], row if row["id"] else None, now, batch_id, row["item_index"]) for row in rows
        ]

    def view(self, batch_id: str, now: float, after: int | None, limit: int) -> dict[str, Any]:
        """A batch as `GET /v3/videos/batches/{id}` shows it, but for its cursor. Raises Refused (404)."""
        batch = self._store.one("SELECT * FROM batches WHERE id = ?", batch_id)
        if batch is None:
            raise Refused(404, "resource_not_found", f"Batch {batch_id} not found")
        items = self.entries(batch_id, now)
        counts = Counter(item["status"] for item in items)
        return {
            "batch_id": batch_id,
            "status": _word(counts),
            "counts_by_status": dict(counts),
            "total_items": len(items),
            "items": [item for item in items if item["item_index"] > (-1 if after is None else after)][
                : limit + 1
            ],
        }

    def tell(self, now: float) -> None:
        """Write down the end of each batch that has just ended, and owe the word of it."""
        untold = self._store.all(
            "SELECT * FROM batches WHERE NOT EXISTS (SELECT 1 FROM events WHERE entity_id = batches.id)"
        )
        for batch in untold:
            counts = Counter(item["status"] for item in self.entries(batch["id"], now))
            if _word(counts) != "processing":
                self._tell(batch, counts, now)

    def _tell(self, batch: sqlite3.Row, counts: Counter[str], now: float) -> None:
        told = {"batch_id": batch["id"], "status": _word(counts), "counts_by_status": dict(counts)}
        with self._store.transaction():
            self._events.batch_finished(batch["id"], told, now)
            if batch["callback_url"]:
                self._callbacks.owe_batch(batch["id"], batch["callback_url"], told, now)


def _word(counts: Counter[str]) -> str:
    if counts["queued"] or counts["processing"] or counts["composing"]:
        return "processing"
    return "completed" if counts["completed"] else "failed"
