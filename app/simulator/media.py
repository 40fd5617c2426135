"""What a file is, told from its bytes, and what can be made of it."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from PIL import Image

SUFFIXES = {
    "image/png": "png",
    "image/jpeg": "jpg",
    "video/mp4": "mp4",
    "video/webm": "webm",
    "audio/mpeg": "mp3",
    "audio/wav": "wav",
    "application/pdf": "pdf",
    "application/x-subrip": "srt",
}
IMAGES = frozenset({"image/png", "image/jpeg"})
VIDEOS = frozenset({"video/mp4", "video/webm"})
AUDIO = frozenset({"audio/mpeg", "audio/wav"})
VIDEOS = frozenset({"video/mp4", "video/webm"})

CHARACTERS_A_SECOND = 14.5

_SRT = re.compile(rb"^(?:\xef\xbb\xbf)?\s*\d+\s*\r?\n\d{1,2}:\d\d:\d\d[,.]\d{1,3}\s*-->")


def mime_type(content: bytes) -> str | None:
    """The type of the file, one of those HeyGen takes; None for anything else."""
    if content.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if content.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if content[4:8] == b"ftyp":
        return "video/mp4"
    if content.startswith(b"\x1a\x45\xdf\xa3"):
        return "video/webm"
    if content.startswith(b"RIFF") and content[8:12] == b"WAVE":
        return "audio/wav"
    if content.startswith(b"ID3") or (content[:1] == b"\xff" and content[1:2] and content[1] & 0xE6 == 0xE2):
        return "audio/mpeg"  # layer III: 0xE0 sync, layer bits 01
    if content.startswith(b"%PDF-"):
        return "application/pdf"
    return "application/x-subrip" if _SRT.match(content) else None


def picture_size(content: bytes) -> tuple[int, int] | None:
    """Width and height of a PNG or JPEG; None where it cannot be decoded."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with Image.open(io.BytesIO(content), formats=("PNG", "JPEG")) as picture:
                picture.load()
                return picture.size
    except (OSError, ValueError, SyntaxError, Warning, Image.DecompressionBombError):
        return None


def thumbnail(photo: Path) -> bytes:
    """A small JPEG of a picture."""
    return _thumbnail(photo.read_bytes())


@lru_cache(maxsize=64)
def _thumbnail(photo: bytes) -> bytes:
    with Image.open(io.BytesIO(photo)) as picture:
        small = picture.convert("RGB")
        small.thumbnail((640, 640))
        content = io.BytesIO()
        small.save(content, "JPEG", quality=80)
    return content.getvalue()


def gif(photo: Path) -> bytes:
    """A small GIF of a picture that draws a little nearer."""
    with Image.open(photo) as picture:
        small = picture.convert("RGB")
        small.thumbnail((240, 240))
    frames = [small.crop((step, step, small.width - step, small.height - step)) for step in (0, 2, 4)]
    first, *rest = (frame.resize(small.size) for frame in frames)
    content = io.BytesIO()
    first.save(content, "GIF", save_all=True, append_images=rest, duration=300, loop=0)
    return content.getvalue()


def speech_seconds(script: str, speed: float) -> float:
    """About how long it takes to say this."""
    return max(1.0, len(script) / CHARACTERS_A_SECOND / speed)


def subtitles(script: str | None, seconds: float) -> str:
    """An SRT of the script, spread evenly over the time."""
    lines = list(_lines(script or "")) or ["(audio)"]
    total = sum(map(len, lines))
    cues, said = [], 0
    for number, line in enumerate(lines, 1):
        start, said = said, said + len(line)
        cues.append(
            f"{number}\n{_mark(seconds * start / total)} --> {_mark(seconds * said / total)}\n{line}\n"
        )
    return "\n".join(cues)


def _lines(script: str, width: int = 42) -> Iterator[str]:
    line = ""
    for word in re.sub(r"<[^>]*>", " ", script).split():
        if line and len(line) + 1 + len(word) > width:
            yield line
            line = word
        else:
            line = f"{line} {word}".strip()
    if line:
        yield line


def _mark(seconds: float) -> str:
    thousandths = round(seconds * 1000)
    whole, thousandths = divmod(thousandths, 1000)
    return f"{whole // 3600:02}:{whole // 60 % 60:02}:{whole % 60:02},{thousandths:03}"
