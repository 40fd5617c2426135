"""The voices of the simulated account: the public ones, and those that were cloned or designed."""

from __future__ import annotations

import hashlib
import sqlite3
import uuid
from typing import Any

from app.simulator.catalog import VOICES, Voice, find_voice
from app.simulator.errors import Refused, not_found
from app.simulator.faults import Faults
from app.simulator.store import Store

MOST_DESIGNED = 3
CLONE_SECONDS = 30.0


class Voices:
    """Finds voices, and makes private ones."""

    def __init__(self, store: Store, faults: Faults) -> None:
        self._store = store
        self._faults = faults

    def usable(self, voice_id: str, now: float) -> Voice:
        """The voice, to be spoken with. Raises Refused (404, 400)."""
        voice = find_voice(voice_id)
        if voice is not None:
            return voice
        row = self.row(voice_id)
        if status(row, now) not in {None, "complete"}:
            raise Refused(400, "voice_unavailable", "This voice is not complete.", "voice_id")
        return _voice(row)

    def row(self, voice_id: str) -> sqlite3.Row:
        """A private voice. Raises Refused (404)."""
        row = self._store.one("SELECT * FROM voices WHERE id = ? AND deleted = 0", voice_id)
        if row is None:
            raise not_found("voice", voice_id)
        return row

    def private(self, now: float) -> list[sqlite3.Row]:
        """Those that are complete, newest first."""
        rows = self._store.all("SELECT * FROM voices WHERE deleted = 0 ORDER BY seq DESC")
        return [row for row in rows if status(row, now) in {None, "complete"}]

    def clone(self, name: str, language: str | None, now: float) -> str:
        """A new voice of a recording, complete in a while; answers its id."""
        failed = self._faults.strike("clone_fails", name)
        return self._add(
            name=name,
            language=language or "English",
            gender="female",
            clone=1,
            created_at=now,
            finish_at=now + CLONE_SECONDS,
            failure=failed["message"] if failed else None,
        )

    def design(self, prompt: str, gender: str | None, locale: str | None, seed: int, now: float) -> list[str]:
        """Up to three ids: a search among all voices of the account, the same for the same words and seed.

        `[[design_new]]` in the prompt has a new private voice made as well.
        """
        made = []
        if self._faults.strike("design_new", prompt):
            facts = {"language": "English", "gender": gender or "female", "clone": 0, "failure": None}
            made = [self._add(name=prompt[:40], created_at=now, finish_at=now, **facts)]
        fitting = [*map(_voice, self.private(now)), *VOICES]
        fitting = [
            voice
            for voice in fitting
            if gender in {None, voice.gender}
            and locale in {None, voice.locale}
            and voice.voice_id not in made
        ]
        # Private ones first: what another caller of the account cloned is found, too.
        found = sorted(
            (voice.voice_id for voice in fitting),
            key=lambda voice_id: (
                find_voice(voice_id) is not None,
                hashlib.sha256(f"{prompt}{voice_id}".encode()).digest(),
            ),
        )
        return [*made, *found[seed * MOST_DESIGNED :]][:MOST_DESIGNED]

    def listed(self, voice_id: str) -> dict[str, Any]:
        """A voice as lists show it."""
        public = find_voice(voice_id)
        voice = public or _voice(self.row(voice_id))
        return {
            "voice_id": voice.voice_id,
            "name": voice.name,
            "language": voice.language,
            "gender": voice.gender,
            "type": "public" if public else "private",
            "support_pause": True,
            "support_locale": True,
            "preview_audio_url": None,
            "available_engines": ["starfish"],
        }

    def shown(self, voice_id: str, now: float) -> dict[str, Any]:
        """A voice as it is read singly; only clones have a status."""
        view = self.listed(voice_id)
        if find_voice(voice_id) is not None:
            return view
        del view["type"]
        row = self.row(voice_id)
        state = status(row, now)
        if state is None:
            return view
        failure = row["failure"] if state == "failed" else None
        return view | {"created_at": int(row["created_at"]), "status": state, "failure_message": failure}

    def delete(self, voice_id: str) -> None:
        """Delete a private voice. Raises Refused (403, 404)."""
        if find_voice(voice_id) is not None:
            raise Refused(403, "forbidden", "Public voices cannot be deleted.")
        self.row(voice_id)
        self._store.write("UPDATE voices SET deleted = 1 WHERE id = ?", voice_id)

    def _add(self, **values: Any) -> str:
        voice_id = uuid.uuid4().hex
        self._store.insert("voices", id=voice_id, **values)
        return voice_id


def status(row: sqlite3.Row, now: float) -> str | None:
    """HeyGen's word for how the making of a clone goes; None for what is no clone."""
    if not row["clone"]:
        return None
    if row["finish_at"] > now:
        return "processing"
    return "failed" if row["failure"] else "complete"


def _voice(row: sqlite3.Row) -> Voice:
    return Voice(row["id"], row["name"], row["language"], row["gender"], "en-US")
