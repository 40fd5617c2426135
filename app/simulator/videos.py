"""Videos: what becomes of them is settled when they are made, and read off the clock afterwards."""

from __future__ import annotations

import json
import sqlite3
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.simulator.callbacks import Callbacks
from app.simulator.errors import not_found
from app.simulator.faults import Faults, without_magic
from app.simulator.filming import FilmRequest
from app.simulator.links import LIFETIME, Links
from app.simulator.store import Store

PENDING_SHARE = 0.25
"""The part of its time that a render reads `pending` before it reads `processing`."""

NO_CREDIT = (
    "MOVIO_PAYMENT_INSUFFICIENT_CREDIT",
    "Insufficient credit. This operation requires 'plan_credit' or 'api' credits.",
)


@dataclass(frozen=True)
class Order:
    """A video that may be made."""

    title: str | None
    script: str | None
    film: FilmRequest
    caption: bool
    burned_in: bool
    callback_url: str | None
    callback_id: str | None
    folder_id: str | None
    failure: tuple[str, str] | None
    """Code and message where it is already clear that it will fail."""

    @property
    def text(self) -> str:
        """What `match` and magic marks are sought in."""
        return f"{self.title or ''}\n{self.script or ''}"


class Videos:
    """The table of videos."""

    def __init__(self, store: Store, faults: Faults, callbacks: Callbacks, links: Links) -> None:
        self._store = store
        self._faults = faults
        self._callbacks = callbacks
        self._links = links

    def add(self, order: Order, now: float, seconds: float) -> str:
        """Make a video that takes this long; part of the transaction that bills it. Answers its id."""
        video_id, text = uuid.uuid4().hex, order.text
        failure = self._failure(order)
        finish_at: float | None = now + seconds
        if self._faults.strike("stuck", text):
            finish_at = None
        late = self._faults.strike("file_late", text)
        self._store.insert(
            "videos",
            id=video_id,
            title=order.title,
            text=text,
            script=None if order.script is None else without_magic(order.script),
            folder_id=order.folder_id,
            created_at=now,
            processing_at=now + seconds * PENDING_SHARE,
            finish_at=finish_at,
            filming=int(failure is None),
            film_request=json.dumps(order.film.to_json()),
            failure_code=failure[0] if failure else None,
            failure_message=failure[1] if failure else None,
            unknown_status=int(self._faults.strike("unknown_status", text) is not None),
            file_late=float(late["seconds"]) if late else 0.0,
            photo=str(order.film.photo) if order.film.photo else None,
            caption=int(order.caption),
            burned_in=int(order.burned_in),
            callback_id=order.callback_id,
        )
        self._callbacks.plan(video_id, order.callback_url or None, text, now)
        self._schedule(video_id)
        return video_id

    def get(self, video_id: str) -> sqlite3.Row:
        """The row of a video that was not deleted. Raises Refused (404)."""
        row = self._store.one("SELECT * FROM videos WHERE id = ? AND deleted = 0", video_id)
        if row is None:
            raise not_found("video", video_id)
        return row

    def page(
        self, title: str | None, folder_id: str | None, before: int | None, limit: int
    ) -> list[sqlite3.Row]:
        """One row more than the limit, newest first."""
        return self._store.all(
            "SELECT * FROM videos WHERE deleted = 0 AND (?1 IS NULL OR instr(title, ?1)) AND (?2 IS NULL"
            " OR coalesce(folder_id, '') = ?2) AND (?3 IS NULL OR seq < ?3) ORDER BY seq DESC LIMIT ?4",
            title,
            folder_id,
            before,
            limit + 1,
        )

    def another(self, video_id: str) -> str:
        """The id of some other video, or of none."""
        row = self._store.one("SELECT id FROM videos WHERE id != ? ORDER BY seq DESC LIMIT 1", video_id)
        return row["id"] if row else uuid.uuid4().hex

    def finish(self, video_id: str, now: float) -> None:
        """End the render now, as soon as its film is there. Raises Refused (404)."""
        self.get(video_id)
        with self._store.transaction():
            self._store.write(
                "UPDATE videos SET finish_at = ? WHERE id = ? AND (finish_at IS NULL OR finish_at > ?)",
                now,
                video_id,
                now,
            )
            self._schedule(video_id)

    def filmed(self, video_id: str, films: tuple[Path, Path | None], seconds: float, now: float) -> None:
        """The film is there, and the one with captions burned in: the render ends now if its time has already come."""
        film, captioned = films
        with self._store.transaction():
            if captioned is not None:
                self._store.insert("captioned_films", video_id=video_id, film=str(captioned))
            self._store.write(
                # A render whose time has come was only waiting for its film; max() with null is null: stuck.
                "UPDATE videos SET filming = 0, film_request = NULL, film = ?1, duration = ?2,"
                " finish_at = max(finish_at, ?3) WHERE id = ?4",
                str(film),
                seconds,
                now,
                video_id,
            )
            self._schedule(video_id)

    def spoiled(self, video_id: str, reason: str) -> None:
        """There will be no film: the render fails when its time has come."""
        with self._store.transaction():
            self._store.write(
                "UPDATE videos SET filming = 0, film_request = NULL, failure_code = 'rendering_failed',"
                " failure_message = ? WHERE id = ?",
                reason or "The film could not be made.",
                video_id,
            )
            self._schedule(video_id)

    def delete(self, video_id: str) -> None:
        """Hide the video and stop caring for its render. Raises Refused (404)."""
        self.get(video_id)
        with self._store.transaction():
            self._store.write("UPDATE videos SET deleted = 1 WHERE id = ?", video_id)
            self._callbacks.forget(video_id)

    def view(self, row: sqlite3.Row, now: float, base_url: str) -> dict[str, Any]:
        """A video as `GET /v3/videos/{id}` shows it; its links are made anew each time."""
        done, failed = over(row, now), row["failure_code"] is not None
        links = self._file_links(row, now, base_url) if done and not failed else {}
        return {
            "id": row["id"],
            "title": row["title"],
            "status": status(row, now),
            "created_at": int(row["created_at"]),
            "completed_at": int(row["finish_at"]) if done else None,
            "video_url": links.get("video.mp4") or links.get("video.webm"),
            "captioned_video_url": links.get("captioned.mp4"),
            "subtitle_url": links.get("subtitles.srt"),
            "thumbnail_url": links.get("thumbnail.jpg"),
            "gif_url": links.get("gif.gif"),
            "duration": row["duration"] if links else None,
            "folder_id": row["folder_id"],
            "output_language": None,
            "failure_code": row["failure_code"] if done else None,
            "failure_message": row["failure_message"] if done else None,
            "video_page_url": None,
        }

    def _file_links(self, row: sqlite3.Row, now: float, base_url: str) -> dict[str, str]:
        names = [f"video{Path(row['film']).suffix}"]
        names += ["captioned.mp4"] if row["burned_in"] else []
        names += ["subtitles.srt"] if row["caption"] else []
        names += ["thumbnail.jpg"] if row["photo"] else []
        names += ["gif.gif"] if row["photo"] and self._faults.strike("gif", row["text"]) else []
        lifetime = 0.0 if self._faults.strike("link_expired", row["text"]) else LIFETIME
        path = f"/files/videos/{row['id']}/"
        return {name: self._links.make(base_url, path + name, now, lifetime=lifetime) for name in names}

    def _failure(self, order: Order) -> tuple[str, str] | None:
        if failure := self._faults.strike("fail", order.text):
            return str(failure["code"]), str(failure["message"])
        if self._faults.strike("no_credit", order.text):
            return NO_CREDIT
        return order.failure

    def _schedule(self, video_id: str) -> None:
        # Nothing is due for a deleted video, which has no row here.
        row = self._store.one("SELECT * FROM videos WHERE id = ? AND deleted = 0", video_id)
        if row is not None:
            self._callbacks.schedule(video_id, None if row["filming"] else row["finish_at"])


def over(row: sqlite3.Row, now: float) -> bool:
    """Whether the render has ended."""
    return row["finish_at"] is not None and row["finish_at"] <= now and not row["filming"]


def status(row: sqlite3.Row, now: float) -> str:
    """HeyGen's word for where the video stands."""
    if over(row, now):
        return "failed" if row["failure_code"] else "completed"
    if row["unknown_status"]:
        return "composing"
    return "pending" if now < row["processing_at"] else "processing"


def entry(
    video_id: str, row: sqlite3.Row | None, now: float, batch_id: str | None, item_index: int | None
) -> dict[str, Any]:
    """A video in a bulk answer."""
    word = "not_found" if row is None else status(row, now).replace("pending", "queued")
    error = None
    if row is not None and row["failure_code"] and over(row, now):
        error = {"code": row["failure_code"], "message": row["failure_message"]}
    return {
        "video_id": video_id,
        "status": word,
        "error": error,
        "batch_id": batch_id,
        "item_index": item_index,
    }
