"""What the doctor has to say: a line each, and whether anything is wrong."""

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARN = "warn"  # works, but perhaps not as you want
    FAIL = "fail"


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at; the message says what was found and, where it is not well, what to do."""

    check: str
    state: State
    message: str


def ok(check: str, message: str) -> Finding:
    """All is well."""
    return Finding(check, State.OK, message)


def warn(check: str, message: str) -> Finding:
    """It works, but."""
    return Finding(check, State.WARN, message)


def fail(check: str, message: str) -> Finding:
    """It does not work."""
    return Finding(check, State.FAIL, message)
