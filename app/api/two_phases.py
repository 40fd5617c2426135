"""Lists that show the caller's own things first and HeyGen's after them; the cursor names the phase."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from starlette.responses import Response

from app.api.answers import Cursor, page, read_cursor, sign_cursor
from app.context import Context
from app.errors import Unavailable
from app.tenancy import Caller

OURS, THEIRS = "ours", "heygen"

Ours = Callable[[str, int], Awaitable[Sequence[dict[str, Any]]]]
"""Up to so many of our own things, those after an id where it is not empty."""

Theirs = Callable[[int, str | None], Awaitable[tuple[Sequence[dict[str, Any]], str | None]]]
"""HeyGen's page of so many things under its token, without what is not shown, and its next token."""


def chained(first: Theirs | None, then: Theirs) -> Theirs:
    """Two lists of HeyGen's as one; which of them a token is of is its first letter."""
    if first is None:
        return then
    begun = first

    async def both(limit: int, token: str | None) -> tuple[Sequence[dict[str, Any]], str | None]:
        items: list[dict[str, Any]] = []
        second = token is not None and token.startswith("b")
        left = token[1:] or None if token is not None else None
        if not second:
            found, more = await begun(limit, left)
            items, left = list(found), None
            if more is not None:
                return items, f"a{more}"
            if len(items) == limit:
                return items, "b"
        found, more = await then(limit - len(items), left)
        return [*items, *found], f"b{more}" if more is not None else None

    return both


class Listing:
    """One request for a page of a list; `name` tells this list's cursors from those of others."""

    def __init__(self, ctx: Context, caller: Caller, name: str, limit: int, token: str | None) -> None:
        """Raises InvalidParameter for a token that is none of ours."""
        self._keys = ctx.secrets.signing_keys("cursors")
        self._scope = f"{caller.tenant_id} {name}"
        self._limit = limit
        self._at = read_cursor(self._keys, token, scope=self._scope) if token else Cursor(OURS, "")

    async def answer(self, ours: Ours | None, theirs: Theirs | None) -> Response:
        """The page; a phase that is None has nothing to show. Raises what `theirs` does where ours fill no line."""
        items: list[dict[str, Any]] = []
        at = self._at
        if at.phase == OURS:
            found = await ours(at.last_id, self._limit + 1) if ours is not None else ()
            items = list(found[: self._limit])
            if len(found) > self._limit:
                return page(items, self._next(OURS, items[-1]["id"]))
            at = Cursor(THEIRS, "")
        if theirs is None:
            return page(items, None)
        if len(items) == self._limit:
            return page(items, self._next(*at))
        try:
            more, next_token = await theirs(self._limit - len(items), at.last_id or None)
        except Unavailable:
            if not items:
                raise
            return page(items, self._next(*at))  # what is ours does not wait for HeyGen
        return page([*items, *more], self._next(THEIRS, next_token) if next_token else None)

    def _next(self, phase: str, last_id: str) -> str:
        return sign_cursor(self._keys, phase, last_id, scope=self._scope)
