"""Files that callers announce and send later, straight to the storage."""

from datetime import datetime

from sqlalchemy import Index
from sqlmodel import Field, SQLModel

from app.models.columns import partial


class UploadBatch(SQLModel, table=True):
    """Several files announced at once."""

    __tablename__ = "upload_batches"

    id: str = Field(primary_key=True)
    tenant_id: str = Field(foreign_key="tenants.id")
    title: str | None = None
    total: int
    created_at: datetime


class Upload(SQLModel, table=True):
    """An announced file; it becomes an asset of this very id once it is complete.

    What arrived is named only while it is whole: each PUT writes a file of its own, which then takes the place of the
    one before.
    """

    __tablename__ = "uploads"
    __table_args__ = (
        Index("uploads_of_batch", "batch_id", "item_index", unique=True),
        partial("uploads_open", "expires_at", where="completed_at IS NULL"),
    )

    id: str = Field(primary_key=True)
    tenant_id: str = Field(foreign_key="tenants.id")
    batch_id: str | None = Field(default=None, foreign_key="upload_batches.id")
    item_index: int | None = None
    filename: str
    content_type: str  # as it was declared
    size: int  # bytes, exactly
    checksum_sha256: str | None = None  # hex; what the bytes must have
    created_at: datetime
    expires_at: datetime  # of the link that takes the bytes
    storage_key: str | None = None
    sha256: str | None = None
    mime: str | None = None  # as the bytes tell it; None for a type that HeyGen does not take
    received_at: datetime | None = None
    completed_at: datetime | None = None
