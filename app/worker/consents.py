"""What HeyGen says of the consent to digital twins, kept where callers read it."""

from typing import Any

import structlog
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.context import Context
from app.heygen.errors import HeyGenError
from app.lifecycle import ConsentOwed, Fact
from app.models import Group, Job, Look

log = structlog.get_logger(__name__)


async def note(ctx: Context, job: Job, heygen_group_id: str | None) -> None:
    """Keep where the consent stands for a twin's group; what cannot be read now is read at the next poll."""
    if job.type != "digital_twin" or heygen_group_id is None:
        return
    try:
        group = await ctx.connections[job.account_id].heygen.get_group(heygen_group_id)
    except HeyGenError as error:
        log.info("consent_unread", job_id=job.id, reason=error.reason)
        return
    status: Any = group.get("consent_status")
    async with ctx.database.begin() as session:
        named = (col(Group.account_id) == job.account_id, col(Group.heygen_group_id) == heygen_group_id)
        values = {"consent_status": status if isinstance(status, str) else None}
        await session.execute(update(Group).where(*named).values(**values))


async def news(session: AsyncSession, job: Job, fact: Fact | None) -> Fact | None:
    """The fact, but for a consent that is known to be owed: it is recorded once, not at each poll."""
    if job.kind != "look":
        return fact
    look = await session.get_one(Look, job.id)
    if isinstance(fact, ConsentOwed):
        return None if look.consent_owed else fact
    look.consent_owed = False
    return fact
