"""What became of a failed call to HeyGen, named for what to do next.

`NotSent`: HeyGen never saw it, send anew. `NoAnswer`: HeyGen may have done it, repeat with the same key and bytes.
`Refused`: HeyGen read it and said no.
"""

import re
import socket
import ssl
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

# What a status means where the body names no code: a gateway's HTML, an empty body, a numeric code of v1.
# A bare 402 reads as an empty wallet, since a pause can be ended and a failed job cannot be undone.
CODES_BY_STATUS = {
    400: "invalid_parameter",
    401: "unauthorized",
    402: "insufficient_credit",
    403: "forbidden",
    404: "not_found",
    409: "conflict",
    413: "payload_too_large",
    429: "rate_limit_exceeded",
}
LONGEST_WAIT = timedelta(days=30)
LONGEST_MESSAGE = 1_000

_CODE = re.compile(r"(?![0-9]+\Z)[a-z0-9_.\-]{1,100}")


class HeyGenError(Exception):
    """Any failed call to HeyGen; `reason` is one word, fit for a table or a metric."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason


class NotSent(HeyGenError):
    """Not one byte of the request was written: it is safe to send anew.

    Reasons: refused, dns, tls, connect_timeout, pool_timeout, connect.
    """


class Held(NotSent):
    """HeyGen has told when it may be called again, and that instant has not come."""

    def __init__(self) -> None:
        super().__init__("held")


class NoAnswer(HeyGenError):
    """HeyGen may have acted on the request: repeat it only with the same key and bytes.

    Reasons: timeout, reset, closed, protocol, unreadable, server_error, in_progress. `http_status` and `code` are set
    where an answer got that far.
    """

    def __init__(
        self, reason: str, detail: str = "", *, http_status: int | None = None, code: str | None = None
    ) -> None:
        super().__init__(reason, detail)
        self.http_status = http_status
        self.code = code


class Refused(HeyGenError):
    """HeyGen answered with a clear 4xx: nothing was made; `code` is in lower case and is also the reason."""

    def __init__(
        self,
        http_status: int,
        code: str,
        message: str = "",
        *,
        param: str | None = None,
        retry_after: timedelta | None = None,
    ) -> None:
        super().__init__(code, f"{http_status} {message}".rstrip())
        self.http_status = http_status
        self.code = code
        self.message = message
        self.param = param
        self.retry_after = retry_after


class RateLimited(Refused):
    """429 of any code: too many requests or renders at once; try again after `retry_after`, where it is given."""

    sent_at: datetime | None = None  # when the refused call was sent, by the clock of its client


class AccountBlocked(Refused):
    """The account, not the request, is at fault: a bad key, an empty wallet, an unverified phone."""


class NotReady(Refused):
    """409 `resource_not_ready`: something the request names is still being made."""


class Missing(Refused):
    """404: HeyGen does not know what was named, or not yet."""


def transport_error(error: httpx.TransportError) -> NotSent | NoAnswer:
    """Tell "never written" from "maybe received"; right only for httpx's own transport.

    httpx raises the four connection errors before it writes. A failed write is never raised: httpcore goes on to read
    the answer, so it shows as one of the others. That holds too for a kept connection which the server closes
    while we write: ReadError or RemoteProtocolError, and nobody can tell how much HeyGen read.
    """
    match error:
        case httpx.PoolTimeout():
            return NotSent("pool_timeout")
        case httpx.ConnectTimeout():
            return NotSent("connect_timeout")
        case httpx.ConnectError():
            return NotSent(_connect_reason(error), str(error))
        case httpx.ProxyError() | httpx.UnsupportedProtocol():
            return NotSent("connect", str(error))
    return NoAnswer(_lost_reason(error), str(error))


def answer_error(status: int, payload: object, retry_after: timedelta | None = None) -> Refused | NoAnswer:
    """The error that a status outside 2xx stands for; `payload` is the decoded body, whatever it was."""
    code, message, param = _envelope(payload)
    if status >= 500:
        return NoAnswer("server_error", f"{status} {message}".rstrip(), http_status=status, code=code)
    if status == 408:  # the server, or a gateway before it, gave up waiting: it may still have the request
        return NoAnswer("timeout", "408", http_status=status, code=code)
    if status < 400:
        return NoAnswer("unreadable", f"status {status}", http_status=status, code=code)
    code = code or CODES_BY_STATUS.get(status, f"http_{status}")
    if (status, code) == (409, "request_in_progress"):
        return NoAnswer("in_progress", message, http_status=status, code=code)
    return _refusal(status, code)(status, code, message, param=param, retry_after=retry_after)


def error_code(payload: object) -> str | None:
    """The code in an error envelope of any version, in lower case; None for a numeric or missing one."""
    return _envelope(payload)[0]


def parse_retry_after(value: str | None, date: str | None = None) -> timedelta | None:
    """How long a `Retry-After` asks to wait, between 0 and 30 days; None where it says nothing usable.

    An HTTP date counts from the same answer's `Date`, so that our clock and HeyGen's need not agree (RFC 9110 §10.2.3).
    """
    text = (value or "").strip()
    if re.fullmatch(r"[0-9]+(\.[0-9]+)?", text):
        return timedelta(seconds=min(float(text), LONGEST_WAIT.total_seconds()))
    until, since = _http_date(text), _http_date(date or "")
    if until is None or since is None:
        return None
    return min(max(until - since, timedelta()), LONGEST_WAIT)


def _refusal(status: int, code: str) -> type[Refused]:
    match status, code:
        case 429, _:
            return RateLimited
        case (
            (401, _)
            | (402, "insufficient_credit" | "trial_limit_exceeded")
            | (403, "phone_verification_required")
        ):
            return AccountBlocked
        case 409, "resource_not_ready":
            return NotReady
        case 404, _:
            return Missing
        case _:
            return Refused


def _envelope(payload: object) -> tuple[str | None, str, str | None]:
    """Code, message and param of `{"error": {…}}` (v3, v2), `{"error": "text"}` (v2) or `{"code", "msg"}` (v1)."""
    if not isinstance(payload, Mapping):
        return None, "", None
    error = payload.get("error")
    if isinstance(error, str):
        return _code(error), error[:LONGEST_MESSAGE], None
    fields: Mapping[str, Any] = error if isinstance(error, Mapping) else payload
    message = next((text for name in ("message", "msg") if isinstance(text := fields.get(name), str)), "")
    param = fields.get("param")
    return (
        _code(fields.get("code")),
        message[:LONGEST_MESSAGE],
        param[:255] if isinstance(param, str) else None,
    )


def _code(value: object) -> str | None:
    return value.lower() if isinstance(value, str) and _CODE.fullmatch(value.lower()) else None


def _connect_reason(error: httpx.ConnectError) -> str:
    match _origin(error):
        case socket.gaierror():
            return "dns"
        case ssl.SSLError():
            return "tls"
        case OSError() as failed:
            tried = failed.__cause__
            attempts = tried.exceptions if isinstance(tried, BaseExceptionGroup) else (tried,)
            return "refused" if any(isinstance(it, ConnectionRefusedError) for it in attempts) else "connect"
        case None:
            return "connect"
        case _:  # the peer hung up during the handshake: anyio's own errors, which are no OSErrors
            return "tls"


def _lost_reason(error: httpx.TransportError) -> str:
    if isinstance(error, httpx.TimeoutException):
        return "timeout"
    if isinstance(error, httpx.NetworkError):
        return "reset"
    # The parser complained of what came, unless httpcore itself saw the peer close before any answer.
    return "protocol" if _origin(error) else "closed"


def _origin(error: httpx.TransportError) -> BaseException | None:
    """What httpcore met and wrapped, or None where the error is its own.

    It drops the cause on its way out but keeps the original as its argument.
    """
    met = error.__cause__.args[0] if error.__cause__ is not None and error.__cause__.args else None
    return met if isinstance(met, BaseException) else None


def _http_date(text: str) -> datetime | None:
    try:
        parsed = parsedate_to_datetime(text)
    except (ValueError, OverflowError, IndexError, TypeError):
        return None
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)
