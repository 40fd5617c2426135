"""Several HeyGen accounts in one service: whose keys it finds, and what becomes of those it cannot use."""

import asyncio
import contextvars
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select, text, update
from sqlmodel import col

from app import accounts, governor
from app.accounts import EMBEDDED, AccountUnknown, Identity, KeyUnusable, Offer
from app.clock import Clock
from app.connections import Connections
from app.context import Context
from app.database import Database, DatabaseAway, Patience
from app.desk import Desk, add_account, find_account, where_key_is
from app.governor import Told
from app.main import Address, service
from app.models import Account
from app.render_commands import unknown_renders
from app.secrets import Secrets
from app.settings import Settings, read_settings
from app.simulator.app import Options, Simulator
from app.simulator.server import running
from app.worker import submit
from app.worker.loop import due_lanes
from tests.conftest import START
from tests.factories import make_account, make_tenant, queue_job
from tests.statements import recording

KEYS = "used-in-tests-alone-and-nowhere-else"


@pytest.fixture
def inline() -> bool:
    """A service has an engine of its own on the file: whoever waits for it in the loop would keep it from letting go."""
    return False


@pytest.fixture
def secrets() -> Secrets:
    return Secrets([KEYS])


@pytest.fixture
def here(database_url: str, tmp_path: Path) -> Settings:
    """No key in the environment."""
    places = {"DATABASE_URL": database_url, "STORAGE_URL": str(tmp_path / "files")}
    return read_settings(places | {"SECRET_KEYS": KEYS, "FILM": "false"})


@pytest.fixture
def desk(database: Database, secrets: Secrets, here: Settings) -> Desk:
    return Desk(here, database, secrets, Clock())


@asynccontextmanager
async def heygens(folder: Path, count: int = 2) -> AsyncIterator[list[tuple[Simulator, str]]]:
    """Simulators, each at an address of its own."""
    simulator = Simulator(Options(folder=folder / f"heygen-{count}", background=False))
    async with running(simulator) as url:
        if count == 1:
            yield [(simulator, url)]
        else:
            async with heygens(folder, count - 1) as others:
                yield [(simulator, url), *others]
    await simulator.close()


async def lose_key(database: Database, account: Account) -> None:
    """As if SECRET_KEYS were others."""
    async with database.begin() as session:
        spoilt = update(Account).where(col(Account.id) == account.id).values(key_encrypted=b"spoilt")
        await session.execute(spoilt)


async def rows(database: Database) -> int:
    """How many accounts there are."""
    async with database.begin() as session:
        return await session.scalar(select(func.count()).select_from(Account)) or 0


def stored(context: Context) -> Connections:
    """The live ones."""
    assert isinstance(context.connections, Connections)
    return context.connections


async def test_each_account_renders_the_jobs_of_its_own_tenants(
    desk: Desk, database: Database, secrets: Secrets, here: Settings, tmp_path: Path
) -> None:
    async with heygens(tmp_path) as ((one, url), (other, other_url)):
        first, known = await add_account(desk, Offer("first", "key-1", 4), url)
        second, _ = await add_account(desk, Offer("second", "key-2"), other_url)
        assert (known, first.concurrency, second.concurrency) == (False, 4, 10)
        jobs = []
        for account in (first, second):
            tenant = await make_tenant(database, account, START)
            jobs.append(await queue_job(database, secrets, tenant, Clock().now()))
        async with service(here, Address()) as context:
            assert {first.id, second.id} <= set(context.connections)
            with recording(context.database) as statements:
                assert "submit" in await due_lanes(context)
            assert len(statements) == 1, "however many accounts there are"
            while await submit.submit_next(context):
                pass
        billed = [[row.idempotency_key for row in it.ledger()] for it in (one, other)]
        assert billed == [[f"{job.id}-1"] for job in jobs]


async def test_an_account_that_is_added_is_taken_up_and_a_new_key_takes_the_old_ones_place(
    desk: Desk, database: Database, secrets: Secrets, here: Settings, tmp_path: Path
) -> None:
    async with heygens(tmp_path) as ((_, url), (_, other_url)):
        await add_account(desk, Offer("first", "key-1"), url)
        async with service(here, Address()) as context:
            second, _ = await add_account(desk, Offer("second", "key-2"), other_url)
            assert second.id not in context.connections
            await stored(context).refresh(secrets)
            before = context.connections[second.id]
            await stored(context).refresh(secrets)
            assert context.connections[second.id] is before, "nothing has changed"
            again, known = await add_account(desk, Offer("whatever", "key-3"), other_url)
            assert (again.id, again.name, known) == (second.id, "second", True)
            await stored(context).refresh(secrets)
            after = context.connections[second.id]
            assert after.heygen is not before.heygen
            assert after.breaker is before.breaker
            assert (await after.heygen.users_me()).simulated


