"""Every table. Statuses are texts with a CHECK; instants are aware UTC; ids are UUIDv7 as 32 hex characters."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    JSON,
    CheckConstraint,
    Column,
    ColumnElement,
    ForeignKey,
    Index,
    Text,
    literal_column,
    text,
)
from sqlmodel import Field, SQLModel, col


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


class DeliveryStatus(StrEnum):
    """Where a delivery stands."""

    OWED = "owed"
    DELIVERED = "delivered"
    DEAD = "dead"  # the schedule is spent, or the receiver said 410


class Outcome(StrEnum):
    """What one send of a submission came to."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    UNCLEAR = "unclear"
    UNSENT = "unsent"  # provably never written to HeyGen


def _json() -> Any:
    return Column(JSON, nullable=True)


def _words(column: str, words: type[StrEnum]) -> CheckConstraint:
    listed = ", ".join(f"'{word.value}'" for word in words)
    return CheckConstraint(f"{column} IS NULL OR {column} IN ({listed})", name=f"{column}_known")


def _partial(name: str, *columns: Any, where: str, unique: bool = False) -> Index:
    """One partial index a state: SQLite does not use one whose condition is `IN (...)`."""
    return Index(name, *columns, unique=unique, sqlite_where=text(where), postgresql_where=text(where))


class Account(SQLModel, table=True):
    """One HeyGen account; every HeyGen id belongs to one. The row's lock is the governor's."""

    __tablename__ = "accounts"
    __table_args__ = (Index("accounts_identity", "base_url", "username", unique=True),)

    id: str = Field(primary_key=True)
    name: str = Field(unique=True)
    kind: str  # heygen | simulator
    base_url: str
    username: str
    key_encrypted: bytes | None = None  # None: the key of the environment
    key_digest: str | None = None  # tells a changed key without storing it
    concurrency: int
    limit_now: int  # adapts down on 429 and back up, never above concurrency
    successes: int = 0  # accepted creates since the last change of limit_now
    gate_until: datetime | None = None  # HeyGen's Retry-After; a restart obeys it too
    paused_reason: str | None = None
    paused_at: datetime | None = None
    probe_at: datetime | None = None
    refused_code: str | None = None  # the last 402 or 403 code, and how many jobs met it in a row
    refused_count: int = 0
    accepted_at: datetime | None = None  # the last create that HeyGen accepted
    created_at: datetime


class Tenant(SQLModel, table=True):
    """Who is billed."""

    __tablename__ = "tenants"

    id: str = Field(primary_key=True)
    name: str = Field(unique=True)
    account_id: str = Field(foreign_key="accounts.id")
    account_wide: bool = False  # sees the whole HeyGen account
    weight: int = 1
    slot_cap: int | None = None
    created_at: datetime
    disabled_at: datetime | None = None


class ApiKey(SQLModel, table=True):
    """A caller's key; the secret part is only kept as a hash."""

    __tablename__ = "api_keys"

    id: str = Field(primary_key=True)  # the public part
    tenant_id: str = Field(foreign_key="tenants.id", index=True)
    name: str
    secret_sha256: str
    created_at: datetime
    last_used_at: datetime | None = None
    revoked_at: datetime | None = None


class WebhookSecret(SQLModel, table=True):
    """Signs webhooks; several may be live during a rotation."""

    __tablename__ = "webhook_secrets"

    id: str = Field(primary_key=True)
    tenant_id: str = Field(foreign_key="tenants.id", index=True)
    secret_encrypted: bytes
    created_at: datetime
    expires_at: datetime | None = None


class Asset(SQLModel, table=True):
    """A caller's file; the same bytes of the same tenant are kept once."""

    __tablename__ = "assets"
    __table_args__ = (
        _partial("assets_same_bytes", "tenant_id", "sha256", where="deleted_at IS NULL", unique=True),
        Index("assets_of_tenant", "tenant_id", "id"),
    )

    id: str = Field(primary_key=True)
    tenant_id: str = Field(foreign_key="tenants.id")
    sha256: str
    mime: str
    size: int
    filename: str
    storage_key: str
    created_at: datetime
    deleted_at: datetime | None = None


class AssetUpload(SQLModel, table=True):
    """A file's id at one HeyGen account."""

    __tablename__ = "asset_uploads"

    asset_id: str = Field(primary_key=True, foreign_key="assets.id")
    account_id: str = Field(primary_key=True, foreign_key="accounts.id")
    heygen_asset_id: str
    uploaded_at: datetime


class Group(SQLModel, table=True):
    """A character; it has looks."""

    __tablename__ = "groups"
    __table_args__ = (
        Index("groups_heygen", "account_id", "heygen_group_id", unique=True),
        Index("groups_of_tenant", "tenant_id", "id"),
    )

    id: str = Field(primary_key=True)
    tenant_id: str = Field(foreign_key="tenants.id")
    account_id: str = Field(foreign_key="accounts.id")
    name: str
    heygen_group_id: str | None = None
    created_at: datetime
    deleted_at: datetime | None = None


