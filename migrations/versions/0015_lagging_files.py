"""An index for renders whose file does not come: the sweep of deadlines read every running video for them."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

WHERE = sa.text("status = 'processing' AND rendered_at IS NOT NULL")


def upgrade() -> None:
    op.create_index("jobs_lagging", "jobs", ["rendered_at"], sqlite_where=WHERE, postgresql_where=WHERE)


def downgrade() -> None:
    op.drop_index("jobs_lagging", "jobs", sqlite_where=WHERE, postgresql_where=WHERE)
