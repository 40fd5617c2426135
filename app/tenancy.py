"""Who calls: tenants and their API keys. A key is shown once; what is stored of it only recognises it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col
from uuid_utils.compat import uuid7

from app.models import Account, ApiKey, Tenant, WebhookSecret
from app.secrets import Secrets, digest, new_api_key, new_webhook_secret, parse_api_key, same

USED_EVERY = timedelta(minutes=5)
"""How exactly the last use of a key is known: a write for each request would cost more than it tells."""

OVERLAP = timedelta(hours=24)
"""How long a secret that was rotated away goes on to sign, beside the new one."""

_NOBODY = digest("")


class UnknownTenant(LookupError):
    """There is no tenant of that name or id."""


class NameTaken(ValueError):
    """Another tenant has this name already."""


@dataclass(frozen=True)
class Caller:
    """The tenant behind a request. An account-wide one sees everything its HeyGen account holds."""

    tenant_id: str
    tenant_name: str
    account_id: str
    account_wide: bool
    key_id: str


async def authenticate(session: AsyncSession, key_text: str, now: datetime) -> Caller | None:
    """Whose key this is; None for one that is unknown, wrong or revoked, and for a disabled tenant."""
    parts = parse_api_key(key_text)
    if parts is None:
        return None
    public_id, secret_sha256 = parts
    row = (
        await session.execute(
            select(ApiKey, Tenant)
            .join(Tenant, col(Tenant.id) == col(ApiKey.tenant_id))
            .where(col(ApiKey.id) == public_id)
        )
    ).first()
    # The comparison runs for an unknown id too, so that the time taken does not tell the two apart.
    genuine = same(row[0].secret_sha256 if row else _NOBODY, secret_sha256)
    if row is None or not genuine:
        return None
    key, tenant = row
    if key.revoked_at is not None or tenant.disabled_at is not None:
        return None
    if key.last_used_at is None or now - key.last_used_at >= USED_EVERY:
        await session.execute(update(ApiKey).where(col(ApiKey.id) == key.id).values(last_used_at=now))
    return Caller(tenant.id, tenant.name, tenant.account_id, tenant.account_wide, key.id)


async def create_tenant(
    session: AsyncSession,
    name: str,
    account_id: str,
    *,
    account_wide: bool,
    secrets: Secrets,
    now: datetime,
) -> tuple[Tenant, str]:
    """A new tenant and the secret that signs its webhooks; raises NameTaken and, for no account, LookupError."""
    if await find_tenant(session, name) is not None:
        raise NameTaken(f"there is a tenant named {name!r} already")
    if await session.get(Account, account_id) is None:
        raise LookupError(f"there is no account {account_id!r}")
    tenant = Tenant(
        id=uuid7().hex, name=name, account_id=account_id, account_wide=account_wide, created_at=now
    )
    session.add(tenant)
    await session.flush()
    return tenant, await create_secret(session, secrets, now, tenant.id)


async def create_secret(
    session: AsyncSession, secrets: Secrets, now: datetime, tenant_id: str, endpoint_id: str | None = None
) -> str:
    """A new secret that signs the webhooks of an endpoint, or the tenant's own, which go to a `callback_url`."""
    secret = new_webhook_secret()
    session.add(
        WebhookSecret(
            id=uuid7().hex,
            tenant_id=tenant_id,
            endpoint_id=endpoint_id,
            secret_encrypted=secrets.encrypt(secret.encode()),
            created_at=now,
        )
    )
    await session.flush()
    return secret


async def rotate_secret(
    session: AsyncSession, secrets: Secrets, now: datetime, tenant_id: str, endpoint_id: str | None = None
) -> str:
    """A new secret; those before it go on to sign for a day. The row of whose they are is locked: two take turns."""
    its = (
        col(WebhookSecret.tenant_id) == tenant_id,
        col(WebhookSecret.endpoint_id).is_not_distinct_from(endpoint_id),
    )
    await session.execute(delete(WebhookSecret).where(*its, col(WebhookSecret.expires_at) <= now))
    endless = update(WebhookSecret).where(*its, col(WebhookSecret.expires_at).is_(None))
    await session.execute(endless.values(expires_at=now + OVERLAP))
    return await create_secret(session, secrets, now, tenant_id, endpoint_id)


async def find_tenant(session: AsyncSession, name_or_id: str) -> Tenant | None:
    """The tenant of that name, or else of that id."""
    named = await session.scalar(select(Tenant).where(col(Tenant.name) == name_or_id))
    return named or await session.get(Tenant, name_or_id)


async def named(session: AsyncSession, name_or_id: str) -> Tenant:
    """The tenant of that name, or else of that id, its row locked; raises UnknownTenant."""
    found = await find_tenant(session, name_or_id)
    if found is None:
        raise UnknownTenant(f"there is no tenant {name_or_id!r}")
    await session.refresh(found, with_for_update={"key_share": True})
    return found


async def list_tenants(session: AsyncSession) -> Sequence[Tenant]:
    """Every tenant, oldest first."""
    return (await session.scalars(select(Tenant).order_by(col(Tenant.id)))).all()


async def create_key(session: AsyncSession, tenant_id: str, name: str, now: datetime) -> str:
    """A new key of the tenant, which only the caller of this ever sees; raises UnknownTenant."""
    if await session.get(Tenant, tenant_id) is None:
        raise UnknownTenant(f"there is no tenant {tenant_id!r}")
    made = new_api_key()
    session.add(
        ApiKey(
            id=made.public_id,
            tenant_id=tenant_id,
            name=name,
            secret_sha256=made.secret_sha256,
            created_at=now,
        )
    )
    await session.flush()
    return made.key


async def list_keys(session: AsyncSession, tenant_id: str) -> Sequence[ApiKey]:
    """The tenant's keys, oldest first, revoked ones too."""
    keys = select(ApiKey).where(col(ApiKey.tenant_id) == tenant_id)
    return (await session.scalars(keys.order_by(col(ApiKey.created_at), col(ApiKey.id)))).all()


async def revoke_key(session: AsyncSession, key_id: str, now: datetime) -> bool:
    """End a key by its public part; False where there is no such key in use. Effective within 5 seconds."""
    ended = await session.scalar(
        update(ApiKey)
        .where(col(ApiKey.id) == key_id, col(ApiKey.revoked_at).is_(None))
        .values(revoked_at=now)
        .returning(col(ApiKey.id))
    )
    return ended is not None
