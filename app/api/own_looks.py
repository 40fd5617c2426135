"""The rows of a tenant's looks and groups, and which of HeyGen's objects they stand for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, func, select, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.heygen.titles import token_of
from app.models import Asset, Group, Job, Look
from app.secrets import CannotDecrypt, Secrets
from app.stored_request import StoredRequest
from app.tenancy import Caller


@dataclass(frozen=True, slots=True)
class OwnLook:
    """A look with its job, and the photo it is made of, where that is an asset that can still be read."""

    look: Look
    job: Job
    photo_id: str | None


@dataclass(frozen=True, slots=True)
class OwnGroup:
    """A group, the number of its looks, and the newest of them."""

    group: Group
    looks_count: int
    newest: OwnLook | None


async def find_look(
    session: AsyncSession,
    caller: Caller,
    look_id: str,
    secrets: Secrets,
    *,
    deleted_since: datetime | None = None,
) -> OwnLook | None:
    """The tenant's look of this id, ours or HeyGen's; one that was deleted, but not before `deleted_since`, too."""
    living = select(Look).where(col(Look.tenant_id) == caller.tenant_id, _lives(Look, deleted_since))
    look = await session.scalar(living.where(col(Look.id) == look_id))
    if look is None:
        at_heygen = (col(Look.account_id) == caller.account_id, col(Look.heygen_look_id) == look_id)
        look = await session.scalar(living.where(*at_heygen))
    return (await complete(session, [look], secrets))[0] if look is not None else None


async def find_group(
    session: AsyncSession, caller: Caller, group_id: str, *, deleted_since: datetime | None = None
) -> Group | None:
    """The tenant's group of this id, ours or HeyGen's; one that was deleted, but not before `deleted_since`, too."""
    living = select(Group).where(col(Group.tenant_id) == caller.tenant_id, _lives(Group, deleted_since))
    group: Group | None = await session.scalar(living.where(col(Group.id) == group_id))
    if group is None:
        at_heygen = (col(Group.account_id) == caller.account_id, col(Group.heygen_group_id) == group_id)
        group = await session.scalar(living.where(*at_heygen))
    return group


def is_adopted(group: Group) -> bool:
    """Whether this is a group of HeyGen's, known here only because a look was made for it: it keeps HeyGen's id."""
    return group.id == group.heygen_group_id


async def look_page(
    session: AsyncSession, caller: Caller, filters: Mapping[str, str], before: str, limit: int
) -> Sequence[Look]:
    """The tenant's looks, newest first, older than the id `before` where it is not empty.

    `filters`: values that columns of the look must have.
    """
    rows = select(Look).where(col(Look.tenant_id) == caller.tenant_id, col(Look.deleted_at).is_(None))
    for column, value in filters.items():
        rows = rows.where(getattr(Look, column) == value)
    if before:
        rows = rows.where(col(Look.id) < before)
    return (await session.scalars(rows.order_by(col(Look.id).desc()).limit(limit))).all()


async def group_page(session: AsyncSession, caller: Caller, before: str, limit: int) -> Sequence[Group]:
    """The tenant's groups in the same order, without adopted ones: HeyGen lists those."""
    rows = select(Group).where(
        col(Group.tenant_id) == caller.tenant_id,
        col(Group.deleted_at).is_(None),
        col(Group.heygen_group_id).is_distinct_from(col(Group.id)),
    )
    if before:
        rows = rows.where(col(Group.id) < before)
    return (await session.scalars(rows.order_by(col(Group.id).desc()).limit(limit))).all()


