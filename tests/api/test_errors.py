"""The envelope: HeyGen's words, on every error."""

import pytest

from app.errors import (
    ApiError,
    Conflict,
    Fault,
    Forbidden,
    HeadTooLarge,
    InsufficientCredit,
    InternalError,
    InvalidParameter,
    KeyReused,
    MethodNotAllowed,
    NotFound,
    OutcomeUnknown,
    PayloadTooLarge,
    RateLimited,
    TooSlow,
    Unauthorized,
    Unavailable,
    envelope,
)


def test_the_envelope_has_heygens_four_fields_and_ours_inside_error() -> None:
    error = InvalidParameter("'limit' must be between 1 and 100.", param="limit")
    assert envelope(error, "r1") == {
        "error": {
            "code": "invalid_parameter",
            "message": "'limit' must be between 1 and 100.",
            "param": "limit",
            "doc_url": "https://developers.heygen.com/docs/error-codes#invalid-parameter",
            "request_id": "r1",
            "retryable": False,
        }
    }


def test_a_code_of_ours_has_no_page_at_heygen() -> None:
    assert envelope(KeyReused("used"), None)["error"]["doc_url"] is None
    assert envelope(MethodNotAllowed("no"), None)["error"]["doc_url"] is None


def test_one_fault_is_told_once() -> None:
    error = envelope(InvalidParameter.of([Fault("'a' is required.", "a")]), None)["error"]
    assert (error["message"], error["param"], "errors" in error) == ("'a' is required.", "a", False)


def test_of_several_faults_the_first_is_the_main_one_and_all_are_listed() -> None:
    faults = [Fault("'a' is required.", "a"), Fault("'b' must be a string.", "b")]
    error = envelope(InvalidParameter.of(faults), None)["error"]
    assert (error["message"], error["param"]) == ("'a' is required.", "a")
    assert error["errors"] == [
        {"code": "invalid_parameter", "message": "'a' is required.", "path": "a"},
        {"code": "invalid_parameter", "message": "'b' must be a string.", "path": "b"},
    ]


@pytest.mark.parametrize(
    ("error", "status", "code", "retryable"),
    [
        (InvalidParameter("x"), 400, "invalid_parameter", False),
        (InvalidParameter("x", code="download_failed"), 400, "download_failed", False),
        (Unauthorized(), 401, "unauthorized", False),
        (InsufficientCredit("x"), 402, "insufficient_credit", False),
        (Forbidden("x"), 403, "forbidden", False),
        (NotFound("x"), 404, "not_found", False),
        (MethodNotAllowed("x"), 405, "method_not_allowed", False),
        (TooSlow(), 408, "request_timeout", True),
        (Conflict("x"), 409, "conflict", False),
        (PayloadTooLarge("x"), 413, "payload_too_large", False),
        (KeyReused("x"), 422, "idempotency_key_reused", False),
        (HeadTooLarge(), 431, "invalid_parameter", False),
        (RateLimited("x", retry_after=3), 429, "rate_limit_exceeded", True),
        (InternalError(), 500, "internal_error", True),
        (Unavailable("x"), 503, "service_unavailable", True),
        (OutcomeUnknown("x"), 504, "gateway_timeout", False),
    ],
)
def test_every_error_has_its_status_and_code(
    error: ApiError, status: int, code: str, retryable: bool
) -> None:
    assert (error.status, error.code, error.retryable) == (status, code, retryable)
    assert envelope(error, None)["error"]["retryable"] is retryable


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (NotFound.video("v1"), "video_not_found", "Video v1 not found"),
        (NotFound.avatar("a1"), "avatar_not_found", "Avatar a1 not found"),
        (NotFound.avatar_group("g1"), "avatar_group_not_found", "Avatar group g1 not found"),
        (NotFound.voice("o1"), "voice_not_found", "Voice o1 not found"),
        (NotFound.asset("s1"), "asset_not_found", "Asset s1 not found"),
    ],
)
def test_what_is_missing_is_named(error: NotFound, code: str, message: str) -> None:
    assert (error.status, error.code, error.message) == (404, code, message)


def test_a_wait_travels_as_a_header_in_whole_seconds() -> None:
    assert RateLimited("slow down", retry_after=7).headers == {"Retry-After": "7"}
    assert RateLimited("slow down").headers == {}


def test_a_missing_key_asks_for_one() -> None:
    assert "x-api-key" in Unauthorized().message
    assert Unauthorized().headers == {"WWW-Authenticate": "Bearer"}
