"""The types of file that HeyGen takes: by which names callers know them, and how large each may be."""

from __future__ import annotations

from collections.abc import Mapping

MB = 1024 * 1024

# Names in use, and what the bytes are called here.
TYPES: Mapping[str, str] = {
    "image/png": "image/png",
    "image/jpeg": "image/jpeg",
    "image/jpg": "image/jpeg",
    "video/mp4": "video/mp4",
    "video/webm": "video/webm",
    "audio/mpeg": "audio/mpeg",
    "audio/mp3": "audio/mpeg",
    "audio/wav": "audio/wav",
    "audio/wave": "audio/wav",
    "audio/x-wav": "audio/wav",
    "application/pdf": "application/pdf",
    "application/x-subrip": "application/x-subrip",
    "text/srt": "application/x-subrip",
}

# What HeyGen takes of each kind (its pages "Upload assets" and "Usage limits").
LIMITS = {"audio": 50 * MB, "video": 100 * MB}
DEFAULT_LIMIT = 32 * MB


def limit_for(mime: str) -> int:
    """How many bytes a file of this type may have."""
    return LIMITS.get(mime.partition("/")[0], DEFAULT_LIMIT)
