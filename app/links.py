"""Signed links to files: whoever holds one may do what its path says until it expires, without an API key."""

import hmac
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from urllib.parse import quote


def content_link(api_url: str, path: str, variant: str, now: datetime, keys: Sequence[bytes]) -> str:
    """A link to one variant of the file at `path`, good for at least seven days.

    Every link given out on one UTC day is the same, so that an unchanged resource keeps its ETag.
    `keys` are newest first; the newest signs.
    """
    return link_until(api_url, path, variant, link_expiry(now), keys)


def link_until(api_url: str, path: str, variant: str, expires_at: datetime, keys: Sequence[bytes]) -> str:
    """A link to `path` that ends at this instant, whole seconds of it."""
    signed = _signed_part(path, variant, str(int(expires_at.timestamp())))
    return f"{api_url.rstrip('/')}{signed}&signature={_signature(keys[0], signed)}"


def link_expiry(now: datetime) -> datetime:
    """When a link given out at `now` ends: seven days after the end of that UTC day."""
    day = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return day + timedelta(days=8)


def verify(
    path: str, variant: str, expires: str, signature: str, now: datetime, keys: Sequence[bytes]
) -> bool:
    """Whether the parts of a link are as we signed them with any of `keys`, and it has not expired.

    Everything but `now` and `keys` may be whatever a stranger sent.
    """
    signed = _signed_part(path, variant, expires)
    given = signature.encode("utf-8", "surrogatepass")  # compare_digest refuses text that is not ASCII
    genuine = any(hmac.compare_digest(given, _signature(key, signed).encode()) for key in keys)
    return genuine and now.timestamp() < int(expires)  # a number, since we wrote it


def _signed_part(path: str, variant: str, expires: str) -> str:
    # The variant is quoted, so no "?" or "&" in it can pass for a delimiter.
    return f"{path}?variant={quote(variant, safe='', errors='surrogatepass')}&expires={expires}"


def _signature(key: bytes, signed: str) -> str:
    return hmac.digest(key, signed.encode("utf-8", "surrogatepass"), "sha256").hex()
