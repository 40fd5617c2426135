"""What commands print of strangers' names, whole and as they are, and how they refuse what cannot be."""

import asyncio
import json
import socket
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.processes import settings
from tests.said import refusal, said_by

pytestmark = pytest.mark.timeout(300)

STRANGE = "[bold]a[/b] :smile: [red]ü"


async def test_names_with_markup_are_printed_as_they_are(tmp_path: Path) -> None:
    here = settings(tmp_path)
    secret, told = await said_by(tmp_path, "tenants", "create", STRANGE, **here)
    assert secret.startswith("whsec_")
    assert STRANGE in told
    granted = ("grants", "add", STRANGE, "look", "[/look]")
    _, told = await said_by(tmp_path, *granted, **here)
    assert f"{STRANGE} may use the look [/look]." in told
    with closing(sqlite3.connect(here["DATABASE_URL"].removeprefix("sqlite:///"))) as tables, tables:
        tables.execute("UPDATE accounts SET name = ?", [STRANGE])
    (
        (tenants, _),
        (accounts, _),
        (grants, _),
        (_, paused),
        (_, share),
        unknown,
        _,
    ) = await asyncio.gather(
        said_by(tmp_path, "tenants", "list", **here),
        said_by(tmp_path, "accounts", "list", **here),
        said_by(tmp_path, "grants", "list", STRANGE, **here),
        said_by(tmp_path, "accounts", "pause", STRANGE, **here),
        said_by(tmp_path, "tenants", "set", STRANGE, "--weight", "2", **here),
        refusal(1, tmp_path, "accounts", "pause", "[/]", **here),
        refusal(1, tmp_path, "keys", "revoke", "[/b]", **here),
    )
    for printed in (tenants, accounts, grants, paused, share):
        assert STRANGE in printed
    assert "there is no account '[/]'" in unknown


async def test_control_characters_are_written_out_and_every_row_is_one_line(tmp_path: Path) -> None:
    here = settings(tmp_path)
    await said_by(tmp_path, "tenants", "create", "old", **here)
    with closing(sqlite3.connect(here["DATABASE_URL"].removeprefix("sqlite:///"))) as tables, tables:
        tables.execute("UPDATE tenants SET name = ?", ["a\x1b[31mb\nc\r\u202ed"])
    printed, _ = await said_by(tmp_path, "tenants", "list", **here)
    assert r"a\x1b[31mb\nc\r\u202ed" in printed
    assert len(printed.splitlines()) == 2
    told = await refusal(1, tmp_path, "accounts", "pause", "a\x1b[31m", **here)
    assert "\x1b" not in told


async def test_lists_are_never_cut_however_narrow_the_terminal(tmp_path: Path) -> None:
    here = settings(tmp_path, COLUMNS="40")
    name = "n" * 100
    await said_by(tmp_path, "tenants", "create", name, **here)
    key, _ = await said_by(tmp_path, "keys", "create", name, "--tenant", name, **here)
    with closing(sqlite3.connect(here["DATABASE_URL"].removeprefix("sqlite:///"))) as tables:
        [(tenant_id,)] = tables.execute("SELECT id FROM tenants")
    (tenants, _), (keys, _) = await asyncio.gather(
        said_by(tmp_path, "tenants", "list", **here),
        said_by(tmp_path, "keys", "list", "--tenant", name, **here),
    )
    [_, row] = tenants.splitlines()
    assert row.split()[:5] == [tenant_id, name, "simulator", "1", row.split()[4]]
    assert len(row.split()[4]) == len("2026-01-01T00:00:00Z"), "instants are told to the second"
    assert [line.split()[:2] for line in keys.splitlines()[1:]] == [[key.split("_")[1], name]]


@pytest.mark.parametrize("name", ["", " a", "a ", "\t", "a\nb", "a\x1b[31mb", "\u202ea", "n" * 101])
async def test_what_is_no_name_is_refused_by_every_command_that_makes_one(tmp_path: Path, name: str) -> None:
    here = settings(tmp_path)
    for words in (
        ("tenants", "create", name),
        ("keys", "create", name),
        ("accounts", "add", name),
        ("grants", "add", "films", "look", name),
    ):
        told = await refusal(2, tmp_path, *words, **here, HEYGEN_API_KEY="any")
        assert "must be 1 to 100 printable characters, without space around them" in told
    assert not (tmp_path / "greenroom.db").exists()


