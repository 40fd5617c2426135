"""Files that nobody will ask for: those of deleted assets, copies of deleted videos, and what a process left that died
between file and row.
"""

from collections.abc import Sequence
from datetime import timedelta

import structlog
from sqlalchemy import delete, select, update
from sqlmodel import col

from app.context import Context
from app.models import Asset, File, Job, Tenant, Upload
from app.storage import Found
from app.worker.prune import DELETED_KEPT, KEYS_KEPT

log = structlog.get_logger(__name__)

KEPT = timedelta(days=1)
"""No request, and no archiving, takes so long between the last byte of a file and its row."""
FILES_A_STEP = 250
UPLOADS_A_STEP = 500


class Sweep:
    """Walks through the files of this storage, over and over; a step a minute meets some 350,000 files a day."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._walks = [
            (ctx.storage.walk("assets"), _stray_assets),
            (ctx.storage.walk("videos"), _stray_copies),
        ]

    async def step(self) -> bool:
        """Look at the next files of each kind; False when there was nothing to remove."""
        removed = 0
        await _give_up(self._ctx)
        for walk, strays_among in self._walks:
            before = self._ctx.clock.now() - KEPT
            old = [found for found in await walk.next(FILES_A_STEP) if found.written_at < before]
            for key in await strays_among(self._ctx, old) if old else ():
                await self._ctx.storage.delete(key)
                removed += 1
        if removed:
            log.info("strays_removed", files=removed)
        return removed > 0


async def _give_up(ctx: Context) -> None:
    """Forget uploads that were never completed, once no Idempotency-Key names them; what came of them is a stray then."""
    late = (
        select(col(Upload.id))
        .where(col(Upload.completed_at).is_(None), col(Upload.expires_at) < ctx.clock.now() - KEYS_KEPT)
        .limit(UPLOADS_A_STEP)
    )
    async with ctx.database.begin() as session:
        ids = list(await session.scalars(late.with_for_update(skip_locked=True)))
        await session.execute(delete(Upload).where(col(Upload.id).in_(ids)))


async def _stray_assets(ctx: Context, files: Sequence[Found]) -> list[str]:
    """Those of `assets/{tenant}/{asset}` and `…/{asset}-{put}` that neither an asset nor an upload names.

    Nor what was deleted so long ago that no job can need it. Its row stays, without the file's name: HeyGen's copies
    are known by it.
    """
    parts = {found.key: found.key.split("/") for found in files if found.key.count("/") == 2}
    async with ctx.database.begin() as session:
        tenants = {tenant_id for _, tenant_id, _ in parts.values()}
        known = set(await session.scalars(select(col(Tenant.id)).where(col(Tenant.id).in_(tenants))))
        ids = {name.partition("-")[0] for _, _, name in parts.values()}
        named = set(await session.scalars(select(col(Asset.storage_key)).where(col(Asset.id).in_(ids))))
        named |= set(await session.scalars(select(col(Upload.storage_key)).where(col(Upload.id).in_(ids))))
        long_ago = col(Asset.deleted_at) < ctx.clock.now() - DELETED_KEPT
        deleted = update(Asset).where(col(Asset.id).in_(ids), long_ago).values(filename="")
        gone = dict((await session.execute(deleted.returning(col(Asset.id), col(Asset.storage_key)))).all())
        await session.execute(update(Upload).where(col(Upload.id).in_(gone)).values(filename=""))
    named -= set(gone.values())
    return [key for key, (_, tenant_id, _) in parts.items() if tenant_id in known and key not in named]


async def _stray_copies(ctx: Context, files: Sequence[Found]) -> list[str]:
    """Those of `videos/{job}/{variant}-{epoch}` that no file of the job names, or whose job its caller deleted."""
    parts = {found.key: found.key.split("/") for found in files if found.key.count("/") == 2}
    jobs = {job_id for _, job_id, _ in parts.values()}
    async with ctx.database.begin() as session:
        # Files of another database may lie in the same folder: only whose owner is known here can be a stray of ours.
        known = set(await session.scalars(select(col(Job.id)).where(col(Job.id).in_(jobs))))
        copies = select(col(File.storage_key)).join(Job, col(Job.id) == col(File.job_id))
        kept = copies.where(col(File.job_id).in_(jobs), col(Job.deleted_at).is_(None))
        named = set(await session.scalars(kept))
    return [key for key, (_, job_id, _) in parts.items() if job_id in known and key not in named]
