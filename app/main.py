"""One running service: its parts built from the settings, the API mounted, the worker beside it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from itertools import chain, repeat
from pathlib import Path

import structlog
from fastapi import FastAPI
from pydantic import SecretStr
from sqlalchemy.engine import make_url

from app import accounts
from app.accounts import AccountUnknown
from app.api.app import create_api
from app.clock import Clock
from app.connections import Connections, Timeouts, Upstream
from app.context import Context, Links, Pace, Terms
from app.database import Database, DatabaseAway
from app.database_clock import follow_database, go_on_from_stored, keep_following
from app.models import Account
from app.notices import hearing
from app.secrets import Secrets, load_or_create
from app.settings import HEYGEN, Settings
from app.simulator.app import Options, Simulator
from app.simulator.filming import BundledClip, ChildFilmer, can_film
from app.simulator.server import running
from app.storage import Storage
from app.watchdog import Watchdog
from app.webhooks.destination import guarded_client
from app.worker import expire, loop

log = structlog.get_logger(__name__)

CONNECT_EVERY = 5.0  # seconds between two looks for accounts that an operator added
JOIN_AFTER = (
    1.0,
    5.0,
    15.0,
    60.0,
)  # seconds until the environment's key is asked about again; the last for ever


@dataclass(frozen=True)
class Address:
    """Where this process listens; links and the built-in simulator need to know."""

    host: str = "127.0.0.1"
    port: int = 8080

    @property
    def loopback(self) -> str:
        """The address on this machine."""
        return f"http://127.0.0.1:{self.port}"


def create_app(settings: Settings, address: Address) -> FastAPI:
    """The service as one ASGI application; it starts and stops with its lifespan."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with service(settings, address) as context, working(context):
            app.state.context = context
            yield

    return create_api(lifespan=lifespan)


@asynccontextmanager
async def service(settings: Settings, address: Address) -> AsyncIterator[Context]:
    """The parts of the service, ready to use; raises SchemaBehind, DatabaseInUse, AccountUnknown."""
    async with AsyncExitStack() as stack:
        database = Database(settings.database_url)
        stack.push_async_callback(database.close)
        clock = Clock()
        await _prepare(database, clock)
        secrets, watchdog = open_secrets(settings), Watchdog()
        connections, embedded = await _connect(stack, settings, database, clock, secrets, watchdog)
        async with database.begin() as session:
            held = await accounts.held(session, list(connections))
        simulated = any(connection.simulated for connection in connections.values())
        private = settings.allow_private_destinations or embedded
        callback_base = address.loopback if embedded else settings.public_url
        context = Context(
            database=database,
            clock=clock,
            secrets=secrets,
            storage=Storage(settings.storage_url),
            connections=connections,
            webhooks=await stack.enter_async_context(guarded_client(allow_private=private)),
            # A simulator's links lead to its own machine; HeyGen's never lead to ours.
            files=await stack.enter_async_context(guarded_client(allow_private=private or simulated)),
            links=Links(
                settings.api_url or settings.public_url or address.loopback, secrets.signing_keys("links")
            ),
            pace=_pace(settings, connections, callbacks=callback_base is not None),
            callback_base=callback_base,
            terms=_terms(settings, private=private),
            callback_secrets=[secret.get_secret_value() for secret in settings.heygen_webhook_secret],
            watchdog=watchdog,
        )
        if database.is_sqlite:
            await expire.end_leases(context)
        _announce(context, held, embedded=embedded)
        await stack.enter_async_context(_connecting(context, connections, settings))
        if not database.is_sqlite:
            await stack.enter_async_context(hearing(database, context.wake))
        yield context


@asynccontextmanager
async def working(context: Context, *, worker: bool = True) -> AsyncIterator[asyncio.Event]:
    """Run the worker, if this process is one, and follow the database's clock, until the event that it gives is set.

    At the latest at the end of the block; what is under way then ends.
    """
    stopping = asyncio.Event()
    tasks = [asyncio.create_task(loop.run(context, stopping))] if worker else []
    if not context.database.is_sqlite:
        tasks.append(asyncio.create_task(keep_following(context.database, context.clock, stopping)))
    try:
        yield stopping
    finally:
        stopping.set()
        await asyncio.gather(*tasks)


def open_secrets(settings: Settings) -> Secrets:
    """From SECRET_KEYS, or from the file beside the SQLite file, which is made on the first start."""
    if settings.secret_keys:
        return Secrets([key.get_secret_value() for key in settings.secret_keys])
    file = data_folder(settings) / "secret.keys"
    file.parent.mkdir(parents=True, exist_ok=True)
    return Secrets(load_or_create(file))


def data_folder(settings: Settings) -> Path:
    """The folder of the SQLite file."""
    return Path(make_url(settings.database_url).database or "greenroom.db").resolve().parent


async def _prepare(database: Database, clock: Clock) -> None:
    """Take the SQLite file for this process, and its time; or agree with the other replicas on the time."""
    if database.is_sqlite:
        database.hold_file()
        await database.migrate()
        await go_on_from_stored(database, clock)
    else:
        await database.check_schema()
        await follow_database(database, clock)


