"""Structured logs: for people on a terminal, JSON elsewhere; secrets are struck out wherever they come from."""

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

STRUCK = "[removed]"

# Names whose values are never for a log, and the shapes of secrets that could hide in any text.
_SECRET_NAMES = re.compile(
    r"(authorization|api[_-]?key|secret|token|signature|script|password|body)$", re.IGNORECASE
)
_SECRET_TEXT = re.compile(
    r"gr_[0-9a-f]{16}_[A-Za-z0-9_-]+"  # our keys
    r"|whsec_[A-Za-z0-9+/=]+"
    r"|(?<=/callbacks/heygen/)[^\s/?\"']+"  # a job's callback token
    r"|(?i:(?<=signature=)|(?<=sig=)|(?<=policy=)|(?<=key-pair-id=))[^&\s\"']+"  # signed links
    r"|(?<=://)[^\s/@:]+:[^\s/@]+(?=@)"  # user:password in an address
)


def configure_logs(level: str, as_json: bool | None = None) -> None:
    """Send structlog's and the standard library's records, one line each, to standard error."""
    as_json = not sys.stderr.isatty() if as_json is None else as_json
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    rendered: list[Any] = [
        structlog.processors.format_exc_info,
        strike_secrets,
        structlog.processors.JSONRenderer(),
    ]
    if not as_json:
        rendered = [structlog.processors.format_exc_info, strike_secrets, structlog.dev.ConsoleRenderer()]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendered],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    # httpx logs whole addresses at INFO, signed links among them; the others tell of what nobody asked.
    for name in ("httpx", "httpcore", "alembic", "aiosqlite", "sqlalchemy", "uvicorn", "asyncio", "PIL"):
        logging.getLogger(name).setLevel(logging.WARNING)


def strike_secrets(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Strike out values by their names, and secrets by their shapes; a structlog processor."""
    for name, value in event.items():
        if _SECRET_NAMES.search(name):
            event[name] = STRUCK
        elif isinstance(value, str):
            event[name] = _SECRET_TEXT.sub(STRUCK, value)
    return event
