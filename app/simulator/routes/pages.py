"""Lists by the page, with HeyGen's cursor fields, and the parts every route needs."""

from __future__ import annotations

import base64
import binascii
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, cast

from fastapi import Depends, Request

from app.simulator.errors import invalid
from app.simulator.world import World


async def world_of(request: Request) -> World:
    """The simulated HeyGen that this request came to; async only to stay off the thread pool."""
    return cast("World", request.app.state.world)


WorldDep = Annotated[World, Depends(world_of)]


@dataclass(frozen=True)
class Page:
    """How much of a list is wanted."""

    limit: int
    after: int | None
    """The number that the last page ended with."""


def page_of(request: Request, default: int, largest: int) -> Page:
    """The page that the query asks for. Raises Refused (400)."""
    limit = request.query_params.get("limit") or str(default)
    if not (limit.isascii() and limit.isdigit() and 1 <= int(limit[:9]) <= largest):
        raise invalid("limit", f"'limit' must be between 1 and {largest}.")
    token = request.query_params.get("token")
    return Page(int(limit), _number(token) if token else None)


def listing(
    rows: Sequence[sqlite3.Row], page: Page, view: Callable[[sqlite3.Row], dict[str, Any]]
) -> dict[str, Any]:
    """The answer for a page; `rows` holds one more than the limit where there is another page."""
    shown = rows[: page.limit]
    return envelope([view(row) for row in shown], shown[-1]["seq"] if len(rows) > page.limit else None)


def envelope(items: list[dict[str, Any]], ends_with: int | None) -> dict[str, Any]:
    """A list with its cursor fields."""
    token = None if ends_with is None else base64.urlsafe_b64encode(f"after:{ends_with}".encode()).decode()
    return {"data": items, "has_more": token is not None, "next_token": token}


def _number(token: str) -> int:
    try:
        word, _, number = base64.urlsafe_b64decode(token.encode()).decode("ascii").partition(":")
    except (binascii.Error, UnicodeError):
        word, number = "", ""
    if word != "after" or not number.isdigit() or len(number) > 18:
        raise invalid("token", "'token' must be the 'next_token' of an earlier page.")
    return int(number)
