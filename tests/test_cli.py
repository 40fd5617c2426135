"""The commands, as an operator types them: what they print, what they refuse, and how the service starts and stops."""

import asyncio
import json
import re
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, closing
from pathlib import Path

import httpx
import pytest
from standardwebhooks import Webhook

from tests.api.callers import VIDEO
from tests.processes import (
    Program,
    eventually,
    new_database,
    printed_key,
    run,
    run_python,
    serve,
    settings,
    simulate,
)
from tests.said import refusal, said_by
from tests.services import receiving

pytestmark = pytest.mark.timeout(300)

ALONE = re.compile(r"gr_[0-9a-f]{16}_[A-Za-z0-9_-]{43,}")
SECRET = "used in tests alone and nowhere else"


def reads_as(url: str, key: str, status: int) -> Callable[[], Awaitable[bool]]:
    """Whether a key is answered like this now."""

    async def read() -> bool:
        async with httpx.AsyncClient(headers={"x-api-key": key}) as client:
            return (await client.get(f"{url}/v3/users/me")).status_code == status

    return read


async def test_every_command_explains_itself(tmp_path: Path) -> None:
    # In one process: importing everything takes longer than all of the commands together.
    program = (
        "from typer.testing import CliRunner\n"
        "from app.cli import app\n"
        "for words in ('', 'serve', 'worker', 'migrate', 'demo', 'simulate', 'tenants', 'tenants create',"
        " 'tenants list', 'tenants set', 'tenants rotate-secret',"
        " 'tenants disable', 'tenants enable', 'keys', 'keys create', 'keys list', 'keys revoke', 'accounts',"
        " 'accounts list', 'accounts add',"
        " 'accounts pause', 'accounts resume', 'renders', 'renders unknown', 'doctor',"
        " 'grants', 'grants add', 'grants list', 'grants remove'):\n"
        "    result = CliRunner().invoke(app, [*words.split(), '--help'])\n"
        "    print(words, result.exit_code, len(result.output.splitlines()) > 5, sep='|')\n"
    )
    async with run_python(tmp_path, "-c", program) as told:
        assert await told.ended() == 0, told.log
    lines = told.output.decode().splitlines()
    assert len(lines) == 29
    assert {line.partition("|")[2] for line in lines} == {"0|True"}


async def test_keys_are_made_listed_and_ended_beside_a_running_service(tmp_path: Path) -> None:
    here = settings(tmp_path)
    async with serve(tmp_path, **here) as greenroom:
        first = await printed_key(greenroom)
        assert await reads_as(greenroom.url, first, 200)()

        simulator = (await greenroom.said(r"A simulator renders, for free: (http://\S+/simulator)"))[1]
        async with httpx.AsyncClient() as anybody:
            assert (await anybody.get(f"{simulator}/scenarios")).status_code == 200

        examined, _ = await said_by(tmp_path, "doctor", "--json", **here)
        assert {check["state"] for check in json.loads(examined)["checks"]} == {"ok"}
        wrong = here | {"DEADLINE": "0", "LOG_LEVEL": "LOUD"}
        async with run(tmp_path, "doctor", **wrong) as doctor:
            assert await doctor.ended() == 1, doctor.log
        assert [line.split()[:2] for line in doctor.output.decode().splitlines()] == [
            ["fail", "settings"]
        ] * 2

        printed, told = await said_by(tmp_path, "keys", "create", "shop", **here)
        key = printed.removesuffix("\n")
        assert ALONE.fullmatch(key), "nothing else stands on standard output"
        assert key not in told
        assert "Made a new database" not in told
        assert "whsec_" in told, "the tenant that was made with it has a webhook secret"
        await eventually(reads_as(greenroom.url, key, 200), greenroom, within=5)

        other, _ = await said_by(tmp_path, "keys", "create", "second", "--tenant", "shop", **here)
        key_id = key.split("_")[1]
        (listed, _), (tenants, _), refused = await asyncio.gather(
            said_by(tmp_path, "keys", "list", "--tenant", "shop", **here),
            said_by(tmp_path, "tenants", "list", **here),
            refusal(1, tmp_path, "keys", "create", "third", "--tenant", "nobody", **here),
        )
        assert key_id in listed
        assert other.split("_")[1] in listed
        assert key not in listed
        assert "development" in tenants
        assert "shop" in tenants
        assert "there is no tenant 'nobody'" in refused

        await said_by(tmp_path, "keys", "revoke", key_id, **here)
        await eventually(reads_as(greenroom.url, key, 401), greenroom, within=5)
        assert await reads_as(greenroom.url, first, 200)()
        told = await refusal(1, tmp_path, "keys", "revoke", key, **here)
        assert "There is no such key in use" in told
        assert key not in told, "nor any other secret that was given by mistake"
        _, told = await said_by(tmp_path, "keys", "revoke", other.strip(), **here)
        assert f"The key {other.split('_')[1]} is revoked." in told
        assert other.strip() not in told


