"""What the database is really asked, and how it finds the answer: the statements that code emits, and their plans."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import event, text

from app.database import Database


@dataclass(frozen=True)
class Statement:
    """One statement as the driver got it."""

    sql: str
    parameters: Any

    @property
    def finds_rows(self) -> bool:
        """Whether there is a choice of ways to answer it."""
        return not self.sql.startswith("INSERT")


@contextmanager
def recording(database: Database) -> Iterator[list[Statement]]:
    """The statements of every task meanwhile, in order, without the beginning and the end of transactions."""
    recorded: list[Statement] = []

    def keep(_connection: Any, _cursor: Any, sql: str, parameters: Any, _context: Any, many: bool) -> None:
        if not sql.startswith("BEGIN"):
            recorded.append(Statement(sql, parameters[0] if many else parameters))

    engine = database.engine.sync_engine
    event.listen(engine, "before_cursor_execute", keep)
    try:
        yield recorded
    finally:
        event.remove(engine, "before_cursor_execute", keep)


async def plans(database: Database, statement: Statement) -> list[str]:
    """The lines of its plan. On PostgreSQL of two: the one for these parameters, and the one it may keep for any."""
    async with database.engine.begin() as connection:
        if database.is_sqlite:
            rows = await connection.exec_driver_sql(
                f"EXPLAIN QUERY PLAN {statement.sql}", statement.parameters
            )
            return [str(row[-1]) for row in rows]
        special = await connection.exec_driver_sql(f"EXPLAIN {statement.sql}", statement.parameters)
        await connection.execute(text("SET LOCAL plan_cache_mode = force_generic_plan"))
        await connection.exec_driver_sql(f"PREPARE examined AS {statement.sql}")
        values = f"({', '.join(['NULL'] * len(statement.parameters))})" if statement.parameters else ""
        try:
            general = await connection.exec_driver_sql(f"EXPLAIN EXECUTE examined{values}")
            await connection.execute(text("DEALLOCATE examined"))
        except BaseException:
            # What is prepared outlives a transaction, and the connection this test.
            await connection.invalidate()
            raise
        return [str(row[0]).strip() for row in (*special, *general)]


async def pages_read(database: Database, statement: Statement) -> int:
    """How many pages PostgreSQL reads for it, of the table and of indexes; what it changes is taken back."""
    async with database.engine.connect() as connection:
        explained = f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement.sql}"
        (plan,) = (await connection.exec_driver_sql(explained, statement.parameters)).scalar_one()
        await connection.rollback()
    return int(plan["Plan"]["Shared Hit Blocks"] + plan["Plan"]["Shared Read Blocks"])
