"""From a status and a body to what to do next."""

from datetime import timedelta

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.heygen.errors import (
    CODES_BY_STATUS,
    AccountBlocked,
    HeyGenError,
    Missing,
    NoAnswer,
    NotReady,
    NotSent,
    RateLimited,
    Refused,
    answer_error,
    parse_retry_after,
    transport_error,
)
from tests.heygen.conftest import patiently

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(st.sampled_from(["error", "code", "message", "msg", "param", "x"]), inner)
    ),
    max_leaves=12,
)


def error(code: str) -> dict[str, object]:
    return {"error": {"code": code, "message": "because", "param": "script", "doc_url": None}}


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (400, "invalid_parameter", Refused),
        (401, "unauthorized", AccountBlocked),
        (401, "authentication_failed", AccountBlocked),
        (402, "insufficient_credit", AccountBlocked),
        (402, "trial_limit_exceeded", AccountBlocked),
        (402, "plan_upgrade_required", Refused),
        (403, "phone_verification_required", AccountBlocked),
        (403, "forbidden", Refused),
        (400, "insufficient_credit", Refused),
        (404, "avatar_not_found", Missing),
        (409, "resource_not_ready", NotReady),
        (409, "conflict", Refused),
        (413, "payload_too_large", Refused),
        (422, "validation", Refused),
        (429, "rate_limit_exceeded", RateLimited),
        (429, "quota_exceeded", RateLimited),
        (409, "request_in_progress", NoAnswer),
        (408, "request_timeout", NoAnswer),
        (500, "internal_error", NoAnswer),
        (503, "rate_limit_exceeded", NoAnswer),
    ],
)
@pytest.mark.parametrize("spelling", [str.lower, str.upper])
def test_status_and_code_decide_together_in_any_spelling(
    status: int, code: str, kind: type, spelling: object
) -> None:
    assert callable(spelling)
    found = answer_error(status, error(spelling(code)))
    assert type(found) is kind
    assert found.code == code
    assert found.http_status == status


@pytest.mark.parametrize("status", sorted(CODES_BY_STATUS))
@pytest.mark.parametrize(
    "payload", [None, [], "text", {}, {"error": {}}, {"error": {"code": 40119}}, {"code": 400}]
)
def test_without_a_word_of_heygens_the_status_gives_the_code(status: int, payload: object) -> None:
    found = answer_error(status, payload)
    assert isinstance(found, Refused)
    assert found.code == CODES_BY_STATUS[status]


def test_a_status_without_a_code_of_its_own_is_still_named() -> None:
    assert answer_error(418, None).reason == "http_418"


@pytest.mark.parametrize(
    ("payload", "code", "message", "param"),
    [
        (error("script_too_short"), "script_too_short", "because", "script"),
        ({"error": {"code": "x", "message": "m"}, "data": None}, "x", "m", None),
        ({"error": "Video is too long", "data": None}, "invalid_parameter", "Video is too long", None),
        ({"error": "video_too_long"}, "video_too_long", "video_too_long", None),
        (
            {"code": 40119, "data": None, "message": "Video is too long"},
            "invalid_parameter",
            "Video is too long",
            None,
        ),
        ({"code": 40119, "msg": "Video is too long"}, "invalid_parameter", "Video is too long", None),
        ({"code": "40119", "message": 7, "msg": "m"}, "invalid_parameter", "m", None),
        ({"message": "Forbidden"}, "invalid_parameter", "Forbidden", None),
        ({"error": {"code": "two words", "message": None, "param": ["x"]}}, "invalid_parameter", "", None),
    ],
)
def test_envelopes_of_every_version_are_understood(
    payload: object, code: str, message: str, param: str | None
) -> None:
    found = answer_error(400, payload)
    assert isinstance(found, Refused)
    assert (found.code, found.message, found.param) == (code, message, param)


def test_an_error_reads_well_in_a_log() -> None:
    assert str(answer_error(400, error("script_too_short"))) == "script_too_short: 400 because"
    assert str(NoAnswer("timeout")) == "timeout"


