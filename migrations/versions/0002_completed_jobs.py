"""An index of completed jobs, from which the time that a render takes is told."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

COMPLETED = sa.text("status = 'completed'")


def upgrade() -> None:
    op.create_index(
        "jobs_completed",
        "jobs",
        ["account_id", "finished_at"],
        unique=False,
        sqlite_where=COMPLETED,
        postgresql_where=COMPLETED,
    )


def downgrade() -> None:
    op.drop_index("jobs_completed", "jobs", sqlite_where=COMPLETED, postgresql_where=COMPLETED)
