"""The HeyGen accounts that are paid from, the tenants that are billed, and what they are known by."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import Column, Index, Text
from sqlmodel import Field, SQLModel

from app.models.columns import known_words


class GrantKind(StrEnum):
    """What a tenant may be granted of a HeyGen account's private things."""

    LOOK = "look"
    GROUP = "group"
    VOICE = "voice"


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
    lowered_at: datetime | None = None  # what was sent before this instant lowers limit_now no more
    gate_until: datetime | None = None  # HeyGen's Retry-After; a restart obeys it too
    paused_reason: str | None = None
    paused_at: datetime | None = None
    probe_at: datetime | None = None
    # A probe ended the pause without seeing a balance: one create at a time, until one is accepted.
    on_trial: bool = Field(default=False, sa_column_kwargs={"server_default": "0"})
    refused_code: str | None = None  # the last 402 or 403 code, and how many jobs met it in a row
    refused_count: int = 0
    accepted_at: datetime | None = None  # the last create that HeyGen accepted
    # How far the turns of its tenants have come.
    turn: float = Field(default=0, sa_column_kwargs={"server_default": "0"})
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
    # After its last start; each start costs 1 ÷ weight.
    turn: float = Field(default=0, sa_column_kwargs={"server_default": "0"})
    created_at: datetime
    disabled_at: datetime | None = None


class Grant(SQLModel, table=True):
    """A private thing of the HeyGen account that this tenant may see and use; `owned` where the tenant made it itself."""

    __tablename__ = "grants"
    __table_args__ = (
        known_words("kind", GrantKind),
        Index("grants_of_thing", "account_id", "kind", "heygen_id"),
    )

    tenant_id: str = Field(primary_key=True, foreign_key="tenants.id")
    account_id: str = Field(primary_key=True, foreign_key="accounts.id")
    kind: GrantKind = Field(sa_column=Column("kind", Text, primary_key=True))
    heygen_id: str = Field(primary_key=True)
    owned: bool = Field(default=False, sa_column_kwargs={"server_default": "0"})
    created_at: datetime


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
    # None: the tenant's own, for what goes to a callback_url.
    endpoint_id: str | None = Field(default=None, foreign_key="endpoints.id")
    secret_encrypted: bytes
    created_at: datetime
    expires_at: datetime | None = None


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


class CallUnderWay(SQLModel, table=True):
    """A paid call to HeyGen that a request with this `Idempotency-Key` waits for, or whose outcome nobody knows."""

    __tablename__ = "calls_under_way"

    tenant_id: str = Field(primary_key=True, foreign_key="tenants.id")
    operation: str = Field(primary_key=True)  # method and path
    key: str = Field(primary_key=True)
    until: datetime  # nobody waits for it any more
