"""Every table. Statuses are texts with a CHECK; instants are aware UTC; ids are UUIDv7 as 32 hex characters."""

from sqlalchemy import ColumnElement, literal_column
from sqlmodel import col

from app.models.events import Attempt, Delivery, DeliveryStatus, Event
from app.models.jobs import TERMINAL, UNFINISHED, Callback, File, Job, JobStatus, Outcome, Submission
from app.models.materials import Asset, AssetUpload, Group, Look
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
    "AssetUpload",
    "Attempt",
    "CallUnderWay",
    "Callback",
    "Delivery",
    "DeliveryStatus",
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
]


def is_status(status: JobStatus | DeliveryStatus) -> ColumnElement[bool]:
    """The rows of one status, in the words of its partial index: no bound parameter proves that one fits."""
    column = col(Job.status) if isinstance(status, JobStatus) else col(Delivery.status)
    return column == literal_column(f"'{status.value}'")
