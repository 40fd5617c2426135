"""What a tenant may see and use of a HeyGen account's private things."""

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

KEY = ("tenant_id", "account_id", "kind", "heygen_id")


def upgrade() -> None:
    op.create_table(
        "grants",
        sa.Column("tenant_id", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("account_id", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("heygen_id", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("owned", sa.Boolean(), nullable=False, server_default="0"),
        sa.Column("created_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.CheckConstraint("kind IS NULL OR kind IN ('look', 'group', 'voice')", name="kind_known"),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"]),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"]),
        sa.PrimaryKeyConstraint(*KEY),
    )
    op.create_index("grants_of_thing", "grants", ["account_id", "kind", "heygen_id"], unique=False)


def downgrade() -> None:
    op.drop_index("grants_of_thing", table_name="grants")
    op.drop_table("grants")
