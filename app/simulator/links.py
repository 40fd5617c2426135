"""Signed links to files; whoever holds one needs no key."""

from __future__ import annotations

import hmac
from urllib.parse import urlencode

LIFETIME = 7 * 24 * 3600
"""Seconds, as HeyGen's status page says (docs.heygen.com/reference/video-status)."""


class Links:
    """Makes links and checks them."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def make(self, base_url: str, path: str, now: float, *, lifetime: float = LIFETIME) -> str:
        """An absolute link to this path, its parameters named as on HeyGen's file host."""
        expires = int(now + lifetime)
        query = {"Expires": expires, "Signature": self._sign(path, expires), "Key-Pair-Id": "simulator"}
        return f"{base_url}{path}?{urlencode(query)}"

    def opens(self, path: str, expires: str, signature: str, now: float) -> bool:
        """Whether the link was made here and has not expired."""
        if not (expires.isascii() and expires.isdigit() and len(expires) < 16):
            return False
        genuine = hmac.compare_digest(self._sign(path, int(expires)).encode(), signature.encode())
        return genuine and now < int(expires)

    def _sign(self, path: str, expires: int) -> str:
        return hmac.digest(self._secret, f"{path}\n{expires}".encode(), "sha256").hex()
