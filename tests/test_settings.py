"""What an operator may set: every rule, and that the example lists every setting."""

import re
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from app.settings import HEYGEN, InvalidSettings, Settings, read_settings, variables

PROJECT = Path(__file__).resolve().parent.parent
KEY = "k" * 32
POSTGRESQL = {"DATABASE_URL": "postgresql://db/greenroom", "SECRET_KEYS": KEY, "HEYGEN_API_KEY": "hg"}


def example() -> str:
    """`.env.example` as the settings would write it."""
    lines = ["# Every setting with its default. Copy this file to .env and uncomment what you change."]
    for name, description in variables().items():
        lines += ["", f"# {description}", f"#{name}={_written(Settings.model_fields[name.lower()].default)}"]
    return "\n".join(lines) + "\n"


def _written(default: Any) -> str:
    match default:
        case None:
            return ""
        case bool():
            return str(default).lower()
        case timedelta():
            return f"{default.total_seconds():.0f}"
        case tuple() | frozenset():
            return ",".join(map(str, default))
        case _:
            return str(default)


def test_the_example_lists_every_setting_with_its_description_and_default() -> None:
    assert (PROJECT / ".env.example").read_text() == example()


def test_the_example_uncommented_is_the_default() -> None:
    lines = [line[1:] for line in example().splitlines() if line.startswith("#") and line[1:2] != " "]
    assert len(lines) == len(variables())
    assert read_settings(dict(line.split("=", 1) for line in lines)) == read_settings({})


def test_every_setting_is_described() -> None:
    assert {name: text for name, text in variables().items() if not text.endswith(".")} == {}


def test_nothing_set_is_a_free_service_on_sqlite() -> None:
    settings = read_settings({})
    assert (settings.simulated, settings.on_postgresql) == (True, False)


@pytest.mark.parametrize(
    ("environment", "name", "rule"),
    [
        ({"DATABASE_URL": "mysql://db/x"}, "DATABASE_URL", "must start with sqlite:/// or postgresql://"),
        ({"SECRET_KEYS": f"{KEY},short"}, "SECRET_KEYS", "32 characters or more"),
        ({"HEYGEN_API_KEY": "gr_0123456789abcdef_x"}, "HEYGEN_API_KEY", "is a Greenroom key"),
        ({"HEYGEN_API_KEY": "hg", "HEYGEN_BASE_URL": "api.heygen.com"}, "HEYGEN_BASE_URL", "http or https"),
        ({"HEYGEN_CONCURRENCY": "0"}, "HEYGEN_CONCURRENCY", "greater than or equal to 1"),
        ({"HEYGEN_CONCURRENCY": "10001"}, "HEYGEN_CONCURRENCY", "less than or equal to 10000"),
        ({"HEYGEN_CONCURRENCY": "many"}, "HEYGEN_CONCURRENCY", "valid integer"),
        ({"PUBLIC_URL": "ftp://render.example"}, "PUBLIC_URL", "http or https"),
        ({"PUBLIC_URL": "https://"}, "PUBLIC_URL", "http or https"),
        ({"PUBLIC_URL": "https://render.example/?a=b"}, "PUBLIC_URL", "without query"),
        ({"API_URL": "https://render.example/#top"}, "API_URL", "without query"),
        ({"ALLOW_PRIVATE_DESTINATIONS": "perhaps"}, "ALLOW_PRIVATE_DESTINATIONS", "valid boolean"),
        ({"ARCHIVE": "perhaps"}, "ARCHIVE", "valid boolean"),
        ({"FILM": "perhaps"}, "FILM", "valid boolean"),
        ({"RATE_LIMIT_CREATES": "0"}, "RATE_LIMIT_CREATES", "greater than or equal to 1"),
        ({"RATE_LIMIT_READS": "0"}, "RATE_LIMIT_READS", "greater than or equal to 1"),
        ({"CREATE_TIMEOUT": "0"}, "CREATE_TIMEOUT", "greater than 0"),
        ({"CREATE_TIMEOUT": "soon"}, "CREATE_TIMEOUT", "valid timedelta"),
        ({"READ_TIMEOUT": "0"}, "READ_TIMEOUT", "greater than 0"),
        ({"READ_TIMEOUT": "151"}, "READ_TIMEOUT", "must not be above CREATE_TIMEOUT"),
        ({"LEASE": "164"}, "LEASE", "at least 15 s above CREATE_TIMEOUT"),
        ({"CREATE_TIMEOUT": "166"}, "CREATE_TIMEOUT", "at least 15 s above"),
        ({"DEADLINE": "0"}, "DEADLINE", "greater than 0"),
        ({"DEADLINE": "604801"}, "DEADLINE", "less than or equal to 7 days"),
        ({"DEADLINE": "inf"}, "DEADLINE", "valid timedelta"),
        ({"LOOK_DEADLINE": "0"}, "LOOK_DEADLINE", "greater than 0"),
        ({"LOOK_DEADLINE": "604801"}, "LOOK_DEADLINE", "less than or equal to 7 days"),
        ({"KEY_MAX_AGE": "0"}, "KEY_MAX_AGE", "greater than 0"),
        ({"KEY_MAX_AGE": "82801"}, "KEY_MAX_AGE", "less than or equal to 23 hours"),
        ({"KEY_MAX_AGE": "179"}, "KEY_MAX_AGE", "must not be below LEASE"),
        ({"RETENTION": "86400"}, "RETENTION", "greater than 1 day"),
        ({"LOG_LEVEL": "LOUD"}, "LOG_LEVEL", "DEBUG|INFO|WARNING|ERROR"),
        (POSTGRESQL | {"SECRET_KEYS": ""}, "SECRET_KEYS", "required on PostgreSQL"),
        ({"HEYGEN_BASE_URL": "http://127.0.0.1:8090"}, "HEYGEN_API_KEY", "required with HEYGEN_BASE_URL"),
    ],
)
def test_a_wrong_value_is_refused_with_its_name_and_the_rule(
    environment: dict[str, str], name: str, rule: str
) -> None:
    with pytest.raises(InvalidSettings) as refused:
        read_settings(environment)
    assert name in str(refused.value)
    assert rule in str(refused.value)


