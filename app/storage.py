"""Files by key: uploads and finished videos, in a local folder.

Nothing here but `path` and `remove_leftovers` is peculiar to a folder: a store such as S3 can stand in for it.
"""

import asyncio
import hashlib
import os
import re
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from stat import S_ISREG
from typing import IO, NamedTuple

PIECE = 256 * 1024

# A leading dot is ours: the folder of unfinished files has one, so no key can name it, nor "..".
_SEGMENT = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}"
_KEY = re.compile(rf"{_SEGMENT}(/{_SEGMENT}){{0,7}}")


class BadKey(ValueError):
    """Not a key: letters, digits, `_`, `-`, `.` in up to eight segments between slashes, none starting with `.`."""


class NotStored(Exception):
    """There is no file under this key."""


class WrongLength(Exception):
    """The bytes ended before or after the size that was announced; nothing was stored."""


class TooLarge(Exception):
    """More bytes came than allowed; nothing was stored."""


class Stored(NamedTuple):
    """What was stored: `size` in bytes, `sha256` in hex."""

    size: int
    sha256: str


class Found(NamedTuple):
    """A file that lies in the storage, and when its last byte was written."""

    key: str
    written_at: datetime


class Storage:
    """Files below `root`, which is made if missing."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._unfinished = root / ".unfinished"
        self._unfinished.mkdir(parents=True, exist_ok=True)

    async def put(
        self,
        key: str,
        chunks: AsyncIterator[bytes],
        *,
        expected_size: int | None = None,
        limit: int | None = None,
    ) -> Stored:
        """Store `chunks` under `key`, replacing what was there; sizes in bytes.

        The file appears whole or not at all, and once this returns it also survives a loss of power.
        Raises TooLarge, WrongLength, BadKey and whatever `chunks` raises.
        """
        target = self._place(key)
        descriptor, name = await asyncio.to_thread(tempfile.mkstemp, dir=self._unfinished)
        try:
            with os.fdopen(descriptor, "wb") as file:
                stored = await _write(file, chunks, expected_size, limit)
                await asyncio.to_thread(_settle, file)
            await asyncio.to_thread(self._publish, Path(name), target)
        finally:
            _remove(Path(name))  # gone already where it was published
        return stored

    async def size(self, key: str) -> int | None:
        """The file's size in bytes, None where there is none."""
        place = self._place(key)
        return await asyncio.to_thread(_size, place)

    async def read(self, key: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """The bytes from `start` up to, not including, `end`, in pieces of at most 256 kB.

        A range past the end of the file gives what there is. Raises NotStored before the first piece.
        """
        try:
            file = await asyncio.to_thread(self._place(key).open, "rb")
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            raise NotStored(key) from None
        with file:
            file.seek(start)
            while piece := await asyncio.to_thread(file.read, _piece(file.tell(), end)):
                yield piece

    async def delete(self, key: str) -> None:
        """Remove the file; removing what is not there is no error."""
        await asyncio.to_thread(_remove, self._place(key))

    def path(self, key: str) -> Path:
        """Where the file lies on this machine, for programs that need a path; raises NotStored."""
        place = self._place(key)
        if not place.is_file():
            raise NotStored(key)
        return place

    async def remove_leftovers(self, before: datetime) -> int:
        """Remove what processes that were killed while storing left behind before that instant; how many."""
        return await asyncio.to_thread(self._remove_leftovers, before.timestamp())

    def walk(self, folder: str) -> "Walk":
        """A walk over the files whose keys begin with that segment."""
        return Walk(self._root, folder)

    def _place(self, key: str) -> Path:
        if _KEY.fullmatch(key) is None:
            raise BadKey(f"not a storage key: {key[:200]!r}")
        return self._root / key

    def _publish(self, finished: Path, target: Path) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        finished.replace(target)
        folder = target.parent
        while folder != self._root.parent:  # the rename, and every folder that may be new
            _sync_folder(folder)
            folder = folder.parent

    def _remove_leftovers(self, before: float) -> int:
        stale = [path for path in self._unfinished.iterdir() if path.stat().st_mtime < before]
        for path in stale:
            _remove(path)
        return len(stale)


class Walk:
    """A walk over many files, a few at a time, in no order; what comes and goes meanwhile may be met or not."""

    def __init__(self, root: Path, folder: str) -> None:
        self._root = root
        self._folder = folder
        self._files = self._begin()

    async def next(self, count: int) -> list[Found]:
        """The next files, `count` at most; fewer at the end, and then it begins again. One caller at a time."""
        return await asyncio.to_thread(self._next, count)

    def _next(self, count: int) -> list[Found]:
        found = list(islice(self._files, count))
        if len(found) < count:
            self._files = self._begin()
        return found

    def _begin(self) -> Iterator[Found]:
        for entry in _entries(self._root / self._folder):
            key = Path(entry.path).relative_to(self._root).as_posix()
            if _KEY.fullmatch(key) is not None:
                with suppress(FileNotFoundError):
                    written = entry.stat(follow_symlinks=False).st_mtime
                    yield Found(key, datetime.fromtimestamp(written, UTC))


def _entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    """Every plain file below a folder, as the system names them: no folder is read as a whole."""
    with suppress(FileNotFoundError, NotADirectoryError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from _entries(Path(entry.path))
            elif entry.is_file(follow_symlinks=False):
                yield entry


async def _write(
    file: IO[bytes], chunks: AsyncIterator[bytes], expected_size: int | None, limit: int | None
) -> Stored:
    size, hasher = 0, hashlib.sha256()
    async for chunk in chunks:
        size += len(chunk)
        if limit is not None and size > limit:
            raise TooLarge(f"more than {limit} bytes")
        if expected_size is not None and size > expected_size:
            raise WrongLength(f"more than the {expected_size} bytes announced")
        await asyncio.to_thread(_append, file, hasher, chunk)
    if expected_size is not None and size < expected_size:
        raise WrongLength(f"{size} bytes came, {expected_size} were announced")
    return Stored(size, hasher.hexdigest())


def _append(file: IO[bytes], hasher: "hashlib._Hash", chunk: bytes) -> None:
    file.write(chunk)
    hasher.update(chunk)


def _settle(file: IO[bytes]) -> None:
    file.flush()
    os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _size(place: Path) -> int | None:
    try:
        found = place.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return found.st_size if S_ISREG(found.st_mode) else None


def _remove(path: Path) -> None:
    with suppress(FileNotFoundError, NotADirectoryError):
        path.unlink()


def _piece(position: int, end: int | None) -> int:
    return PIECE if end is None else max(0, min(PIECE, end - position))
