"""A pause that a probe ended without seeing a balance is followed by one create at a time."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("accounts", sa.Column("on_trial", sa.Boolean(), nullable=False, server_default="0"))


def downgrade() -> None:
    op.drop_column("accounts", "on_trial")