async def test_a_tenant_is_disabled_and_enabled_and_its_secret_rotated_beside_a_running_service(
    tmp_path: Path,
) -> None:
    here = settings(tmp_path)
    async with serve(tmp_path, **here) as greenroom, receiving() as receiver:
        key = await printed_key(greenroom)
        first = (await greenroom.said(r"whsec_\S+"))[0]
        await said_by(tmp_path, "accounts", "pause", "simulator", **here)
        promised = await create(greenroom, key, callback_url=receiver.url)

        await said_by(tmp_path, "tenants", "disable", "development", **here)
        listed, _ = await said_by(tmp_path, "tenants", "list", **here)
        assert re.search(r"development.* \S+Z +\S+Z *$", listed, re.MULTILINE)
        await eventually(reads_as(greenroom.url, key, 401), greenroom, within=30)
        printed, told = await said_by(tmp_path, "tenants", "rotate-secret", "development", **here)
        second = printed.removesuffix("\n")
        assert re.fullmatch(r"whsec_\S+", second), "nothing else stands on standard output"
        assert second not in told
        assert "the old one signs beside it for 24 hours" in told
        await said_by(tmp_path, "accounts", "resume", "simulator", **here)

        async def heard() -> bool:
            return bool(receiver.requests)

        await eventually(heard, greenroom)
        [(headers, body)] = receiver.requests
        for secret in (first, second):
            Webhook(secret).verify(body, headers)
        assert json.loads(body)["event_data"]["video_id"] == promised, "what was promised goes on"

        await said_by(tmp_path, "tenants", "enable", "development", **here)
        await eventually(reads_as(greenroom.url, key, 200), greenroom, within=30)
        for command in ("disable", "enable", "rotate-secret"):
            told = await refusal(1, tmp_path, "tenants", command, "nobody", **here)
            assert "there is no tenant 'nobody'" in told


async def test_an_account_that_is_paused_sends_nothing_until_it_is_resumed(tmp_path: Path) -> None:
    here = settings(tmp_path)
    async with serve(tmp_path, **here) as greenroom:
        key = await printed_key(greenroom)
        listed, _ = await said_by(tmp_path, "accounts", "list", **here)
        name = listed.splitlines()[1].split()[0]
        await said_by(tmp_path, "accounts", "pause", name, **here)
        held = await create(greenroom, key)
        listed, _ = await said_by(tmp_path, "accounts", "list", **here)
        assert "operator" in listed
        assert await status(greenroom, key, held) == "pending"
        await said_by(tmp_path, "accounts", "resume", name, **here)

        async def made() -> bool:
            return await status(greenroom, key, held) == "completed"

        await eventually(made, greenroom)
        told = await refusal(1, tmp_path, "accounts", "pause", "nobody", **here)
        assert "there is no account 'nobody'" in told
        with closing(sqlite3.connect(here["DATABASE_URL"].removeprefix("sqlite:///"))) as tables, tables:
            tables.execute("UPDATE accounts SET on_trial = 1, gate_until = '2100-01-01 00:00:00.000000'")
        listed, _ = await said_by(tmp_path, "accounts", "list", **here)
        assert "on trial" in listed
        _, told = await said_by(tmp_path, "accounts", "resume", name, **here)
        assert f"{name} sends again from 2100-01-01" in told, "what HeyGen asks for is no operator's to end"


