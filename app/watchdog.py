"""What HeyGen says that this version does not know: counted, told once in the log, shown in `/readyz`."""

from collections import Counter
from typing import Any

import httpx
import structlog

from app.heygen.contract import drift

log = structlog.get_logger(__name__)

MOST_NAMES = 100
OTHERS = ("others", "", "")
"""What is counted once there are too many names: what strangers write must not fill the memory."""


class Watchdog:
    """The counts of one process."""

    def __init__(self) -> None:
        self._met: Counter[tuple[str, str, str]] = Counter()
        self._ignored: Counter[str] = Counter()

    def observe(self, operation: str, response: httpx.Response, payload: Any) -> None:
        """Compare one answer of HeyGen's with what is known."""
        for kind, name in drift(operation, response.status_code, response.headers, payload):
            self.met(kind, operation, name)

    def met(self, kind: str, operation: str, name: str) -> None:
        """Count what is unknown, and say so the first time."""
        key = (kind, operation, name)
        if key not in self._met:
            if len(self._met) >= MOST_NAMES:
                key = OTHERS
            if key not in self._met:
                log.warning("contract_drift", kind=key[0], operation=key[1], name=key[2])
        self._met[key] += 1

    def ignored(self, reason: str) -> None:
        """Count a callback that was for nobody here."""
        self._ignored[reason] += 1

    def report(self) -> dict[str, Any]:
        """What was met so far, most often first, and the callbacks that were ignored, by reason."""
        return {
            "unknown": [
                {"kind": kind, "operation": operation, "name": name, "times": times}
                for (kind, operation, name), times in self._met.most_common()
            ],
            "ignored_callbacks": dict(self._ignored),
        }
