"""What videos are made of: files, avatars and their looks."""

from datetime import datetime
from typing import Any

from sqlalchemy import Index
from sqlmodel import Field, SQLModel

from app.models.columns import json_column, partial


class Asset(SQLModel, table=True):
    """A caller's file; the same bytes of the same tenant are kept once, but where an id was promised before they came."""

    __tablename__ = "assets"
    __table_args__ = (
        partial(
            "assets_same_bytes",
            "tenant_id",
            "sha256",
            where="deleted_at IS NULL AND promised_at IS NULL",
            unique=True,
        ),
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
    promised_at: datetime | None = None  # when a direct upload was given this id
    deleted_at: datetime | None = None


class AssetUpload(SQLModel, table=True):
    """The id by which jobs name a file at one HeyGen account."""

    __tablename__ = "asset_uploads"
    __table_args__ = (Index("asset_uploads_heygen", "account_id", "heygen_asset_id"),)

    asset_id: str = Field(primary_key=True, foreign_key="assets.id")
    account_id: str = Field(primary_key=True, foreign_key="accounts.id")
    heygen_asset_id: str
    uploaded_at: datetime


class AssetCopy(SQLModel, table=True):
    """One copy of a file at a HeyGen account, used or not: none of them is HeyGen's own."""

    __tablename__ = "asset_copies"

    account_id: str = Field(primary_key=True, foreign_key="accounts.id")
    heygen_asset_id: str = Field(primary_key=True)
    asset_id: str = Field(foreign_key="assets.id")
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
    consent_status: str | None = None  # HeyGen's word; None: not needed, or not asked for yet
    created_at: datetime
    deleted_at: datetime | None = None


class Look(SQLModel, table=True):
    """One appearance of an avatar; its id is its job's, and the `avatar_id` of a video."""

    __tablename__ = "looks"
    __table_args__ = (
        Index("looks_heygen", "account_id", "heygen_look_id", unique=True),
        Index("looks_reuse", "tenant_id", "reuse_hash", unique=True),
        partial("looks_living", "tenant_id", "id", where="deleted_at IS NULL"),
    )

    id: str = Field(primary_key=True)
    tenant_id: str = Field(foreign_key="tenants.id")
    account_id: str = Field(foreign_key="accounts.id")
    group_id: str = Field(foreign_key="groups.id", index=True)
    name: str
    avatar_type: str
    heygen_look_id: str | None = None
    consent_owed: bool = Field(default=False, sa_column_kwargs={"server_default": "0"})  # HeyGen waits for it
    facts: dict[str, Any] | None = Field(default=None, sa_column=json_column())  # HeyGen's look as last read
    reuse_hash: str | None = None  # None when failed, deleted, or reuse was turned off
    created_at: datetime
    deleted_at: datetime | None = None
