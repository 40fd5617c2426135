"""Is this a usable portrait? And what kind of file is this at all, whatever it calls itself?"""

import asyncio
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

SMALLEST_SIDE = 512  # pixels
LARGEST_FILE = 32 * 1024 * 1024  # bytes
MOST_PIXELS = 50_000_000

_DECODER = Path(__file__).with_name("photo_decoder.py")

_TIME = rb"\d{1,3}:\d\d:\d\d[,.]\d{1,3}"
_KINDS = tuple(
    (mime, re.compile(start, re.DOTALL))
    for mime, start in (
        ("image/png", rb"\x89PNG\r\n\x1a\n"),
        ("image/jpeg", rb"\xff\xd8\xff"),
        # HEIC, AVIF and M4A carry "ftyp" as well: only these brands are video.
        ("video/mp4", rb"....ftyp(iso[2-9m]|mp4[12]|avc1|M4V |dash|MSNV|f4v )"),
        # Matroska's header names its kind in element 0x4282.
        ("video/webm", rb"\x1a\x45\xdf\xa3.{0,48}?\x42\x82.{1,8}?webm"),
        ("audio/wav", rb"RIFF....WAVE"),
        # A tag, or a frame: sync bits, layer III of MPEG 1, 2 or 2.5, a bit rate that exists.
        ("audio/mpeg", rb"ID3[\x02-\x04]|\xff[\xfa\xfb\xf2\xf3\xe2\xe3][\x10-\xef]"),
        ("application/pdf", rb"%PDF-"),
        ("application/x-subrip", rb"(\xef\xbb\xbf)?\s*\d+[ \t]*\r?\n" + _TIME + rb"[ \t]+-->[ \t]+" + _TIME),
    )
)


class BadPhoto(Exception):
    """The photo cannot serve as a portrait; `message` tells its owner why.

    `code`: not_an_image, too_large, too_small, too_many_pixels or undecodable.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class CheckFailed(Exception):
    """The check itself did not work, which says nothing about the photo: try again later."""


class Photo(NamedTuple):
    """What a usable photo is; sides in pixels, as stored, before any EXIF rotation."""

    mime: str
    width: int
    height: int


class PhotoChecker:
    """Decodes photos in short-lived child processes, so many at once."""

    def __init__(
        self, at_once: int = 2, cpu_seconds: int = 10, timeout: float = 30, decoder: Path = _DECODER
    ) -> None:
        """A photo may cost `cpu_seconds` of work; only on a busy machine does `timeout`, in seconds, end earlier."""
        self._turns = asyncio.Semaphore(at_once)
        self._limits = (str(SMALLEST_SIDE), str(MOST_PIXELS), str(cpu_seconds))
        self._timeout = timeout
        self._decoder = decoder

    async def check(self, path: Path) -> Photo:
        """The photo's type and size; raises BadPhoto, or CheckFailed where no verdict could be had."""
        size = await asyncio.to_thread(lambda: path.stat().st_size)
        if size > LARGEST_FILE:
            raise BadPhoto("too_large", f"The photo has {size:,} bytes, more than {LARGEST_FILE:,}.")
        async with self._turns:
            verdict, killed = await self._decode(path)
        match verdict.split(" ", 3):
            case ["good", mime, width, height]:
                return Photo(mime, int(width), int(height))
            case ["bad", code, *message]:
                raise BadPhoto(code, f"The photo cannot be used: {' '.join(message)}.")
        if killed:
            raise BadPhoto(
                "undecodable", "The photo cannot be used: decoding it takes too much time or memory."
            )
        raise CheckFailed("the photo decoder gave no verdict")

    async def _decode(self, path: Path) -> tuple[str, bool]:
        """The child's one line, and whether a signal ended it: the limit on its time, or a crash."""
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", str(self._decoder), str(path), *self._limits),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={},  # our keys are no business of a process that reads strangers' bytes
        )
        assert child.stdout is not None  # noqa: S101 (PIPE)
        try:
            async with asyncio.timeout(self._timeout):
                verdict = await child.stdout.read(1024)
                killed = await child.wait() < 0
        except TimeoutError:
            raise CheckFailed(f"the photo decoder gave no verdict within {self._timeout:g} s") from None
        finally:
            if child.returncode is None:
                child.kill()
                await child.wait()
        return verdict.decode("utf-8", "replace").strip(), killed


def sniff(head: bytes) -> str | None:
    """The mime type by the first bytes of a file (64 are enough, save for blank lines before a subtitle).

    Knows what HeyGen's assets may be: png, jpeg, mp4, webm, mp3, wav, pdf and srt; None for anything else.
    """
    return next((mime for mime, start in _KINDS if start.match(head)), None)
