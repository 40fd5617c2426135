"""The consent of whoever a digital twin shows: asked for once a group, given or refused on a page."""

from __future__ import annotations

from html import escape

from app.simulator.errors import not_found
from app.simulator.faults import Faults
from app.simulator.store import Store

PENDING, APPROVED, DECLINED = "pending", "approved", "declined"


class Consents:
    """The table of consents."""

    def __init__(self, store: Store, faults: Faults) -> None:
        self._store = store
        self._faults = faults

    def need(self, group_id: str) -> str:
        """A twin joins the group: where its consent stands, wanted from now on."""
        self._store.write("INSERT OR IGNORE INTO consents VALUES (?, ?, NULL)", group_id, PENDING)
        return self.status(group_id) or PENDING

    def status(self, group_id: str) -> str | None:
        """Where it stands; None for a group that needs none."""
        row = self._store.one("SELECT status FROM consents WHERE group_id = ?", group_id)
        return str(row["status"]) if row else None

    def reroute(self, group_id: str, url: str | None) -> None:
        """Where the page leads after the decision."""
        self._store.write("UPDATE consents SET reroute_url = ? WHERE group_id = ?", url, group_id)

    def decide(self, group_id: str, *, approved: bool, now: float, seconds: float) -> str | None:
        """Give or refuse it, and let the twins be trained; where the page leads then. Raises Refused (404)."""
        row = self._store.one(
            "SELECT c.*, g.name FROM consents c JOIN groups g ON g.id = c.group_id"
            " WHERE c.group_id = ? AND g.deleted = 0",
            group_id,
        )
        if row is None:
            raise not_found("avatar_group", group_id)
        if row["status"] == PENDING:
            refused = self._faults.strike("consent_refused", row["name"]) is not None
            status = APPROVED if approved and not refused else DECLINED
            self._store.write("UPDATE consents SET status = ? WHERE group_id = ?", status, group_id)
            self._store.write(
                "UPDATE looks SET finish_at = ? WHERE group_id = ? AND avatar_type = 'digital_twin'",
                now + seconds if status == APPROVED else now,
                group_id,
            )
        return None if row["reroute_url"] is None else str(row["reroute_url"])

    def page(self, group_id: str) -> str:
        """What a person sees under the link, HTML."""
        status = escape(self.status(group_id) or "not needed")
        return (
            f"<html><head><title>Consent</title></head><body><h1>Consent to a digital twin</h1><p>It is {status}.</p>"
            '<form method="post"><button name="decision" value="approved">I agree</button>'
            ' <button name="decision" value="declined">I do not agree</button></form></body></html>'
        )
