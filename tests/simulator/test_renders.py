"""Sizes and lengths of pictures and films."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from app.simulator.media import mime_type, picture_size, subtitles
from app.simulator.renders import frame_size, mp4_seconds
from tests.simulator.conftest import picture


def box(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(content), name) + content


def movie(version: int) -> bytes:
    if version == 0:
        header = struct.pack(">IIIII", 0, 0, 0, 1000, 2500)
    else:
        header = struct.pack(">IQQIQ", 1 << 24, 0, 0, 1000, 2500)
    return box(b"moov", box(b"udta", b"xyz") + box(b"mvhd", header + bytes(80)))


@pytest.mark.parametrize(
    "content",
    [
        box(b"ftyp", b"isom") + movie(0) + box(b"mdat", b"x" * 50),
        box(b"ftyp", b"isom") + struct.pack(">I4sQ", 1, b"mdat", 16 + 5) + b"x" * 5 + movie(1),
    ],
    ids=["at the front", "at the end, long boxes"],
)
def test_the_length_of_a_film_is_read_from_its_header(tmp_path: Path, content: bytes) -> None:
    film = tmp_path / "film.mp4"
    film.write_bytes(content)
    assert mp4_seconds(film) == 2.5


@pytest.mark.parametrize(
    "content", [b"", b"xx", b"\0" * 40, movie(0)[:40], box(b"moov", box(b"mvhd", b"")), box(b"moov", b"")]
)
def test_what_is_no_film_has_no_length(tmp_path: Path, content: bytes) -> None:
    film = tmp_path / "film.mp4"
    film.write_bytes(content)
    assert mp4_seconds(film) is None


@pytest.mark.parametrize(
    ("photo", "size"),
    [
        ((1000, 1000), (720, 720)),
        ((1000, 1900), (720, 1280)),
        ((4000, 2000), (1280, 720)),
        ((1300, 1000), (900, 720)),
        ((900, 1000), (720, 720)),
        (None, (1280, 720)),
    ],
)
def test_auto_snaps_to_the_nearest_ratio(photo: tuple[int, int] | None, size: tuple[int, int]) -> None:
    assert frame_size("720p", "auto", photo) == size


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (picture(10, 10), "image/png"),
        (picture(10, 10, "JPEG"), "image/jpeg"),
        (b"\0\0\0\x18ftypisom", "video/mp4"),
        (b"\x1a\x45\xdf\xa3...", "video/webm"),
        (b"RIFF....WAVEfmt ", "audio/wav"),
        (b"ID3\4\0", "audio/mpeg"),
        (b"\xff\xfb\x90\x64", "audio/mpeg"),
        (b"%PDF-1.7", "application/pdf"),
        (b"1\r\n00:00:00,000 --> 00:00:01,000\r\nHi", "application/x-subrip"),
        (b"GIF89a", None),
        (b"plain text", None),
        (b"", None),
    ],
)
def test_a_file_is_known_by_its_bytes(content: bytes, kind: str | None) -> None:
    assert mime_type(content) == kind


def test_a_broken_picture_has_no_size() -> None:
    assert picture_size(picture(30, 40)) == (30, 40)
    assert picture_size(picture(300, 400)[:200]) is None
    assert picture_size(picture(30, 40, "GIF")) is None


def test_silence_has_a_subtitle_too() -> None:
    assert subtitles(None, 3661.5) == "1\n00:00:00,000 --> 01:01:01,500\n(audio)\n"
