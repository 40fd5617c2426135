"""Every error a caller can see, and the one envelope all of them travel in.

Shape and codes are HeyGen's (its page "Error codes"), so that a client written for HeyGen reads ours unchanged.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

# Every other code has its section on HeyGen's page.
OUR_CODES = frozenset({"idempotency_key_reused", "method_not_allowed", "outcome_unknown", "request_timeout"})
LONGEST_SHOWN = 64  # twice an id of ours or of HeyGen's


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong with a request; `path` is the dotted name of the field."""

    message: str
    path: str | None = None
    code: str = "invalid_parameter"


class ApiError(Exception):
    """A request that ends in an error answer; the subclass says which.

    `param` is the dotted name of the field at fault, `retry_after` is in whole seconds, `errors` is given
    where there are several faults at once, and `headers` go out beside the body.
    """

    status: ClassVar[int] = 500
    default_code: ClassVar[str] = "internal_error"
    retryable: ClassVar[bool] = False

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        retry_after: int | None = None,
        errors: tuple[Fault, ...] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or self.default_code
        self.param = param
        self.retry_after = retry_after
        self.errors = errors
        self.headers = dict(headers or {})
        if retry_after is not None:
            self.headers["Retry-After"] = str(retry_after)


class InvalidParameter(ApiError):
    """The request breaks a rule; the same request will never be taken."""

    status = 400
    default_code = "invalid_parameter"

    @classmethod
    def of(cls, faults: list[Fault]) -> InvalidParameter:
        """All faults at once: the first is the main one, several become `errors`."""
        first = faults[0]
        several = tuple(faults) if len(faults) > 1 else ()
        return cls(first.message, code=first.code, param=first.path, errors=several)


class Unauthorized(ApiError):
    """No key, or none that we know: both read the same, as at HeyGen."""

    status = 401
    default_code = "unauthorized"

    def __init__(
        self, message: str = "Unauthorized: send a key in the header x-api-key, or as Authorization: Bearer."
    ) -> None:
        super().__init__(message, headers={"WWW-Authenticate": "Bearer"})


class InsufficientCredit(ApiError):
    """The tenant's budget does not cover it."""

    status = 402
    default_code = "insufficient_credit"


class Forbidden(ApiError):
    """Known, but not allowed; also a forged or expired link."""

    status = 403
    default_code = "forbidden"


class NotFound(ApiError):
    """Nothing of that name that this tenant may see."""

    status = 404
    default_code = "not_found"

    @classmethod
    def path(cls) -> NotFound:
        return cls("Greenroom does not serve this HeyGen path")

    @classmethod
    def unknown_path(cls) -> NotFound:
        return cls("There is no such path that Greenroom knows of, here or at HeyGen.")

    @classmethod
    def video(cls, video_id: str) -> NotFound:
        return cls(f"Video {shown(video_id)} not found", code="video_not_found")

    @classmethod
    def batch(cls, batch_id: str) -> NotFound:
        return cls(f"Batch {shown(batch_id)} not found", code="resource_not_found")

    @classmethod
    def avatar(cls, avatar_id: str, *, param: str | None = None) -> NotFound:
        return cls(f"Avatar {shown(avatar_id)} not found", code="avatar_not_found", param=param)

    @classmethod
    def avatar_group(cls, group_id: str, *, param: str | None = None) -> NotFound:
        return cls(f"Avatar group {shown(group_id)} not found", code="avatar_group_not_found", param=param)

    @classmethod
    def voice(cls, voice_id: str, *, param: str | None = None) -> NotFound:
        return cls(f"Voice {shown(voice_id)} not found", code="voice_not_found", param=param)

    @classmethod
    def webhook(cls, endpoint_id: str) -> NotFound:
        return cls(f"Webhook endpoint {shown(endpoint_id)} not found", code="webhook_not_found")

    @classmethod
    def asset(cls, asset_id: str, *, param: str | None = None) -> NotFound:
        return cls(f"Asset {shown(asset_id)} not found", code="asset_not_found", param=param)


class MethodNotAllowed(ApiError):
    """The path is served, this method on it is not."""

    status = 405
    default_code = "method_not_allowed"


class TooSlow(ApiError):
    """The request's body came too slowly, or not at all."""

    status = 408
    default_code = "request_timeout"
    retryable = True

    def __init__(self) -> None:
        super().__init__("The request body came too slowly.")


class Conflict(ApiError):
    """The thing is in no state for this."""

    status = 409
    default_code = "conflict"


class NotReady(Conflict):
    """What it needs is still being made."""

    default_code = "resource_not_ready"
    retryable = True


class PayloadTooLarge(ApiError):
    """More bytes than this path takes."""

    status = 413
    default_code = "payload_too_large"


class HeadTooLarge(ApiError):
    """More headers than anybody needs."""

    status = 431
    default_code = "invalid_parameter"

    def __init__(self) -> None:
        super().__init__("A request may have at most 100 headers of 32 kB together.")


class KeyReused(ApiError):
    """An `Idempotency-Key` that already stands for another body."""

    status = 422
    default_code = "idempotency_key_reused"


class RateLimited(ApiError):
    """Too many requests; nothing was stored."""

    status = 429
    default_code = "rate_limit_exceeded"
    retryable = True


class InternalError(ApiError):
    """A defect of ours; the request id finds it in the log."""

    status = 500
    default_code = "internal_error"
    retryable = True

    def __init__(self, message: str = "Something went wrong inside Greenroom.") -> None:
        super().__init__(message)


class Unavailable(ApiError):
    """Something we need does not answer now."""

    status = 503
    default_code = "service_unavailable"
    retryable = True


class OutcomeUnknown(ApiError):
    """HeyGen may have done what was asked, and no repeat can tell: to repeat it may be to pay for it twice."""

    status = 504
    default_code = "gateway_timeout"


def envelope(error: ApiError, request_id: str | None) -> dict[str, Any]:
    """HeyGen's error body with our `request_id`, `retryable` and, for several faults, `errors` inside it."""
    body: dict[str, Any] = {
        "code": error.code,
        "message": error.message,
        "param": error.param,
        "doc_url": doc_url(error.code),
        "request_id": request_id,
        "retryable": error.retryable,
    }
    if error.errors:
        body["errors"] = [{"code": f.code, "message": f.message, "path": f.path} for f in error.errors]
    return {"error": body}


def shown(given: str) -> str:
    """An id as messages repeat it: whatever stood in its place may be of any length."""
    return given if len(given) <= LONGEST_SHOWN else f"{given[:LONGEST_SHOWN]}…"


def doc_url(code: str) -> str | None:
    """HeyGen's page for one of its codes; None for a code of ours."""
    if code in OUR_CODES:
        return None
    return f"https://developers.heygen.com/docs/error-codes#{code.replace('_', '-')}"
