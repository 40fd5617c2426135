"""Looks and their groups."""

from __future__ import annotations

import json
import sqlite3
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.simulator.catalog import LOOKS, PHOTO_ENGINES, TWIN_ENGINES, PublicLook
from app.simulator.consents import DECLINED, PENDING
from app.simulator.errors import Refused, not_found
from app.simulator.faults import Faults
from app.simulator.links import Links
from app.simulator.portraits import Style, draw
from app.simulator.store import Store

# A group and its numbers in one row; its preview, status and error are those of its newest look.
GROUPS = """
SELECT g.*, (SELECT status FROM consents c WHERE c.group_id = g.id) AS consent,
       (SELECT count(*) FROM looks l WHERE l.group_id = g.id AND l.deleted = 0) AS looks_count,
       (SELECT max(l.seq) FROM looks l WHERE l.group_id = g.id AND l.deleted = 0) AS newest
FROM groups g WHERE g.deleted = 0
"""
ROWS = """
SELECT l.*, (SELECT status FROM consents c WHERE c.group_id = l.group_id) AS consent FROM looks l
"""


@dataclass(frozen=True)
class Appearance:
    """What a look is made of: the picture that is filmed; a twin needs consent."""

    picture: Path
    size: tuple[int, int]
    twin: bool = False


