"""The consent of whom a digital twin shows: where it stands for a group, and which looks wait for it."""

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("groups", sa.Column("consent_status", sqlmodel.sql.sqltypes.AutoString(), nullable=True))
    # With a default: code of the version before goes on to write this table for a while.
    op.add_column("looks", sa.Column("consent_owed", sa.Boolean(), nullable=False, server_default="0"))


def downgrade() -> None:
    with op.batch_alter_table("looks") as batch:
        batch.drop_column("consent_owed")
    with op.batch_alter_table("groups") as batch:
        batch.drop_column("consent_status")
