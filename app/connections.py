"""The ways to HeyGen of one process: one for each account whose key it has, also for one added while it runs."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import timedelta

import httpx
import structlog

from app import accounts, governor
from app.accounts import Identity
from app.clock import Clock
from app.context import Connection
from app.database import Database
from app.gates import REFUSED_KEY, StoredGate
from app.heygen.catalog import Catalog
from app.heygen.client import HeyGen
from app.heygen.exchange import Observe
from app.models import Account
from app.secrets import CannotDecrypt, Secrets

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Timeouts:
    """How long a call to HeyGen may take in all."""

    create: timedelta
    read: timedelta


@dataclass(frozen=True)
class Upstream:
    """The account of the environment's key: whose it is, at which address."""

    identity: Identity
    url: str
    key: str


class Connections(Mapping[str, Connection]):
    """By account id. An account that has come stays: whoever works on its jobs may rely on it."""

    def __init__(
        self, database: Database, clock: Clock, timeouts: Timeouts, observe: Observe | None = None
    ) -> None:
        self._database = database
        self._clock = clock
        self._timeouts = timeouts
        self._observe = observe
        self._stack = AsyncExitStack()
        self._by_account: dict[str, Connection] = {}
        self._clients: dict[str, httpx.AsyncClient] = {}
        self._seen: dict[str, bytes | None] = {}  # the stored key that was last looked at, still encrypted
        self._free_only = False
        self.joined = False  # the account of the environment's key

    def __getitem__(self, account_id: str) -> Connection:
        return self._by_account[account_id]

    def __iter__(self) -> Iterator[str]:
        return iter(tuple(self._by_account))  # an account may come while somebody goes through them

    def __len__(self) -> int:
        return len(self._by_account)

    async def open(self, account: Account, url: str, key: str) -> None:
        """Connect to an account, or go on with another key of it: what is under way with the old one ends so."""
        if account.id not in self._clients:
            # httpx's timeouts count per read; the client has one deadline over each whole call.
            client = httpx.AsyncClient(timeout=httpx.Timeout(None), trust_env=False)
            self._clients[account.id] = await self._stack.enter_async_context(client)
        timeouts = self._timeouts
        http = self._clients[account.id]
        heygen = HeyGen(
            http,
            url,
            key,
            create_timeout=timeouts.create,
            read_timeout=timeouts.read,
            observe=self._observe,
            now=self._clock.now,
        )
        heygen.hold(account.gate_until)
        catalog = Catalog(heygen, self._clock.now, StoredGate(self._database, self._clock, account.id))
        self._stack.push_async_callback(catalog.aclose)
        before = self._by_account.get(account.id) or Connection(
            heygen, catalog, account.kind == "simulator", url
        )
        self._by_account[account.id] = replace(before, heygen=heygen, catalog=catalog)

    async def refresh(self, secrets: Secrets) -> Sequence[Account]:
        """Connect to the accounts whose keys were stored or replaced since the last time; answers all that have one.

        A key that cannot be read keeps nobody else from being connected.
        """
        async with self._database.begin() as session:
            stored = await accounts.with_keys(session)
        for account in stored:
            if self._seen.get(account.id) == account.key_encrypted:
                continue
            self._seen[account.id] = account.key_encrypted
            if self._waits(account.name, simulated=account.kind == "simulator"):
                continue
            try:
                key = secrets.decrypt(account.key_encrypted or b"").decode()
            except CannotDecrypt:
                log.error(  # noqa: TRY400 -- no trace of secrets
                    "account_key_unreadable",
                    account=account.name,
                    meaning="No key of SECRET_KEYS reads it. Give it again: greenroom accounts add",
                )
                continue
            replaced = account.id in self
            await self.open(account, account.base_url, key)
            if replaced:
                await self._forget_refusal(account.id)
            log.info("heygen_account", account=account.name, base_url=account.base_url)
        return stored

    async def join(self, upstream: Upstream, concurrency: int) -> None:
        """Connect to the account of the environment's key, unless a stored key, which goes before it, did already."""
        self.joined = True
        if self._waits(upstream.identity.username, simulated=upstream.identity.simulated):
            return
        async with self._database.begin() as session:
            account = await accounts.settle(session, upstream.identity, concurrency, self._clock.now())
            await accounts.follow(session, account)
        if account.id not in self:
            await self.open(account, upstream.url, upstream.key)

    async def _forget_refusal(self, account_id: str) -> None:
        """Whoever held the old key still may have met its refusal after the new one was stored, and paused for it."""
        async with self._database.begin() as session:
            account = await governor.lock(session, account_id)
            if account.paused_reason in REFUSED_KEY:
                await governor.resume(session, account_id, only=account.paused_reason)

    def stay_free(self) -> None:
        """Where all that is connected costs nothing, let nothing come that does.

        A service of simulators polls without mercy, gives out addresses of its own machine, and has said that nothing
        is spent: it takes up a paying account at its next start.
        """
        self._free_only = all(connection.simulated for connection in self._by_account.values())

    def _waits(self, name: str, *, simulated: bool) -> bool:
        if not self._free_only or simulated:
            return False
        log.warning("account_waits", account=name, meaning="Restart to render for money.")
        return True

    async def aclose(self) -> None:
        """Let go of every connection."""
        await self._stack.aclose()
