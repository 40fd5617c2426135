"""A 2xx of HeyGen's, and how it is read."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import httpx

from app.heygen.errors import NoAnswer, error_code
from app.heygen.fields import Unreadable

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Answer:
    """A 2xx; `payload` is None where the body was no JSON object."""

    status: int
    headers: httpx.Headers
    payload: Mapping[str, Any] | None

    def read(self, parse: Callable[[Mapping[str, Any]], _T], *, within: str | None = "data") -> _T:
        """Parse the payload, or the object it holds; raises NoAnswer where HeyGen said something else."""
        payload = self.payload if within is None else (self.payload or {}).get(within)
        if not isinstance(payload, Mapping):
            raise self._unreadable("not the JSON object expected")
        try:
            return parse(payload)
        except Unreadable as error:
            raise self._unreadable(str(error)) from error

    def _unreadable(self, detail: str) -> NoAnswer:
        return NoAnswer("unreadable", detail, http_status=self.status, code=error_code(self.payload))