class Look(SQLModel, table=True):
    """One appearance of an avatar; its id is its job's, and the `avatar_id` of a video."""

    __tablename__ = "looks"
    __table_args__ = (
        Index("looks_heygen", "account_id", "heygen_look_id", unique=True),
        Index("looks_reuse", "tenant_id", "reuse_hash", unique=True),
        _partial("looks_living", "tenant_id", "id", where="deleted_at IS NULL"),
    )

    id: str = Field(primary_key=True)
    tenant_id: str = Field(foreign_key="tenants.id")
    account_id: str = Field(foreign_key="accounts.id")
    group_id: str = Field(foreign_key="groups.id", index=True)
    name: str
    avatar_type: str
    heygen_look_id: str | None = None
    facts: dict[str, Any] | None = Field(default=None, sa_column=_json())  # HeyGen's look as last read
    reuse_hash: str | None = None  # None when failed, deleted, or reuse was turned off
    created_at: datetime
    deleted_at: datetime | None = None


class Job(SQLModel, table=True):
    """One paid piece of work at HeyGen, a video or a look. The row is the queue."""

    __tablename__ = "jobs"
    __table_args__ = (
        _words("status", JobStatus),
        Index("jobs_heygen", "account_id", "kind", "heygen_id", unique=True),
        _partial(
            "jobs_queue",
            "account_id",
            "tenant_id",
            "rank",
            "id",
            where="status = 'queued' AND waits_for_id IS NULL",
        ),
        _partial("jobs_slots", "slot_account_id", "tenant_id", where="slot_account_id IS NOT NULL"),
        _partial("jobs_submitting", "lease_until", where="status = 'submitting'"),
        _partial("jobs_unsure", "due_at", where="status = 'unsure'"),
        _partial("jobs_processing", "due_at", where="status = 'processing'"),
        _partial("jobs_owed", "due_at", where="finished_at IS NOT NULL AND due_at IS NOT NULL"),
        _partial("jobs_waiting", "waits_for_id", where="waits_for_id IS NOT NULL"),
        _partial("jobs_deadline", "deadline_at", where="finished_at IS NULL AND rendered_at IS NULL"),
        _partial("jobs_of_tenant", "tenant_id", "kind", "id", where="deleted_at IS NULL"),
    )

    # what was asked
    id: str = Field(primary_key=True)
    tenant_id: str = Field(foreign_key="tenants.id")
    account_id: str = Field(foreign_key="accounts.id")
    kind: str  # video | look
    type: str
    request_encrypted: bytes | None = None  # JSON: HeyGen's body with our ids, and the callback token
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
    result: dict[str, Any] | None = Field(default=None, sa_column=_json())
    late_result: dict[str, Any] | None = Field(default=None, sa_column=_json())
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
        _words("outcome", Outcome),
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


class Event(SQLModel, table=True):
    """A recorded fact of a job; those with a type are public and have the body that is delivered."""

    __tablename__ = "events"
    __table_args__ = (
        Index("events_of_job", "job_id", "number", unique=True),
        _partial("events_public", "tenant_id", "id", where="type IS NOT NULL"),
    )

    id: str = Field(primary_key=True)
    tenant_id: str
    job_id: str = Field(foreign_key="jobs.id")
    number: int
    fact: str
    from_status: str | None = None
    to_status: str | None = None
    source: str  # caller | worker | callback | poll | operator
    detail: dict[str, Any] | None = Field(default=None, sa_column=_json())
    at: datetime
    type: str | None = None
    body: bytes | None = None  # signed bytes: sent unchanged on every attempt


class Delivery(SQLModel, table=True):
    """One event owed to one endpoint."""

    __tablename__ = "deliveries"
    __table_args__ = (
        _words("status", DeliveryStatus),
        Index("deliveries_once", "event_id", "target", unique=True),
        _partial("deliveries_due", "due_at", where="status = 'owed'"),
        Index("deliveries_of_tenant", "tenant_id", "id"),
    )

    id: str = Field(primary_key=True)
    tenant_id: str
    event_id: str = Field(foreign_key="events.id")
    target: str  # "callback": the job's own callback_url
    url: str
    status: DeliveryStatus = Field(sa_column=Column("status", Text, nullable=False))
    attempts: int = 0
    due_at: datetime | None = None
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


class File(SQLModel, table=True):
    """Our copy of one variant of a finished video: owed while `due_at` is set."""

    __tablename__ = "files"
    __table_args__ = (_partial("files_due", "due_at", where="due_at IS NOT NULL"),)

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


class IdempotencyKey(SQLModel, table=True):
    """A caller's key and the first answer's bytes; only a 2xx binds one."""

    __tablename__ = "idempotency_keys"

    tenant_id: str = Field(primary_key=True, foreign_key="tenants.id")
    operation: str = Field(primary_key=True)  # method and path
    key: str = Field(primary_key=True)
    body_sha256: str
    resource_id: str
    answer_encrypted: bytes
    created_at: datetime = Field(index=True)


def is_status(status: JobStatus | DeliveryStatus) -> ColumnElement[bool]:
    """The rows of one status, in the words of its partial index: no bound parameter proves that one fits."""
    column = col(Job.status) if isinstance(status, JobStatus) else col(Delivery.status)
    return column == literal_column(f"'{status.value}'")