class Looks:
    """The tables of looks and groups."""

    def __init__(self, store: Store, faults: Faults, links: Links) -> None:
        self._store = store
        self._faults = faults
        self._links = links
        if not store.one("SELECT 1 FROM looks WHERE public = 1"):
            with store.transaction():
                for look in LOOKS:
                    self._publish(look)

    def add(
        self,
        name: str,
        group_id: str | None,
        appearance: Appearance,
        *,
        now: float,
        seconds: float,
    ) -> str:
        """Make a look that takes this long; part of the transaction that bills it. Answers its id."""
        look_id = uuid.uuid4().hex
        kind = "digital_twin" if appearance.twin else "photo_avatar"
        if group_id is None:
            group_id = uuid.uuid4().hex
            self._store.insert("groups", id=group_id, name=name, public=0, created_at=now)
        longer = self._faults.strike("look_not_ready", name)
        failure = self._faults.strike("look_fails", name)
        self._store.insert(
            "looks",
            id=look_id,
            group_id=group_id,
            name=name,
            avatar_type=kind,
            public=0,
            engines=json.dumps(TWIN_ENGINES if appearance.twin else PHOTO_ENGINES),
            photo=str(appearance.picture),
            width=appearance.size[0],
            height=appearance.size[1],
            created_at=now,
            finish_at=now + seconds + (float(longer["seconds"]) if longer else 0.0),
            failure=str(failure["message"]) if failure else None,
        )
        return look_id

    def get(self, look_id: str) -> sqlite3.Row:
        """The row of a look. Raises Refused (404)."""
        row = self._store.one(f"{ROWS} WHERE l.id = ? AND l.deleted = 0", look_id)
        if row is None:
            raise not_found("avatar", look_id)
        return row

    def group(self, group_id: str) -> sqlite3.Row:
        """The row of a group. Raises Refused (404)."""
        row = self._store.one(f"{GROUPS} AND g.id = ?", group_id)
        if row is None:
            raise not_found("avatar_group", group_id)
        return row

    def own_group(self, group_id: str) -> None:
        """Insist on a group that a look can be added to. Raises Refused (403, 404)."""
        _private(self.group(group_id))

    def page(self, filters: dict[str, str | None], before: int | None, limit: int) -> list[sqlite3.Row]:
        """One row more than the limit, newest first; filters by `group_id`, `avatar_type` and `ownership`."""
        return self._store.all(
            f"{ROWS} WHERE deleted = 0 AND (?1 IS NULL OR group_id = ?1) AND (?2 IS NULL OR"
            " avatar_type = ?2) AND (?3 IS NULL OR public = ?3) AND (?4 IS NULL OR seq < ?4)"
            " ORDER BY seq DESC LIMIT ?5",
            filters.get("group_id"),
            filters.get("avatar_type"),
            _public(filters.get("ownership")),
            before,
            limit + 1,
        )

    def group_page(self, ownership: str | None, before: int | None, limit: int) -> list[sqlite3.Row]:
        """One group more than the limit, newest first."""
        return self._store.all(
            f"{GROUPS} AND (?1 IS NULL OR g.public = ?1) AND (?2 IS NULL OR g.seq < ?2)"
            " ORDER BY g.seq DESC LIMIT ?3",
            _public(ownership),
            before,
            limit + 1,
        )

    def rest(self, look_id: str, now: float) -> None:
        """A twin in want of consent: nothing is trained, and nothing in flight, before it is given."""
        self._store.write("UPDATE looks SET finish_at = ? WHERE id = ?", now, look_id)

    def finish(self, look_id: str, now: float) -> None:
        """End its training now. Raises Refused (404)."""
        self.get(look_id)
        self._store.write("UPDATE looks SET finish_at = ? WHERE id = ? AND finish_at > ?", now, look_id, now)

    def rename(self, look_id: str, name: str) -> None:
        """Give a private look another name. Raises Refused (403, 404)."""
        _private(self.get(look_id))
        self._store.write("UPDATE looks SET name = ? WHERE id = ?", name, look_id)

    def delete(self, look_id: str) -> None:
        """Delete a private look, and its group with the last one. Raises Refused (403, 404)."""
        look = self.get(look_id)
        _private(look)
        with self._store.transaction():
            self._store.write("UPDATE looks SET deleted = 1 WHERE id = ?", look_id)
            if self.group(look["group_id"])["looks_count"] == 0:
                self._store.write("UPDATE groups SET deleted = 1 WHERE id = ?", look["group_id"])

    def delete_group(self, group_id: str) -> None:
        """Delete a private group with all its looks. Raises Refused (403, 404)."""
        _private(self.group(group_id))
        with self._store.transaction():
            self._store.write("UPDATE looks SET deleted = 1 WHERE group_id = ?", group_id)
            self._store.write("UPDATE groups SET deleted = 1 WHERE id = ?", group_id)

    def view(self, row: sqlite3.Row, now: float, base_url: str) -> dict[str, Any]:
        """A look as HeyGen shows it."""
        state = status(row, now)
        ready = state in {None, "completed"}
        path = f"/files/looks/{row['id']}/preview.jpg"
        return {
            "id": row["id"],
            "name": row["name"],
            "avatar_type": row["avatar_type"],
            "group_id": row["group_id"],
            "preview_image_url": self._links.make(base_url, path, now) if ready else None,
            "preview_video_url": None,
            "gender": row["gender"],
            "tags": [],
            "default_voice_id": row["default_voice_id"],
            "supported_api_engines": json.loads(row["engines"]),
            "image_width": row["width"] if ready else None,
            "image_height": row["height"] if ready else None,
            "preferred_orientation": _orientation(row["width"], row["height"]) if ready else None,
            "status": state,
            "error": failure_of(row) if state == "failed" else None,
        }

    def group_view(self, row: sqlite3.Row, now: float, base_url: str) -> dict[str, Any]:
        """A group as HeyGen shows it."""
        look = self._store.one(f"{ROWS} WHERE l.seq = ?", row["newest"])
        shown = self.view(look, now, base_url) if look else {}
        return {
            "id": row["id"],
            "name": row["name"],
            "created_at": int(row["created_at"]),
            "looks_count": row["looks_count"],
            "preview_image_url": shown.get("preview_image_url"),
            "preview_video_url": None,
            "gender": row["gender"],
            "default_voice_id": row["default_voice_id"],
            "consent_status": row["consent"],
            "status": shown.get("status"),
            "error": shown.get("error"),
        }

    def _publish(self, look: PublicLook) -> None:
        photo = self._store.folder / "assets" / f"{look.id}.png"
        photo.parent.mkdir(exist_ok=True)
        photo.write_bytes(draw(Style(look.size, look.color)))
        shared = {
            "public": 1,
            "gender": look.gender,
            "default_voice_id": look.default_voice_id,
            "created_at": 0.0,
        }
        self._store.insert("groups", id=look.group_id, name=look.name, **shared)
        self._store.insert(
            "looks",
            id=look.id,
            group_id=look.group_id,
            name=look.name,
            avatar_type=look.avatar_type,
            engines=json.dumps(look.engines),
            photo=str(photo),
            width=look.size[0],
            height=look.size[1],
            finish_at=0.0,
            **shared,
        )


def status(row: sqlite3.Row, now: float) -> str | None:
    """HeyGen's word for where the look stands; None for public ones."""
    if row["public"]:
        return None
    consent = row["consent"] if row["avatar_type"] == "digital_twin" else None
    if consent == PENDING:
        return "pending_consent"
    if row["finish_at"] > now:
        return "processing"
    return "failed" if row["failure"] or consent == DECLINED else "completed"


def failure_of(row: sqlite3.Row) -> dict[str, str]:
    """Why a look failed."""
    if row["failure"]:
        return {"code": "training_failed", "message": row["failure"]}
    return {"code": "consent_declined", "message": "The person in the footage did not consent."}


def _public(ownership: str | None) -> int | None:
    return None if ownership is None else int(ownership == "public")


def _private(row: sqlite3.Row) -> None:
    if row["public"]:
        raise Refused(403, "forbidden", "Public avatars cannot be changed or deleted.")


def _orientation(width: int, height: int) -> str:
    if width == height:
        return "square"
    return "landscape" if width > height else "portrait"
