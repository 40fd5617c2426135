"""The looks and voices that requests name: rows of ours in one transaction, then HeyGen's own from cached reads."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app import grants
from app.api.upstream import MOST_LOOK_UPS, ask
from app.context import Context
from app.database import portions
from app.errors import ApiError, InvalidParameter, NotFound
from app.heygen import schemas
from app.heygen.errors import Missing
from app.models import Group, Job, JobStatus, Look
from app.tenancy import Caller

ENGINES = frozenset({"avatar_iii", "avatar_iv", "avatar_v"})


@dataclass(frozen=True, slots=True)
class LookFacts:
    """What is known of a look: its own id where it is ours; None for what nobody can tell now.

    `refusal` makes, of the name of the field at fault, the error of a look that cannot be used.
    """

    look_id: str | None = None
    heygen_id: str | None = None
    has_voice: bool | None = None
    engines: frozenset[str] = frozenset()
    avatar_type: str | None = None
    unchecked: bool = False
    refusal: Callable[[str], ApiError] | None = None


@dataclass(frozen=True, slots=True)
class VoiceFacts:
    """What is known of a voice of HeyGen's."""

    engines: frozenset[str] = frozenset()
    unchecked: bool = False
    refusal: Callable[[str], ApiError] | None = None


async def own_looks(session: AsyncSession, caller: Caller, avatar_ids: Iterable[str]) -> dict[str, LookFacts]:
    """The facts of those that rows of ours hold, by our id or HeyGen's, under the id that was asked for."""
    found: dict[str, LookFacts] = {}
    foreign: dict[str, str | None] = {}
    rows = select(Look, Job, col(Group.heygen_group_id)).join(Job, col(Job.id) == col(Look.id))
    rows = rows.join(Group, col(Group.id) == col(Look.group_id))
    for some in portions(avatar_ids):
        at_heygen = (col(Look.account_id) == caller.account_id, col(Look.heygen_look_id).in_(some))
        for look, making, heygen_group_id in await session.execute(rows.where(*at_heygen)):
            heygen_id = look.heygen_look_id or ""
            found[heygen_id] = _own(look, making, caller, heygen_id)
            if look.tenant_id != caller.tenant_id:
                foreign[heygen_id] = heygen_group_id
        for look, making, _ in await session.execute(rows.where(col(Look.id).in_(some))):
            found[look.id] = _own(look, making, caller, look.id)
    for granted in await grants.covered_looks(session, caller, foreign):
        del found[granted]  # to be used as HeyGen's own
    return found


async def heygens_looks(ctx: Context, caller: Caller, avatar_ids: Iterable[str]) -> dict[str, LookFacts]:
    """The facts of looks that no row of ours holds; one that the caller may not see does not exist."""
    ids = list(dict.fromkeys(avatar_ids))
    asked = await asyncio.gather(*(_look(ctx, caller, avatar_id) for avatar_id in ids[:MOST_LOOK_UPS]))
    hidden = await _hidden(ctx, caller, [it for it in asked if isinstance(it, schemas.Look)])
    facts = dict.fromkeys(ids, LookFacts(unchecked=not caller.account_wide))
    for avatar_id, it in zip(ids, asked, strict=False):
        if isinstance(it, LookFacts):
            facts[avatar_id] = it
        else:
            facts[avatar_id] = _no_look(avatar_id) if it.id in hidden else _theirs(it)
    return facts


async def heygens_voices(
    ctx: Context, caller: Caller, voice_ids: Collection[str], rights: grants.Rights
) -> dict[str, VoiceFacts]:
    """The facts of voices; one that the caller may not use does not exist."""
    facts = {it: _missing(it) if it in rights.hidden else _untold(it, rights) for it in voice_ids}
    ids = [voice_id for voice_id in facts if voice_id not in rights.hidden][:MOST_LOOK_UPS]
    asked = await asyncio.gather(*(_voice(ctx, caller, voice_id, rights) for voice_id in ids))
    return facts | dict(zip(ids, asked, strict=True))


async def still_made(session: AsyncSession, look_ids: Sequence[str]) -> set[str]:
    """The looks whose making is not over yet.

    The lock holds off their end until our videos are stored, so that this end finds them waiting, or we find the end.
    """
    unfinished: set[str] = set()
    for some in portions(sorted(set(look_ids))):
        making = select(col(Job.id), col(Job.finished_at)).where(col(Job.id).in_(some)).order_by(col(Job.id))
        rows = await session.execute(making.with_for_update(read=True))
        unfinished.update(look_id for look_id, finished_at in rows if finished_at is None)
    return unfinished


