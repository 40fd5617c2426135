"""Reading videos: a tenant's own rows, and for account-wide tenants what else their HeyGen account holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.api.upstream import connection_of, reading
from app.api.video_answers import (
    OwnVideo,
    bulk_word,
    heygens_view,
    status_view,
    video_view,
)
from app.context import Context
from app.errors import NotFound
from app.heygen.schemas import video_state
from app.heygen.titles import token_of
from app.models import Account, File, Job, Submission
from app.tenancy import Caller

EMPTY_PAGES = 5
"""Pages of HeyGen's that hold nothing but our own videos, before an empty page is answered."""

SEARCHED_AT_ONCE = 1_000
"""Videos that one statement of a search reads: on SQLite everybody waits for it, 30 ms at most."""


@dataclass(frozen=True, slots=True)
class Filters:
    """Of a list: a part of the title, in either case; a folder, the empty one being the root."""

    title: str | None
    folder_id: str | None

    def conditions(self) -> list[ColumnElement[bool]]:
        """What a video's row has to be like; nothing where every video is asked for."""
        found = []
        if self.title:
            found.append(col(Job.title).icontains(self.title, autoescape=True))
        if self.folder_id:
            found.append(col(Job.folder_id) == self.folder_id)
        elif self.folder_id is not None:
            found.append(or_(col(Job.folder_id).is_(None), col(Job.folder_id) == ""))
        return found


async def find_video(
    session: AsyncSession, caller: Caller, video_id: str, *, deleted_since: datetime | None = None
) -> OwnVideo | None:
    """The caller's video of this id, ours or HeyGen's; None where no row of ours holds it.

    Raises NotFound where a row does, but not for this caller, or not any more. One that was deleted, but not before
    `deleted_since`, is found.
    """
    found = await _first(session, _rows().where(col(Job.id) == video_id))
    if found is None:
        found = await _first(session, _rows().where(*_at_heygen(caller, [video_id])))
    if found is not None and not _visible(found.job, caller, deleted_since):
        raise NotFound.video(video_id)
    return found


async def video_at_heygen(ctx: Context, caller: Caller, video_id: str) -> dict[str, Any]:
    """A video that no row of ours holds, for who sees the whole account; raises NotFound and Unavailable."""
    missing = NotFound.video(video_id)
    if not caller.account_wide:
        raise missing
    with reading(missing):
        video = await connection_of(ctx, caller).catalog.video(video_id)
    return heygens_view(video.raw)


async def own_page(
    ctx: Context, caller: Caller, filters: Filters, before: str, limit: int
) -> list[dict[str, Any]]:
    """The caller's own videos, newest first, older than the id `before` where it is not empty."""
    conditions = filters.conditions()
    found: list[Row[Any]] = []
    last: str | None = before
    while last is not None and len(found) < limit:
        async with ctx.database.begin() as session:
            videos = _mine(caller, last)
            last = None
            if conditions:
                bounds, last = await _portion(session, videos)
                videos += [*bounds, *conditions]
            rows = _rows().where(*videos).order_by(col(Job.id).desc()).limit(limit - len(found))
            found += (await session.execute(rows)).all()
    now = ctx.clock.now()
    return [video_view(ctx, _own(row), now) for row in found]


def _mine(caller: Caller, before: str) -> list[ColumnElement[bool]]:
    """The caller's videos, those older than an id where it is not empty."""
    mine = [col(Job.tenant_id) == caller.tenant_id, col(Job.kind) == "video", col(Job.deleted_at).is_(None)]
    return [*mine, col(Job.id) < before] if before else mine


async def _portion(
    session: AsyncSession, videos: Sequence[ColumnElement[bool]]
) -> tuple[list[ColumnElement[bool]], str | None]:
    """The bounds of as many of these videos as are searched at once, and the last of them where there are more."""
    newest = (
        select(col(Job.id)).where(*videos).order_by(col(Job.id).desc()).limit(SEARCHED_AT_ONCE).subquery()
    )
    ends = select(
        func.coalesce(func.min(newest.c.id), ""), func.coalesce(func.max(newest.c.id), ""), func.count()
    )
    lowest, highest, count = (await session.execute(ends.select_from(newest))).one()
    # None is at "". Both ends, or PostgreSQL thinks that most of the table is asked for, and reads all of it.
    bounds = [col(Job.id) >= lowest, col(Job.id) <= highest]
    return bounds, lowest if count == SEARCHED_AT_ONCE else None


