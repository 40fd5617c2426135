import asyncio
import hashlib
import signal
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from app.storage import PIECE, BadKey, NotStored, Storage, Stored, TooLarge, WrongLength

BYTES = bytes(range(256)) * 3000  # 768 kB, three pieces
KEY = "videos/0193a5c0/video.mp4"


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    return Storage(tmp_path / "not" / "made" / "yet")


async def chunks(*parts: bytes, then: BaseException | None = None) -> AsyncIterator[bytes]:
    for part in parts:
        yield part
    if then is not None:
        raise then


async def everything(storage: Storage, key: str, start: int = 0, end: int | None = None) -> bytes:
    return b"".join([piece async for piece in storage.read(key, start, end)])


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


async def test_what_is_put_can_be_read(storage: Storage) -> None:
    stored = await storage.put(
        KEY, chunks(BYTES[:1000], b"", BYTES[1000:]), expected_size=len(BYTES), limit=len(BYTES)
    )
    assert stored == Stored(len(BYTES), hashlib.sha256(BYTES).hexdigest())
    assert await everything(storage, KEY) == BYTES
    assert await storage.size(KEY) == len(BYTES)
    assert storage.path(KEY).read_bytes() == BYTES


async def test_it_is_still_there_for_the_next_process(storage: Storage, tmp_path: Path) -> None:
    await storage.put(KEY, chunks(BYTES))
    assert await everything(Storage(tmp_path / "not" / "made" / "yet"), KEY) == BYTES


async def test_an_empty_file_is_a_file(storage: Storage) -> None:
    assert (await storage.put(KEY, chunks(), expected_size=0)).size == 0
    assert await storage.size(KEY) == 0
    assert await everything(storage, KEY) == b""


async def test_a_second_put_replaces_the_first(storage: Storage) -> None:
    await storage.put(KEY, chunks(b"first, and longer"))
    await storage.put(KEY, chunks(b"second"))
    assert await everything(storage, KEY) == b"second"


async def test_reading_comes_in_pieces_of_bounded_size(storage: Storage) -> None:
    await storage.put(KEY, chunks(BYTES))
    sizes = [len(piece) async for piece in storage.read(KEY)]
    assert sizes == [PIECE, PIECE, len(BYTES) - 2 * PIECE]


@pytest.mark.parametrize(
    ("start", "end"),
    [
        (0, 1),
        (5, 5),
        (10, 20),
        (PIECE - 1, PIECE + 1),
        (100, None),
        (0, 10**12),
        (len(BYTES) - 1, None),
        (10**12, None),
    ],
)
async def test_a_range_is_what_a_slice_of_the_bytes_is(storage: Storage, start: int, end: int | None) -> None:
    await storage.put(KEY, chunks(BYTES))
    assert await everything(storage, KEY, start, end) == BYTES[start:end]


async def test_what_is_not_stored_says_so(storage: Storage) -> None:
    await storage.put("videos/one", chunks(b"x"))
    for key in (KEY, "videos", "videos/one/more"):
        assert await storage.size(key) is None
        with pytest.raises(NotStored):
            await everything(storage, key)
        with pytest.raises(NotStored):
            storage.path(key)


async def test_deleting_twice_is_no_error(storage: Storage) -> None:
    await storage.put(KEY, chunks(BYTES))
    await storage.delete(KEY)
    await storage.delete(KEY)
    await storage.delete("videos/never/was")
    assert await storage.size(KEY) is None


async def test_a_deleted_file_can_still_be_read_to_its_end(storage: Storage) -> None:
    await storage.put(KEY, chunks(BYTES))
    reading = storage.read(KEY)
    first = await anext(reading)
    await storage.delete(KEY)
    assert first + b"".join([piece async for piece in reading]) == BYTES


@pytest.mark.parametrize(
    ("expected_size", "limit", "error"),
    [
        (len(BYTES) - 1, None, WrongLength),
        (len(BYTES) + 1, None, WrongLength),
        (None, len(BYTES) - 1, TooLarge),
        (0, 0, TooLarge),
    ],
)
async def test_a_wrong_length_leaves_nothing(
    storage: Storage, tmp_path: Path, expected_size: int | None, limit: int | None, error: type[Exception]
) -> None:
    with pytest.raises(error):
        await storage.put(
            KEY, chunks(BYTES[:500_000], BYTES[500_000:]), expected_size=expected_size, limit=limit
        )
    assert files(tmp_path) == []


