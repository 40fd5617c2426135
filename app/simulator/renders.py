"""What a render is asked to show, and who films it."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO, Protocol

from app.simulator.filming import BundledClip, FilmRequest

__all__ = ["BundledClip", "FilmRequest", "Filmer", "frame_size", "mp4_seconds"]

SHORT_SIDES = {"720p": 720, "1080p": 1080, "4k": 2160}
RATIOS = {"16:9": (16, 9), "9:16": (9, 16), "4:5": (4, 5), "5:4": (5, 4), "1:1": (1, 1)}


class Filmer(Protocol):
    """Makes the file of one render; whoever made the filmer closes it."""

    async def film(self, request: FilmRequest) -> Path:
        """A finished mp4; whatever is raised fails the render."""
        ...


def frame_size(
    resolution: str | None, aspect_ratio: str | None, photo: tuple[int, int] | None
) -> tuple[int, int]:
    """Width and height of the picture; `auto` snaps the photo's own ratio to the nearest that HeyGen makes."""
    short = SHORT_SIDES[resolution or "1080p"]
    ratio = aspect_ratio or "16:9"
    if ratio == "auto":
        ratio = _nearest_ratio(photo) if photo else "16:9"
    across, down = RATIOS[ratio]
    if across >= down:
        return _even(short * across / down), short
    return short, _even(short * down / across)


def _nearest_ratio(photo: tuple[int, int]) -> str:
    shape = photo[0] / photo[1]

    def off_by(name: str) -> float:
        across, down = RATIOS[name]
        stretch = shape * down / across
        return max(stretch, 1 / stretch)  # a factor, so that too wide and too tall count alike

    return min(RATIOS, key=off_by)


def _even(length: float) -> int:
    # H.264 with 4:2:0 colour needs even sides.
    return round(length / 2) * 2


def mp4_seconds(path: Path) -> float | None:
    """The length of an mp4 by its `mvhd` box (ISO/IEC 14496-12, 8.2.2); None where there is none."""
    with path.open("rb") as file:
        end = file.seek(0, 2)
        moov = _box(file, 0, end, b"moov")
        header = _box(file, *moov, b"mvhd") if moov else None
        if header is None:
            return None
        file.seek(header[0])
        content = file.read(32)
    try:
        if content[0] == 1:
            scale, length = struct.unpack_from(">IQ", content, 20)
        else:
            scale, length = struct.unpack_from(">II", content, 12)
    except (struct.error, IndexError):
        return None
    return length / scale if scale else None


def _box(file: BinaryIO, start: int, end: int, name: bytes) -> tuple[int, int] | None:
    """Where the content of the first box of this name lies between two offsets."""
    while start + 8 <= end:
        file.seek(start)
        size, kind = struct.unpack(">I4s", file.read(8))
        head = 8
        if size == 1:
            size, head = int.from_bytes(file.read(8), "big"), 16
        stop = end if size == 0 else start + size
        if stop < start + head:
            return None
        if kind == name:
            return start + head, min(stop, end)
        start = stop
    return None