async def heygens_page(
    ctx: Context, caller: Caller, filters: Filters, limit: int, token: str | None
) -> tuple[list[dict[str, Any]], str | None]:
    """HeyGen's videos that no row of ours stands for, and HeyGen's token of the next page; raises Unavailable."""
    connection = connection_of(ctx, caller)
    items: list[dict[str, Any]] = []
    for _ in range(EMPTY_PAGES):
        with reading():
            found = await connection.catalog.through_gate(
                partial(
                    connection.heygen.list_videos,
                    title=filters.title or None,
                    folder_id=filters.folder_id,
                    limit=limit,
                    token=token,
                )
            )
        async with ctx.database.begin() as session:
            held = await _held(session, caller, found.items)
        token = found.next_token
        items = [heygens_view(item) for item in found.items if item.get("id") not in held]
        if items or token is None:
            break
    return items, token


async def video_statuses(ctx: Context, caller: Caller, video_ids: Sequence[str]) -> list[dict[str, Any]]:
    """An entry for each id, in the same order; raises Unavailable where only HeyGen could tell."""
    async with ctx.database.begin() as session:
        rows = list(await session.scalars(select(Job).where(col(Job.id).in_(video_ids))))
        held = {job.id: job for job in rows}
        others = [video_id for video_id in video_ids if video_id not in held]
        if others:
            named = await session.scalars(select(Job).where(*_at_heygen(caller, others)))
            held |= {job.heygen_id or "": job for job in named}
    unknown = [video_id for video_id in others if video_id not in held]
    words = await _words_at_heygen(ctx, caller, unknown)
    entries = []
    for video_id in video_ids:
        job = held.get(video_id)
        if job is None:
            entries.append(status_view(video_id, words.get(video_id, "not_found")))
        elif _visible(job, caller):
            entries.append(status_view(video_id, bulk_word(job.status), job))
        else:
            entries.append(status_view(video_id, "not_found"))
    return entries


async def _words_at_heygen(ctx: Context, caller: Caller, video_ids: Sequence[str]) -> Mapping[str, str]:
    if not video_ids or not caller.account_wide:
        return {}
    with reading():
        connection = connection_of(ctx, caller)
        words = await connection.catalog.through_gate(lambda: connection.heygen.video_statuses(video_ids))
    return {video_id: _known_word(word) for video_id, word in words.items()}


def _known_word(word: str) -> str:
    """HeyGen's word, or the nearest that its clients know."""
    state = video_state(word)
    if state == "running":
        return "queued" if word in {"queued", "pending", "waiting"} else "processing"
    return "not_found" if state == "gone" else state


def _visible(job: Job, caller: Caller, deleted_since: datetime | None = None) -> bool:
    if job.tenant_id != caller.tenant_id or job.kind != "video":
        return False
    return job.deleted_at is None or (deleted_since is not None and job.deleted_at >= deleted_since)


def _at_heygen(caller: Caller, heygen_ids: Sequence[str]) -> tuple[Any, ...]:
    return (
        col(Job.account_id) == caller.account_id,
        col(Job.kind) == "video",
        col(Job.heygen_id).in_(heygen_ids),
    )


def _rows() -> Select[tuple[Job, datetime | None, str, int]]:
    sends = select(func.count()).where(col(Submission.job_id) == col(Job.id)).scalar_subquery()
    return (
        select(Job, col(File.archived_at), col(Account.kind), sends)
        .join(Account, col(Account.id) == col(Job.account_id))
        .outerjoin(File, (col(File.job_id) == col(Job.id)) & (col(File.variant) == "video"))
    )


async def _first(session: AsyncSession, rows: Select[Any]) -> OwnVideo | None:
    row = (await session.execute(rows)).first()
    return _own(row) if row is not None else None


def _own(row: Any) -> OwnVideo:
    job, archived_at, kind, sends = row
    return OwnVideo(job, archived_at, sends, kind == "simulator")


async def _held(session: AsyncSession, caller: Caller, items: Sequence[Mapping[str, Any]]) -> set[object]:
    """The ids among HeyGen's videos that rows of ours stand for, of any tenant, deleted ones too.

    One whose create gave no clear answer has no id in its row yet: it is known by the token in its title.
    """
    ids = [heygen_id for item in items if isinstance(heygen_id := item.get("id"), str)]
    held: set[object] = set(await session.scalars(select(col(Job.heygen_id)).where(*_at_heygen(caller, ids))))
    marked = {
        token: item.get("id")
        for item in items
        if isinstance(title := item.get("title"), str) and (token := token_of(title)) is not None
    }
    if marked:
        # Whatever may be at HeyGen without an id holds a slot, and of those there are few.
        unnamed = select(col(Job.title_token)).where(
            col(Job.slot_account_id) == caller.account_id, col(Job.title_token).in_(marked)
        )
        held |= {marked[token] for token in await session.scalars(unnamed)}
    return held
