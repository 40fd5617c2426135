"""What happened, kept as HeyGen's history; and what registered endpoints are owed of it."""

from __future__ import annotations

import json
import sqlite3
import uuid
from typing import Any

from app.simulator.endpoints import Endpoints
from app.simulator.store import Store
from app.simulator.words import Words

EVENT_TYPES = {
    "avatar_video.success": "A video was rendered.",
    "avatar_video.fail": "A video could not be rendered.",
    "avatar_video_gif.success": "A video's GIF was made.",
    "avatar_video_gif.fail": "A video's GIF could not be made.",
    "avatar_video_caption.success": "A video's captions were made.",
    "avatar_video_caption.fail": "A video's captions could not be made.",
    "video_translate.success": "A video was translated.",
    "video_translate.fail": "A video could not be translated.",
    "video_translate.preflight.validation_failed": "A video to translate breaks a rule.",
    "video_translate.preflight.download_failed": "A video to translate could not be downloaded.",
    "personalized_video": "A personalized video changed.",
    "instant_avatar.success": "An instant avatar was made.",
    "instant_avatar.fail": "An instant avatar could not be made.",
    "photo_avatar_generation.success": "A photo avatar was made.",
    "photo_avatar_generation.fail": "A photo avatar could not be made.",
    "photo_avatar_train.success": "A photo avatar was trained.",
    "photo_avatar_train.fail": "A photo avatar could not be trained.",
    "photo_avatar_add_motion.success": "A photo avatar was given motion.",
    "photo_avatar_add_motion.fail": "A photo avatar could not be given motion.",
    "proofread_creation.success": "A proofread was made.",
    "proofread_creation.fail": "A proofread could not be made.",
    "live_avatar.success": "A live avatar was made.",
    "live_avatar.fail": "A live avatar could not be made.",
    "video_agent.success": "The video agent finished a video.",
    "video_agent.fail": "The video agent could not finish a video.",
    "hyperframes_video.success": "A Hyperframes video was made.",
    "hyperframes_video.fail": "A Hyperframes video could not be made.",
    "ai_clipping.success": "Clips were cut.",
    "ai_clipping.fail": "Clips could not be cut.",
    "batch.finished": "All videos of a batch have ended.",
}


class Events:
    """One event a video or batch, told once its time has come: to whoever is registered then."""

    def __init__(self, store: Store, endpoints: Endpoints, words: Words) -> None:
        self._store = store
        self._endpoints = endpoints
        self._words = words

    def plan(self, video_id: str, after_finish: float, copies: int) -> None:
        """Tell of this video so many seconds after its end, to each endpoint so often."""
        self._store.insert("planned_events", video_id=video_id, after_finish=after_finish, copies=copies)

    def schedule(self, video_id: str, finish_at: float | None) -> None:
        """The end of the video is known; None: not yet."""
        self._store.write(
            "UPDATE planned_events SET due_at = ?2 + after_finish WHERE video_id = ?1", video_id, finish_at
        )

    def forget(self, video_id: str) -> None:
        """Say nothing of a deleted video."""
        self._store.write("DELETE FROM planned_events WHERE video_id = ?", video_id)

    def tell(self, now: float) -> None:
        """Write down what has happened by now, and owe it to the endpoints."""
        due = self._store.all("SELECT * FROM planned_events WHERE due_at <= ? ORDER BY due_at", now)
        if due:
            with self._store.transaction():
                for planned in due:
                    self._tell(planned, now)

    def _tell(self, planned: sqlite3.Row, now: float) -> None:
        video_id = planned["video_id"]
        event_type, body = self._words.of(video_id, "outcome", video_id)
        self.forget(video_id)
        self._happened(video_id, event_type, body, now, copies=planned["copies"])

    def batch_finished(self, batch_id: str, data: dict[str, Any], now: float) -> None:
        """Write down that a batch has ended, and owe it to the endpoints; part of a transaction."""
        event_type, body = self._words.of(batch_id, "batch", json.dumps(data))
        self._happened(batch_id, event_type, body, now, copies=1)

    def _happened(self, entity_id: str, event_type: str, body: bytes, now: float, *, copies: int) -> None:
        event_id = f"evt_{uuid.uuid4().hex}"
        self._store.insert(
            "events", id=event_id, entity_id=entity_id, event_type=event_type, body=body, created_at=now
        )
        for endpoint_id in self._endpoints.listening(event_type, entity_id) * copies:
            self._store.insert(
                "deliveries", event_id=event_id, endpoint_id=endpoint_id, due_at=now, first_due_at=now
            )

    def page(
        self, event_type: str | None, entity_id: str | None, before: int | None, limit: int
    ) -> list[sqlite3.Row]:
        """One row more than the limit, newest first."""
        return self._store.all(
            "SELECT * FROM events WHERE (?1 IS NULL OR event_type = ?1) AND (?2 IS NULL OR entity_id = ?2)"
            " AND (?3 IS NULL OR seq < ?3) ORDER BY seq DESC LIMIT ?4",
            event_type,
            entity_id,
            before,
            limit + 1,
        )

    def due(self, now: float) -> list[sqlite3.Row]:
        """The deliveries to make, with what they need."""
        return self._store.all(
            "SELECT deliveries.*, events.body, endpoints.url, endpoints.secret, videos.text FROM deliveries"
            " JOIN events ON events.id = event_id JOIN endpoints ON endpoints.id = endpoint_id"
            " LEFT JOIN videos ON videos.id = events.entity_id"
            " WHERE deliveries.due_at <= ? ORDER BY deliveries.due_at, deliveries.id",
            now,
        )
