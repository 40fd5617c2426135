"""Lists of what an operator granted a tenant of HeyGen's private avatars, in the order of their ids."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from app import grants
from app.api.two_phases import Theirs, chained
from app.api.upstream import connection_of, reading, shown
from app.context import Context
from app.heygen.errors import Missing
from app.models import GrantKind
from app.tenancy import Caller

Read = Callable[[str], Awaitable[Mapping[str, Any]]]


async def granted_groups(ctx: Context, caller: Caller) -> Theirs | None:
    """The groups; None where none was granted, and for who sees all of them anyway."""
    ids = await _ids(ctx, caller, GrantKind.GROUP)
    return _singly(ids, connection_of(ctx, caller).catalog.group) if ids else None


async def granted_looks(
    ctx: Context, caller: Caller, group_id: str | None, avatar_type: str | None
) -> Theirs | None:
    """The looks, those of granted groups after those granted by themselves; `group_id` and type narrow them."""
    groups = await _ids(ctx, caller, GrantKind.GROUP)
    alone = await _ids(ctx, caller, GrantKind.LOOK)
    lists = [
        _of_group(ctx, caller, group, avatar_type)
        for group in groups
        if group_id is None or group_id == group
    ]
    if alone:

        async def read(look_id: str) -> Mapping[str, Any]:
            return (await connection_of(ctx, caller).catalog.look(look_id)).raw

        def wanted(look: Mapping[str, Any]) -> bool:
            group = look.get("group_id")
            fits = avatar_type is None or look.get("avatar_type") == avatar_type
            return fits and group not in groups and (group_id is None or group_id == group)

        lists.insert(0, _singly(alone, read, wanted))
    found: Theirs | None = None
    for one in lists:
        found = chained(found, one)
    return found


async def _ids(ctx: Context, caller: Caller, kind: GrantKind) -> Sequence[str]:
    if caller.account_wide:
        return ()
    async with ctx.database.begin() as session:
        return await grants.granted_ids(session, caller, kind)


def _singly(
    ids: Sequence[str], read: Read, wanted: Callable[[Mapping[str, Any]], bool] = lambda _: True
) -> Theirs:
    """Things read one by one; what HeyGen no longer has is left out."""

    async def one(heygen_id: str) -> Mapping[str, Any] | None:
        with reading():
            return await _or_none(read, heygen_id)

    async def page(limit: int, token: str | None) -> tuple[Sequence[dict[str, Any]], str | None]:
        left = [heygen_id for heygen_id in ids if token is None or heygen_id > token]
        asked = left[:limit]
        found = await asyncio.gather(*(one(heygen_id) for heygen_id in asked))
        items = [shown(item) for item in found if item is not None and wanted(item)]
        return items, asked[-1] if len(left) > limit else None

    return page


async def _or_none(read: Read, heygen_id: str) -> Mapping[str, Any] | None:
    try:
        return await read(heygen_id)
    except Missing:
        return None


def _of_group(ctx: Context, caller: Caller, group_id: str, avatar_type: str | None) -> Theirs:
    async def page(limit: int, token: str | None) -> tuple[Sequence[dict[str, Any]], str | None]:
        with reading():
            found = await connection_of(ctx, caller).catalog.looks(
                group_id=group_id, avatar_type=avatar_type, limit=limit, token=token
            )
        return [shown(item) for item in found.items], found.next_token

    return page
