"""Files of ours at HeyGen: each goes up when a job first needs it there, and may take longer than a lease.

Jobs that need it at the same time each send a copy; the first that arrives serves all of them.
"""

from datetime import timedelta

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app import asset_copies
from app.context import Context
from app.models import Asset, AssetUpload, Job, Look
from app.stored_request import StoredRequest
from app.worker.claims import renew, renewing

LAG = timedelta(minutes=2)


async def upload(ctx: Context, job: Job, asset: Asset) -> None:
    """Give HeyGen the file, and keep the id it has there."""
    heygen_asset_id = await ctx.connections[job.account_id].heygen.upload_asset(
        renewing(
            ctx,
            ctx.storage.read(asset.storage_key),
            ctx.pace.lease,
            lambda session: renew(ctx, session, job),
        ),
        filename=asset.filename,
        mime=asset.mime,
        size=asset.size,
        key=f"{asset.id}-{job.id}-{job.epoch}",
    )
    await ctx.failpoint("submit.uploaded")
    async with ctx.database.begin() as session:
        copy = AssetUpload(
            asset_id=asset.id,
            account_id=job.account_id,
            heygen_asset_id=heygen_asset_id,
            uploaded_at=ctx.clock.now(),
        )
        await asset_copies.remember(session, copy)


async def made_lately(ctx: Context, session: AsyncSession, job: Job) -> bool:
    """Whether a file or look that the request names was made at HeyGen less than two minutes ago."""
    request = StoredRequest.unseal(job.request_encrypted or b"", ctx.secrets)
    ids = [asset_id for _, asset_id in request.assets]
    uploaded = select(func.max(col(AssetUpload.uploaded_at))).where(
        col(AssetUpload.account_id) == job.account_id, col(AssetUpload.asset_id).in_(ids)
    )
    look_ids = [look_id for _, look_id in request.every_look]
    finished = select(func.max(col(Job.finished_at))).join(Look, col(Look.id) == col(Job.id))
    moments = [
        await session.scalar(uploaded) if ids else None,
        await session.scalar(finished.where(col(Look.id).in_(look_ids))) if look_ids else None,
    ]
    return any(moment is not None and ctx.clock.now() - moment < LAG for moment in moments)


async def forget(ctx: Context, session: AsyncSession, job: Job) -> None:
    """Have the files that the request names go up again."""
    request = StoredRequest.unseal(job.request_encrypted or b"", ctx.secrets)
    await asset_copies.forget(session, job.account_id, [asset_id for _, asset_id in request.assets])