async def test_a_command_that_makes_a_database_says_where_and_the_next_one_has_nothing_to_say(
    tmp_path: Path,
) -> None:
    where = f"Made a new database at {tmp_path}/var/greenroom.db; the service must use the same one."
    assert where in (await said_by(tmp_path, "keys", "create", "shop"))[1]
    assert "database" not in (await said_by(tmp_path, "keys", "list", "--tenant", "shop"))[1]


@pytest.mark.parametrize("command", ["serve", "simulate"])
async def test_a_port_that_cannot_be_taken_ends_a_command_with_what_to_do(
    tmp_path: Path, command: str
) -> None:
    here = settings(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        told = await refusal(1, tmp_path, command, "--port", str(port), **here)
    other = port + 1 if port < 65_535 else port - 1
    assert f"Cannot listen on 127.0.0.1:{port}: Address already in use" in told
    assert f"Take another port: greenroom {command} --port {other}" in told
    for wrong in ("99999", "-1"):
        assert "Invalid value for '--port'" in await refusal(2, tmp_path, command, "--port", wrong, **here)
    for host in ("a..b", "nobody.invalid"):
        told = await refusal(1, tmp_path, command, "--port", "0", "--host", host, **here)
        assert f"Cannot listen on {host}:0" in told


async def test_a_folder_that_cannot_be_used_ends_a_command_with_a_sentence(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("mine")
    (tmp_path / "odd" / "simulator.sqlite3").mkdir(parents=True)
    simulate = ("simulate", "--port", "0", "--no-film", "--folder")
    database = {"DATABASE_URL": f"sqlite:///{file}/below/greenroom.db"}
    told = await asyncio.gather(
        refusal(1, tmp_path, *simulate, str(file / "below")),
        refusal(1, tmp_path, *simulate, str(file)),
        refusal(1, tmp_path, *simulate, str(tmp_path / "odd")),
        refusal(1, tmp_path, "demo", "--folder", str(file / "below")),
        refusal(1, tmp_path, "tenants", "list", **database),
        refusal(1, tmp_path, "serve", "--port", "0", **database),
    )
    assert f"Greenroom cannot do that: {file}/below: Not a directory." in told[0]
    assert f"Greenroom cannot do that: {file}: File exists." in told[1]
    assert "odd: unable to open database file" in told[2]
    assert f"The demo failed: {file}/below cannot hold the demo's files: Not a directory" in told[3]
    assert f"Greenroom cannot do that: {file}/below: Not a directory." in told[4]
    assert f"Greenroom cannot do that: {file}/below: Not a directory." in told[5]
    for option, wrong in (("--concurrency", "0"), ("--render-seconds", "-5"), ("--render-seconds", "nan")):
        assert f"Invalid value for '{option}'" in await refusal(2, tmp_path, "simulate", option, wrong)


async def test_the_doctor_tells_of_what_is_set_and_read_by_nobody(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("LOG_LEVL=DEBUG\nPOSTGRES_PASSWORD=x\nLEASE=200\nEMPTY=\n")
    here = settings(tmp_path, HEYGEN_APIKEY="a-canary", HEYGEN_CLOUD="", FILMS="true", HEYGEN_API_BASE="x")
    printed, told = await said_by(tmp_path, "doctor", "--json", **here)
    report = json.loads(printed)
    warned = {check["message"] for check in report["checks"] if check["state"] == "warn"}
    assert warned == {
        "HEYGEN_APIKEY is no setting, and does nothing. Is HEYGEN_API_KEY meant?",
        "LOG_LEVL is no setting, and does nothing. Is LOG_LEVEL meant?",
    }
    assert report["ok"], "a warning is no failure"
    assert "canary" not in printed + told
    for option in (("--again",), ("--account", "studio")):
        told = await refusal(2, tmp_path, "doctor", *option, **here)
        assert f"Invalid value for {option[0]}: works only with --register" in told
