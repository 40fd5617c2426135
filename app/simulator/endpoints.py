"""Registered webhook endpoints, and how HeyGen signs what it posts there."""

from __future__ import annotations

import hmac
import json
import secrets
import sqlite3
import uuid
from collections.abc import Sequence
from urllib.parse import urlsplit

from app.simulator.errors import invalid, not_found
from app.simulator.store import Store

LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


class Endpoints:
    """The table of endpoints."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def add(self, url: str, events: Sequence[str] | None, entity_id: str | None, now: float) -> str:
        """Register an address; answers its id. Raises Refused (400)."""
        _check(url)
        endpoint_id = f"ep_{uuid.uuid4().hex}"
        self._store.insert(
            "endpoints",
            id=endpoint_id,
            url=url,
            events=None if events is None else json.dumps(events),
            entity_id=entity_id,
            secret=_secret(),
            created_at=now,
        )
        return endpoint_id

    def get(self, endpoint_id: str) -> sqlite3.Row:
        """The row of one that was not deleted. Raises Refused (404)."""
        row = self._store.one("SELECT * FROM endpoints WHERE id = ? AND deleted = 0", endpoint_id)
        if row is None:
            raise not_found("webhook", endpoint_id)
        return row

    def page(self, before: int | None, limit: int) -> list[sqlite3.Row]:
        """One row more than the limit, newest first."""
        return self._store.all(
            "SELECT * FROM endpoints WHERE deleted = 0 AND (?1 IS NULL OR seq < ?1) ORDER BY seq DESC LIMIT ?2",
            before,
            limit + 1,
        )

    def change(self, endpoint_id: str, url: str | None, events: Sequence[str] | None) -> None:
        """Another address, another list. Raises Refused (400, 404)."""
        self.get(endpoint_id)
        if url is not None:
            _check(url)
        self._store.write(
            "UPDATE endpoints SET url = coalesce(?2, url), events = coalesce(?3, events) WHERE id = ?1",
            endpoint_id,
            url,
            None if events is None else json.dumps(events),
        )

    def delete(self, endpoint_id: str) -> None:
        """Tell it nothing more. Raises Refused (404)."""
        self.get(endpoint_id)
        with self._store.transaction():
            self._store.write("UPDATE endpoints SET deleted = 1 WHERE id = ?", endpoint_id)
            self._store.write("UPDATE deliveries SET due_at = NULL WHERE endpoint_id = ?", endpoint_id)

    def rotate(self, endpoint_id: str) -> str:
        """A new secret; the old one is dead at once. Raises Refused (404)."""
        self.get(endpoint_id)
        secret = _secret()
        self._store.write("UPDATE endpoints SET secret = ? WHERE id = ?", secret, endpoint_id)
        return secret

    def any(self) -> bool:
        """Whether anybody is registered."""
        return self._store.one("SELECT 1 FROM endpoints WHERE deleted = 0") is not None

    def listening(self, event_type: str, entity_id: str) -> list[str]:
        """The ids of those that are told of such an event of this video."""
        rows = self._store.all(
            "SELECT * FROM endpoints WHERE deleted = 0 AND (entity_id IS NULL OR entity_id = ?)", entity_id
        )
        return [row["id"] for row in rows if row["events"] is None or event_type in json.loads(row["events"])]


def signed(secret: str, event_id: str, now: float, body: bytes, *, alone: bool) -> dict[str, str]:
    """The headers of one delivery: the body alone is signed, with the whole secret as text.

    `alone`: the one header that receivers saw in practice, instead of the three on HeyGen's page.
    """
    signature = hmac.digest(secret.encode(), body, "sha256").hex()
    if alone:
        return {"Signature": signature}
    return {
        "Heygen-Signature": signature,
        "Heygen-Timestamp": str(int(now)),
        "Heygen-Event-Id": event_id,
    }


def _check(url: str) -> None:
    try:
        parts = urlsplit(url)
        # Receivers of a simulator live on its own machine.
        fine = bool(parts.hostname) and (parts.scheme == "https" or parts.hostname in LOOPBACK)
    except ValueError:
        fine = False
    if not fine:
        raise invalid("url", "'url' must be a publicly accessible HTTPS URL.")


def _secret() -> str:
    return f"whsec_{secrets.token_hex(24)}"
