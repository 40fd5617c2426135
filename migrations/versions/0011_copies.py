"""Every copy of a file at HeyGen, beside the one that is used."""

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "asset_copies",
        sa.Column("account_id", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("heygen_asset_id", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("asset_id", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("uploaded_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"]),
        sa.ForeignKeyConstraint(["asset_id"], ["assets.id"]),
        sa.PrimaryKeyConstraint("account_id", "heygen_asset_id"),
    )
    op.execute(
        "INSERT INTO asset_copies (account_id, heygen_asset_id, asset_id, uploaded_at)"
        " SELECT account_id, heygen_asset_id, asset_id, uploaded_at FROM asset_uploads WHERE true"
        " ON CONFLICT DO NOTHING"
    )


def downgrade() -> None:
    op.drop_table("asset_copies")
