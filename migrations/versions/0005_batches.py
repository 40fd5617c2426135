"""Batches of videos, and events that are of a batch: those have no job."""

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

TEXT = sqlmodel.sql.sqltypes.AutoString
INSTANT = sqlmodel.sql.sqltypes.UTCDateTime
ITEMS = sa.text("batch_id IS NOT NULL")


def upgrade() -> None:
    op.create_table(
        "batches",
        sa.Column("id", TEXT(), nullable=False),
        sa.Column("tenant_id", TEXT(), nullable=False),
        sa.Column("title", TEXT(), nullable=True),
        sa.Column("callback_url", TEXT(), nullable=True),
        sa.Column("callback_id", TEXT(), nullable=True),
        sa.Column("metadata", sa.JSON(), nullable=True),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("open", sa.Integer(), nullable=False),
        sa.Column("completed", sa.Integer(), nullable=False),
        sa.Column("created_at", INSTANT(), nullable=False),
        sa.Column("finished_at", INSTANT(), nullable=True),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.add_column("jobs", sa.Column("batch_id", TEXT(), nullable=True))
    op.add_column("jobs", sa.Column("batch_index", sa.Integer(), nullable=True))
    op.create_index(
        "jobs_of_batch",
        "jobs",
        ["batch_id", "batch_index"],
        unique=True,
        sqlite_where=ITEMS,
        postgresql_where=ITEMS,
    )
    _let_events_have_no_job(True)


def downgrade() -> None:
    op.execute(
        "DELETE FROM attempts WHERE delivery_id IN (SELECT deliveries.id FROM deliveries"
        " JOIN events ON events.id = deliveries.event_id WHERE events.job_id IS NULL)"
    )
    op.execute("DELETE FROM deliveries WHERE event_id IN (SELECT id FROM events WHERE job_id IS NULL)")
    op.execute("DELETE FROM events WHERE job_id IS NULL")
    _let_events_have_no_job(False)
    op.drop_index("jobs_of_batch", "jobs", sqlite_where=ITEMS, postgresql_where=ITEMS)
    op.drop_column("jobs", "batch_index")
    op.drop_column("jobs", "batch_id")
    op.drop_table("batches")


def _let_events_have_no_job(they_may: bool) -> None:
    if op.get_bind().dialect.name != "sqlite":
        op.alter_column("events", "job_id", existing_type=TEXT(), nullable=they_may)
        return
    # SQLite has no statement for it, and a table that others refer to cannot be made anew here. Its own manual says how
    # to change a constraint that leaves the content as it is (sqlite.org/lang_altertable.html, section 7).
    before, after = ("job_id VARCHAR NOT NULL", "job_id VARCHAR")[:: 1 if they_may else -1]
    connection = op.get_bind()
    version = connection.exec_driver_sql("PRAGMA schema_version").scalar_one()
    changed = sa.text(
        "UPDATE sqlite_master SET sql = replace(sql, :before, :after) WHERE type = 'table' AND name = 'events'"
    )
    op.execute("PRAGMA writable_schema = ON")
    connection.execute(changed, {"before": f"{before},", "after": f"{after},"})
    op.execute(f"PRAGMA schema_version = {version + 1}")
    op.execute("PRAGMA writable_schema = OFF")