async def _connect(
    stack: AsyncExitStack,
    settings: Settings,
    database: Database,
    clock: Clock,
    secrets: Secrets,
    watchdog: Watchdog,
) -> tuple[Connections, bool]:
    """The ways to every account whose key there is, in the tables or in the environment; raises AccountUnknown.

    With it, whether the built-in simulator is one of them.
    """
    limits = Timeouts(settings.create_timeout, settings.read_timeout)
    connections = Connections(database, clock, limits, watchdog.observe)
    stack.push_async_callback(connections.aclose)
    stored = await connections.refresh(secrets)
    try:
        upstream = await _upstream(stack, settings, database, clock, stored)
    except AccountUnknown as error:
        if not connections:
            raise
        meaning = "The accounts with stored keys go on; this one is asked again."
        log.error("account_unknown", reason=str(error), meaning=meaning)  # noqa: TRY400 -- its words tell all
        upstream = None
    if upstream is not None:
        await connections.join(upstream, settings.heygen_concurrency)
    if not connections:
        raise AccountUnknown(accounts.NO_ACCOUNT)
    connections.stay_free()
    return connections, upstream is not None and upstream.identity == accounts.EMBEDDED


async def _upstream(
    stack: AsyncExitStack, settings: Settings, database: Database, clock: Clock, stored: Sequence[Account]
) -> Upstream | None:
    """HeyGen by the environment's key; or the built-in simulator, started here, while no key pays."""
    if settings.heygen_api_key is not None:
        return await _of_environment(settings.heygen_api_key, settings, database)
    if not settings.simulated or accounts.any_pays(stored):
        return None
    folder = data_folder(settings) / "simulator"
    filmer = ChildFilmer(folder / "films") if settings.film and can_film() else BundledClip()
    stack.push_async_callback(filmer.close)
    options = Options(folder=folder, concurrency=settings.heygen_concurrency, now=clock.now, filmer=filmer)
    simulator = Simulator(options)
    stack.push_async_callback(simulator.close)
    return Upstream(accounts.EMBEDDED, await stack.enter_async_context(running(simulator)), "simulated")


async def _of_environment(key: SecretStr, settings: Settings, database: Database) -> Upstream:
    url = settings.heygen_base_url or HEYGEN
    identity = await accounts.identify(database, url, key.get_secret_value())
    return Upstream(identity, url, key.get_secret_value())


@asynccontextmanager
async def _connecting(context: Context, connections: Connections, settings: Settings) -> AsyncIterator[None]:
    """Take up accounts that an operator adds meanwhile, keys that replace others, and whom the start could not ask."""

    async def look() -> None:
        while True:
            await asyncio.sleep(CONNECT_EVERY)
            try:
                await connections.refresh(context.secrets)
            except Exception:  # noqa: BLE001 -- a database that is away is the worker's to report
                log.warning("accounts_not_read")

    async def join(key: SecretStr) -> None:
        upstream = await _of_environment(key, settings, context.database)
        await connections.join(upstream, settings.heygen_concurrency)

    tasks = [asyncio.create_task(look())]
    if settings.heygen_api_key is not None and not connections.joined:
        waits = chain(JOIN_AFTER, repeat(JOIN_AFTER[-1]))
        tasks.append(asyncio.create_task(until_joined(partial(join, settings.heygen_api_key), waits)))
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def until_joined(join: Callable[[], Awaitable[None]], waits: Iterable[float]) -> None:
    """Try to join, each time after so many seconds, until it is done; no failure ends that."""
    for seconds in waits:
        await asyncio.sleep(seconds)
        try:
            await join()
            break
        except (AccountUnknown, DatabaseAway) as error:
            log.warning("account_unknown", reason=str(error))
        except Exception:
            log.exception("account_not_joined")


def _pace(settings: Settings, connections: Connections, *, callbacks: bool) -> Pace:
    return Pace.of(
        callbacks=callbacks,
        simulated=all(connection.simulated for connection in connections.values()),
        lease=settings.lease,
        create_timeout=settings.create_timeout,
        key_max_age=settings.key_max_age,
    )


def _terms(settings: Settings, *, private: bool) -> Terms:
    return Terms(
        deadline=settings.deadline,
        look_deadline=settings.look_deadline,
        archive=settings.archive,
        retention=settings.retention,
        forward_fields=settings.forward_fields,
        allow_private_destinations=private,
        creates_a_minute=settings.rate_limit_creates,
        reads_a_minute=settings.rate_limit_reads,
        queue_limit=settings.queue_limit,
    )


def _announce(context: Context, held: dict[str, int], *, embedded: bool) -> None:
    """What an operator has to know at start."""
    if embedded:
        log.warning(
            "simulated", meaning="No HEYGEN_API_KEY: the built-in simulator renders. Nothing is spent."
        )
    if context.callback_base is None:
        log.warning("polling", meaning="PUBLIC_URL is not set: HeyGen cannot call back, so it is polled.")
    else:
        log.info("callbacks", base=context.callback_base)
    for name, count in held.items():
        log.warning("held", account=name, jobs=count, meaning="These jobs wait for the key of their account.")
