"""Jobs that are due at the same instant have an order of their own: whoever came first."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

DUE = {
    "jobs_unsure": "status = 'unsure'",
    "jobs_processing": "status = 'processing'",
    "jobs_owed": "finished_at IS NOT NULL AND due_at IS NOT NULL",
}


def upgrade() -> None:
    _renew(["due_at", "id"])


def downgrade() -> None:
    _renew(["due_at"])


def _renew(columns: list[str]) -> None:
    for name, condition in DUE.items():
        where = sa.text(condition)
        op.drop_index(name, "jobs", sqlite_where=where, postgresql_where=where)
        op.create_index(name, "jobs", columns, sqlite_where=where, postgresql_where=where)
