"""What HeyGen posts to `callback_url`: unsigned, retried with growing gaps, kept over a restart."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import uuid
from collections.abc import Callable
from typing import Any

import httpx

from app.simulator.faults import Faults
from app.simulator.links import Links
from app.simulator.store import Store
from app.simulator.trust import authorities

ANSWER_SECONDS = 10.0
GIVE_UP_AFTER = 24 * 3600.0
FIRST_GAP = 5.0
LARGEST_GAP = 6 * 3600.0
AT_ONCE = 20


class Callbacks:
    """Plans callbacks with the video they belong to, and sends those that are due."""

    def __init__(
        self,
        store: Store,
        faults: Faults,
        links: Links,
        now: Callable[[], float],
        base_url: Callable[[], str],
        *,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._store = store
        self._faults = faults
        self._links = links
        self._now = now
        self._base_url = base_url
        self._transport = transport
        self._turn = asyncio.Lock()
        self._http: httpx.AsyncClient | None = None

    def plan(self, video_id: str, url: str, text: str, now: float) -> None:
        """Owe what this video will say; part of the transaction that makes it. `schedule` sets the time."""
        if self._faults.strike("callback_forged", text):
            other = self._store.one("SELECT id FROM videos WHERE id != ? ORDER BY seq DESC LIMIT 1", video_id)
            named = other["id"] if other else uuid.uuid4().hex
            self._owe(video_id, "success", url, named_id=named, due_at=now)
        if self._faults.strike("callbacks_lost", text):
            return
        late = self._faults.strike("callbacks_delayed", text)
        delay = float(late["seconds"]) if late else 0.0
        for _ in range(2 if self._faults.strike("callbacks_doubled", text) else 1):
            self._owe(video_id, "outcome", url, after_finish=delay)
        if failure := self._faults.strike("late_failure", text):
            self._owe(video_id, "fail", url, after_finish=delay + float(failure["seconds"]))

    def schedule(self, video_id: str, finish_at: float | None) -> None:
        """Set the time of what is owed; None: not before the end of the video is known."""
        self._store.write(
            "UPDATE callbacks SET due_at = ?2 + after_finish, first_due_at = ?2 + after_finish"
            " WHERE video_id = ?1 AND after_finish IS NOT NULL AND attempts = 0",
            video_id,
            finish_at,
        )

    def forget(self, video_id: str) -> None:
        """Owe nothing more for a deleted video."""
        self._store.write("UPDATE callbacks SET due_at = NULL WHERE video_id = ?", video_id)

    async def send_due(self) -> int:
        """Try everything that is due once; answers how many were tried."""
        async with self._turn:
            due = self._store.all(
                "SELECT * FROM callbacks WHERE due_at <= ? ORDER BY due_at, id", self._now()
            )
            places = asyncio.Semaphore(AT_ONCE)
            await asyncio.gather(*(self._send(row, places) for row in due))
            return len(due)

    async def close(self) -> None:
        """Let go of connections."""
        if self._http is not None:
            await self._http.aclose()
            self._http = None

    def _owe(self, video_id: str, kind: str, url: str, **values: Any) -> None:
        named = {"named_id": video_id, **values}
        named.setdefault("first_due_at", values.get("due_at"))
        self._store.insert("callbacks", video_id=video_id, kind=kind, url=url, **named)

    async def _send(self, row: sqlite3.Row, places: asyncio.Semaphore) -> None:
        body = self._body(row)
        async with places:
            delivered = await self._post(row["url"], body)
        now = self._now()
        attempts = row["attempts"] + 1
        again_at = now + min(FIRST_GAP * 3.0 ** (attempts - 1), LARGEST_GAP)
        over = delivered or again_at > row["first_due_at"] + GIVE_UP_AFTER
        self._store.write(
            "UPDATE callbacks SET attempts = ?, delivered_at = ?, due_at = ? WHERE id = ?",
            attempts,
            now if delivered else None,
            None if over else again_at,
            row["id"],
        )

    async def _post(self, url: str, body: bytes) -> bool:
        if self._http is None:
            self._http = httpx.AsyncClient(verify=authorities(), trust_env=False, transport=self._transport)
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                answer = await self._http.post(
                    url, content=body, headers={"Content-Type": "application/json"}, timeout=ANSWER_SECONDS
                )
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError, ValueError):
            return False
        return answer.is_success

    def _body(self, row: sqlite3.Row) -> bytes:
        video = self._store.one("SELECT * FROM videos WHERE id = ?", row["video_id"])
        callback_id = video["callback_id"] if video else None
        novelty = self._faults.strike("unknown_event", video["text"] if video else "")
        failure = video["failure_message"] if video else None
        if row["kind"] == "fail" or (row["kind"] == "outcome" and failure):
            message = failure or "Avatar rendering timed out"
            data = {"video_id": row["named_id"], "msg": message, "callback_id": callback_id}
            return _json(novelty["type"] if novelty else "avatar_video.fail", data)
        path = f"/files/videos/{row['named_id']}/video.mp4"
        data = {
            "video_id": row["named_id"],
            "url": self._links.make(self._base_url(), path, self._now()),
            "gif_download_url": None,
            "video_page_url": None,
            "video_share_page_url": None,
            "folder_id": (video["folder_id"] if video else None) or "",
            "callback_id": callback_id,
        }
        return _json(novelty["type"] if novelty else "avatar_video.success", data)


def _json(event_type: str, event_data: dict[str, Any]) -> bytes:
    return json.dumps({"event_type": event_type, "event_data": event_data}).encode()