def unusable(message: str) -> Callable[[str], ApiError]:
    """The refusal of a look that cannot be used."""
    return lambda param: InvalidParameter(message, code="avatar_not_usable", param=param)


def _own(look: Look, making: Job, caller: Caller, named: str) -> LookFacts:
    if look.tenant_id != caller.tenant_id or look.deleted_at is not None:
        return _no_look(named)
    if making.status in {JobStatus.FAILED, JobStatus.CANCELED}:
        return LookFacts(refusal=unusable(making.failure_message or "This avatar could not be made."))
    if look.account_id != caller.account_id:
        return LookFacts(refusal=unusable("This avatar belongs to another HeyGen account."))
    if making.status != JobStatus.COMPLETED:
        return LookFacts(look_id=look.id, avatar_type=look.avatar_type)
    facts = look.facts or {}
    return LookFacts(
        look_id=look.id,
        heygen_id=look.heygen_look_id,
        has_voice=bool(facts.get("default_voice_id")),
        engines=_engines(facts.get("supported_api_engines")),
        avatar_type=look.avatar_type,
    )


async def _look(ctx: Context, caller: Caller, avatar_id: str) -> schemas.Look | LookFacts:
    """A look of HeyGen's own, or what is known where it does not tell."""
    connection = ctx.connections.get(caller.account_id)
    try:
        look = await ask(connection.catalog.look(avatar_id)) if connection else None
    except Missing:
        return _no_look(avatar_id)
    return look or LookFacts(unchecked=not caller.account_wide)


async def _hidden(ctx: Context, caller: Caller, looks: Iterable[schemas.Look]) -> Set[str]:
    """Those that are private, and the caller may not see."""
    # Only private looks have a status.
    private = {it.id: it.group_id for it in looks if it.status is not None}
    if caller.account_wide or not private:
        return set()
    async with ctx.database.begin() as session:
        return private.keys() - await grants.covered_looks(session, caller, private)


def _theirs(look: schemas.Look) -> LookFacts:
    if schemas.look_state(look) == "failed":
        return LookFacts(refusal=unusable(look.error_message or "This avatar could not be made."))
    kind = look.raw.get("avatar_type")
    return LookFacts(
        has_voice=look.default_voice_id is not None,
        engines=_engines(look.supported_api_engines),
        avatar_type=kind if isinstance(kind, str) else None,
    )


async def _voice(ctx: Context, caller: Caller, voice_id: str, rights: grants.Rights) -> VoiceFacts:
    """The facts of a voice that is not known to be another tenant's."""
    connection = ctx.connections.get(caller.account_id)
    try:
        voice = await ask(connection.catalog.voice(voice_id)) if connection else None
    except Missing:
        return _missing(voice_id)
    if voice is None:
        return _untold(voice_id, rights)
    if schemas.is_private_voice(voice) and voice_id not in rights.visible:
        return _missing(voice_id)
    return VoiceFacts(engines=_words(voice.get("available_engines")))


def _no_look(avatar_id: str) -> LookFacts:
    return LookFacts(refusal=lambda param: NotFound.avatar(avatar_id, param=param))


def _missing(voice_id: str) -> VoiceFacts:
    return VoiceFacts(refusal=lambda param: NotFound.voice(voice_id, param=param))


def _untold(voice_id: str, rights: grants.Rights) -> VoiceFacts:
    """A voice of which HeyGen cannot be asked now: the worker asks, unless the caller may use it in any case."""
    return VoiceFacts(unchecked=voice_id not in rights.visible)


def _engines(value: object) -> frozenset[str]:
    """The engines among HeyGen's words that a request can name; older names tell nothing."""
    return ENGINES & _words(value)


def _words(value: object) -> frozenset[str]:
    return (
        frozenset(it for it in value if isinstance(it, str))
        if isinstance(value, list | tuple)
        else frozenset()
    )


def refuse(facts: Mapping[str, LookFacts | VoiceFacts], named: str, param: str) -> Any:
    """The facts of what a field names; raises the refusal of what cannot be used."""
    found = facts[named]
    if found.refusal is not None:
        raise found.refusal(param)
    return found
