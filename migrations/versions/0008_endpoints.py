"""Registered webhook endpoints, secrets of their own, and indexes for what happened and was not delivered."""

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

LIVING = sa.text("deleted_at IS NULL")
PUBLIC = sa.text("type IS NOT NULL")
OPEN = sa.text("status <> 'delivered'")
TEXT = sqlmodel.sql.sqltypes.AutoString
INSTANT = sqlmodel.sql.sqltypes.UTCDateTime


def upgrade() -> None:
    op.create_table(
        "endpoints",
        sa.Column("id", TEXT(), nullable=False),
        sa.Column("tenant_id", TEXT(), nullable=False),
        sa.Column("url", TEXT(), nullable=False),
        sa.Column("event_types", sa.JSON(), nullable=True),
        sa.Column("entity_id", TEXT(), nullable=True),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("disabled_reason", TEXT(), nullable=True),
        sa.Column("failing_since", INSTANT(), nullable=True),
        sa.Column("created_at", INSTANT(), nullable=False),
        sa.Column("deleted_at", INSTANT(), nullable=True),
        sa.CheckConstraint("status IS NULL OR status IN ('enabled', 'disabled')", name="status_known"),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    _index("endpoints_of_tenant", "endpoints", ["tenant_id", "id"], LIVING)
    _index("events_of_type", "events", ["tenant_id", "type", "id"], PUBLIC)
    _index("deliveries_open", "deliveries", ["tenant_id", "event_id"], OPEN)
    op.add_column(
        "deliveries", sa.Column("attempts_before", sa.Integer(), nullable=False, server_default="0")
    )
    with op.batch_alter_table("webhook_secrets") as batch:
        batch.add_column(sa.Column("endpoint_id", TEXT(), nullable=True))
        batch.create_foreign_key("webhook_secrets_endpoint_id_fkey", "endpoints", ["endpoint_id"], ["id"])


def downgrade() -> None:
    with op.batch_alter_table("webhook_secrets") as batch:
        batch.drop_constraint("webhook_secrets_endpoint_id_fkey", type_="foreignkey")
        batch.drop_column("endpoint_id")
    for name, table, where in (
        ("deliveries_open", "deliveries", OPEN),
        ("events_of_type", "events", PUBLIC),
        ("endpoints_of_tenant", "endpoints", LIVING),
    ):
        op.drop_index(name, table, sqlite_where=where, postgresql_where=where)
    with op.batch_alter_table("deliveries") as batch:
        batch.drop_column("attempts_before")
    op.drop_table("endpoints")


def _index(name: str, table: str, columns: list[str], where: sa.TextClause) -> None:
    op.create_index(name, table, columns, sqlite_where=where, postgresql_where=where)
