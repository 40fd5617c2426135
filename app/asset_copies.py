"""Which id a file of ours has at a HeyGen account: it goes up once, whoever needs it first."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import delete
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.models import AssetUpload


async def remember(session: AsyncSession, copy: AssetUpload) -> None:
    """HeyGen has the file. Where two uploaded it at the same time either id will do: the last is kept."""
    insert = sqlite.insert if session.get_bind().dialect.name == "sqlite" else postgresql.insert
    named = {"heygen_asset_id": copy.heygen_asset_id, "uploaded_at": copy.uploaded_at}
    stored = insert(AssetUpload).values(asset_id=copy.asset_id, account_id=copy.account_id, **named)
    await session.execute(stored.on_conflict_do_update(index_elements=["asset_id", "account_id"], set_=named))


async def forget(
    session: AsyncSession, account_id: str, asset_ids: Sequence[str], before: datetime | None = None
) -> None:
    """Have the files go up again; only those that went up before the instant, where one is given."""
    stale = delete(AssetUpload).where(
        col(AssetUpload.account_id) == account_id, col(AssetUpload.asset_id).in_(asset_ids)
    )
    if before is not None:
        stale = stale.where(col(AssetUpload.uploaded_at) < before)
    await session.execute(stale)
