"""HeyGen's calls to us. A callback is a hint that asking is worthwhile; nothing in it is believed."""

import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from app.heygen.fields import decode

# HeyGen advises to refuse a delivery whose clock is further away (developers.heygen.com/docs/webhooks).
TOLERANCE_SECONDS = 300

_WORD = re.compile(r"[\x21-\x7e]{1,255}")


@dataclass(frozen=True, slots=True)
class CallbackEvent:
    """What a callback claims; each field is None where the body does not say it in a usable form."""

    event_type: str | None
    heygen_id: str | None
    callback_id: str | None


def parse(body: bytes) -> CallbackEvent:
    """Read a callback; any bytes at all give an event, never an error."""
    try:
        payload = _object(decode(body))
    except ValueError:
        payload = {}
    data = _object(payload.get("event_data"))
    return CallbackEvent(
        event_type=_word(payload.get("event_type")),
        # No page shows what the events of looks hold.
        heygen_id=_word(data.get("video_id")) or _word(data.get("avatar_id")) or _word(data.get("look_id")),
        callback_id=_word(data.get("callback_id")),
    )


def verify_signature(secret: str, headers: Mapping[str, str], body: bytes, now: datetime) -> bool:
    """Whether a registered endpoint's delivery was signed with its secret.

    The signature is lower-case hex HMAC-SHA256 of the raw body, keyed with the secret as text, `whsec_` included. It
    stands in `Heygen-Signature` or, as observed, in `Signature`. The timestamp is not signed and not always sent, so it
    is held against `now` only where it is there. A header that comes twice is refused.
    """
    given = _values(headers, "heygen-signature") or _values(headers, "signature")
    if not secret or len(given) != 1:
        return False
    expected = hmac.digest(secret.encode("utf-8", "surrogatepass"), body, "sha256").hex()
    # As bytes: compare_digest raises for a text that is not ASCII.
    if not hmac.compare_digest(expected.encode(), given[0].encode("utf-8", "surrogatepass")):
        return False
    times = _values(headers, "heygen-timestamp")
    return not times or (len(times) == 1 and _is_near(times[0], now))


def _values(headers: Mapping[str, str], name: str) -> list[str]:
    """Every value of a header: Starlette's `items` yields a repeated one repeatedly."""
    return [value for key, value in headers.items() if key.lower() == name]


def _is_near(timestamp: str, now: datetime) -> bool:
    if not re.fullmatch(r"[0-9]{1,12}", timestamp):
        return False
    return abs(int(timestamp) - now.timestamp()) <= TOLERANCE_SECONDS


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _word(value: object) -> str | None:
    return value if isinstance(value, str) and _WORD.fullmatch(value) else None
