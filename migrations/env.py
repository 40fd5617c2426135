"""Runs the migrations on the connection that `app.database` hands over, or on ALEMBIC_URL by hand."""

import os

from alembic import context
from sqlalchemy import Connection, create_engine

from app.models import Job


def run(connection: Connection) -> None:
    """Migrate within one transaction, where the database can."""
    context.configure(
        connection=connection,
        target_metadata=Job.metadata,
        render_as_batch=connection.dialect.name == "sqlite",
        compare_type=True,
        transaction_per_migration=False,
    )
    with context.begin_transaction():
        context.run_migrations()


given = context.config.attributes.get("connection")
if given is not None:
    run(given)
else:
    with create_engine(os.environ["ALEMBIC_URL"]).begin() as connection:
        run(connection)
