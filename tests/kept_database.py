"""Databases that stay through a test process: what their engine has compiled for one test serves the next."""

from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import make_url

from app.database import Database
from tests.inline_sqlite import connect_inline

_KEPT: dict[str, Database] = {}


class Wherever(Database):
    """A SQLite that opens the file which its engine's URL names by then; `inline` in its callers' own thread."""

    inline = False

    def __init__(self, url: str) -> None:
        super().__init__(url)

        @event.listens_for(self.engine.sync_engine, "do_connect")
        def _open(_dialect: Any, _record: Any, arguments: list[Any], options: dict[str, Any]) -> None:
            arguments[0] = self.engine.url.database
            if self.inline:
                options["async_creator_fn"] = connect_inline


def kept(url: str, *, inline: bool = False) -> Database:
    """The database there; on SQLite no two are in use at once, and each use ends with closing it."""
    if not url.startswith("sqlite"):
        return _KEPT.get(url) or _KEPT.setdefault(url, Database(url))
    database = _KEPT.get("sqlite") or _KEPT.setdefault("sqlite", Wherever(url))
    assert isinstance(database, Wherever)
    database.engine.sync_engine.url, database.inline = make_url(url), inline
    return database


async def close_all() -> None:
    """Give back every connection."""
    for database in _KEPT.values():
        await database.close()


def forget() -> None:
    """Make each database anew, as code that was changed meanwhile makes it."""
    _KEPT.clear()
