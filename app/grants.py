"""Who may see and use which of a HeyGen account's private things.

That is whoever made them, whom an operator granted them, and who sees the whole account what no other tenant made.
"""

from collections.abc import Collection, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from sqlalchemy import Select, delete, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.database import portions
from app.models import Grant, GrantKind, Tenant
from app.tenancy import Caller


class Holder(Protocol):
    """Whose grants: a caller, a tenant's row or a job are such."""

    @property
    def tenant_id(self) -> str: ...

    @property
    def account_id(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Rights:
    """Of some things: those that a tenant made or was granted, and those that the caller may see if they are private."""

    held: Set[str]
    visible: set[str]

    @property
    def hidden(self) -> Set[str]:
        """Those that are private, whatever HeyGen tells of them, and others' alone."""
        return self.held - self.visible


async def list_granted(session: AsyncSession, tenant_id: str | None = None) -> Sequence[Grant]:
    """What all tenants were granted, or one, beside what they made themselves; by tenant, kind and id."""
    rows = select(Grant).where(col(Grant.owned).is_(False))
    if tenant_id is not None:
        rows = rows.where(col(Grant.tenant_id) == tenant_id)
    order = (col(Grant.tenant_id), col(Grant.kind), col(Grant.heygen_id))
    return (await session.scalars(rows.order_by(*order))).all()


async def grant(
    session: AsyncSession, tenant: Tenant, kind: GrantKind, heygen_id: str, now: datetime
) -> bool:
    """Let a tenant see and use a private thing of its account; False where it may already."""
    if await session.get(Grant, (tenant.id, tenant.account_id, kind, heygen_id)) is not None:
        return False
    session.add(
        Grant(
            tenant_id=tenant.id,
            account_id=tenant.account_id,
            kind=kind,
            heygen_id=heygen_id,
            created_at=now,
        )
    )
    await session.flush()
    return True


async def revoke(session: AsyncSession, tenant: Tenant, kind: GrantKind, heygen_id: str) -> bool:
    """Take a grant back; False where there was none. What was ordered before is still made."""
    given = await session.get(Grant, (tenant.id, tenant.account_id, kind, heygen_id))
    if given is None or given.owned:
        return False
    await session.delete(given)
    await session.flush()
    return True


async def covers_look(
    session: AsyncSession, holder: Holder, heygen_id: str, heygen_group_id: str | None
) -> bool:
    """Whether a look of HeyGen's was granted, by itself or with its group."""
    return heygen_id in await covered_looks(session, holder, {heygen_id: heygen_group_id})


async def covered_looks(session: AsyncSession, holder: Holder, groups: Mapping[str, str | None]) -> set[str]:
    """Those of HeyGen's looks that were granted, by themselves or with their group; `groups` names that of each."""
    covered: set[str] = set()
    for some in portions(groups):
        them = (col(Grant.kind) == GrantKind.LOOK) & col(Grant.heygen_id).in_(some)
        theirs = (col(Grant.kind) == GrantKind.GROUP) & col(Grant.heygen_id).in_({groups[it] for it in some})
        rows = await session.execute(_of(holder).add_columns(col(Grant.kind)).where(them | theirs))
        given = {(kind, heygen_id) for heygen_id, kind in rows}
        covered |= {it for it in some if given & {(GrantKind.LOOK, it), (GrantKind.GROUP, groups[it])}}
    return covered


async def covers(session: AsyncSession, holder: Holder, kind: GrantKind, heygen_id: str) -> bool:
    """Whether this very thing was granted."""
    same = (col(Grant.kind) == kind, col(Grant.heygen_id) == heygen_id)
    return await session.scalar(_of(holder).where(*same)) is not None


async def granted_ids(session: AsyncSession, holder: Holder, kind: GrantKind) -> Sequence[str]:
    """HeyGen's ids of what was granted of a kind, in order."""
    rows = _of(holder).where(col(Grant.kind) == kind).order_by(col(Grant.heygen_id))
    return (await session.scalars(rows)).all()


async def rights(
    session: AsyncSession, caller: Caller, kind: GrantKind, heygen_ids: Collection[str]
) -> Rights:
    """The caller's rights to these things."""
    held: set[str] = set()
    mine: set[str] = set()
    others: set[str] = set()
    for some in portions(heygen_ids):
        rows = select(Grant).where(
            col(Grant.account_id) == caller.account_id,
            col(Grant.kind) == kind,
            col(Grant.heygen_id).in_(some),
        )
        for given in await session.scalars(rows):
            held.add(given.heygen_id)
            if given.tenant_id == caller.tenant_id:
                mine.add(given.heygen_id)
            elif given.owned:
                others.add(given.heygen_id)
    return Rights(held, mine | (set(heygen_ids) - others) if caller.account_wide else mine)


async def may_see(
    session: AsyncSession, caller: Caller, kind: GrantKind, heygen_ids: Collection[str]
) -> set[str]:
    """Those of these private things that the caller may see and use."""
    return (await rights(session, caller, kind, heygen_ids)).visible


async def find(session: AsyncSession, caller: Caller, kind: GrantKind, heygen_id: str) -> Grant | None:
    """The caller's own grant of this thing."""
    return await session.get(Grant, (caller.tenant_id, caller.account_id, kind, heygen_id))


async def holders(session: AsyncSession, account_id: str, kind: GrantKind, heygen_id: str) -> set[str]:
    """The tenants that made this thing, or were granted it; what has any is private, whatever HeyGen tells of it."""
    rows = select(col(Grant.tenant_id)).where(
        col(Grant.account_id) == account_id, col(Grant.kind) == kind, col(Grant.heygen_id) == heygen_id
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


def _of(holder: Holder) -> Select[Any]:
    return select(col(Grant.heygen_id)).where(
        col(Grant.tenant_id) == holder.tenant_id, col(Grant.account_id) == holder.account_id
    )
