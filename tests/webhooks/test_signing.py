import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError

from app.webhooks.signing import headers

NEWEST = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OLDER = "whsec_" + base64.b64encode(b"o" * 32).decode()
EVENT = "0193a5c09d0f7d3ab1f0c1f3a5a0b1c2"
AT = datetime(2026, 11, 22, 12, 0, 0, 900_000, tzinfo=UTC)
BODY = (
    '{"event_type":"avatar_video.success","event_data":{"video_id":"é","url":"https://x/?a=1&b=2"}}'.encode()
)

bodies = st.one_of(
    st.text(max_size=300).map(str.encode),
    st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists).map(
        lambda value: json.dumps(value, ensure_ascii=False).encode()
    ),
)


def expected_standard(secret: str, event_id: str, timestamp: str, body: bytes) -> str:
    """The second opinion: the specification in three lines of the standard library."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = b".".join((event_id.encode(), timestamp.encode(), body))
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


def expected_heygen(secret: str, body: bytes) -> str:
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def verified(secret: str, sent: dict[str, str], body: bytes) -> bool:
    try:
        Webhook(secret).verify(body, sent, json_parse=False)
    except WebhookVerificationError:
        return False
    return True


def test_fixed_vectors() -> None:
    assert headers([NEWEST], EVENT, AT, BODY) == {
        "webhook-id": EVENT,
        "webhook-timestamp": "1795348800",
        "webhook-signature": "v1,5VL4GSojZuHUX7z8dmdlnHgG47KharlMZEq8UXMpBec=",
        "Heygen-Event-Id": EVENT,
        "Heygen-Timestamp": "1795348800",
        "Heygen-Signature": "30b4f426059818e724d7ba11189f18ecb1265056a80233601f2a6d6238de23d8",
    }


@given(bodies)
def test_any_body_is_signed_as_both_specifications_say(body: bytes) -> None:
    sent = headers([NEWEST, OLDER], EVENT, AT, body)
    assert sent["webhook-signature"].split(" ") == [
        expected_standard(secret, EVENT, sent["webhook-timestamp"], body) for secret in (NEWEST, OLDER)
    ]
    assert sent["Heygen-Signature"] == expected_heygen(NEWEST, body)


@pytest.mark.parametrize("body", [b"", b"{}", BODY, b"x" * 262_144], ids=["empty", "short", "text", "256 kB"])
def test_the_official_library_verifies_with_either_secret_during_a_rotation(body: bytes) -> None:
    sent = headers([NEWEST, OLDER], EVENT, datetime.now(UTC), body)
    assert verified(NEWEST, sent, body)
    assert verified(OLDER, sent, body)


def test_the_official_library_refuses_a_dropped_secret() -> None:
    assert not verified(OLDER, headers([NEWEST], EVENT, datetime.now(UTC), BODY), BODY)


@given(st.integers(0, len(BODY) - 1), st.integers(1, 127))
def test_one_altered_byte_of_the_body_is_noticed_by_both(position: int, difference: int) -> None:
    altered = bytes(byte ^ (difference if i == position else 0) for i, byte in enumerate(BODY))
    try:
        altered.decode()
    except UnicodeDecodeError:
        altered = BODY.replace(b"a", b"b", 1)
    sent = headers([NEWEST], EVENT, datetime.now(UTC), BODY)
    assert not verified(NEWEST, sent, altered)
    assert sent["Heygen-Signature"] != expected_heygen(NEWEST, altered)


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_an_altered_header_is_noticed(name: str) -> None:
    sent = headers([NEWEST], EVENT, datetime.now(UTC), BODY)
    last = sent[name][-1]
    assert verified(NEWEST, sent, BODY)
    spoilt = sent[name][:-1] + ("1" if last != "1" else "2")
    if name == "webhook-signature":
        spoilt = "v1," + ("A" if sent[name][3] != "A" else "B") + sent[name][4:]
    assert not verified(NEWEST, sent | {name: spoilt}, BODY)


def test_an_instant_is_the_same_in_every_time_zone() -> None:
    kathmandu = AT.astimezone(timezone(timedelta(hours=5, minutes=45)))
    assert headers([NEWEST], EVENT, kathmandu, BODY) == headers([NEWEST], EVENT, AT, BODY)


def test_each_attempt_is_signed_afresh_and_keeps_the_id() -> None:
    first, second = (headers([NEWEST], EVENT, AT + timedelta(hours=hours), BODY) for hours in (0, 5))
    assert first["webhook-id"] == second["webhook-id"]
    assert first["webhook-signature"] != second["webhook-signature"]
    assert first["webhook-timestamp"] != second["webhook-timestamp"]


@pytest.mark.parametrize("event_id", ["", "a.b"])
def test_an_id_that_could_move_the_border_of_the_signed_text_is_refused(event_id: str) -> None:
    with pytest.raises(ValueError, match="event_id"):
        headers([NEWEST], event_id, AT, BODY)


def test_nothing_is_sent_unsigned() -> None:
    with pytest.raises(ValueError, match="secrets"):
        headers([], EVENT, AT, BODY)


def test_a_body_that_is_not_utf_8_is_refused() -> None:
    with pytest.raises(ValueError, match="utf-8"):
        headers([NEWEST], EVENT, AT, b"\xff")
