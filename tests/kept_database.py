"""Databases that stay through a test process: what their engine has compiled for one test serves the next."""

from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import make_url

from app.database import Database

_KEPT: dict[str, Database] = {}


def kept(url: str) -> Database:
    """The database there; closed after each use, and on SQLite no two are in use at once."""
    if not url.startswith("sqlite"):
        return _KEPT.get(url) or _KEPT.setdefault(url, Database(url))
    database = _KEPT.get("sqlite") or _KEPT.setdefault("sqlite", _wherever(url))
    database.engine.sync_engine.url = make_url(url)
    return database


def forget() -> None:
    """Make each database anew, as code that was changed meanwhile makes it."""
    _KEPT.clear()


def _wherever(url: str) -> Database:
    """A SQLite that opens the file which its engine's URL names by then, not the one that it was made with."""
    database = Database(url)

    @event.listens_for(database.engine.sync_engine, "do_connect")
    def _open(_dialect: Any, _record: Any, arguments: list[Any], _options: Any) -> None:
        arguments[0] = database.engine.url.database

    return database