def test_a_message_is_kept_short() -> None:
    found = answer_error(400, {"error": {"code": "x", "message": "m" * 1_000_000, "param": "p" * 1_000_000}})
    assert len(str(found)) < 1_100
    assert isinstance(found, Refused)
    assert len(found.param or "") == 255


@patiently
@given(status=st.integers(100, 599), payload=JSON)
def test_any_status_and_body_gives_one_of_our_errors(status: int, payload: object) -> None:
    found = answer_error(status, payload)
    assert isinstance(found, HeyGenError)
    assert isinstance(found, Refused) == (400 <= status < 500 and not isinstance(found, NoAnswer))
    assert found.reason == found.reason.lower() != ""


def connect_error(cause: BaseException) -> httpx.ConnectError:
    """What httpx raises when no address of a host could be connected to."""
    failed = OSError("All connection attempts failed")
    failed.__cause__ = cause
    error = httpx.ConnectError("")
    error.__cause__ = Exception(failed)
    return error


@pytest.mark.parametrize(
    ("cause", "reason"),
    [
        (ConnectionRefusedError(), "refused"),
        (OSError(101, "Network is unreachable"), "connect"),
        (ExceptionGroup("several", [OSError(101, "unreachable"), ConnectionRefusedError()]), "refused"),
        (ExceptionGroup("several", [OSError(101, "unreachable"), OSError(113, "no route")]), "connect"),
    ],
)
def test_a_failed_connection_is_told_by_its_attempts(cause: BaseException, reason: str) -> None:
    found = transport_error(connect_error(cause))
    assert isinstance(found, NotSent)
    assert found.reason == reason


@pytest.mark.parametrize(
    ("error", "kind", "reason"),
    [
        (httpx.PoolTimeout(""), NotSent, "pool_timeout"),
        (httpx.ConnectTimeout(""), NotSent, "connect_timeout"),
        (httpx.ConnectError(""), NotSent, "connect"),
        (httpx.ProxyError(""), NotSent, "connect"),
        (httpx.ReadTimeout(""), NoAnswer, "timeout"),
        (httpx.WriteTimeout(""), NoAnswer, "timeout"),
        (httpx.ReadError(""), NoAnswer, "reset"),
        (httpx.WriteError(""), NoAnswer, "reset"),
        (httpx.CloseError(""), NoAnswer, "reset"),
        (httpx.RemoteProtocolError(""), NoAnswer, "closed"),
    ],
)
def test_only_errors_from_before_the_first_byte_mean_not_sent(
    error: httpx.TransportError, kind: type, reason: str
) -> None:
    found = transport_error(error)
    assert type(found) is kind
    assert found.reason == reason


DATE = "Wed, 21 Oct 2026 07:28:00 GMT"


@pytest.mark.parametrize(
    ("value", "date", "seconds"),
    [
        ("0", None, 0),
        ("120", None, 120),
        (" 7 ", None, 7),
        ("1.5", None, 1.5),
        ("9" * 400, None, 30 * 86_400),
        ("Wed, 21 Oct 2026 07:29:00 GMT", DATE, 60),
        ("Wed, 21 Oct 2026 07:29:00 -0000", DATE, 60),
        ("Wed, 21 Oct 2026 06:00:00 GMT", DATE, 0),
        ("Wed, 21 Oct 2099 06:00:00 GMT", DATE, 30 * 86_400),
        ("Wed, 21 Oct 2026 07:29:00 GMT", None, None),
        ("Wed, 21 Oct 2026 07:29:00 GMT", "rubbish", None),
        ("-5", DATE, None),
        ("soon", DATE, None),
        ("٣", DATE, None),
        ("", DATE, None),
        (None, DATE, None),
    ],
)
def test_retry_after_is_seconds_or_a_date_against_the_answers_own(
    value: str | None, date: str | None, seconds: float | None
) -> None:
    assert parse_retry_after(value, date) == (None if seconds is None else timedelta(seconds=seconds))


@patiently
@given(
    value=st.text() | st.floats().map(str) | st.integers().map(str),
    date=st.none() | st.just(DATE) | st.text(),
)
def test_any_retry_after_gives_a_bounded_wait_or_none(value: str, date: str | None) -> None:
    wait = parse_retry_after(value, date)
    assert wait is None or timedelta() <= wait <= timedelta(days=30)
