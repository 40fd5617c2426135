"""What HeyGen posts: to `callback_url` unsigned, to registered endpoints signed; retried with growing gaps.

Both are kept over a restart.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import uuid
from collections.abc import Callable, Mapping
from typing import Any

import httpx

from app.simulator.endpoints import Endpoints, signed
from app.simulator.events import Events
from app.simulator.faults import Faults
from app.simulator.store import Store
from app.simulator.trust import authorities
from app.simulator.words import Words

ANSWER_SECONDS = 10.0
GIVE_UP_AFTER = 24 * 3600.0
FIRST_GAP = 5.0
LARGEST_GAP = 6 * 3600.0
AT_ONCE = 20


class Callbacks:
    """Plans callbacks and events with the video they belong to, and sends what is due."""

    def __init__(
        self,
        store: Store,
        faults: Faults,
        words: Words,
        told: tuple[Endpoints, Events],
        now: Callable[[], float],
        *,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._store = store
        self._faults = faults
        self._words = words
        self._endpoints, self._events = told
        self._now = now
        self._transport = transport
        self._turn = asyncio.Lock()
        self._http: httpx.AsyncClient | None = None

    def plan(self, video_id: str, url: str | None, text: str, now: float) -> None:
        """Owe what this video will say; part of the transaction that makes it. `schedule` sets the time."""
        if url is None and not self._endpoints.any():
            self._events.plan(video_id, 0.0, 1)  # nobody asks: no scenario is used up
            return
        if url is not None and self._faults.strike("callback_forged", text):
            other = self._store.one("SELECT id FROM videos WHERE id != ? ORDER BY seq DESC LIMIT 1", video_id)
            named = other["id"] if other else uuid.uuid4().hex
            self._owe(video_id, "success", url, named_id=named, due_at=now)
        if self._faults.strike("callbacks_lost", text):
            self._events.plan(video_id, 0.0, 0)
            return
        late = self._faults.strike("callbacks_delayed", text)
        delay = float(late["seconds"]) if late else 0.0
        copies = 2 if self._faults.strike("callbacks_doubled", text) else 1
        self._events.plan(video_id, delay, copies)
        if url is None:
            return
        for _ in range(copies):
            self._owe(video_id, "outcome", url, after_finish=delay)
        if failure := self._faults.strike("late_failure", text):
            self._owe(video_id, "fail", url, after_finish=delay + float(failure["seconds"]))

    def owe_batch(self, batch_id: str, url: str, data: dict[str, Any], now: float) -> None:
        """Owe the word of a batch that has ended."""
        self._owe(batch_id, "batch", url, named_id=json.dumps(data), due_at=now)

    def schedule(self, video_id: str, finish_at: float | None) -> None:
        """Set the time of what is owed; None: not before the end of the video is known."""
        self._store.write(
            "UPDATE callbacks SET due_at = ?2 + after_finish, first_due_at = ?2 + after_finish"
            " WHERE video_id = ?1 AND after_finish IS NOT NULL AND attempts = 0",
            video_id,
            finish_at,
        )
        self._events.schedule(video_id, finish_at)

    def forget(self, video_id: str) -> None:
        """Owe nothing more for a deleted video."""
        self._store.write("UPDATE callbacks SET due_at = NULL WHERE video_id = ?", video_id)
        self._events.forget(video_id)

    async def send_due(self) -> int:
        """Try everything that is due once; answers how many were tried."""
        async with self._turn:
            now = self._now()
            due = self._store.all("SELECT * FROM callbacks WHERE due_at <= ? ORDER BY due_at, id", now)
            deliveries = self._events.due(now)
            places = asyncio.Semaphore(AT_ONCE)
            await asyncio.gather(
                *(self._call_back(row, places) for row in due),
                *(self._deliver(row, places) for row in deliveries),
            )
            return len(due) + len(deliveries)

    async def close(self) -> None:
        """Let go of connections."""
        if self._http is not None:
            await self._http.aclose()
            self._http = None

    def _owe(self, video_id: str, kind: str, url: str, **values: Any) -> None:
        named = {"named_id": video_id, **values}
        named.setdefault("first_due_at", values.get("due_at"))
        self._store.insert("callbacks", video_id=video_id, kind=kind, url=url, **named)

    async def _call_back(self, row: sqlite3.Row, places: asyncio.Semaphore) -> None:
        _, body = self._words.of(row["video_id"], row["kind"], row["named_id"])
        video = self._store.one("SELECT text FROM videos WHERE id = ?", row["video_id"])
        if novelty := self._faults.strike("unknown_event", video["text"] if video else ""):
            body = json.dumps(json.loads(body) | {"event_type": novelty["type"]}).encode()
        async with places:
            delivered = await self._post(row["url"], body, {})
        self._settle("callbacks", row, delivered=delivered)

    async def _deliver(self, row: sqlite3.Row, places: asyncio.Semaphore) -> None:
        alone = self._faults.strike("signature_alone", row["text"] or "") is not None
        headers = signed(row["secret"], row["event_id"], self._now(), row["body"], alone=alone)
        async with places:
            delivered = await self._post(row["url"], row["body"], headers)
        self._settle("deliveries", row, delivered=delivered)

    def _settle(self, table: str, row: sqlite3.Row, *, delivered: bool) -> None:
        now = self._now()
        attempts = row["attempts"] + 1
        again_at = now + min(FIRST_GAP * 3.0 ** (attempts - 1), LARGEST_GAP)
        over = delivered or again_at > row["first_due_at"] + GIVE_UP_AFTER
        self._store.write(
            f"UPDATE {table} SET attempts = ?, delivered_at = ?, due_at = ? WHERE id = ?",  # noqa: S608 -- of constants
            attempts,
            now if delivered else None,
            None if over else again_at,
            row["id"],
        )

    async def _post(self, url: str, body: bytes, headers: Mapping[str, str]) -> bool:
        if self._http is None:
            self._http = httpx.AsyncClient(verify=authorities(), trust_env=False, transport=self._transport)
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                answer = await self._http.post(
                    url,
                    content=body,
                    headers={"Content-Type": "application/json", **headers},
                    timeout=ANSWER_SECONDS,
                )
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError, ValueError):
            return False
        return answer.is_success
