"""Which test shows which scenario."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T", bound=Callable[..., object])

SHOWN: set[str] = set()


def shows(name: str) -> Callable[[T], T]:
    """Mark a test as the one that shows this scenario; the fixture `api` holds it to that."""

    def mark(test: T) -> T:
        SHOWN.add(name)
        test.shows = name  # type: ignore[attr-defined]
        return test

    return mark
