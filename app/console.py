"""The terminal: what commands say, and how they end."""

import asyncio
from collections.abc import Coroutine
from datetime import UTC, datetime
from typing import Any, TypeVar

import typer
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from app.accounts import AccountUnknown
from app.database import DatabaseAway, DatabaseInUse, SchemaBehind
from app.observability import configure_logs
from app.settings import InvalidSettings, Settings, read_settings

T = TypeVar("T")

WIDEST = 100_000  # columns


class Verbatim(Console):
    """Prints what it is given, letter by letter: names and titles are strangers', markup and control characters too."""

    def __init__(self, *, stderr: bool = False) -> None:
        super().__init__(stderr=stderr, markup=False, emoji=False, highlight=False)

    def render_str(self, text: str, **options: Any) -> Text:
        """The text; what a terminal would obey is written out, as in Python's own literals."""
        return super().render_str("\n".join(map(harmless, text.split("\n"))), **options)


class Listing(Table):
    """Rows under headings, a line each, in plain columns: to be read, copied from and piped."""

    def __init__(self, *headings: str) -> None:
        super().__init__(*headings, box=None, pad_edge=False)

    def row(self, *cells: str) -> None:
        """Add one."""
        self.add_row(*map(harmless, cells))

    def show(self) -> None:
        """Print it as wide as it is: an id that is cut or folded cannot be copied, and a terminal wraps by itself."""
        self.width = Measurement.get(out, out.options.update(width=WIDEST), self).maximum
        out.print(self, crop=False)


out = Verbatim()
err = Verbatim(stderr=True)


def harmless(text: str) -> str:
    """The text in one line, without anything that a terminal would obey."""
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode("ascii") for letter in text
    )


def instant(at: datetime | None) -> str:
    """To the second, in UTC; nothing for none."""
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}" if at is not None else ""


def printable_name(text: str) -> str:
    """A name, or an id of HeyGen's, as given on the command line; ends the command with code 2 for what cannot be one."""
    if not 1 <= len(text) <= 100 or not text.isprintable() or text != text.strip():
        raise typer.BadParameter("must be 1 to 100 printable characters, without space around them")
    return text


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
    except OSError as error:
        if error.filename is None:
            raise
        err.print(f"Greenroom cannot do that: {error.filename}: {error.strerror}.", soft_wrap=True)
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
