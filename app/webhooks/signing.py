"""Headers that let a receiver tell our webhooks from forgeries; pure."""

import hmac
from collections.abc import Sequence
from datetime import UTC, datetime

from standardwebhooks import Webhook


def headers(secrets: Sequence[str], event_id: str, at: datetime, body: bytes) -> dict[str, str]:
    """Headers for one attempt at the instant `at`; `body` is UTF-8, `secrets` are the live ones, newest first.

    Two kinds of receiver verify the same attempt: those of Standard Webhooks, for whom every live secret
    signs, and those written for HeyGen, who know one signature only and get the newest secret's.
    """
    if not secrets:
        raise ValueError("secrets: at least one is needed to sign")
    if not event_id or "." in event_id:
        raise ValueError("event_id: must not be empty nor hold a full stop, which delimits the signed text")
    at = at.astimezone(UTC)  # the library takes any other zone's digits for UTC
    text = body.decode()
    timestamp = str(int(at.timestamp()))
    return {
        "webhook-id": event_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(Webhook(secret).sign(event_id, at, text) for secret in secrets),
        "Heygen-Event-Id": event_id,
        "Heygen-Timestamp": timestamp,
        # HeyGen keys with the secret as it is shown, prefix included, and signs the body alone.
        "Heygen-Signature": hmac.digest(secrets[0].encode(), body, "sha256").hex(),
    }
