"""Which ids a file of ours has at a HeyGen account: all that it ever got, and the one that is used."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from sqlalchemy import delete, select, union
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import SQLModel, col

from app.models import AssetCopy, AssetUpload


async def remember(session: AsyncSession, upload: AssetUpload) -> None:
    """HeyGen has the file. Where several uploaded it at the same time the first is used, and all are known as ours."""
    for kept in (AssetCopy, AssetUpload):
        stored = _insert(session, kept).values(upload.model_dump())
        await session.execute(stored.on_conflict_do_nothing())


async def forget(
    session: AsyncSession, account_id: str, asset_ids: Sequence[str], before: datetime | None = None
) -> None:
    """Have the files go up again; only those that went up before the instant, where one is given."""
    stale = [col(AssetUpload.account_id) == account_id, col(AssetUpload.asset_id).in_(asset_ids)]
    if before is not None:
        stale.append(col(AssetUpload.uploaded_at) < before)
    gone = (await session.scalars(delete(AssetUpload).where(*stale).returning(AssetUpload))).all()
    if gone:
        # The version before, which may run beside this one, knows of no other table than that of uploads.
        copies = _insert(session, AssetCopy).values([upload.model_dump() for upload in gone])
        await session.execute(copies.on_conflict_do_nothing())


async def ours(session: AsyncSession, account_id: str, heygen_ids: Iterable[str]) -> dict[str, str]:
    """Which of HeyGen's ids are copies of assets here, of any tenant: HeyGen's id → ours."""
    some = list(heygen_ids)
    known = [
        select(col(kept.heygen_asset_id), col(kept.asset_id)).where(
            col(kept.account_id) == account_id, col(kept.heygen_asset_id).in_(some)
        )
        for kept in (AssetCopy, AssetUpload)
    ]
    return {row[0]: row[1] for row in await session.execute(union(*known))}


def _insert(session: AsyncSession, table: type[SQLModel]) -> sqlite.Insert | postgresql.Insert:
    if session.get_bind().dialect.name == "sqlite":
        return sqlite.insert(table)
    return postgresql.insert(table)
