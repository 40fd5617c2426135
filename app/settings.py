"""What an operator can set: read once, checked whole, frozen."""

import os
from collections.abc import Mapping
from datetime import timedelta
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Self
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    DotEnvSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

HEYGEN = "https://api.heygen.com"
MARGIN = timedelta(seconds=15)
OF_OTHERS = frozenset({"POSTGRES_PASSWORD", "HEYGEN_API_BASE", "HEYGEN_ALLOW_HTTP"})
"""What compose.yaml and HeyGen's own command line take from the same places."""


class InvalidSettings(Exception):
    """A setting breaks a rule; the message names the variable and the rule, one a line."""


def http_url(value: str | None) -> str | None:
    """The address without a slash at its end; raises ValueError."""
    if value is None:
        return None
    parts = urlsplit(value)
    if (
        parts.scheme not in {"http", "https"}
        or not parts.hostname
        or parts.query
        or parts.fragment
        or not _port(parts)
    ):
        raise ValueError("must be an http or https address without query, such as https://render.example.com")
    return value.rstrip("/")


def _port(parts: SplitResult) -> bool:
    """Whether the port, where one is given, is a port."""
    try:
        return parts.port != 0
    except ValueError:
        return False


HttpUrl = Annotated[str | None, AfterValidator(http_url)]