async def test_an_endless_upload_stops_at_the_limit(storage: Storage, tmp_path: Path) -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield bytes(1000)

    with pytest.raises(TooLarge):
        await storage.put(KEY, endless(), limit=50_000)
    assert files(tmp_path) == []


@pytest.mark.parametrize("error", [ConnectionResetError(), asyncio.CancelledError()])
async def test_an_upload_that_breaks_off_leaves_what_was_there(
    storage: Storage, tmp_path: Path, error: BaseException
) -> None:
    await storage.put(KEY, chunks(b"before"))
    with pytest.raises(type(error)):
        await storage.put(KEY, chunks(BYTES, then=error))
    assert await everything(storage, KEY) == b"before"
    assert len(files(tmp_path)) == 1


async def test_nothing_can_be_read_before_the_last_byte_is_there(storage: Storage) -> None:
    seen: list[int | None] = []

    async def watching() -> AsyncIterator[bytes]:
        for _ in range(4):
            yield BYTES
            seen.append(await storage.size(KEY))

    await storage.put(KEY, watching())
    assert seen == [None] * 4
    assert await storage.size(KEY) == 4 * len(BYTES)


BAD_KEYS = (
    *("", "/", "/etc/passwd", "..", "../x", "a/../b", "a/..", ".", "a/./b", "a//b", "a/", ".hidden"),
    *(
        ".unfinished/x",
        "a\\b",
        "a\0b",
        "a b",
        "a\n",
        "é",
        "a" * 129,
        "/".join("abcdefghi"),
        "C:x",
        "~/x",
        "a%2fb",
    ),
)


@pytest.mark.parametrize("key", BAD_KEYS)
async def test_keys_cannot_leave_the_folder_nor_surprise_a_file_system(
    storage: Storage, tmp_path: Path, key: str
) -> None:
    with pytest.raises(BadKey):
        await storage.put(key, chunks(b"x"))
    with pytest.raises(BadKey):
        await everything(storage, key)
    with pytest.raises(BadKey):
        await storage.size(key)
    with pytest.raises(BadKey):
        await storage.delete(key)
    with pytest.raises(BadKey):
        storage.path(key)
    assert files(tmp_path) == []


KILLED_WHILE_STORING = """
import asyncio, os, signal, sys
from pathlib import Path
from app.storage import Storage

async def dying():
    yield bytes(1_000_000)
    os.kill(os.getpid(), signal.SIGKILL)
    yield b""

asyncio.run(Storage(Path(sys.argv[1])).put("videos/dead", dying()))
"""


async def test_a_kill_leaves_nothing_readable_and_what_it_leaves_can_be_swept(tmp_path: Path) -> None:
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", KILLED_WHILE_STORING, str(tmp_path)), cwd=Path(__file__).parent.parent
    )
    assert await child.wait() == -signal.SIGKILL
    storage = Storage(tmp_path)
    assert await storage.size("videos/dead") is None
    await storage.put(KEY, chunks(BYTES))

    now = datetime.now(UTC)
    assert (
        await storage.remove_leftovers(now - timedelta(hours=1)) == 0
    )  # it might be an upload still running
    assert await storage.remove_leftovers(now + timedelta(hours=1)) == 1
    assert files(tmp_path) == [storage.path(KEY)]


# The limit on the size of files stands in for a full disk; it holds for a whole process, hence a child.
STORED_ON_A_FULL_DISK = """
import asyncio, resource, sys
from pathlib import Path
from app.storage import Storage

async def large():
    for _ in range(10):
        yield bytes(100_000)

resource.setrlimit(resource.RLIMIT_FSIZE, (250_000, 250_000))
try:
    asyncio.run(Storage(Path(sys.argv[1])).put("videos/large", large()))
except OSError:
    sys.exit(7)
"""


async def test_a_full_disk_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", STORED_ON_A_FULL_DISK, str(tmp_path)), cwd=Path(__file__).parent.parent
    )
    assert await child.wait() == 7
    assert files(tmp_path) == []


async def test_a_walk_meets_every_file_once_and_then_begins_again(storage: Storage) -> None:
    walk = storage.walk("assets")
    assert await walk.next(3) == []
    keys = {f"assets/t{number % 2}/{number}" for number in range(7)}
    for key in (*keys, "videos/j/video-1"):
        await storage.put(key, chunks(b"x"))
    storage.path("assets/t0/0").with_name(".hidden").write_bytes(b"no key names this")
    for _ in range(2):
        rounds = [await walk.next(3) for _ in range(3)]
        assert [len(found) for found in rounds] == [3, 3, 1]
        assert {found.key for part in rounds for found in part} == keys
