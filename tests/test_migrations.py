"""The migrations make exactly the tables that the models describe, on both databases, and can be taken back."""

import re
from collections.abc import AsyncIterator
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, MetaData, Table, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool
from sqlmodel import SQLModel
from uuid_utils.compat import uuid7

from app.database import MIGRATIONS, Database, SchemaBehind
from tests.conftest import START

VERSIONS = "alembic_version"


@pytest.fixture
def server(engine_name: str, request: pytest.FixtureRequest) -> URL | None:
    """The PostgreSQL server; None for the tests on SQLite."""
    return None if engine_name == "sqlite" else make_url(request.getfixturevalue("postgresql"))


@pytest.fixture
async def empty_urls(server: URL | None, tmp_path: Path) -> AsyncIterator[list[str]]:
    """Two databases without any table."""
    if server is None:
        yield [f"sqlite:///{tmp_path / name}.db" for name in ("one", "two")]
        return
    names = [f"empty_{uuid7().hex}" for _ in range(2)]
    engine = create_async_engine(
        server.set(drivername="postgresql+asyncpg"), poolclass=NullPool, isolation_level="AUTOCOMMIT"
    )
    async with engine.connect() as connection:
        for name in names:
            await connection.execute(text(f"CREATE DATABASE {name}"))
        yield [server.set(database=name).render_as_string(hide_password=False) for name in names]
        for name in names:
            await connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    await engine.dispose()


@pytest.fixture
async def empty(empty_urls: list[str]) -> AsyncIterator[Database]:
    """A database without any table."""
    database = Database(empty_urls[0])
    yield database
    await database.close()


@pytest.fixture
async def modelled(empty_urls: list[str]) -> AsyncIterator[Database]:
    """A database with the tables as the models describe them."""
    database = Database(empty_urls[1])
    async with database.engine.begin() as connection:
        await connection.run_sync(SQLModel.metadata.create_all)
    yield database
    await database.close()


async def structure(database: Database) -> set[tuple[str, ...]]:
    """Every column, constraint and index, in the database's own words: conditions of partial indexes too."""
    queries = SQLITE if database.is_sqlite else POSTGRESQL
    async with database.engine.connect() as connection:
        rows = [tuple(map(str, row)) for query in queries for row in await connection.execute(text(query))]
    return {tuple(re.sub(r"\s+", " ", word) for word in row) for row in rows if VERSIONS not in row}


SQLITE = (
    "SELECT t.name, 'column', c.name, c.type, c.\"notnull\", c.dflt_value, c.pk"
    " FROM sqlite_master t, pragma_table_info(t.name) c WHERE t.type = 'table'",
    'SELECT t.name, \'reference\', f."from", f."table", f."to", f.on_delete'
    " FROM sqlite_master t, pragma_foreign_key_list(t.name) f WHERE t.type = 'table'",
    # An index with a definition of its own; those of UNIQUE and PRIMARY KEY have none, but their columns.
    "SELECT tbl_name, 'index', sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL",
    "SELECT t.name, 'unique', i.origin, i.\"unique\", group_concat(c.name)"
    " FROM sqlite_master t, pragma_index_list(t.name) i, pragma_index_info(i.name) c"
    " WHERE t.type = 'table' AND i.origin <> 'c' GROUP BY t.name, i.name",
)
POSTGRESQL = (
    "SELECT table_name, 'column', column_name, data_type, is_nullable, column_default"
    " FROM information_schema.columns WHERE table_schema = 'public'",
    "SELECT conrelid::regclass::text, 'constraint', conname, pg_get_constraintdef(oid)"
    " FROM pg_constraint WHERE connamespace = 'public'::regnamespace",
    "SELECT tablename, 'index', indexdef FROM pg_indexes WHERE schemaname = 'public'",
)
CHECKS = "SELECT name, sql FROM sqlite_master WHERE type = 'table'"


