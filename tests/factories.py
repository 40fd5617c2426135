"""Rows that tests start from; every value can be given."""

from datetime import datetime, timedelta
from typing import Any

from uuid_utils.compat import uuid7

from app import secrets
from app.database import Database
from app.lifecycle import By, enqueue
from app.models import Account, Endpoint, EndpointStatus, Group, Job, Look, Tenant, WebhookSecret
from app.stored_request import StoredRequest

LOOK = "100c0000000000000000000000000001"  # a public photo avatar of the simulator
VOICE = "5e1a0000000000000000000000000001"


async def make_account(database: Database, now: datetime, **values: Any) -> Account:
    """A HeyGen account with ten slots."""
    name = values.pop("name", f"account-{uuid7().hex}")
    defaults: dict[str, Any] = {
        "kind": "simulator",
        "base_url": name,
        "username": "simulator",
        "concurrency": 10,
    }
    row = Account(
        id=uuid7().hex,
        name=name,
        created_at=now,
        **defaults | values | {"limit_now": values.get("concurrency", 10)},
    )
    async with database.begin() as session:
        session.add(row)
    return row


async def make_tenant(database: Database, account: Account, now: datetime, **values: Any) -> Tenant:
    """A tenant pinned to an account."""
    values.setdefault("name", f"tenant-{uuid7().hex}")
    row = Tenant(id=uuid7().hex, account_id=account.id, created_at=now, **values)
    async with database.begin() as session:
        session.add(row)
    return row


async def make_endpoint(
    database: Database, ctx_secrets: secrets.Secrets, tenant: Tenant, now: datetime, **values: Any
) -> tuple[Endpoint, str]:
    """An enabled endpoint that is told of everything, and its secret."""
    defaults: dict[str, Any] = {
        "url": "http://127.0.0.1:9/hook",
        "status": EndpointStatus.ENABLED,
        "created_at": now,
    }
    row = Endpoint(id=uuid7().hex, tenant_id=tenant.id, **defaults | values)
    secret = secrets.new_webhook_secret()
    async with database.begin() as session:
        session.add(row)
        await session.flush()
        sealed = ctx_secrets.encrypt(secret.encode())
        session.add(
            WebhookSecret(
                id=uuid7().hex,
                tenant_id=tenant.id,
                endpoint_id=row.id,
                secret_encrypted=sealed,
                created_at=now,
            )
        )
    return row, secret


def new_job(ctx_secrets: secrets.Secrets, tenant: Tenant, now: datetime, **values: Any) -> Job:
    """A video job that is not stored yet; `body` is HeyGen's."""
    token = secrets.token()
    body = values.pop("body", {"type": "avatar", "avatar_id": LOOK, "voice_id": VOICE, "script": "Hello."})
    request = StoredRequest(body=body, callback_token=token, **values.pop("asked", {}))
    defaults: dict[str, Any] = {
        "id": uuid7().hex,
        "tenant_id": tenant.id,
        "account_id": tenant.account_id,
        "kind": "video",
        "type": "avatar",
        "deadline_at": now + timedelta(hours=24),
        "title_token": secrets.token(),
        "created_at": now,
    }
    return Job(
        request_encrypted=request.seal(ctx_secrets),
        callback_token_sha256=secrets.digest(token),
        **defaults | values,
    )


async def queue_job(
    database: Database, ctx_secrets: secrets.Secrets, tenant: Tenant, now: datetime, **values: Any
) -> Job:
    """A stored job in the queue."""
    job = new_job(ctx_secrets, tenant, now, **values)
    async with database.begin() as session:
        await enqueue(session, job, By("caller", now))
    return job


async def queue_look(
    database: Database, ctx_secrets: secrets.Secrets, tenant: Tenant, now: datetime, **values: Any
) -> Job:
    """A look with its group and its job in the queue."""
    group = Group(
        id=uuid7().hex, tenant_id=tenant.id, account_id=tenant.account_id, name="Sarah", created_at=now
    )
    job = new_job(ctx_secrets, tenant, now, kind="look", type="photo", **values)
    look = Look(
        id=job.id,
        tenant_id=tenant.id,
        account_id=tenant.account_id,
        group_id=group.id,
        name="Sarah",
        avatar_type="photo_avatar",
        created_at=now,
    )
    async with database.begin() as session:
        session.add(group)
        await session.flush()
        session.add(look)
        await enqueue(session, job, By("caller", now))
    return job
