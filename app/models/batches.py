"""Batches: many videos asked for at once."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Column
from sqlmodel import Field, SQLModel


class Batch(SQLModel, table=True):
    """Up to a thousand videos that one request asked for; its items are jobs, which know it."""

    __tablename__ = "batches"

    id: str = Field(primary_key=True)
    tenant_id: str = Field(foreign_key="tenants.id")
    title: str | None = None
    callback_url: str | None = None
    callback_id: str | None = None
    batch_metadata: dict[str, Any] | None = Field(
        default=None, sa_column=Column("metadata", JSON, nullable=True)
    )
    total: int
    open: int  # items that have not ended; each end takes one, the last one is the batch's
    completed: int = 0  # those that ended with a video
    created_at: datetime
    finished_at: datetime | None = None
