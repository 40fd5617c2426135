"""Direct uploads, whose ids are promised before their bytes come; paid calls that requests wait for."""

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

LIVING = sa.text("deleted_at IS NULL")
ONCE = sa.text("deleted_at IS NULL AND promised_at IS NULL")
OPEN = sa.text("completed_at IS NULL")
BYTES = ["tenant_id", "sha256"]


def _text(name: str, *, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sqlmodel.sql.sqltypes.AutoString(), nullable=nullable)


def _instant(name: str, *, nullable: bool = False) -> sa.Column[object]:
    return sa.Column(name, sqlmodel.sql.sqltypes.UTCDateTime(), nullable=nullable)


def upgrade() -> None:
    op.add_column("assets", _instant("promised_at", nullable=True))
    op.drop_index("assets_same_bytes", "assets", sqlite_where=LIVING, postgresql_where=LIVING)
    op.create_index(
        "assets_same_bytes", "assets", BYTES, unique=True, sqlite_where=ONCE, postgresql_where=ONCE
    )
    op.create_index("asset_uploads_heygen", "asset_uploads", ["account_id", "heygen_asset_id"])
    op.create_table(
        "upload_batches",
        _text("id"),
        _text("tenant_id"),
        _text("title", nullable=True),
        sa.Column("total", sa.Integer(), nullable=False),
        _instant("created_at"),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "uploads",
        _text("id"),
        _text("tenant_id"),
        _text("batch_id", nullable=True),
        sa.Column("item_index", sa.Integer(), nullable=True),
        _text("filename"),
        _text("content_type"),
        sa.Column("size", sa.Integer(), nullable=False),
        _text("checksum_sha256", nullable=True),
        _instant("created_at"),
        _instant("expires_at"),
        _text("storage_key", nullable=True),
        _text("sha256", nullable=True),
        _text("mime", nullable=True),
        _instant("received_at", nullable=True),
        _instant("completed_at", nullable=True),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"]),
        sa.ForeignKeyConstraint(["batch_id"], ["upload_batches.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("uploads_of_batch", "uploads", ["batch_id", "item_index"], unique=True)
    op.create_index("uploads_open", "uploads", ["expires_at"], sqlite_where=OPEN, postgresql_where=OPEN)
    op.create_table(
        "calls_under_way",
        _text("tenant_id"),
        _text("operation"),
        _text("key"),
        _instant("until"),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"]),
        sa.PrimaryKeyConstraint("tenant_id", "operation", "key"),
    )


def downgrade() -> None:
    op.drop_table("calls_under_way")
    op.drop_table("uploads")
    op.drop_table("upload_batches")
    op.drop_index("asset_uploads_heygen", table_name="asset_uploads")
    op.drop_index("assets_same_bytes", "assets", sqlite_where=ONCE, postgresql_where=ONCE)
    # Of what was promised an id though its bytes were known, the older code can show none but the first.
    op.execute("UPDATE assets SET deleted_at = promised_at WHERE promised_at IS NOT NULL")
    op.create_index(
        "assets_same_bytes", "assets", BYTES, unique=True, sqlite_where=LIVING, postgresql_where=LIVING
    )
    with op.batch_alter_table("assets") as batch:
        batch.drop_column("promised_at")
