"""What this machine holds: the database, its tables, the storage, the keys. Nothing is made and nothing is changed."""

import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from sqlalchemy import text

from app import accounts
from app.database import Database, DatabaseAway, SchemaBehind
from app.doctor.findings import Finding, fail, ok, warn
from app.models import Account
from app.secrets import CannotDecrypt, Secrets

LEAST_POSTGRESQL = 15
LEAST_ROOM = 1 << 30  # bytes


async def look_at_database(database: Database) -> tuple[Finding, Sequence[Account]]:
    """Whether the tables can be used, and the accounts with stored keys that they hold.

    On SQLite this reads beside a service as any command does, in transactions of some milliseconds.
    """
    if not database.there():
        return _to_be_made("database", Path(database.engine.url.database or ""), "DATABASE_URL"), ()
    try:
        await database.check_schema()
        async with database.begin() as session:
            stored = await accounts.with_keys(session)
            version = 0 if database.is_sqlite else int(await session.scalar(_VERSION) or 0) // 10_000
    except SchemaBehind as error:
        if database.is_sqlite:
            return warn(
                "database", "The schema is older than this version; the service updates it at start."
            ), ()
        return fail("database", f"{str(error)[0].upper()}{str(error)[1:]}"), ()
    except DatabaseAway as error:
        return fail("database", f"It does not answer ({error}). Check DATABASE_URL, and that it runs."), ()
    if version and version < LEAST_POSTGRESQL:
        return fail("database", f"PostgreSQL {version} is too old; use {LEAST_POSTGRESQL} or newer."), stored
    name = f"PostgreSQL {version}" if version else f"SQLite, {database.engine.url.database}"
    return ok("database", f"{name}: reachable, the schema is current."), stored


_VERSION = text("SELECT current_setting('server_version_num')")


def look_at_storage(folder: Path) -> Finding:
    """Whether files can be kept there."""
    if not folder.exists():
        return _to_be_made("storage", folder, "STORAGE_URL")
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"x")
            file.flush()
    except OSError as error:
        return fail(
            "storage", f"{folder} cannot be written ({error.strerror}). Mend its rights, or STORAGE_URL."
        )
    free = shutil.disk_usage(folder).free
    if free < LEAST_ROOM:
        return warn("storage", f"{folder} has only {free >> 20} MB left.")
    return ok("storage", f"{folder} is writable, {free >> 30} GB are free.")


def look_at_keys(secrets: Secrets | None, stored: Sequence[Account], given: int) -> Finding:
    """Whether what was encrypted can be read; `given` is the number of SECRET_KEYS, 0 where they lie in a file."""
    if secrets is None:
        return ok("keys", "SECRET_KEYS is not set: a key is made beside the SQLite file at the first start.")
    for account in stored:
        try:
            secrets.decrypt(account.key_encrypted or b"")
        except CannotDecrypt:
            again = f"greenroom accounts add {account.name}"
            return fail(
                "keys", f"No key reads the HeyGen key of {account.name}. Bring SECRET_KEYS back, or: {again}"
            )
    if not given:
        return ok("keys", "secret.keys beside the SQLite file; back it up with the database.")
    return ok("keys", f"{given} in SECRET_KEYS; the first signs and encrypts.")


def _to_be_made(check: str, path: Path, setting: str) -> Finding:
    parent = next(each for each in path.resolve().parents if each.exists())
    if not os.access(parent, os.W_OK | os.X_OK):
        return fail(
            check, f"{path} is not there and cannot be made in {parent}. Mend its rights, or {setting}."
        )
    return ok(check, f"{path} is made at the first start.")