async def test_accounts_are_added_with_their_keys_and_tenants_pinned_to_them(tmp_path: Path) -> None:
    here = settings(tmp_path)
    async with serve(tmp_path, **here) as greenroom, simulate(tmp_path) as heygen:
        development = await printed_key(greenroom)
        add = ("accounts", "add", "studio", "--base-url", heygen.url)
        _, told = await said_by(tmp_path, *add, "--concurrency", "3", **here, HEYGEN_API_KEY="first-canary")
        assert "Added studio" in told
        assert "3 jobs at once" in told
        typed = "import io, sys; sys.stdin = io.StringIO('second-canary\\n'); from app.cli import app; app(sys.argv[1:])"
        async with run_python(
            tmp_path, "-c", typed, *add, **here, HEYGEN_API_KEY="the-services-own"
        ) as again:
            assert await again.ended() == 0, again.log
        assert "The key of studio is replaced" in again.log
        refused = await refusal(1, tmp_path, *add, **here, HEYGEN_API_KEY="gr_0123456789abcdef_x")
        assert "this is a Greenroom key" in refused

        await said_by(tmp_path, "tenants", "create", "films", "--account", "studio", **here)
        _, told = await said_by(
            tmp_path, "tenants", "set", "films", "--weight", "5", "--slot-cap", "2", **here
        )
        assert "films: weight 5, at most 2 slots." in told
        (listed, _), (tenants, _), (key, _) = await asyncio.gather(
            said_by(tmp_path, "accounts", "list", **here),
            said_by(tmp_path, "tenants", "list", **here),
            said_by(tmp_path, "keys", "create", "shop", "--tenant", "films", **here),
        )
        assert re.search(r"studio\W+simulator\W+stored\W+0\W+3\b", listed)
        assert re.search(r"films\W+studio\W+5\W+2\b", tenants)

        granted = ("films", "voice", "5e1a0000000000000000000000000001")
        await said_by(tmp_path, "grants", "add", *granted, **here)
        held, _ = await said_by(tmp_path, "grants", "list", "films", **here)
        assert re.search(r"films\W+voice\W+5e1a0000000000000000000000000001", held)
        await said_by(tmp_path, "grants", "remove", *granted, **here)
        assert "voice" not in (await said_by(tmp_path, "grants", "list", "films", **here))[0]
        await refusal(1, tmp_path, "grants", "remove", *granted, **here)
        assert "canary" not in listed + tenants + again.log

        async def billed() -> bool:
            async with httpx.AsyncClient() as client:
                return bool((await client.get(f"{heygen.url}/simulator/ledger")).json()["data"])

        await create(greenroom, development)
        await create(greenroom, key.strip())
        await eventually(billed, greenroom, heygen, within=60)

        lost = VIDEO | {"title": f"[/b]Ordered\x1b[31m after {'a' * 60} [gr:{'0' * 32}]"}
        async with httpx.AsyncClient(headers={"x-api-key": "any"}) as client:
            assert (await client.post(f"{heygen.url}/v3/videos", json=lost)).status_code == 200
        listed, told = await said_by(tmp_path, "renders", "unknown", **here, COLUMNS="80")
        assert re.search(r"studio +video +\w+ +\[/b\]Ordered\\x1b\[31m after a{60} +unknown here", listed)
        assert "Renders that no job holds: 1." in told


async def test_one_service_holds_a_sqlite_file_and_stops_well_when_told(tmp_path: Path) -> None:
    here = settings(tmp_path)
    async with serve(tmp_path, **here) as first:
        told = await refusal(1, tmp_path, "serve", "--port", "0", **here)
        assert "greenroom.db is served by another process already; use PostgreSQL to run several" in told
        assert "Traceback" not in told
        assert "serves at" not in told
        reader, writer = await asyncio.open_connection("127.0.0.1", int(first.url.rpartition(":")[2]))
        writer.write(b"noise\r\n\r\n")
        assert b'{"error":{"code":"invalid_parameter"' in await asyncio.wait_for(reader.read(), 10)
        writer.close()
        assert await first.stop(within=10) == 0, first.log
        assert "Traceback" not in first.log