def alembic(connection: Connection | None = None) -> Config:
    """Alembic, set up as the program sets it up."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    return config


def differences(connection: Connection) -> list[object]:
    """What alembic would still change."""
    context = MigrationContext.configure(connection, opts={"compare_type": True})
    return list(compare_metadata(context, SQLModel.metadata))


async def set_revision(database: Database, revision: str) -> None:
    """Say that another migration was the last one."""
    async with database.engine.begin() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = :it"), {"it": revision})


async def test_migrated_tables_are_those_of_the_models(empty: Database, modelled: Database) -> None:
    await empty.migrate()
    made = await structure(empty)
    assert made == await structure(modelled)
    assert {row[0] for row in made} == set(SQLModel.metadata.tables)
    async with empty.engine.connect() as connection:
        assert await connection.run_sync(differences) == []


async def test_a_partial_index_that_lost_its_condition_is_noticed(
    empty: Database, modelled: Database
) -> None:
    await empty.migrate()
    async with empty.engine.begin() as connection:
        await connection.execute(text("DROP INDEX jobs_processing"))
        await connection.execute(text("CREATE INDEX jobs_processing ON jobs (due_at, id)"))
    assert await structure(empty) != await structure(modelled)


@pytest.mark.parametrize("engine_name", ["sqlite"])
async def test_sqlite_checks_the_same_words(empty: Database, modelled: Database) -> None:
    """SQLite tells its CHECK constraints only in the text of the table."""
    await empty.migrate()
    checks = []
    for database in (empty, modelled):
        async with database.engine.connect() as connection:
            tables = [(name, sql) for name, sql in await connection.execute(text(CHECKS)) if name != VERSIONS]
        checks.append({name: sorted(re.findall(r"CONSTRAINT \w+ CHECK \(.*\)", sql)) for name, sql in tables})
    assert checks[0] == checks[1]
    assert len(checks[0]["jobs"]) > 0


async def test_migrating_twice_changes_nothing(empty: Database) -> None:
    await empty.migrate()
    before = await structure(empty)
    await empty.migrate()
    assert await structure(empty) == before


async def test_the_way_back_leaves_nothing(empty: Database) -> None:
    await empty.migrate()
    async with empty.engine.begin() as connection:
        await connection.run_sync(lambda sync: command.downgrade(alembic(sync), "base"))
    assert await structure(empty) == set()


def test_there_is_one_newest_migration() -> None:
    assert len(ScriptDirectory.from_config(alembic()).get_heads()) == 1


async def test_a_database_without_tables_is_refused_and_the_command_named(empty: Database) -> None:
    with pytest.raises(SchemaBehind, match="greenroom migrate"):
        await empty.check_schema()
    await empty.migrate()
    await empty.check_schema()


async def test_a_newer_schema_is_accepted(empty: Database) -> None:
    """During a deployment the old version runs beside the new one for a while."""
    await empty.migrate()
    await set_revision(empty, "9999")
    await empty.check_schema()


def revisions() -> list[str]:
    """Every migration, oldest first."""
    return [script.revision for script in ScriptDirectory.from_config(alembic()).walk_revisions()][::-1]


async def upgrade(database: Database, revision: str) -> MetaData:
    """Migrate so far; the tables as code of that revision knows them."""
    known = MetaData()
    async with database.engine.begin() as connection:
        await connection.run_sync(lambda sync: command.upgrade(alembic(sync), revision))
        await connection.run_sync(known.reflect)
    known.remove(known.tables[VERSIONS])
    return known


WORDS = {
    "jobs.status": "queued",
    "deliveries.status": "owed",
    "submissions.outcome": "accepted",
    "grants.kind": "voice",
    "endpoints.status": "enabled",
}


def row(table: Table) -> dict[str, object]:
    """A value for every column; each reference is to the only row of its table."""
    values = {str: "one", int: 1, float: 1.0, bool: True, bytes: b"one", object: {}, datetime: START}
    return {
        column.name: WORDS.get(f"{table.name}.{column.name}", values[column.type.python_type])
        for column in table.columns
    }


async def write(database: Database, known: MetaData, unfilled: str = "") -> None:
    """Insert and change a row of every table, by the columns that are known; `unfilled` is one that is not."""
    async with database.engine.begin() as connection:
        for table in known.sorted_tables:
            values = row(table)
            values.pop(unfilled.removeprefix(f"{table.name}."), None)
            await connection.execute(table.insert().values(values))
            assert (await connection.execute(table.update().values(values))).rowcount == 1
        for table in reversed(known.sorted_tables):
            await connection.execute(table.delete())


async def test_events_of_batches_that_ended_before_know_them_too(empty: Database) -> None:
    known = await upgrade(empty, "0010")
    events = known.tables["events"]
    async with empty.engine.begin() as connection:
        for event_id, fact, detail in (("e1", "BatchFinished", {"batch_id": "b1"}), ("e2", "Enqueued", None)):
            values = row(events) | {"id": event_id, "job_id": None, "fact": fact, "detail": detail}
            await connection.execute(events.insert().values(values))
    await empty.migrate()
    async with empty.engine.connect() as connection:
        told = await connection.execute(text("SELECT id, batch_id FROM events ORDER BY id"))
        assert [tuple(one) for one in told] == [("e1", "b1"), ("e2", None)]


@pytest.mark.parametrize("engine_name", ["postgresql"])
async def test_what_changes_much_is_vacuumed_long_before_a_fifth_of_it_is_dead(empty: Database) -> None:
    await empty.migrate()
    async with empty.begin() as session:
        tuned = await session.scalars(
            text(
                "SELECT relname FROM pg_class "
                "WHERE reloptions @> ARRAY['autovacuum_vacuum_scale_factor=0.01', 'autovacuum_analyze_scale_factor=0.01']"
            )
        )
        assert set(tuned) == {"jobs", "deliveries", "files"}


async def test_code_of_the_version_before_goes_on_to_write_every_table(empty: Database) -> None:
    for older, newer in pairwise(revisions()):
        known = await upgrade(empty, older)
        await upgrade(empty, newer)
        await write(empty, known)


async def test_a_column_that_older_code_would_have_to_fill_is_noticed(empty: Database) -> None:
    known = await upgrade(empty, "head")
    with pytest.raises(IntegrityError):
        await write(empty, known, unfilled="accounts.concurrency")


async def test_new_code_does_not_start_on_the_tables_of_the_version_before(empty: Database) -> None:
    await upgrade(empty, revisions()[-2])
    with pytest.raises(SchemaBehind, match="greenroom migrate"):
        await empty.check_schema()


async def test_files_that_went_up_before_all_copies_were_known_stay_known(empty: Database) -> None:
    known = await upgrade(empty, "0010")
    async with empty.engine.begin() as connection:
        for table in known.sorted_tables:
            await connection.execute(table.insert().values(row(table)))
    await upgrade(empty, "0011")
    copies = "SELECT account_id, heygen_asset_id, asset_id FROM asset_copies"
    async with empty.engine.begin() as connection:
        assert [tuple(copy) for copy in await connection.execute(text(copies))] == [("one", "one", "one")]
