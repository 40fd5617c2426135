"""What a job asks of HeyGen, as the API stores it and the worker completes it."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Self

from app.secrets import Secrets


@dataclass(frozen=True)
class StoredRequest:
    """HeyGen's body with our ids still in place, and what the worker has to put in. Holds no file's bytes."""

    body: dict[str, Any] = field(hash=False)
    callback_token: str
    look_id: str | None = None  # a look of ours, to become `avatar_id`
    group_id: str | None = None  # a group of ours, to become `avatar_group_id`
    looks: Sequence[
        tuple[Sequence[str], str]
    ] = ()  # (path within the body, id of a look of ours), where not the above
    assets: Sequence[tuple[Sequence[str], str]] = ()  # (path within the body, id of an asset of ours)
    unchecked: Sequence[
        tuple[str, str]
    ] = ()  # ("look" | "voice", HeyGen's id) that still has to prove public

    @property
    def every_look(self) -> Sequence[tuple[Sequence[str], str]]:
        """(path within the body, id of a look of ours) of all of them."""
        alone = [(("avatar_id",), self.look_id)] if self.look_id is not None else []
        return [*alone, *self.looks]

    def seal(self, secrets: Secrets) -> bytes:
        """Encrypted for the row."""
        return secrets.encrypt(json.dumps(asdict(self), ensure_ascii=False, separators=(",", ":")).encode())

    @classmethod
    def unseal(cls, data: bytes, secrets: Secrets) -> Self:
        """The request of a row; raises CannotDecrypt."""
        stored = json.loads(secrets.decrypt(data))
        # A newer version may have stored more: what runs beside it, or is gone back to, works on with what it knows.
        return cls(**{it.name: stored[it.name] for it in fields(cls) if it.name in stored})


def put(body: dict[str, Any], path: Sequence[str], value: Any) -> None:
    """Set the value at a path of keys, and of indices where it leads through lists, that exists in the body."""
    *parents, last = path
    inner: Any = body
    for key in parents:
        inner = inner[int(key) if isinstance(inner, list) else key]
    inner[int(last) if isinstance(inner, list) else last] = value
