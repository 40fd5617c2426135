"""Renders at HeyGen that carry our token and that no job holds: what a restored backup does not know of."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlmodel import col

from app.database import Database
from app.heygen.client import HeyGen
from app.heygen.schemas import Page
from app.heygen.titles import token_of, without_token
from app.models import Job

MOST_PAGES = 200


class TooMany(Exception):
    """HeyGen has more pages than are looked at; what was found among the newest is all that is told."""


@dataclass(frozen=True)
class Orphan:
    """One video or look at HeyGen, paid for; `job_id` and `status` are of the job that ordered it, where it is known."""

    kind: str
    heygen_id: str
    title: str
    job_id: str | None = None
    status: str | None = None


async def orphans(database: Database, account_id: str, heygen: HeyGen) -> AsyncIterator[Orphan]:
    """Newest first; raises HeyGenError, and TooMany at the end of what is looked at.

    One whose job is known is taken up by that job as long as it is under way; a job that has ended, or that ordered
    another render since, leaves it.
    """
    for kind in ("video", "look"):
        async for page in _pages(heygen, kind):
            for orphan in await _unheld(database, account_id, kind, page.items):
                yield orphan


async def _pages(heygen: HeyGen, kind: str) -> AsyncIterator[Page]:
    token = None
    for _ in range(MOST_PAGES):
        if kind == "video":
            page = await heygen.list_videos(token=token)
        else:
            page = await heygen.list_looks(ownership="private", token=token)
        yield page
        token = page.next_token
        if token is None:
            return
    raise TooMany


async def _unheld(
    database: Database, account_id: str, kind: str, items: Sequence[Mapping[str, Any]]
) -> list[Orphan]:
    titles = {
        str(item.get("id") or item.get("video_id")): str(
            item.get("title" if kind == "video" else "name") or ""
        )
        for item in items
    }
    ours = {heygen_id: token for heygen_id, title in titles.items() if (token := token_of(title)) is not None}
    if not ours:
        return []
    held = select(col(Job.heygen_id)).where(
        col(Job.account_id) == account_id, col(Job.kind) == kind, col(Job.heygen_id).in_(ours)
    )
    ordered = select(col(Job.title_token), col(Job.id), col(Job.status))
    async with database.begin() as session:
        for heygen_id in await session.scalars(held):
            ours.pop(heygen_id or "", None)
        # No index leads from a token to its job; there are few of these, and a person waits.
        rows = await session.execute(ordered.where(col(Job.title_token).in_(set(ours.values()))))
        jobs = {row[0]: (row[1], row[2]) for row in rows}
    return [
        Orphan(kind, heygen_id, without_token(titles[heygen_id]), *jobs.get(token, (None, None)))
        for heygen_id, token in ours.items()
    ]