async def test_a_key_that_cannot_be_read_keeps_no_other_account_from_its_work(
    desk: Desk, database: Database, here: Settings, tmp_path: Path
) -> None:
    async with heygens(tmp_path) as ((_, url), (_, other_url)):
        lost, _ = await add_account(desk, Offer("lost", "key-1"), url)
        well, _ = await add_account(desk, Offer("well", "key-2"), other_url)
        await lose_key(database, lost)
        async with service(here, Address()) as context:
            assert well.id in context.connections
            assert lost.id not in context.connections
        async with database.begin() as session:
            rows = await accounts.with_keys(session)
        assert [where_key_is(desk, account) for account in rows] == ["unreadable", "stored"]


async def test_a_key_in_the_environment_that_is_refused_stops_only_a_service_without_another(
    desk: Desk, here: Settings, tmp_path: Path
) -> None:
    async with heygens(tmp_path) as ((refusing, url), (_, other_url)):
        refusing.set_scenario("unauthorized", times=10)
        wrong = here.model_copy(
            update={"heygen_api_key": read_settings({"HEYGEN_API_KEY": "x"}).heygen_api_key}
            | {"heygen_base_url": url}
        )
        with pytest.raises(AccountUnknown, match="refuses the HeyGen key"):
            async with service(wrong, Address()):
                pass
        well, _ = await add_account(desk, Offer("well", "key-2"), other_url)
        async with service(wrong, Address()) as context:
            assert list(context.connections) == [well.id]


async def test_an_account_that_could_not_be_asked_at_the_start_is_taken_up_when_it_answers(
    desk: Desk, database: Database, here: Settings, tmp_path: Path
) -> None:
    async with heygens(tmp_path) as ((refusing, url), (_, other_url)):
        refusing.set_scenario("unauthorized", times=1)
        two = here.model_copy(
            update={"heygen_api_key": read_settings({"HEYGEN_API_KEY": "x"}).heygen_api_key}
            | {"heygen_base_url": url}
        )
        well, _ = await add_account(desk, Offer("well", "key-2"), other_url)
        async with service(two, Address()) as context:
            assert list(context.connections) == [well.id]
            async with asyncio.timeout(4):
                while len(context.connections) < 2:
                    assert await rows(database) > 0
            (late,) = set(context.connections) - {well.id}
            assert context.connections[late].url == url


@pytest.mark.parametrize("engine_name", ["postgresql"])  # a SQLite file has one process
async def test_of_two_replicas_that_start_with_a_new_key_one_makes_the_account_and_both_have_it(
    database: Database,
) -> None:
    new = Identity("https://heygen.test", "new", "digest", simulated=False)

    async def start() -> Account:
        async with database.begin() as session:
            return await accounts.settle(session, new, 7, START)

    blocked = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
    async with database.begin() as session:
        winner = await accounts.settle(session, new, 7, START)
        other = asyncio.create_task(start(), context=contextvars.Context())
        async with asyncio.timeout(10):
            while not other.done() and not await session.scalar(blocked):
                pass
    assert (await other).id == winner.id
    assert await rows(database) == 1


@pytest.mark.parametrize("engine_name", ["postgresql"])
async def test_a_replica_starts_while_another_stands_still_with_the_account_locked(
    database: Database, database_url: str
) -> None:
    known = Identity("https://heygen.test", "known", "digest", simulated=False)
    hasty = Database(database_url, Patience(lock=timedelta(milliseconds=1)))

    async def start(concurrency: int) -> Account:
        async with hasty.begin() as session:
            account = await accounts.settle(session, known, concurrency, START)
            await accounts.follow(session, account)
            return account

    account = await start(7)
    async with database.begin() as session:
        await governor.lock(session, account.id)
        again = asyncio.create_task(start(7), context=contextvars.Context())
        assert (await again).id == account.id
        with pytest.raises(DatabaseAway, match="55P03"):  # what would change has to wait
            await asyncio.create_task(start(8), context=contextvars.Context())
    assert (await start(8)).concurrency == 8
    await hasty.close()


@pytest.mark.parametrize("engine_name", ["postgresql"])
async def test_on_postgresql_some_account_has_to_have_a_key(desk: Desk, here: Settings) -> None:
    with pytest.raises(AccountUnknown, match="greenroom accounts add NAME"):
        async with service(here, Address()):
            pass
    with pytest.raises(AccountUnknown, match="Set HEYGEN_API_KEY"):
        await find_account(desk)


