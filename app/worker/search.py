"""Finding a job at HeyGen by the token in its title: the only way to learn what became of a lost answer."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

from app import gates
from app.context import Context
from app.heygen.errors import HeyGenError, Missing
from app.heygen.titles import token_of
from app.models import Job
from app.worker.claims import LeaseOver, hold

MOST_PAGES = 200


@dataclass(frozen=True)
class Found:
    """The job at HeyGen, and the group where it is a look."""

    heygen_id: str
    heygen_group_id: str | None = None


class Incomplete(Exception):
    """Not all pages were read: that nothing was found proves nothing."""


async def by_token(ctx: Context, job: Job) -> Found | None:
    """The job at HeyGen, or None when every page was read without a find; raises HeyGenError, Incomplete.

    The job is held all the while, however long that takes: its claim must still stand.
    """
    async for item in _items(ctx, job):
        if token_of(str(item.get("title" if job.kind == "video" else "name") or "")) == job.title_token:
            group_id = item.get("group_id") if job.kind == "look" else None
            return Found(str(item.get("id") or item.get("video_id")), str(group_id) if group_id else None)
    return None


async def confirms(ctx: Context, job: Job, candidate: str) -> bool:
    """Whether HeyGen shows our token on this id: a callback's word alone is never believed."""
    heygen = ctx.connections[job.account_id].heygen
    try:
        if job.kind == "video":
            title = (await heygen.get_video(candidate)).title
        else:
            title = (await heygen.get_look(candidate)).name
    except Missing:
        return False
    except HeyGenError as error:
        await gates.heed(ctx, job.account_id, error)
        return False
    return token_of(title) == job.title_token


async def _items(ctx: Context, job: Job) -> AsyncIterator[Mapping[str, Any]]:
    heygen = ctx.connections[job.account_id].heygen
    token, held = None, hold(ctx, job)
    for _ in range(MOST_PAGES):
        try:
            await held.keep()
        except LeaseOver:
            raise Incomplete("another worker took the job over") from None
        if job.kind == "video":
            page = await heygen.list_videos(title=job.title_token, token=token)
        else:
            page = await heygen.list_looks(ownership="private", token=token)
        for item in page.items:
            yield item
        token = page.next_token
        if token is None:
            return
    raise Incomplete(f"more than {MOST_PAGES} pages")
