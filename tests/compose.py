"""`compose.yaml` as Compose reads it: variables put in, names without a value taken from what is given."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

FILE = Path(__file__).resolve().parent.parent / "compose.yaml"
VARIABLE = re.compile(r"\$\{(\w+):\?([^}]*)\}")


class Missing(Exception):
    """A variable that has to be given is not."""


@dataclass(frozen=True)
class Compose:
    """The file, read with these variables in the shell or in `.env`."""

    given: Mapping[str, str]

    @property
    def services(self) -> dict[str, dict[str, Any]]:
        """Every service by its name."""
        found: dict[str, dict[str, Any]] = self._read()["services"]
        return found

    @property
    def ours(self) -> dict[str, dict[str, Any]]:
        """Those that run our image."""
        return {name: each for name, each in self.services.items() if each["image"] == "greenroom"}

    @property
    def volumes(self) -> set[str]:
        """The named volumes."""
        return set(self._read()["volumes"])

    def command(self, name: str) -> list[str]:
        """The words behind the image's entrypoint."""
        return [str(word) for word in self.services[name]["command"]]

    def environment(self, name: str) -> dict[str, str]:
        """What a container of the service finds in its environment; raises Missing."""
        listed = self.services[name].get("environment", {})
        values = {
            key: self.given.get(key) if value is None else self._put_in(value)
            for key, value in listed.items()
        }
        return {key: value for key, value in values.items() if value is not None}

    def _put_in(self, text: str) -> str:
        def value(found: re.Match[str]) -> str:
            if not self.given.get(found[1]):
                raise Missing(f"{found[1]}: {found[2]}")
            return self.given[found[1]]

        return VARIABLE.sub(value, text)

    def _read(self) -> dict[str, Any]:
        content: dict[str, Any] = yaml.safe_load(FILE.read_text())
        return content
