"""What HeyGen posts to us, real and forged."""

import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from starlette.datastructures import Headers

from app.heygen.callback import CallbackEvent, parse, verify_signature
from tests.heygen.conftest import patiently

NOW = datetime(2026, 10, 21, 7, 28, tzinfo=UTC)
SECRET = "whsec_c2VjcmV0"
BODY = b'{"event_type": "avatar_video.success", "event_data": {"video_id": "v1", "callback_id": "c1"}}'
NOTHING = CallbackEvent(None, None, None)


def sign(body: bytes = BODY, secret: str = SECRET) -> str:
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def test_a_callback_names_its_event_video_and_our_id() -> None:
    assert parse(BODY) == CallbackEvent("avatar_video.success", "v1", "c1")


def test_the_rest_of_a_callback_may_be_anything() -> None:
    body = json.dumps(
        {"event_type": "x", "event_data": {"video_id": "v", "url": "javascript:" + "x" * 1_000_000}}
    )
    assert parse(body.encode()) == CallbackEvent("x", "v", None)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b'"text"',
        b"{",
        b"\x00\xff\xfe",
        BODY.decode().encode("utf-16"),
        b"[" * 200_000,
        b'{"event_data":' * 50_000,
        b'{"event_type": ' + b"9" * 10_000 + b"}",
        b'{"event_type": null, "event_data": null}',
        b'{"event_type": ["a"], "event_data": ["v1"]}',
        b'{"event_type": 1e400, "event_data": {"video_id": NaN, "callback_id": -Infinity}}',
        b'{"event_type": "", "event_data": {"video_id": 17, "callback_id": {}}}',
        b'{"event_type": "a\\u0000b", "event_data": {"video_id": "\\ud800", "callback_id": "a\\nb"}}',
        b'{"event_data": {"video_id": "' + b"v" * 256 + b'"}}',
    ],
)
def test_a_body_that_says_nothing_usable_gives_an_empty_event(body: bytes) -> None:
    assert parse(body) == NOTHING


@patiently
@given(st.binary())
@example(b"\xef\xbb\xbf{}")
def test_any_bytes_give_an_event(body: bytes) -> None:
    assert isinstance(parse(body), CallbackEvent)


@patiently
@given(
    st.dictionaries(
        st.sampled_from(["event_type", "event_data"]), st.text() | st.dictionaries(st.text(), st.text())
    )
)
def test_what_is_read_can_be_stored_and_printed(payload: object) -> None:
    event = parse(json.dumps(payload).encode())
    for field in (event.event_type, event.heygen_id, event.callback_id):
        assert field is None or (field.isascii() and field.isprintable() and len(field) <= 255)


@pytest.mark.parametrize("name", ["Heygen-Signature", "heygen-signature", "Signature", "signature"])
def test_a_signed_delivery_is_known_under_either_header(name: str) -> None:
    assert verify_signature(SECRET, {name: sign()}, BODY, NOW)


@pytest.mark.parametrize(
    "given",
    [
        "",
        sign()[:-1],
        sign() + "0",
        sign().upper(),
        f"sha256={sign()}",
        f"v1,{sign()}",
        f" {sign()}",
        sign(secret="whsec_other"),
        sign(secret="c2VjcmV0"),
        "é" * 64,
        "\ud800",
        "0" * 65_536,
    ],
)
@pytest.mark.parametrize("name", ["Heygen-Signature", "Signature"])
def test_any_other_signature_is_refused(name: str, given: str) -> None:
    assert not verify_signature(SECRET, {name: given}, BODY, NOW)


def test_a_delivery_without_a_signature_is_refused() -> None:
    assert not verify_signature(SECRET, {}, BODY, NOW)
    assert not verify_signature(SECRET, {"x-heygen-signature": sign()}, BODY, NOW)


def test_a_body_written_anew_no_longer_fits_its_signature() -> None:
    again = json.dumps(json.loads(BODY), sort_keys=True).encode()
    assert not verify_signature(SECRET, {"Signature": sign()}, again, NOW)


def test_no_secret_verifies_nothing() -> None:
    assert not verify_signature("", {"Signature": sign(secret="")}, BODY, NOW)


def test_heygens_own_header_goes_first() -> None:
    assert verify_signature(SECRET, {"Signature": "other", "Heygen-Signature": sign()}, BODY, NOW)
    assert not verify_signature(SECRET, {"Signature": sign(), "Heygen-Signature": ""}, BODY, NOW)


@pytest.mark.parametrize("name", ["heygen-signature", "signature", "heygen-timestamp"])
def test_a_header_that_comes_twice_is_refused(name: str) -> None:
    value = str(int(NOW.timestamp())) if name == "heygen-timestamp" else sign()
    once = [(b"heygen-signature", sign().encode())] if name == "heygen-timestamp" else []
    pair = (name.encode(), value.encode())
    assert verify_signature(SECRET, Headers(raw=[*once, pair]), BODY, NOW)
    assert not verify_signature(SECRET, Headers(raw=[*once, pair, pair]), BODY, NOW)


def test_httpx_headers_serve_as_well() -> None:
    assert verify_signature(SECRET, httpx.Headers({"Signature": sign()}), BODY, NOW)


@pytest.mark.parametrize(
    ("timestamp", "accepted"),
    [
        (NOW, True),
        (NOW - timedelta(minutes=5), True),
        (NOW + timedelta(minutes=5), True),
        (NOW - timedelta(minutes=6), False),
        (NOW + timedelta(minutes=6), False),
        ("0", False),
        ("1" + "0" * 30, False),
        ("1" * 5_000, False),
        ("NaN", False),
        ("", False),
        ("-1", False),
        ("٣", False),
        (f"{NOW.timestamp()}", False),
    ],
)
@pytest.mark.parametrize("name", ["Heygen-Signature", "Signature"])
def test_a_timestamp_is_held_against_the_clock_where_it_is_there(
    name: str, timestamp: datetime | str, accepted: bool
) -> None:
    text = timestamp if isinstance(timestamp, str) else str(int(timestamp.timestamp()))
    assert verify_signature(SECRET, {name: sign(), "Heygen-Timestamp": text}, BODY, NOW) is accepted


@patiently
@given(secret=st.text(min_size=1), body=st.binary(), other=st.binary(), value=st.text())
def test_a_signature_fits_its_own_body_alone(secret: str, body: bytes, other: bytes, value: str) -> None:
    headers = {"Signature": sign(body, secret)}
    assert verify_signature(secret, headers, body, NOW)
    assert verify_signature(secret, headers, other, NOW) is (other == body)
    assert not verify_signature(secret, {"Signature": value}, body, NOW)
