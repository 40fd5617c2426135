"""The terminal: what commands say, and how they end."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import typer
from rich.console import Console

from app.accounts import AccountUnknown
from app.database import DatabaseAway, DatabaseInUse, SchemaBehind
from app.observability import configure_logs
from app.settings import InvalidSettings, Settings, read_settings

T = TypeVar("T")

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)


def settings_or_exit(*, quiet: bool = False) -> Settings:
    """The settings; ends the command with code 2, and says why, where they are wrong."""
    try:
        settings = read_settings()
    except InvalidSettings as error:
        err.print(f"Greenroom cannot start:\n{error}", soft_wrap=True)
        raise typer.Exit(2) from None
    configure_logs("WARNING" if quiet else settings.log_level)
    return settings


def run_or_exit(work: Coroutine[Any, Any, T]) -> T:
    """What the work answers; ends the command with code 1, and a sentence, for what an operator can mend."""
    try:
        return asyncio.run(work)
    except (SchemaBehind, DatabaseInUse, AccountUnknown, LookupError, ValueError) as error:
        err.print(f"Greenroom cannot do that: {error}", soft_wrap=True)
        raise typer.Exit(1) from None
    except DatabaseAway as error:
        err.print(f"Greenroom cannot do that: the database does not answer ({error}).", soft_wrap=True)
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
