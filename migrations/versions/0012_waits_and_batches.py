"""Indexes for what is held in vain and for videos that wait for a look; events know the batch they are of."""

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

INDEXES = (
    ("deliveries_held", "deliveries", ["target"], "status = 'owed' AND due_at IS NULL"),
    ("jobs_waiting_of_tenant", "jobs", ["account_id", "tenant_id"], "waits_for_id IS NOT NULL"),
    ("events_of_batch", "events", ["batch_id"], "batch_id IS NOT NULL"),
)


def upgrade() -> None:
    op.add_column("events", sa.Column("batch_id", sqlmodel.sql.sqltypes.AutoString(), nullable=True))
    events = sa.table("events", sa.column("batch_id"), sa.column("fact"), sa.column("detail", sa.JSON()))
    ended = sa.update(events).where(events.c.fact == "BatchFinished")
    op.execute(ended.values(batch_id=events.c.detail["batch_id"].as_string()))
    for name, table, columns, condition in INDEXES:
        where = sa.text(condition)
        op.create_index(name, table, columns, sqlite_where=where, postgresql_where=where)


def downgrade() -> None:
    for name, table, _, condition in INDEXES:
        where = sa.text(condition)
        op.drop_index(name, table, sqlite_where=where, postgresql_where=where)
    op.drop_column("events", "batch_id")