def test_every_wrong_value_is_named_at_once_a_line_each() -> None:
    with pytest.raises(InvalidSettings) as refused:
        read_settings({"HEYGEN_CONCURRENCY": "0", "LOG_LEVEL": "LOUD", "DEADLINE": "x"})
    names = [line.split(":")[0] for line in str(refused.value).splitlines()]
    assert names == ["HEYGEN_CONCURRENCY", "DEADLINE", "LOG_LEVEL"]


def test_a_refusal_does_not_repeat_a_secret() -> None:
    with pytest.raises(InvalidSettings) as refused:
        read_settings({"SECRET_KEYS": "canary", "HEYGEN_API_KEY": "gr_canary"})
    assert "canary" not in str(refused.value)


@pytest.mark.parametrize(
    ("environment", "name", "value"),
    [
        ({"LEASE": "165"}, "lease", timedelta(seconds=165)),
        ({"KEY_MAX_AGE": "180"}, "key_max_age", timedelta(seconds=180)),
        ({"DEADLINE": "PT12H"}, "deadline", timedelta(hours=12)),
        ({"DEADLINE": "0.5"}, "deadline", timedelta(milliseconds=500)),
        ({"PUBLIC_URL": "https://render.example/gr/"}, "public_url", "https://render.example/gr"),
        ({"FORWARD_FIELDS": " a, b ,,a"}, "forward_fields", frozenset({"a", "b"})),
        ({"ARCHIVE": "false"}, "archive", False),
        ({"HEYGEN_WEBHOOK_SECRET": " ,"}, "heygen_webhook_secret", ()),
        ({"HEYGEN_BASE_URL": ""}, "heygen_base_url", HEYGEN),
        ({"LEASE": ""}, "lease", timedelta(seconds=180)),
        (POSTGRESQL, "on_postgresql", True),
        ({"HEYGEN_API_KEY": "hg"}, "simulated", False),
        (POSTGRESQL | {"HEYGEN_API_KEY": ""}, "simulated", False),
    ],
)
def test_a_right_value_is_understood(environment: dict[str, str], name: str, value: object) -> None:
    assert getattr(read_settings(environment), name) == value


def test_secret_keys_keep_their_order_for_the_first_one_signs() -> None:
    keys = read_settings({"SECRET_KEYS": f"{'b' * 32}, {'a' * 32}"}).secret_keys
    assert [key.get_secret_value()[0] for key in keys] == ["b", "a"]


def test_secrets_do_not_show_when_settings_are_printed() -> None:
    settings = read_settings({"HEYGEN_API_KEY": "hg-canary", "SECRET_KEYS": "canary" * 6})
    assert "canary" not in f"{settings!r} {settings} {settings.model_dump()} {settings.model_dump_json()}"


def test_settings_do_not_change_after_the_start() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        read_settings({}).heygen_concurrency = 11  # type: ignore[misc]


def test_the_environment_wins_over_the_file_and_an_empty_value_counts_as_unset(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(
        "HEYGEN_CONCURRENCY=3\nRATE_LIMIT_READS=70\nRATE_LIMIT_CREATES=\nSOMETHING_ELSE=1\n"
    )
    look = "from app.settings import read_settings as r; s = r(); "
    look += "print(s.heygen_concurrency, s.rate_limit_reads, s.rate_limit_creates, s.log_level)"
    environment = {"PYTHONPATH": str(PROJECT), "HEYGEN_CONCURRENCY": "4", "LOG_LEVEL": ""}
    seen = subprocess.run(  # noqa: S603
        [sys.executable, "-c", look],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert seen.stdout == "4 70 600 INFO\n"


def test_given_values_alone_count_where_they_are_given(tmp_path: Path) -> None:
    """The demo never spends: it passes what it needs, and a key that lies about is not seen."""
    (tmp_path / ".env").write_text("HEYGEN_API_KEY=hg\n")
    look = "from app.settings import read_settings as r; print(r({}).simulated, r().simulated)"
    environment = {"PYTHONPATH": str(PROJECT), "HEYGEN_API_KEY": "hg"}
    seen = subprocess.run(  # noqa: S603
        [sys.executable, "-c", look],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert seen.stdout == "True False\n"


def test_the_readme_lists_every_setting() -> None:
    readme = (PROJECT / "README.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| `([A-Z_]+)` \| [^|]* \| (.*) \|$", readme, flags=re.MULTILINE)
    assert dict(listed) == variables()
