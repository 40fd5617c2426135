"""`Idempotency-Key` as HeyGen keeps it: the first answer of an operation is replayed for 24 hours."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from fastapi import Request
from fastapi.responses import Response

from app.simulator.bodies import parse
from app.simulator.errors import Refused, invalid
from app.simulator.store import Store

HEADER = "Idempotency-Key"
LIFETIME = 24 * 3600.0
"""Seconds."""

_KEY = re.compile(r"[A-Za-z0-9_\-:.]{1,255}")


@dataclass(frozen=True)
class Call:
    """What the simulator needs to know of one request."""

    method: str
    path: str
    key: str | None
    sha: str
    now: float
    base_url: str
    content: bytes
    kind: str = ""
    """`video`, `look`, `voice` or `speech` where it makes one."""

    @property
    def operation(self) -> str:
        """A key means something else on another path."""
        return f"{self.method} {self.path}"

    def json(self) -> dict[str, Any]:
        """The body. Raises Refused (400)."""
        return parse(self.content)

    def text(self) -> str:
        """What scenarios seek their `match` and their magic marks in: title, script, name."""
        try:
            data = self.json()
        except Refused:
            return ""
        return "\n".join(str(data.get(name) or "") for name in ("title", "script", "name"))


@dataclass(frozen=True)
class Step:
    """The part of an operation that changes something, in two halves."""

    commit: Callable[[], Response]
    """Writes, and answers what is kept under the key; one transaction with the key itself."""
    finish: Callable[[Response], Awaitable[Response]] | None = None
    """What happens between the commit and the answer; answers what is sent."""


class Answers:
    """Stored answers, and which operations are under way."""

    def __init__(self, store: Store, keeps_errors: Callable[[Call], bool]) -> None:
        self._store = store
        self._keeps_errors = keeps_errors
        # In memory, so that a kill does not leave an operation in flight for ever.
        self._under_way: set[tuple[str, str]] = set()

    async def once(self, call: Call, prepare: Callable[[], Awaitable[Step]]) -> Response:
        """Do the operation, or repeat its first answer, whatever the body says now.

        Raises Refused: 409 while the first is still under way, and whatever the operation raises.
        """
        if call.key is None:
            return await self._do(call, prepare)
        if (stored := self._stored(call)) is not None:
            return stored
        mark = (call.operation, call.key)
        if mark in self._under_way:
            raise Refused(409, "request_in_progress", "A request with this Idempotency-Key is in progress.")
        self._under_way.add(mark)
        try:
            return await self._do(call, prepare)
        except Refused as refusal:
            if self._keeps_errors(call):
                self._keep(call, refusal.response())
            raise
        finally:
            self._under_way.discard(mark)

    async def _do(self, call: Call, prepare: Callable[[], Awaitable[Step]]) -> Response:
        step = await prepare()
        with self._store.transaction():
            answer = step.commit()
            self._keep(call, answer)
        return await step.finish(answer) if step.finish else answer

    def _stored(self, call: Call) -> Response | None:
        row = self._store.one(
            "SELECT * FROM answers WHERE operation = ? AND key = ?", call.operation, call.key
        )
        if row is None or row["at"] + LIFETIME <= call.now:
            return None
        return Response(row["body"], row["status"], headers=json.loads(row["headers"]))

    def _keep(self, call: Call, answer: Response) -> None:
        if call.key is None:
            return
        headers = {name: value for name, value in answer.headers.items() if name != "content-length"}
        self._store.write(
            "INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?, ?, ?)",
            call.operation,
            call.key,
            answer.status_code,
            json.dumps(headers),
            bytes(answer.body),
            call.now,
        )


def key_of(request: Request) -> str | None:
    """The key in the header. Raises Refused (400) for a blank or ill-formed one."""
    key = request.headers.get(HEADER)
    if key is not None and not _KEY.fullmatch(key):
        raise invalid(HEADER, f"'{HEADER}' must match ^[A-Za-z0-9_\\-:.]{{1,255}}$.")
    return key
