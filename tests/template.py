"""A SQLite database with all tables, to be copied: making one takes longer than most tests."""

import asyncio
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from app.database import Database


@cache
def migrated() -> bytes:
    """The file, whole."""
    with TemporaryDirectory(prefix="greenroom-") as folder, ThreadPoolExecutor(1) as elsewhere:
        file = Path(folder) / "template.db"
        # In a thread of its own: whoever asks may be in an event loop already.
        elsewhere.submit(asyncio.run, _migrate(f"sqlite:///{file}")).result()
        with closing(sqlite3.connect(file)) as connection:
            return connection.serialize()


async def _migrate(url: str) -> None:
    database = Database(url)
    await database.migrate()
    await database.close()
