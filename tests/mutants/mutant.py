"""One guard taken out, and the tests that notice."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Mutant:
    """Each text of `edits` stands exactly once in the file; `killers` are pytest's node ids, run on this database."""

    name: str
    file: str
    edits: tuple[tuple[str, str], ...]
    killers: tuple[str, ...]
    database: str = "sqlite"


def without(name: str, file: str, text: str, instead: str, *killers: str) -> Mutant:
    """A mutant of one edit."""
    return Mutant(name, file, ((text, instead),), killers)
