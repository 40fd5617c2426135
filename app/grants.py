"""Who may see which of a HeyGen account's private things: whoever made them, whom an operator granted them, and who sees
the whole account what no other tenant made."""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.models import Grant, GrantKind
from app.tenancy import Caller


async def may_see(
    session: AsyncSession, caller: Caller, kind: GrantKind, heygen_ids: Collection[str]
) -> set[str]:
    """Those of these private things that the caller may see and use."""
    rows = select(Grant).where(
        col(Grant.account_id) == caller.account_id,
        col(Grant.kind) == kind,
        col(Grant.heygen_id).in_(list(heygen_ids)),
    )
    grants = (await session.scalars(rows)).all()
    mine = {grant.heygen_id for grant in grants if grant.tenant_id == caller.tenant_id}
    if not caller.account_wide:
        return mine
    others = {grant.heygen_id for grant in grants if grant.owned and grant.tenant_id != caller.tenant_id}
    return mine | (set(heygen_ids) - others)


async def find(session: AsyncSession, caller: Caller, kind: GrantKind, heygen_id: str) -> Grant | None:
    """The caller's own grant of this thing."""
    return await session.get(Grant, (caller.tenant_id, caller.account_id, kind, heygen_id))


async def held(
    session: AsyncSession, account_id: str, kind: GrantKind, heygen_ids: Collection[str]
) -> set[str]:
    """Those of these things that some tenant made, or was granted."""
    rows = select(col(Grant.heygen_id)).where(
        col(Grant.account_id) == account_id,
        col(Grant.kind) == kind,
        col(Grant.heygen_id).in_(list(heygen_ids)),
    )
    return set(await session.scalars(rows))


async def has_any(session: AsyncSession, caller: Caller, kind: GrantKind) -> bool:
    """Whether the caller made, or was granted, anything of this kind."""
    rows = select(col(Grant.heygen_id)).where(
        col(Grant.tenant_id) == caller.tenant_id,
        col(Grant.account_id) == caller.account_id,
        col(Grant.kind) == kind,
    )
    return await session.scalar(rows.limit(1)) is not None


async def granted(
    session: AsyncSession, tenant_id: str, account_id: str, kind: GrantKind, heygen_id: str
) -> bool:
    """Whether the tenant made this thing, or was granted it."""
    return await session.get(Grant, (tenant_id, account_id, kind, heygen_id)) is not None


async def own(
    session: AsyncSession, caller: Caller, kind: GrantKind, heygen_ids: Collection[str], now: datetime
) -> None:
    """The caller made these at HeyGen; what it had already stays as it is."""
    if not heygen_ids:
        return
    dialect = session.get_bind().dialect.name
    insert = sqlite.insert if dialect == "sqlite" else postgresql.insert
    rows = [
        {
            "tenant_id": caller.tenant_id,
            "account_id": caller.account_id,
            "kind": kind,
            "heygen_id": heygen_id,
            "owned": True,
            "created_at": now,
        }
        for heygen_id in heygen_ids
    ]
    await session.execute(insert(Grant).values(rows).on_conflict_do_nothing())


async def forget(session: AsyncSession, account_id: str, kind: GrantKind, heygen_id: str) -> None:
    """The thing does not exist any more."""
    await session.execute(
        delete(Grant).where(
            col(Grant.account_id) == account_id,
            col(Grant.kind) == kind,
            col(Grant.heygen_id) == heygen_id,
        )
    )
