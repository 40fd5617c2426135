"""What HeyGen says of a video that has ended, as bytes."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from app.simulator.links import Links
from app.simulator.store import Store


class Words:
    """Writes the bodies of callbacks and of registered endpoints' deliveries: they are the same."""

    def __init__(
        self, store: Store, links: Links, now: Callable[[], float], base_url: Callable[[], str]
    ) -> None:
        self._store = store
        self._links = links
        self._now = now
        self._base_url = base_url

    def of(self, video_id: str, kind: str, named_id: str) -> tuple[str, bytes]:
        """Type and body; `kind` is outcome, success or fail, `named_id` the video it speaks of.

        Of a batch that has ended (`kind` batch) `named_id` is what is told of it, as JSON.
        """
        if kind == "batch":
            return _event("batch.finished", json.loads(named_id))
        video = self._store.one("SELECT * FROM videos WHERE id = ?", video_id)
        callback_id = video["callback_id"] if video else None
        failure = video["failure_message"] if video else None
        if kind == "fail" or (kind == "outcome" and failure):
            message = failure or "Avatar rendering timed out"
            return _event(
                "avatar_video.fail", {"video_id": named_id, "msg": message, "callback_id": callback_id}
            )
        path = f"/files/videos/{named_id}/video.mp4"
        data = {
            "video_id": named_id,
            "url": self._links.make(self._base_url(), path, self._now()),
            "gif_download_url": None,
            "video_page_url": None,
            "video_share_page_url": None,
            "folder_id": (video["folder_id"] if video else None) or "",
            "callback_id": callback_id,
        }
        return _event("avatar_video.success", data)


def _event(event_type: str, event_data: dict[str, Any]) -> tuple[str, bytes]:
    return event_type, json.dumps({"event_type": event_type, "event_data": event_data}).encode()
