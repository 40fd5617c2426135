"""The addresses that a tenant registered for its webhooks."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Column, Text
from sqlmodel import Field, SQLModel

from app.models.columns import json_column, known_words, partial


class EndpointStatus(StrEnum):
    """Whether deliveries leave; those of a disabled endpoint are held."""

    ENABLED = "enabled"
    DISABLED = "disabled"


class Endpoint(SQLModel, table=True):
    """One address, and what is told there. Its secrets are rows of `webhook_secrets`."""

    __tablename__ = "endpoints"
    __table_args__ = (
        known_words("status", EndpointStatus),
        partial("endpoints_of_tenant", "tenant_id", "id", where="deleted_at IS NULL"),
    )

    id: str = Field(primary_key=True)
    tenant_id: str = Field(foreign_key="tenants.id")
    url: str
    event_types: list[Any] | None = Field(default=None, sa_column=json_column())  # None: all
    entity_id: str | None = None  # only what is told of this video, look or batch
    status: EndpointStatus = Field(sa_column=Column("status", Text, nullable=False))
    disabled_reason: str | None = None  # gone | failing | caller
    failing_since: datetime | None = None  # no attempt went well since then
    created_at: datetime
    deleted_at: datetime | None = None
