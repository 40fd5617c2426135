"""What happened to a job, and whom it is told to."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Column, Index, Text
from sqlmodel import Field, SQLModel

from app.models.columns import json_column, known_words, partial


class DeliveryStatus(StrEnum):
    """Where a delivery stands."""

    OWED = "owed"
    DELIVERED = "delivered"
    DEAD = "dead"  # the schedule is spent, or the receiver said 410


class Event(SQLModel, table=True):
    """A recorded fact of a job, or of a batch, which has no job; those with a type are public and are delivered."""

    __tablename__ = "events"
    __table_args__ = (
        Index("events_of_job", "job_id", "number", unique=True),
        partial("events_public", "tenant_id", "id", where="type IS NOT NULL"),
        partial("events_of_type", "tenant_id", "type", "id", where="type IS NOT NULL"),
        partial("events_of_batch", "batch_id", where="batch_id IS NOT NULL"),
    )

    id: str = Field(primary_key=True)
    tenant_id: str
    job_id: str | None = Field(default=None, foreign_key="jobs.id")
    batch_id: str | None = None  # no foreign key, as with jobs
    number: int
    fact: str
    from_status: str | None = None
    to_status: str | None = None
    source: str  # caller | worker | callback | poll | operator
    detail: dict[str, Any] | None = Field(default=None, sa_column=json_column())
    at: datetime
    type: str | None = None
    body: bytes | None = None  # signed bytes: sent unchanged on every attempt


class Delivery(SQLModel, table=True):
    """One event owed to one endpoint."""

    __tablename__ = "deliveries"
    __table_args__ = (
        known_words("status", DeliveryStatus),
        Index("deliveries_once", "event_id", "target", unique=True),
        partial("deliveries_due", "due_at", where="status = 'owed'"),
        partial("deliveries_held", "target", where="status = 'owed' AND due_at IS NULL"),
        Index("deliveries_of_tenant", "tenant_id", "id"),
        partial("deliveries_open", "tenant_id", "event_id", where="status <> 'delivered'"),
    )

    id: str = Field(primary_key=True)
    tenant_id: str
    event_id: str = Field(foreign_key="events.id")
    target: str  # an endpoint's id; "callback": the job's own callback_url
    url: str
    status: DeliveryStatus = Field(sa_column=Column("status", Text, nullable=False))
    attempts: int = 0
    # Those before it was owed afresh: the schedule begins again there.
    attempts_before: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    due_at: datetime | None = None  # None while owed: held, its endpoint is disabled
    epoch: int = 0
    lease_until: datetime | None = None
    created_at: datetime
    finished_at: datetime | None = None


class Attempt(SQLModel, table=True):
    """One POST of a delivery."""

    __tablename__ = "attempts"
    __table_args__ = (Index("attempts_of_delivery", "delivery_id", "number", unique=True),)

    id: str = Field(primary_key=True)
    delivery_id: str = Field(foreign_key="deliveries.id")
    number: int
    started_at: datetime
    ended_at: datetime | None = None
    http_status: int | None = None
    reason: str | None = None
    answer: bytes | None = None  # at most 64 kB
