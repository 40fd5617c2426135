"""An index for the jobs that their callers deleted and whose requests are still stored."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

WHERE = sa.text("deleted_at IS NOT NULL AND request_encrypted IS NOT NULL")


def upgrade() -> None:
    op.create_index("jobs_deleted", "jobs", ["deleted_at"], sqlite_where=WHERE, postgresql_where=WHERE)


def downgrade() -> None:
    op.drop_index("jobs_deleted", "jobs", sqlite_where=WHERE, postgresql_where=WHERE)
