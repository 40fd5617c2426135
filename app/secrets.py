"""Everything secret: keys at rest, tokens, API keys and webhook secrets."""

import base64
import hashlib
import hmac
import os
import re
import secrets
import tempfile
import zlib
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_API_KEY = re.compile(rb"gr_([0-9a-f]{16})_([A-Za-z0-9_-]{43})([A-Za-z0-9_-]{6})")


class CannotDecrypt(Exception):
    """The data was altered, or encrypted with a key that `SECRET_KEYS` no longer lists."""


class Secrets:
    """What `SECRET_KEYS` is good for: the first key encrypts and signs, every key decrypts and verifies.

    No key is used itself; each purpose has keys of its own, derived with HKDF (RFC 5869).
    """

    def __init__(self, keys: Sequence[str]) -> None:
        if not keys:
            raise ValueError("SECRET_KEYS is empty: give at least one key")
        if any(len(key) < 32 for key in keys):
            raise ValueError("SECRET_KEYS: every key must have at least 32 characters")
        self._keys = tuple(key.encode() for key in keys)
        encryption_keys = self.signing_keys("encryption")
        self._fernet = MultiFernet([Fernet(base64.urlsafe_b64encode(key)) for key in encryption_keys])

    def encrypt(self, data: bytes) -> bytes:
        """Encrypt and authenticate with the newest key."""
        return self._fernet.encrypt(data)

    def decrypt(self, data: bytes) -> bytes:
        """Undo `encrypt`, whichever of the keys did it; raises CannotDecrypt."""
        try:
            return self._fernet.decrypt(data)
        except InvalidToken:
            raise CannotDecrypt("no key of SECRET_KEYS decrypts this") from None

    def signing_keys(self, purpose: str) -> tuple[bytes, ...]:
        """32 bytes per key, newest first, which serve no other purpose."""
        info = f"greenroom {purpose}".encode()
        return tuple(
            HKDF(algorithm=SHA256(), length=32, salt=None, info=info).derive(key) for key in self._keys
        )


class ApiKeyParts(NamedTuple):
    """A new API key: `key` is shown once, the other two are stored."""

    key: str
    public_id: str
    secret_sha256: str


def generate_key() -> str:
    """A new entry for `SECRET_KEYS`, 256 random bits."""
    return secrets.token_urlsafe(32)


def token() -> str:
    """128 random bits as 32 hex characters."""
    return secrets.token_hex(16)


def digest(token: str) -> str:
    """What is stored of a token that only needs to be recognised: its SHA-256 in hex."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def same(one: str, other: str) -> bool:
    """Compare two texts in a time that tells nothing about where they differ."""
    return hmac.compare_digest(one.encode("utf-8", "surrogatepass"), other.encode("utf-8", "surrogatepass"))


def new_webhook_secret() -> str:
    """A secret in the form that Standard Webhooks asks for: `whsec_` and 32 random bytes in base64."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()


def new_api_key() -> ApiKeyParts:
    """A key of the form gr_<public id>_<secret><checksum>, which secret scanners can tell from noise."""
    public_id, secret = secrets.token_hex(8), secrets.token_urlsafe(32)
    unchecked = f"gr_{public_id}_{secret}"
    return ApiKeyParts(unchecked + _checksum(unchecked.encode()), public_id, digest(secret))


def parse_api_key(text: str | bytes) -> tuple[str, str] | None:
    """The public id and the SHA-256 of the secret, or None for anything `new_api_key` did not make."""
    data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    found = _API_KEY.fullmatch(data)
    if found is None or _checksum(data[:-6]).encode() != found[3]:
        return None
    return found[1].decode(), hashlib.sha256(found[2]).hexdigest()


def load_or_create(path: Path) -> tuple[str, ...]:
    """The keys in the file at `path`, one a line; a missing file is made with one new key, for the owner alone.

    Raises ValueError where the file holds no usable key.
    """
    if not path.exists():
        _create(path)
    keys = tuple(path.read_text(encoding="utf-8").split())
    if not keys or any(len(key) < 32 for key in keys):
        raise ValueError(f"{path}: expected keys of at least 32 characters, one a line")
    return keys


def _checksum(data: bytes) -> str:
    # CRC-32: tells a mistyped key without a look at the database; it keeps no attacker out and need not.
    return base64.urlsafe_b64encode(zlib.crc32(data).to_bytes(4, "big"))[:6].decode()


def _create(path: Path) -> None:
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # mode 0600
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(generate_key() + "\n")
            file.flush()
            os.fsync(file.fileno())
        # A link never replaces: of two processes that start at once, both go on with the first one's key.
        with suppress(FileExistsError):
            os.link(name, path)
    finally:
        Path(name).unlink()