async def complete(session: AsyncSession, looks: Sequence[Look], secrets: Secrets) -> list[OwnLook]:
    """The looks with what belongs to them, in the same order."""
    ids = [look.id for look in looks]
    jobs = {job.id: job for job in await session.scalars(select(Job).where(col(Job.id).in_(ids)))}
    photos = {job.id: _photo_id(job, secrets) for job in jobs.values()}
    named = {photo_id for photo_id in photos.values() if photo_id is not None}
    there = select(col(Asset.id)).where(col(Asset.id).in_(named), col(Asset.deleted_at).is_(None))
    readable = set(await session.scalars(there)) if named else set()
    return [
        OwnLook(look, jobs[look.id], photo_id if (photo_id := photos[look.id]) in readable else None)
        for look in looks
    ]


async def complete_groups(session: AsyncSession, groups: Sequence[Group], secrets: Secrets) -> list[OwnGroup]:
    """The groups with what belongs to them, in the same order."""
    counts = (
        select(col(Look.group_id), func.count(), func.max(col(Look.id)))
        .where(col(Look.group_id).in_([group.id for group in groups]), col(Look.deleted_at).is_(None))
        .group_by(col(Look.group_id))
    )
    found = {group_id: (count, newest) for group_id, count, newest in await session.execute(counts)}
    newest_ids = [newest for _, newest in found.values()]
    looks = (await session.scalars(select(Look).where(col(Look.id).in_(newest_ids)))).all()
    newest_of = {own.look.group_id: own for own in await complete(session, looks, secrets)}
    return [OwnGroup(group, found.get(group.id, (0, None))[0], newest_of.get(group.id)) for group in groups]


async def held_looks(
    session: AsyncSession, account_id: str, items: Iterable[Mapping[str, Any]]
) -> set[object]:
    """The ids among HeyGen's looks that rows of ours stand for, of any tenant: HeyGen's own is not shown then."""
    rows = select(col(Look.heygen_look_id)).where(col(Look.account_id) == account_id)
    ids = {item.get("id"): item for item in items}
    held = set(await session.scalars(rows.where(col(Look.heygen_look_id).in_(ids))))
    return held | await _unnamed(session, account_id, [ids[it] for it in ids.keys() - held])


async def held_groups(
    session: AsyncSession, account_id: str, items: Iterable[Mapping[str, Any]]
) -> set[object]:
    """The same for groups; HeyGen names a new group after its first look."""
    rows = select(col(Group.heygen_group_id)).where(
        col(Group.account_id) == account_id, col(Group.heygen_group_id) != col(Group.id)
    )
    ids = {item.get("id"): item for item in items}
    held = set(await session.scalars(rows.where(col(Group.heygen_group_id).in_(ids))))
    return held | await _unnamed(session, account_id, [ids[it] for it in ids.keys() - held])


async def _unnamed(session: AsyncSession, account_id: str, items: Iterable[Mapping[str, Any]]) -> set[object]:
    """Those of them whose create gave no clear answer yet: the row has no id of HeyGen's, the name has our token."""
    marked = {token: item.get("id") for item in items if (token := token_of(_name(item))) is not None}
    found: set[object] = set()
    # One statement a status, in words: SQLite uses a partial index only where it can read its condition.
    for status in ("status = 'unsure'", "status = 'submitting'") if marked else ():
        rows = select(col(Job.title_token)).where(text(status), col(Job.title_token).in_(marked))
        tokens = await session.scalars(rows.where(col(Job.account_id) == account_id))
        found.update(marked[token] for token in tokens)
    return found


def _lives(table: type[Look] | type[Group], deleted_since: datetime | None) -> ColumnElement[bool]:
    living = col(table.deleted_at).is_(None)
    return living if deleted_since is None else living | (col(table.deleted_at) >= deleted_since)


def _photo_id(job: Job, secrets: Secrets) -> str | None:
    if job.type != "photo":
        return None
    with suppress(CannotDecrypt):
        request = StoredRequest.unseal(job.request_encrypted or b"", secrets)
        return next((asset_id for path, asset_id in request.assets if path[0] == "file"), None)
    return None


def _name(item: Mapping[str, Any]) -> str | None:
    name = item.get("name")
    return name if isinstance(name, str) else None
