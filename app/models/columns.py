"""What the tables' columns and indexes are made of."""

from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, CheckConstraint, Column, Index, text


def json_column() -> Any:
    """A column of JSON; None is NULL."""
    return Column(JSON, nullable=True)


def known_words(column: str, words: type[StrEnum]) -> CheckConstraint:
    """Only these words may stand in the column."""
    listed = ", ".join(f"'{word.value}'" for word in words)
    return CheckConstraint(f"{column} IS NULL OR {column} IN ({listed})", name=f"{column}_known")


def partial(name: str, *columns: Any, where: str, unique: bool = False) -> Index:
    """One partial index a state: SQLite does not use one whose condition is `IN (...)`."""
    return Index(name, *columns, unique=unique, sqlite_where=text(where), postgresql_where=text(where))