async def test_a_service_that_costs_nothing_does_not_begin_to_spend(
    desk: Desk, database: Database, secrets: Secrets, here: Settings, tmp_path: Path
) -> None:
    async with heygens(tmp_path, 1) as ((_, url),):
        await add_account(desk, Offer("free", "key-1"), url)
        sealed = secrets.encrypt(b"key-2")
        async with service(here, Address()) as context:
            paying = await make_account(
                database, START, kind="heygen", base_url=url, username="payer", key_encrypted=sealed
            )
            await stored(context).refresh(secrets)
            assert paying.id not in context.connections
        async with service(here, Address()) as context:
            assert paying.id in context.connections
            assert not any(it.url != url for it in context.connections.values()), "no built-in simulator"


async def test_tenants_follow_the_environments_key_but_not_away_from_a_stored_one(
    database: Database, secrets: Secrets
) -> None:
    pinned = await make_account(database, START, key_encrypted=secrets.encrypt(b"key"), concurrency=3)
    former = await make_account(database, START)
    tenants = [await make_tenant(database, account, START) for account in (pinned, former)]
    async with database.begin() as session:
        new = await accounts.settle(session, EMBEDDED, 7, START)
        await accounts.follow(session, new)
        same = Identity(pinned.base_url, pinned.username, "digest", simulated=True)
        assert (await accounts.settle(session, same, 7, START)).concurrency == 3
    async with database.begin() as session:
        now = [(await session.get_one(type(tenant), tenant.id)).account_id for tenant in tenants]
    assert now == [pinned.id, new.id]


async def test_a_new_key_ends_the_pause_of_the_old_one_but_not_an_operators(
    desk: Desk, database: Database, tmp_path: Path
) -> None:
    async with heygens(tmp_path, 1) as ((_, url),):
        account, _ = await add_account(desk, Offer("first", "key-1"), url)
        for probe_at, ended in ((START, True), (None, False)):
            pause = {"paused_at": START, "paused_reason": "any", "probe_at": probe_at}
            async with database.begin() as session:
                await session.execute(update(Account).values(**pause))
            await add_account(desk, Offer("first", "key-2"), url)
            async with database.begin() as session:
                now = await session.get_one(Account, account.id)
                assert (now.paused_at is None) == ended


async def test_a_key_that_is_taken_up_ends_what_the_old_one_met_after_it_was_stored(
    desk: Desk, database: Database, secrets: Secrets, here: Settings, tmp_path: Path
) -> None:
    after = {"unauthorized": None, "insufficient_credit": "insufficient_credit", "operator": "operator"}
    async with heygens(tmp_path, 1) as ((_, url),):
        account, _ = await add_account(desk, Offer("first", "key-1"), url)
        async with service(here, Address()) as context:
            for reason, left in after.items():
                await add_account(desk, Offer("first", f"key-after-{reason}"), url)
                async with database.begin() as session:
                    probe_after = None if reason == "operator" else governor.PROBE_EVERY
                    await governor.pause(session, account.id, reason, START, probe_after)
                await stored(context).refresh(secrets)
                async with database.begin() as session:
                    assert (await session.get_one(Account, account.id)).paused_reason == left


async def test_a_name_stands_for_one_account(desk: Desk, tmp_path: Path) -> None:
    async with heygens(tmp_path) as ((_, url), (_, other_url)):
        await add_account(desk, Offer("first", "key-1"), url)
        with pytest.raises(ValueError, match="there is an account named 'first' already"):
            await add_account(desk, Offer("first", "key-2"), other_url)
        await add_account(desk, Offer("second", "key-2"), other_url)
    assert (await find_account(desk, "second")).name == "second"
    with pytest.raises(LookupError, match="there is no account 'third'"):
        await find_account(desk, "third")


@pytest.mark.parametrize("text", ["gr_0123456789abcdef_x", "", "two words", "zwölf", "a\nb"])
def test_what_cannot_be_a_key_of_heygen_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(KeyUnusable) as refused:
        accounts.usable(text)
    assert not text or text not in str(refused.value)


async def test_no_command_asks_heygen_before_its_retry_after_has_passed(
    desk: Desk, database: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with heygens(tmp_path, 1) as ((simulator, url),):
        account, _ = await add_account(desk, Offer("first", "key-1"), url)
        async with database.begin() as session:
            told = Told(timedelta(minutes=5))
            await governor.gate(session, account.id, told, desk.clock.now(), lowers=False)
        asked = len(simulator.requests())
        assert (await unknown_renders(desk)).row_count == 0
        assert "first is not looked at: HeyGen is to be left alone until" in capsys.readouterr().err
        with pytest.raises(ValueError, match="wants first left alone until"):
            await add_account(desk, Offer("first", "key-2"), url)
        assert len(simulator.requests()) == asked
        async with database.begin() as session:
            await session.execute(update(Account).values(gate_until=None))
        simulator.set_scenario("rate_limited", times=1, seconds=60, method="")
        await unknown_renders(desk)
        asked = len(simulator.requests())
        await unknown_renders(desk)
        assert len(simulator.requests()) == asked, "a 429 that a command meets is kept for all"
