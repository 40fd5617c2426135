"""What becomes of a right message when one thing in it is changed."""

from collections.abc import Iterator
from copy import deepcopy
from typing import Any

Place = tuple[Any, ...]


def places(body: Any, at: Place = ()) -> Iterator[Place]:
    """Every place inside a body, as the keys and indices that lead to it."""
    inside = body.items() if isinstance(body, dict) else enumerate(body) if isinstance(body, list) else ()
    for key, value in inside:
        yield (*at, key)
        yield from places(value, (*at, key))


def of_another_type(body: Any) -> Iterator[tuple[Place, Any]]:
    """The body once for each place, with a value there that no field of its kind may have."""
    yield (), []
    for place in places(body):
        copy, holder = _copied(body, place)
        holder[place[-1]] = {} if isinstance(holder[place[-1]], list) else []
        yield place, copy


def with_one_less(body: Any) -> Iterator[tuple[Place, Any]]:
    """The body once for each field, without that field."""
    for place in places(body):
        copy, holder = _copied(body, place)
        if isinstance(holder, dict):
            del holder[place[-1]]
            yield place, copy


def with_one_more(body: Any) -> Iterator[tuple[Place, Any]]:
    """The body once for each object in it, with a field there that nobody knows."""
    for place in ((), *places(body)):
        copy, holder = _copied(body, (*place, "unheard_of"))
        if isinstance(holder, dict):
            holder["unheard_of"] = 1
            yield place, copy


def _copied(body: Any, place: Place) -> tuple[Any, Any]:
    """A copy of the body, and what in it holds the place."""
    copy = deepcopy(body)
    holder = copy
    for key in place[:-1]:
        holder = holder[key]
    return copy, holder
