"""Tenants and keys, on both databases."""

from datetime import timedelta

import pytest
from sqlalchemy import select, update
from sqlmodel import col

from app.database import Database
from app.models import Account, ApiKey, Tenant, WebhookSecret
from app.secrets import Secrets, new_api_key
from app.tenancy import (
    USED_EVERY,
    Caller,
    NameTaken,
    UnknownTenant,
    authenticate,
    create_key,
    create_tenant,
    find_tenant,
    list_keys,
    list_tenants,
    revoke_key,
)
from tests.clocks import ManualClock


@pytest.fixture
async def acme(database: Database, account: Account, secrets: Secrets, clock: ManualClock) -> Tenant:
    async with database.begin() as session:
        tenant, _ = await create_tenant(
            session, "acme", account.id, account_wide=True, secrets=secrets, now=clock.now()
        )
    return tenant


@pytest.fixture
async def acmes_key(database: Database, acme: Tenant, clock: ManualClock) -> str:
    async with database.begin() as session:
        return await create_key(session, acme.id, "laptop", clock.now())


async def who(database: Database, key: str, clock: ManualClock) -> Caller | None:
    async with database.begin() as session:
        return await authenticate(session, key, clock.now())


async def stored_key(database: Database, key: str) -> ApiKey:
    async with database.begin() as session:
        return await session.get_one(ApiKey, key.split("_")[1])


async def test_a_key_tells_its_tenant(
    database: Database, acme: Tenant, acmes_key: str, clock: ManualClock
) -> None:
    key_id = acmes_key.split("_")[1]
    assert await who(database, acmes_key, clock) == Caller(acme.id, "acme", acme.account_id, True, key_id)


async def test_of_a_key_only_what_recognises_it_is_stored(database: Database, acmes_key: str) -> None:
    row = await stored_key(database, acmes_key)
    assert acmes_key.split("_", 2)[2][:43] not in repr(row)
    assert row.last_used_at is None


async def test_an_unknown_key_a_wrong_secret_and_noise_are_nobody(
    database: Database, acmes_key: str, clock: ManualClock
) -> None:
    assert await who(database, new_api_key().key, clock) is None
    assert await who(database, acmes_key[:-1] + ("x" if acmes_key[-1] != "x" else "y"), clock) is None
    assert await who(database, "", clock) is None
    async with database.begin() as session:
        await session.execute(update(ApiKey).values(secret_sha256=new_api_key().secret_sha256))
    assert await who(database, acmes_key, clock) is None


async def test_a_revoked_key_is_nobody_and_is_revoked_once(
    database: Database, acme: Tenant, acmes_key: str, clock: ManualClock
) -> None:
    async with database.begin() as session:
        other = await create_key(session, acme.id, "server", clock.now())
        assert await revoke_key(session, acmes_key.split("_")[1], clock.now())
        assert not await revoke_key(session, acmes_key.split("_")[1], clock.now())
        assert not await revoke_key(session, "0" * 16, clock.now())
    assert await who(database, acmes_key, clock) is None
    assert await who(database, other, clock) is not None
    async with database.begin() as session:
        revoked = {key.name: key.revoked_at for key in await list_keys(session, acme.id)}
    assert revoked == {"laptop": clock.now(), "server": None}


async def test_the_keys_of_a_disabled_tenant_are_nobodys(
    database: Database, acmes_key: str, clock: ManualClock
) -> None:
    async with database.begin() as session:
        await session.execute(update(Tenant).values(disabled_at=clock.now()))
    assert await who(database, acmes_key, clock) is None


async def test_the_last_use_of_a_key_is_known_to_five_minutes(
    database: Database, acmes_key: str, clock: ManualClock
) -> None:
    first = clock.now()
    await who(database, acmes_key, clock)
    clock.advance(USED_EVERY - timedelta(seconds=1))
    await who(database, acmes_key, clock)
    assert (await stored_key(database, acmes_key)).last_used_at == first
    clock.advance(timedelta(seconds=1))
    await who(database, acmes_key, clock)
    assert (await stored_key(database, acmes_key)).last_used_at == clock.now()


async def test_a_new_tenant_has_a_webhook_secret_that_is_stored_encrypted(
    database: Database, account: Account, secrets: Secrets, clock: ManualClock
) -> None:
    async with database.begin() as session:
        tenant, secret = await create_tenant(
            session, "acme", account.id, account_wide=False, secrets=secrets, now=clock.now()
        )
        row = (await session.scalars(select(WebhookSecret))).one()
    assert secret.startswith("whsec_")
    assert (row.tenant_id, secret.encode() in row.secret_encrypted) == (tenant.id, False)
    assert secrets.decrypt(row.secret_encrypted).decode() == secret


async def test_names_of_tenants_are_taken_once_and_accounts_must_exist(
    database: Database, acme: Tenant, secrets: Secrets, clock: ManualClock
) -> None:
    async with database.begin() as session:
        with pytest.raises(NameTaken, match="acme"):
            await create_tenant(
                session, "acme", acme.account_id, account_wide=False, secrets=secrets, now=clock.now()
            )
        with pytest.raises(LookupError, match="no account"):
            await create_tenant(
                session, "other", "nowhere", account_wide=False, secrets=secrets, now=clock.now()
            )
        with pytest.raises(UnknownTenant):
            await create_key(session, "nobody", "laptop", clock.now())
        assert [tenant.name for tenant in await list_tenants(session)] == ["acme"]
        assert (await session.scalars(select(col(ApiKey.id)))).all() == []


async def test_a_tenant_is_found_by_name_and_by_id(database: Database, acme: Tenant) -> None:
    async with database.begin() as session:
        for named in ("acme", acme.id):
            found = await find_tenant(session, named)
            assert found is not None
            assert found.id == acme.id
        assert await find_tenant(session, "nobody") is None
