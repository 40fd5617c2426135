"""The jobs, every send of them, what HeyGen told of them, and the files that came of them."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, Column, ForeignKey, Index, Text
from sqlmodel import Field, SQLModel

from app.models.columns import json_column, known_words, partial


class JobStatus(StrEnum):
    """Where a job stands; only `lifecycle` writes it."""

    QUEUED = "queued"  # ours; HeyGen has not heard of it
    SUBMITTING = "submitting"  # a worker is preparing or sending it
    UNSURE = "unsure"  # the send gave no clear answer; HeyGen may have it
    PROCESSING = "processing"  # HeyGen has it; callback or poll will tell
    COMPLETED = "completed"  # final
    FAILED = "failed"  # final; failure_code says why
    CANCELED = "canceled"  # final; withdrawn, and billable if HeyGen may have it


TERMINAL = frozenset({JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CANCELED})
UNFINISHED = frozenset(JobStatus) - TERMINAL


class Outcome(StrEnum):
    """What one send of a submission came to."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    UNCLEAR = "unclear"
    UNSENT = "unsent"  # provably never written to HeyGen


class Job(SQLModel, table=True):
    """One paid piece of work at HeyGen, a video or a look. The row is the queue."""

    __tablename__ = "jobs"
    __table_args__ = (
        known_words("status", JobStatus),
        Index("jobs_heygen", "account_id", "kind", "heygen_id", unique=True),
        partial(
            "jobs_queue",
            "account_id",
            "tenant_id",
            "rank",
            "id",
            where="status = 'queued' AND waits_for_id IS NULL AND due_at IS NULL",
        ),
        partial(
            "jobs_delayed",
            "account_id",
            "due_at",
            "tenant_id",
            where="status = 'queued' AND waits_for_id IS NULL AND due_at IS NOT NULL",
        ),
        partial("jobs_slots", "slot_account_id", "tenant_id", where="slot_account_id IS NOT NULL"),
        partial("jobs_submitting", "lease_until", where="status = 'submitting'"),
        partial("jobs_unsure", "due_at", "id", where="status = 'unsure'"),
        partial("jobs_processing", "due_at", "id", where="status = 'processing'"),
        partial("jobs_owed", "due_at", "id", where="finished_at IS NOT NULL AND due_at IS NOT NULL"),
        partial("jobs_waiting", "waits_for_id", where="waits_for_id IS NOT NULL"),
        partial("jobs_waiting_of_tenant", "account_id", "tenant_id", where="waits_for_id IS NOT NULL"),
        partial("jobs_deadline", "deadline_at", where="finished_at IS NULL AND rendered_at IS NULL"),
        partial("jobs_lagging", "rendered_at", where="status = 'processing' AND rendered_at IS NOT NULL"),
        partial("jobs_of_tenant", "tenant_id", "kind", "id", where="deleted_at IS NULL"),
        partial("jobs_completed", "account_id", "finished_at", where="status = 'completed'"),
        partial(
            "jobs_deleted", "deleted_at", where="deleted_at IS NOT NULL AND request_encrypted IS NOT NULL"
        ),
        partial("jobs_of_batch", "batch_id", "batch_index", where="batch_id IS NOT NULL", unique=True),
    )

    # what was asked
    id: str = Field(primary_key=True)
    tenant_id: str = Field(foreign_key="tenants.id")
    account_id: str = Field(foreign_key="accounts.id")
    kind: str  # video | look
    type: str
    # JSON: HeyGen's body with our ids, and the callback token; None some days after its caller deleted it.
    request_encrypted: bytes | None = None
    title: str | None = None
    folder_id: str | None = None
    callback_url: str | None = None
    callback_id: str | None = None
    job_metadata: dict[str, Any] | None = Field(
        default=None, sa_column=Column("metadata", JSON, nullable=True)
    )
    rank: int = 0  # the caller's priority, negated: the lowest goes first
    deadline_at: datetime
    archive: bool = True
    batch_id: str | None = None  # no foreign key: each change of a job would look the batch up
    batch_index: int | None = None
    # engine
    status: JobStatus = Field(default=None, sa_column=Column("status", Text, nullable=False))
    number: int = 0  # of the last event; also the ETag
    epoch: int = 0
    due_at: datetime | None = None
    lease_until: datetime | None = None
    waits_for_id: str | None = None
    slot_account_id: str | None = Field(
        default=None, sa_column=Column(ForeignKey("accounts.id"), nullable=True)
    )
    releases: int = 0
    title_token: str
    callback_token_sha256: str = Field(unique=True)
    called_back_at: datetime | None = None
    hint_after: datetime | None = (
        None  # callbacks before this instant do not make us ask HeyGen sooner than it
    )
    asks: int = 0  # polls so far
    searched_at: datetime | None = None  # first complete look-up without a find since the last send
    # what came of it
    heygen_id: str | None = None
    rendered_at: datetime | None = None
    result: dict[str, Any] | None = Field(default=None, sa_column=json_column())
    late_result: dict[str, Any] | None = Field(default=None, sa_column=json_column())
    failure_code: str | None = None
    failure_message: str | None = None
    billable: bool = False
    completed_by: str | None = None  # callback | poll
    created_at: datetime
    submitted_at: datetime | None = None
    finished_at: datetime | None = None
    deleted_at: datetime | None = None
    heygen_deleted_at: datetime | None = None


class Submission(SQLModel, table=True):
    """One send of a job's create call: written as an intent, completed by the answer, never deleted early."""

    __tablename__ = "submissions"
    __table_args__ = (
        known_words("outcome", Outcome),
        Index("submissions_of_job", "job_id", "n", "send", unique=True),
    )

    id: str = Field(primary_key=True)
    job_id: str = Field(foreign_key="jobs.id")
    n: int  # rises only after a clear refusal of a first send
    send: int
    epoch: int
    key: str
    body_encrypted: bytes | None = None  # on send 1; None once the job is terminal and holds no slot
    body_sha256: str
    sent_at: datetime
    answered_at: datetime | None = None
    outcome: Outcome | None = Field(default=None, sa_column=Column("outcome", Text, nullable=True))
    late: bool = False  # answered after another worker had taken the job over
    others_accepted: bool = False  # another create of the account was accepted since the send before
    http_status: int | None = None
    code: str | None = None
    heygen_id: str | None = None


class Callback(SQLModel, table=True):
    """What HeyGen posted to us; once a body, with a counter for repeats."""

    __tablename__ = "callbacks"
    __table_args__ = (Index("callbacks_same_body", "job_id", "body_sha256", unique=True),)

    id: str = Field(primary_key=True)
    job_id: str = Field(foreign_key="jobs.id")
    event_type: str | None = None
    heygen_id: str | None = None
    body: bytes
    body_sha256: str
    times: int = 1
    received_at: datetime


class File(SQLModel, table=True):
    """Our copy of one variant of a finished video: owed while `due_at` is set."""

    __tablename__ = "files"
    __table_args__ = (partial("files_due", "due_at", where="due_at IS NOT NULL"),)

    job_id: str = Field(primary_key=True, foreign_key="jobs.id")
    variant: str = Field(primary_key=True)  # video | captioned | subtitle | thumbnail | gif
    storage_key: str | None = None
    mime: str | None = None
    size: int | None = None
    due_at: datetime | None = None
    lease_until: datetime | None = None
    epoch: int = 0
    tries: int = 0
    created_at: datetime
    archived_at: datetime | None = None
    gave_up_at: datetime | None = None