class Settings(BaseSettings):
    """Every setting, from the environment or from a file `.env`; empty values count as unset."""

    model_config = SettingsConfigDict(
        frozen=True, env_file=".env", env_ignore_empty=True, extra="ignore", hide_input_in_errors=True
    )

    database_url: str = Field(
        "sqlite:///var/greenroom.db",
        repr=False,  # may hold a password
        description="Where everything is kept: sqlite:///path/to/file or postgresql://user:password@host/name.",
    )
    storage_url: Path = Field(
        Path("var/files"),
        description="Folder for uploaded photos and archived videos; must outlive the process.",
    )
    secret_keys: Annotated[tuple[SecretStr, ...], NoDecode] = Field(
        (),
        description="Comma-separated keys of 32 characters or more; the first signs and encrypts, all verify. "
        "Required on PostgreSQL; made beside the SQLite file when unset.",
    )
    heygen_api_key: SecretStr | None = Field(
        None,
        description="Key of the HeyGen account that pays. Unset: the accounts with stored keys do; without any, "
        "on SQLite, the built-in simulator renders, for free.",
    )
    heygen_base_url: HttpUrl = Field(
        HEYGEN, description="HeyGen's API, or a simulator started with `greenroom simulate`."
    )
    heygen_concurrency: int = Field(
        10,
        ge=1,
        le=10_000,
        description="Jobs HeyGen may work on at once for this account (its plan's limit).",
    )
    heygen_webhook_secret: Annotated[tuple[SecretStr, ...], NoDecode] = Field(
        (),
        description="Comma-separated secrets of endpoints registered at HeyGen for PUBLIC_URL/callbacks/heygen, the old "
        "and the new one during a rotation; `greenroom doctor --register` makes one. Unset: only callbacks of single "
        "jobs are taken.",
    )
    public_url: HttpUrl = Field(
        None,
        description="Address at which HeyGen reaches this service; callbacks go to PUBLIC_URL/callbacks/heygen. "
        "Unset: the service polls instead.",
    )
    api_url: HttpUrl = Field(
        None,
        description="Address that links to videos start with. Default: PUBLIC_URL, else the loopback address.",
    )
    allow_private_destinations: bool = Field(
        False,
        description="Let callers name http and private addresses for webhooks and files: for tests and laptops only.",
    )
    archive: bool = Field(True, description="Keep a copy of every finished video in STORAGE_URL.")
    forward_fields: Annotated[frozenset[str], NoDecode] = Field(
        frozenset(),
        description="Comma-separated request fields, unknown to this version, that are passed on to HeyGen as they are.",
    )
    rate_limit_creates: int = Field(
        600, ge=1, description="Requests a minute that one key may make to create things."
    )
    rate_limit_reads: int = Field(6000, ge=1, description="Other requests a minute that one key may make.")
    queue_limit: int = Field(
        200_000,
        ge=1,
        description="Jobs of one tenant that may wait in the queue, or for an avatar; beyond it, creates are answered"
        " 429.",
    )
    create_timeout: timedelta = Field(
        timedelta(seconds=150),
        gt=timedelta(0),
        description="Longest a create call to HeyGen may take in all, in seconds.",
    )
    read_timeout: timedelta = Field(
        timedelta(seconds=30),
        gt=timedelta(0),
        description="Longest a read from HeyGen may take in all, in seconds.",
    )
    lease: timedelta = Field(
        timedelta(seconds=180),
        description="How long a claimed job belongs to its worker, in seconds; at least 15 s above CREATE_TIMEOUT.",
    )
    deadline: timedelta = Field(
        timedelta(hours=24),
        gt=timedelta(0),
        le=timedelta(days=7),
        description="When an unfinished video is given up, in seconds from its creation, unless the request says.",
    )
    look_deadline: timedelta = Field(
        timedelta(hours=1),
        gt=timedelta(0),
        le=timedelta(days=7),
        description="When an unfinished look is given up, in seconds from its creation.",
    )
    key_max_age: timedelta = Field(
        timedelta(hours=20),
        gt=timedelta(0),
        le=timedelta(hours=23),
        description="How long an idempotency key is repeated at HeyGen, which forgets it after 24 h, in seconds; "
        "at least LEASE.",
    )
    retention: timedelta = Field(
        timedelta(days=30),
        gt=timedelta(days=1),
        description="How long finished deliveries and received callbacks can be looked up, in seconds; more than a day.",
    )
    log_level: str = Field(
        "INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$", description="Least level that is logged."
    )
    film: bool = Field(
        True, description="Whether the built-in simulator films real videos (needs the extra `simulator`)."
    )

    @field_validator("secret_keys", "heygen_webhook_secret", "forward_fields", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator(
        "create_timeout",
        "read_timeout",
        "lease",
        "deadline",
        "look_deadline",
        "key_max_age",
        "retention",
        mode="before",
    )
    @classmethod
    def _seconds(cls, value: Any) -> Any:
        """A bare number means seconds; pydantic also reads ISO 8601 durations such as PT24H."""
        try:
            return timedelta(seconds=float(value))
        except (TypeError, ValueError, OverflowError):
            return value

    @field_validator("secret_keys")
    @classmethod
    def _long_enough(cls, keys: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        if any(len(key.get_secret_value()) < 32 for key in keys):
            raise ValueError("each key must have 32 characters or more")
        return keys

    @field_validator("database_url")
    @classmethod
    def _known_database(cls, value: str) -> str:
        if not value.startswith(("sqlite:///", "postgresql://", "postgres://")):
            raise ValueError("must start with sqlite:/// or postgresql://")
        return value

    @field_validator("storage_url", mode="before")
    @classmethod
    def _a_folder(cls, value: Any) -> Any:
        if "://" in str(value):
            raise ValueError("must be a folder, such as /var/lib/greenroom/files")
        return value

    @field_validator("heygen_api_key")
    @classmethod
    def _not_ours(cls, key: SecretStr | None) -> SecretStr | None:
        if key is not None and key.get_secret_value().startswith("gr_"):
            raise ValueError("is a Greenroom key; put the key of your HeyGen account here")
        return key

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        if self.lease < self.create_timeout + MARGIN:
            raise ValueError(
                "LEASE must be at least 15 s above CREATE_TIMEOUT, or a slow create could be sent twice"
            )
        if self.key_max_age < self.lease:
            raise ValueError(
                "KEY_MAX_AGE must not be below LEASE, or a lost create could not be asked for again under its key"
            )
        if self.read_timeout > self.create_timeout:
            raise ValueError("READ_TIMEOUT must not be above CREATE_TIMEOUT")
        if self.on_postgresql and not self.secret_keys:
            raise ValueError("SECRET_KEYS is required on PostgreSQL (make one with: openssl rand -hex 32)")
        if self.heygen_api_key is None and self.heygen_base_url != HEYGEN:
            raise ValueError("HEYGEN_API_KEY is required with HEYGEN_BASE_URL (a simulator takes any key)")
        return self

    @property
    def on_postgresql(self) -> bool:
        """Whether the tables live on PostgreSQL rather than in a SQLite file."""
        return not self.database_url.startswith("sqlite")

    @property
    def simulated(self) -> bool:
        """Whether the built-in simulator may render, there being no key in the environment."""
        return self.heygen_api_key is None and not self.on_postgresql


class _Given(Settings):
    """Settings from given values alone: even validating `Settings` looks at the environment and at `.env` too."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 -- pydantic-settings passes it by name
        init_settings: PydanticBaseSettingsSource,
        *_: Any,
        **__: Any,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The given values."""
        return (init_settings,)


def read_settings(environment: Mapping[str, str] | None = None) -> Settings:
    """The settings of this process; raises `InvalidSettings` naming each variable and the rule it breaks.

    With `environment` given, neither `os.environ` nor a file `.env` is read.
    """
    try:
        if environment is None:
            return Settings()
        values = {name.lower(): value for name, value in environment.items() if value}
        return _Given.model_validate({name: values[name] for name in Settings.model_fields if name in values})
    except ValidationError as error:
        raise InvalidSettings(
            "\n".join(_line(dict(fault)) for fault in error.errors(include_input=False))
        ) from None


def _line(fault: Mapping[str, Any]) -> str:
    name = ".".join(str(part) for part in fault["loc"]).upper()
    message = str(fault["msg"]).removeprefix("Value error, ")
    return f"{name}: {message}" if name else message


def variables() -> dict[str, str]:
    """Each variable's name and description, as `.env.example` and the README list them."""
    return {name.upper(): field.description or "" for name, field in Settings.model_fields.items()}


def no_settings() -> dict[str, str | None]:
    """Names in `.env`, or HEYGEN_… in the environment, that are none; with the setting that comes nearest to each."""
    known = variables()
    given = {name for name, value in os.environ.items() if value and name.upper().startswith("HEYGEN_")}
    given |= set(DotEnvSettingsSource(Settings).env_vars)
    unknown = sorted({name.upper() for name in given} - known.keys() - OF_OTHERS)
    return {
        name: next(iter(get_close_matches(name, known, n=1)), None)
        for name in unknown
        if not name.startswith("COMPOSE_")  # which Docker reads there
    }
