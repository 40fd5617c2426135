"""`Idempotency-Key` of callers, strictly: the same key and body are the same thing, whoever comes first.

The key is bound in the transaction that makes the thing. Simultaneous repeats wait there for the first one, are
rolled back, and give its answer again.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import structlog
from fastapi import Depends, Request
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col
from starlette.responses import Response

from app.api.json_body import canonical
from app.context import Context
from app.errors import Conflict, InvalidParameter, KeyReused
from app.models import IdempotencyKey
from app.secrets import CannotDecrypt
from app.tenancy import Caller

log = structlog.get_logger(__name__)

_KEY = re.compile(r"[A-Za-z0-9_\-:.]{1,255}")  # HeyGen's own rule

PLACES: Mapping[str, str | None] = {
    "/v3/avatars": "/v3/avatars/looks",
    "/v3/assets/direct-uploads": "/v3/assets",
    "/v3/assets/direct-uploads/batches": "/v3/assets/batches",
    "/v3/voices": None,
    "/v3/voices/clone": "/v3/voices",
    "/v3/voices/speech": None,
}
"""Where things made at these paths are read: at others by their own path, and nowhere where there is None."""

Make = Callable[[AsyncSession], Awaitable[tuple[str, bytes]]]
"""Stores the new thing within a transaction; answers its id and the body of the answer."""


class _Taken(Exception):
    """Another request with this key has made the thing."""


@dataclass(frozen=True)
class Once:
    """One create as its caller wants it: under which key, and answered how. `operation` is method and path."""

    operation: str
    key: str | None
    respond_async: bool = False

    async def replay(self, ctx: Context, caller: Caller, body_hash: str) -> Response | None:
        """The first answer to this key; None without a key, or where it is new. Raises KeyReused, and Conflict."""
        if self.key is None:
            return None
        async with ctx.database.begin() as session:
            kept = await session.get(IdempotencyKey, (caller.tenant_id, self.operation, self.key))
        if kept is None:
            return None
        if kept.body_sha256 != body_hash:
            raise KeyReused(
                "This Idempotency-Key was used with another body; give each new request a key of its own.",
                param="Idempotency-Key",
            )
        try:
            body = ctx.secrets.decrypt(kept.answer_encrypted)
        except CannotDecrypt:
            log.error("answer_unreadable", resource_id=kept.resource_id)  # noqa: TRY400 -- no trace of secrets
            raise Conflict(
                f"This Idempotency-Key made {kept.resource_id}, and makes nothing more; its first answer cannot be"
                " given again, for it is encrypted with a key that SECRET_KEYS of this service no longer lists.",
                param="Idempotency-Key",
            ) from None
        answer = self.answer(ctx, body, kept.resource_id)
        answer.headers["Idempotent-Replayed"] = "true"
        return answer

    async def bind(
        self, ctx: Context, session: AsyncSession, caller: Caller, body_hash: str, made: tuple[str, bytes]
    ) -> None:
        """Bind the key to what was made, in the same transaction; raises `_Taken`, which undoes that."""
        if self.key is None:
            return
        resource_id, body = made
        insert = sqlite.insert if ctx.database.is_sqlite else postgresql.insert
        statement = insert(IdempotencyKey).values(
            tenant_id=caller.tenant_id,
            operation=self.operation,
            key=self.key,
            body_sha256=body_hash,
            resource_id=resource_id,
            answer_encrypted=ctx.secrets.encrypt(body),
            created_at=ctx.clock.now(),
        )
        bound = await session.scalar(
            statement.on_conflict_do_nothing().returning(col(IdempotencyKey.resource_id))
        )
        if bound is None:
            raise _Taken

    def answer(self, ctx: Context, body: bytes, resource_id: str) -> Response:
        """A create's answer: 200 as at HeyGen, 202 for who prefers it, with the new thing's address."""
        path = self.operation.partition(" ")[2]
        headers = {"Preference-Applied": "respond-async"} if self.respond_async else {}
        place = _place(path)
        if place is not None:
            headers["Location"] = f"{ctx.links.api_url.rstrip('/')}{place}/{resource_id}"
        return Response(body, 202 if self.respond_async else 200, headers, media_type="application/json")


def _place(path: str) -> str | None:
    """Where things made at this path are read."""
    if path.endswith("/consent"):
        return "/v3/avatars"
    if path.endswith("/rotate-secret"):
        return path.rsplit("/", 2)[0]
    return PLACES.get(path, path)


def get_once(request: Request) -> Once:
    """The create's key and preference.

    Raises InvalidParameter for a key that is blank, ill-formed or doubled, and for `dry_run`: what was only to be tried
    must not be made.
    """
    if request.query_params.get("dry_run", "false").lower() not in {"false", "0"}:
        raise InvalidParameter(
            "'dry_run' is not served: this request would be carried out. Leave it out to do so.",
            param="dry_run",
        )
    keys = request.headers.getlist("idempotency-key")
    if keys and (len(keys) > 1 or not _KEY.fullmatch(keys[0])):
        raise InvalidParameter(
            "'Idempotency-Key' must be 1 to 255 letters, digits, '_', '-', ':' or '.'.",
            param="Idempotency-Key",
        )
    preferences = [word.strip().lower() for word in ",".join(request.headers.getlist("prefer")).split(",")]
    return Once(
        operation=f"{request.method} {request.scope['path']}",
        key=keys[0] if keys else None,
        respond_async="respond-async" in preferences,
    )


OnceDep = Annotated[Once, Depends(get_once)]


async def create(ctx: Context, caller: Caller, once: Once, body_hash: str, make: Make) -> Response:
    """Make something in one transaction, once for each key, and answer.

    Replays first. A route whose checks depend on the state of things replays before those checks, too: what was
    accepted once is answered again whatever has changed since.
    """
    replayed = await once.replay(ctx, caller, body_hash)
    if replayed is not None:
        return replayed
    try:
        async with ctx.database.begin() as session:
            made = await make(session)
            await once.bind(ctx, session, caller, body_hash, made)
    except _Taken:
        replayed = await once.replay(ctx, caller, body_hash)
        if replayed is None:
            raise RuntimeError("a bound Idempotency-Key vanished") from None
        return replayed
    await ctx.failpoint("accept.stored")
    resource_id, body = made
    return once.answer(ctx, body, resource_id)


def hash_of(body: Any) -> str:
    """What two JSON bodies of one meaning have in common."""
    return hashlib.sha256(canonical(body)).hexdigest()
