"""`compose.yaml` says nothing that the image, the commands and the settings do not know."""

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import typer.main

from app.cli import app
from app.settings import read_settings, variables
from app.worker import loop
from tests.compose import FILE, Compose, Missing

GIVEN = {"POSTGRES_PASSWORD": "p4ss", "SECRET_KEYS": "k" * 40, "HEYGEN_API_KEY": "hg"}
COMPOSE = Compose(GIVEN)
OURS = sorted(COMPOSE.ours)
DOCKERFILE = (FILE.parent / "Dockerfile").read_text()


def seconds(text: str) -> timedelta:
    found = re.fullmatch(r"(\d+)s", text)
    assert found is not None, text
    return timedelta(seconds=int(found[1]))


@pytest.mark.parametrize("name", OURS)
def test_a_command_is_one_of_ours_with_options_it_knows(name: str) -> None:
    group: Any = typer.main.get_command(app)
    word, *options = COMPOSE.command(name)
    group.commands[word].make_context(word, options)


@pytest.mark.parametrize("name", OURS)
def test_a_container_of_ours_may_nothing_but_what_it_must(name: str) -> None:
    service = COMPOSE.ours[name]
    assert service["read_only"] is True
    assert (service["cap_drop"], service["security_opt"]) == (["ALL"], ["no-new-privileges:true"])
    assert service["tmpfs"] == ["/tmp"]
    assert "privileged" not in service
    # uvicorn lets requests end for 120 s, and the worker what is under way for longer; then it hands the rest over.
    assert seconds(service["stop_grace_period"]) > loop.GRACE


@pytest.mark.parametrize("name", ["migrate", "serve", "worker"])
def test_every_setting_reaches_the_container_and_nothing_else_does(name: str) -> None:
    # The built-in simulator, the only one that FILM is for, does not run on PostgreSQL.
    assert set(COMPOSE.services[name]["environment"]) == set(variables()) - {"FILM"}
    settings = read_settings(COMPOSE.environment(name))
    assert settings.database_url == "postgresql://greenroom:p4ss@database/greenroom"
    shell = GIVEN | {"LEASE": "200", "PUBLIC_URL": "https://render.example"}
    assert read_settings(Compose(shell).environment(name)).lease == timedelta(seconds=200)


@pytest.mark.parametrize("name", ["POSTGRES_PASSWORD", "SECRET_KEYS"])
def test_without_a_secret_nothing_starts(name: str) -> None:
    with pytest.raises(Missing, match=f"{name}: openssl rand"):
        Compose(GIVEN | {name: ""}).environment("serve")


def test_replicas_share_their_files_and_wait_for_the_tables() -> None:
    services = COMPOSE.services
    data = re.findall(r"^VOLUME (\S+)$", DOCKERFILE, re.MULTILINE)
    for name in ("serve", "worker"):
        service = services[name]
        assert service["deploy"] == {"replicas": 2}
        [[volume, folder]] = [each.split(":") for each in service["volumes"]]
        assert ([folder], Path(COMPOSE.environment(name)["STORAGE_URL"]).parent) == (data, Path(folder))
        assert volume in COMPOSE.volumes
        assert service["depends_on"] == {"migrate": {"condition": "service_completed_successfully"}}
    assert services["migrate"]["depends_on"] == {"database": {"condition": "service_healthy"}}
    assert services["database"]["healthcheck"]["test"][1] == "pg_isready"
    assert services["database"]["environment"]["POSTGRES_DB"] == "greenroom"


def test_the_image_looks_after_the_one_that_serves_and_its_ports_are_enough_for_the_replicas() -> None:
    looked_after = {name for name in OURS if COMPOSE.ours[name].get("healthcheck") != {"disable": True}}
    assert looked_after == {"serve"}
    [published] = COMPOSE.services["serve"]["ports"]
    address, first, last, inside = re.split("[:-]", published)
    assert (address, int(last) - int(first) + 1) == (
        "127.0.0.1",
        COMPOSE.services["serve"]["deploy"]["replicas"],
    )
    assert f"EXPOSE {inside}" in DOCKERFILE
    assert [name for name in OURS if "ports" in COMPOSE.ours[name]] == ["serve"]
    assert "ports" not in COMPOSE.services["database"]


def test_the_simulator_starts_only_when_it_is_asked_for_and_answers_where_the_file_says() -> None:
    assert [name for name, each in COMPOSE.services.items() if "profiles" in each] == ["simulator"]
    (address,) = set(re.findall(r"HEYGEN_BASE_URL=(\S+)", FILE.read_text()))
    host, port = address.removeprefix("http://").split(":")
    group: Any = typer.main.get_command(app)
    default = next(option.default for option in group.commands["simulate"].params if option.name == "port")
    assert (host in COMPOSE.services, int(port)) == (True, default)
