"""What HeyGen has to offer, asked seldom: reads that are cached, and shared while they are under way."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Protocol, TypedDict, TypeVar, Unpack

from app.heygen.client import HeyGen
from app.heygen.errors import Held, HeyGenError, Missing, NoAnswer, NotSent, RateLimited
from app.heygen.schemas import Look, Page, Video

PRIVATE_FRESH = timedelta(seconds=5)
PUBLIC_FRESH = timedelta(minutes=5)
MISS_FRESH = timedelta(seconds=30)
PUBLIC_STALE = timedelta(hours=24)

_T = TypeVar("_T")


class VoiceQuery(TypedDict, total=False):
    """The filters of `GET /v3/voices`."""

    type: str | None
    engine: str | None
    language: str | None
    gender: str | None
    limit: int | None
    token: str | None


class LookQuery(TypedDict, total=False):
    """The filters of `GET /v3/avatars/looks`."""

    group_id: str | None
    avatar_type: str | None
    ownership: str | None
    limit: int
    token: str | None


class GroupQuery(TypedDict, total=False):
    """The filters of `GET /v3/avatars`."""

    ownership: str | None
    limit: int
    token: str | None


@dataclass(frozen=True, slots=True)
class _Entry:
    """What was read, or that it was missing; served until `fresh_until`, and to `stale_until` in an outage."""

    value: Any
    fresh_until: datetime
    stale_until: datetime


class Gate(Protocol):
    """What others know of the account: asked before HeyGen is, and told of what a read met."""

    async def until(self) -> datetime | None:
        """Nothing may be read before this instant."""

    async def met(self, error: HeyGenError) -> None:
        """A read failed."""


class Catalog:
    """Reads of HeyGen that many callers share.

    Public things keep for 5 minutes, and for a day while HeyGen is out of reach; private ones for 5 seconds; a 404 for
    30. Any number of simultaneous callers cost one request. A failure reaches all who waited and is not kept.
    What is returned is shared: never change it.
    """

    def __init__(
        self,
        heygen: HeyGen,
        now: Callable[[], datetime],
        gate: Gate | None = None,
        *,
        capacity: int = 1_000,
    ) -> None:
        self._heygen = heygen
        self._now = now
        self._gate = gate
        self._capacity = capacity
        self._entries: OrderedDict[Hashable, _Entry] = OrderedDict()
        self._reading: dict[Hashable, asyncio.Task[Any]] = {}

    async def voices(self, **query: Unpack[VoiceQuery]) -> Page:
        """One page of voices; public unless `type` says otherwise."""
        public = query.get("type") in {None, "public"}
        return await self._read(
            _key("voices", query), lambda: self._heygen.list_voices(**query), lambda _: public
        )

    async def voice(self, heygen_id: str) -> Mapping[str, Any]:
        """One voice; only clones, which are private, have a status."""
        return await self._read(
            ("voice", heygen_id), lambda: self._heygen.get_voice(heygen_id), lambda it: not it.get("status")
        )

    async def looks(self, **query: Unpack[LookQuery]) -> Page:
        """One page of looks."""
        public = query.get("ownership") == "public"
        return await self._read(
            _key("looks", query), lambda: self._heygen.list_looks(**query), lambda _: public
        )

    async def look(self, heygen_id: str) -> Look:
        """One look; only private ones have a status."""
        return await self._read(
            ("look", heygen_id), lambda: self._heygen.get_look(heygen_id), lambda look: look.status is None
        )

    async def groups(self, **query: Unpack[GroupQuery]) -> Page:
        """One page of avatar groups."""
        public = query.get("ownership") == "public"
        return await self._read(
            _key("groups", query), lambda: self._heygen.list_groups(**query), lambda _: public
        )

    async def group(self, heygen_id: str) -> Mapping[str, Any]:
        """One avatar group; nothing in it tells surely whether it is public, so it counts as private."""
        return await self._read(
            ("group", heygen_id), lambda: self._heygen.get_group(heygen_id), lambda _: False
        )

    async def video(self, heygen_id: str) -> Video:
        """One video."""
        return await self._read(
            ("video", heygen_id), lambda: self._heygen.get_video(heygen_id), lambda _: False
        )

    async def asset(self, heygen_id: str) -> Mapping[str, Any]:
        """One asset."""
        return await self._read(
            ("asset", heygen_id), lambda: self._heygen.get_asset(heygen_id), lambda _: False
        )

    async def through_gate(self, ask: Callable[[], Awaitable[_T]]) -> _T:
        """What HeyGen answers, unless it may not be asked now; for what is not kept here."""
        if self._gate is None:
            return await ask()
        until = await self._gate.until()
        # The client is not told: a refused key may be well before, and it must not keep the probe from finding that out.
        if until is not None and self._now() < until:
            raise Held
        try:
            return await ask()
        except HeyGenError as error:
            if not isinstance(error, Held | Missing):
                await self._gate.met(error)
            raise

    def remember(self, video: Video) -> None:
        """Keep a video that was just read elsewhere, for whoever wants its links at once."""
        self._keep(("video", video.id), video, PRIVATE_FRESH, timedelta())

    def forget(self, kind: str, heygen_id: str) -> None:
        """Read a thing anew that was just made or changed: kind is look, group, voice, video or asset.

        And with it all that is private, or was missing: lists, groups and their looks tell of it, too.
        """
        # By name as well: of a designed voice HeyGen does not tell that it is private.
        self._entries.pop((kind, heygen_id), None)
        for key in [key for key, entry in self._entries.items() if entry.stale_until < entry.fresh_until]:
            del self._entries[key]

    async def aclose(self) -> None:
        """Stop the reads that are under way."""
        tasks = list(self._reading.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _read(
        self, key: Hashable, fetch: Callable[[], Awaitable[_T]], is_public: Callable[[_T], bool]
    ) -> _T:
        entry = self._entries.get(key)
        if entry is None or self._now() >= entry.fresh_until:
            entry = await self._shared(key, fetch, is_public)
        else:
            self._entries.move_to_end(key)
        if isinstance(entry.value, Missing):
            raise entry.value.with_traceback(None)  # one object raised many times would gather tracebacks
        value: _T = entry.value
        return value

    async def _shared(
        self, key: Hashable, fetch: Callable[[], Awaitable[_T]], is_public: Callable[[_T], bool]
    ) -> _Entry:
        """Join the read of this key, or start it; a caller who gives up does not stop it for the others."""
        task = self._reading.get(key)
        if task is None:
            task = asyncio.create_task(self._fetch(key, fetch, is_public))
            self._reading[key] = task
            task.add_done_callback(lambda _: self._reading.pop(key))
        entry: _Entry = await asyncio.shield(task)
        return entry

    async def _fetch(
        self, key: Hashable, fetch: Callable[[], Awaitable[_T]], is_public: Callable[[_T], bool]
    ) -> _Entry:
        try:
            value = await self.through_gate(fetch)
        except Missing as missing:
            return self._keep(key, missing, MISS_FRESH, timedelta())
        except (NotSent, NoAnswer, RateLimited):
            entry = self._entries.get(key)
            now = self._now()
            if entry is None or now >= entry.stale_until:
                raise
            # Freshened a little, so that in an outage not every caller waits for the timeout.
            entry = self._entries[key] = replace(entry, fresh_until=now + PRIVATE_FRESH)
            return entry
        if is_public(value):
            return self._keep(key, value, PUBLIC_FRESH, PUBLIC_STALE)
        return self._keep(key, value, PRIVATE_FRESH, timedelta())

    def _keep(self, key: Hashable, value: object, fresh: timedelta, stale: timedelta) -> _Entry:
        now = self._now()
        entry = self._entries[key] = _Entry(value, now + fresh, now + stale)
        self._entries.move_to_end(key)
        if len(self._entries) > self._capacity:
            self._entries.popitem(last=False)
        return entry


def _key(name: str, query: Mapping[str, Any]) -> Hashable:
    """One key for one question: a filter of None is one that was not given."""
    return name, frozenset((field, value) for field, value in query.items() if value is not None)
