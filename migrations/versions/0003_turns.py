"""Turns of tenants, and an index of their own for jobs that went back and are not due yet."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

QUEUED = sa.text("status = 'queued' AND waits_for_id IS NULL")
READY = sa.text("status = 'queued' AND waits_for_id IS NULL AND due_at IS NULL")
DELAYED = sa.text("status = 'queued' AND waits_for_id IS NULL AND due_at IS NOT NULL")
QUEUE = ["account_id", "tenant_id", "rank", "id"]


def upgrade() -> None:
    # With a default: code of the version before goes on to write these tables for a while.
    for table in ("accounts", "tenants"):
        op.add_column(table, sa.Column("turn", sa.Float(), nullable=False, server_default="0"))
    op.drop_index("jobs_queue", "jobs", sqlite_where=QUEUED, postgresql_where=QUEUED)
    op.create_index("jobs_queue", "jobs", QUEUE, sqlite_where=READY, postgresql_where=READY)
    op.create_index(
        "jobs_delayed",
        "jobs",
        ["account_id", "due_at", "tenant_id"],
        sqlite_where=DELAYED,
        postgresql_where=DELAYED,
    )


def downgrade() -> None:
    op.drop_index("jobs_delayed", "jobs", sqlite_where=DELAYED, postgresql_where=DELAYED)
    op.drop_index("jobs_queue", "jobs", sqlite_where=READY, postgresql_where=READY)
    op.create_index("jobs_queue", "jobs", QUEUE, sqlite_where=QUEUED, postgresql_where=QUEUED)
    for table in ("accounts", "tenants"):
        with op.batch_alter_table(table) as batch:
            batch.drop_column("turn")
