"""Which of the private avatars of its HeyGen account a tenant was granted."""

from collections.abc import Sequence
from typing import Any, Protocol

from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.models import Grant, GrantKind


class Holder(Protocol):
    """Whose grants: a caller, a tenant's row or a job are such."""

    @property
    def tenant_id(self) -> str: ...

    @property
    def account_id(self) -> str: ...


async def covers_look(
    session: AsyncSession, holder: Holder, heygen_id: str, heygen_group_id: str | None
) -> bool:
    """Whether a look of HeyGen's was granted, by itself or with its group."""
    it = (col(Grant.kind) == GrantKind.LOOK) & (col(Grant.heygen_id) == heygen_id)
    its_group = (col(Grant.kind) == GrantKind.GROUP) & (col(Grant.heygen_id) == heygen_group_id)
    return await session.scalar(_of(holder).where(it | its_group).limit(1)) is not None


async def covers(session: AsyncSession, holder: Holder, kind: GrantKind, heygen_id: str) -> bool:
    """Whether this very thing was granted."""
    same = (col(Grant.kind) == kind, col(Grant.heygen_id) == heygen_id)
    return await session.scalar(_of(holder).where(*same)) is not None


async def granted_ids(session: AsyncSession, holder: Holder, kind: GrantKind) -> Sequence[str]:
    """HeyGen's ids of what was granted of a kind, in order."""
    rows = _of(holder).where(col(Grant.kind) == kind).order_by(col(Grant.heygen_id))
    return (await session.scalars(rows)).all()


def _of(holder: Holder) -> Select[Any]:
    return select(col(Grant.heygen_id)).where(
        col(Grant.tenant_id) == holder.tenant_id, col(Grant.account_id) == holder.account_id
    )
