"""Every table. Statuses are texts with a CHECK; instants are aware UTC; ids are UUIDv7 as 32 hex characters."""

from sqlalchemy import ColumnElement, literal_column
from sqlmodel import col

from app.models.batches import Batch
from app.models.endpoints import Endpoint, EndpointStatus
from app.models.events import Attempt, Delivery, DeliveryStatus, Event
from app.models.jobs import TERMINAL, UNFINISHED, Callback, File, Job, JobStatus, Outcome, Submission
from app.models.materials import Asset, AssetCopy, AssetUpload, Group, Look
from app.models.tenancy import (
    Account,
    ApiKey,
    CallUnderWay,
    Grant,
    GrantKind,
    IdempotencyKey,
    Tenant,
    WebhookSecret,
)
from app.models.uploads import Upload, UploadBatch

__all__ = [
    "TERMINAL",
    "UNFINISHED",
    "Account",
    "ApiKey",
    "Asset",
    "AssetCopy",
    "AssetUpload",
    "Attempt",
    "Batch",
    "CallUnderWay",
    "Callback",
    "Delivery",
    "DeliveryStatus",
    "Endpoint",
    "EndpointStatus",
    "Event",
    "File",
    "Grant",
    "GrantKind",
    "Group",
    "IdempotencyKey",
    "Job",
    "JobStatus",
    "Look",
    "Outcome",
    "Submission",
    "Tenant",
    "Upload",
    "UploadBatch",
    "WebhookSecret",
    "is_status",
    "undelivered",
]


def is_status(status: JobStatus | DeliveryStatus) -> ColumnElement[bool]:
    """The rows of one status, in the words of its partial index: no bound parameter proves that one fits."""
    column = col(Job.status) if isinstance(status, JobStatus) else col(Delivery.status)
    return column == literal_column(f"'{status.value}'")


def undelivered() -> ColumnElement[bool]:
    """The deliveries that did not arrive, owed or dead, in the words of their partial index."""
    return col(Delivery.status) != literal_column(f"'{DeliveryStatus.DELIVERED.value}'")