async def test_wrong_settings_stop_the_start_and_are_named_with_their_rule(tmp_path: Path) -> None:
    wrong = {
        "HEYGEN_API_KEY": "gr_0123456789abcdef_somebody",
        "HEYGEN_CONCURRENCY": "0",
        "PUBLIC_URL": "render.example.com",
        "SECRET_KEYS": "short",
        "DATABASE_URL": "mysql://host/name",
    }
    unfit = {"HEYGEN_BASE_URL": "http://127.0.0.1:9"}
    first, second = await asyncio.gather(
        refusal(2, tmp_path, "serve", "--port", "0", **wrong),
        refusal(2, tmp_path, "serve", "--port", "0", **unfit),
    )
    assert "HEYGEN_API_KEY: is a Greenroom key; put the key of your HeyGen account here" in first
    assert "HEYGEN_CONCURRENCY: " in first
    assert "PUBLIC_URL: must be an http or https address" in first
    assert "SECRET_KEYS: each key must have 32 characters or more" in first
    assert "DATABASE_URL: must start with sqlite:/// or postgresql://" in first
    assert "HEYGEN_API_KEY is required with HEYGEN_BASE_URL" in second
    for told in (first, second):
        assert "Traceback" not in told
        assert "somebody" not in told, "no value is repeated: it may be a secret"


@pytest.fixture
async def own_postgresql(postgresql: str) -> AsyncIterator[str]:
    async with new_database(postgresql) as url:
        yield url


async def test_on_postgresql_a_service_waits_for_its_operator_to_migrate(
    tmp_path: Path, own_postgresql: str
) -> None:
    here = settings(
        tmp_path,
        DATABASE_URL=own_postgresql,
        SECRET_KEYS=SECRET,
        HEYGEN_API_KEY="any",
        HEYGEN_BASE_URL="http://127.0.0.1:9",
    )
    for words in (("serve", "--port", "0"), ("tenants", "list")):
        told = await refusal(1, tmp_path, *words, **here)
        assert "the database schema is behind this version; run: greenroom migrate" in told
        assert "Traceback" not in told
    for _ in range(2):
        _, told = await said_by(tmp_path, "migrate", **here)
        assert "The schema is up to date." in told
    assert "development" not in (await said_by(tmp_path, "tenants", "list", **here))[0]


async def test_a_key_never_renders_the_simulators_old_queue_for_money(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        simulated = await stack.enter_async_context(serve(tmp_path, "--no-worker", **settings(tmp_path)))
        key = await printed_key(simulated)
        old = await create(simulated, key)
        assert await simulated.stop() == 0
        heygen = await stack.enter_async_context(simulate(tmp_path, "--render-seconds", "0.3"))
        paid = settings(tmp_path, HEYGEN_API_KEY="any", HEYGEN_BASE_URL=heygen.url)
        greenroom = await stack.enter_async_context(serve(tmp_path, **paid))
        held = await greenroom.said(r'.*"held".*')
        assert '"jobs": 1' in held[0]
        new = await create(greenroom, key)

        async def made() -> bool:
            return await status(greenroom, key, new) == "completed"

        await eventually(made, greenroom, heygen)
        assert await status(greenroom, key, old) == "pending"
        async with httpx.AsyncClient() as client:
            ledger = (await client.get(f"{heygen.url}/simulator/ledger")).json()["data"]
        assert [row["idempotency_key"] for row in ledger] == [f"{new}-1"]


async def create(program: Program, key: str, **changes: str) -> str:
    async with httpx.AsyncClient(headers={"x-api-key": key}, timeout=60) as client:
        answer = await client.post(f"{program.url}/v3/videos", json=VIDEO | changes)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["data"]["video_id"])


async def status(program: Program, key: str, video_id: str) -> str:
    async with httpx.AsyncClient(headers={"x-api-key": key}, timeout=60) as client:
        answer = await client.get(f"{program.url}/v3/videos/{video_id}")
    assert answer.status_code == 200, answer.text
    return str(answer.json()["data"]["status"])
