"""HeyGen's answers, as documented and as they might come."""

import contextlib
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.heygen.fields import Unreadable, decode
from app.heygen.schemas import (
    Account,
    Created,
    Look,
    Page,
    Video,
    is_private_voice,
    look_state,
    statuses,
    video_state,
)
from tests.heygen.conftest import patiently

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([10**400, -(10**19), 2**63])
    | st.floats(allow_nan=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
VIDEO_FIELDS = (
    "id",
    "title",
    "status",
    "video_url",
    "duration",
    "failure_code",
    "created_at",
    "completed_at",
    "error",
    "new",
)
LOOK_FIELDS = (
    "id",
    "name",
    "status",
    "error",
    "group_id",
    "image_width",
    "image_height",
    "supported_api_engines",
    "new",
)
OTHER_FIELDS = (
    "video_id",
    "avatar_item",
    "avatar_group",
    "username",
    "wallet",
    "data",
    "has_more",
    "next_token",
    "id",
)


def fields(names: tuple[str, ...]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=dict.fromkeys(names, JSON))


def test_a_finished_video_is_read_whole() -> None:
    raw = {
        "id": "v1",
        "title": "Hello",
        "status": "completed",
        "created_at": 1_792_567_680,
        "completed_at": "2026-10-21T07:30:00Z",
        "video_url": "https://files2.heygen.ai/v1.mp4?Expires=1",
        "captioned_video_url": "https://x/c",
        "subtitle_url": "https://x/s",
        "thumbnail_url": "https://x/t",
        "gif_url": "https://x/g",
        "duration": 12.5,
        "failure_code": None,
        "failure_message": "",
        "something_new": {"a": 1},
    }
    video = Video.of(raw)
    assert (video.id, video.title, video.status, video.duration) == ("v1", "Hello", "completed", 12.5)
    assert video.video_url == "https://files2.heygen.ai/v1.mp4?Expires=1"
    assert video.captioned_video_url == "https://x/c"
    assert (video.subtitle_url, video.thumbnail_url, video.gif_url) == (
        "https://x/s",
        "https://x/t",
        "https://x/g",
    )
    assert video.created_at == datetime(2026, 10, 21, 7, 28, tzinfo=UTC)
    assert video.completed_at == datetime(2026, 10, 21, 7, 30, tzinfo=UTC)
    assert (video.failure_code, video.failure_message) == (None, None)
    assert video.raw == raw


def test_a_failed_video_keeps_its_code_and_message() -> None:
    video = Video.of(
        {"id": "v", "status": "failed", "failure_code": 40119, "failure_message": "Video is too long"}
    )
    assert (video.failure_code, video.failure_message) == ("40119", "Video is too long")
    video = Video.of({"id": "v", "status": "failed", "error": {"code": "rendering_failed", "message": "m"}})
    assert (video.failure_code, video.failure_message) == ("rendering_failed", "m")


@pytest.mark.parametrize("value", [1e300, -1e300, 1e17, 10**18, "0001-01-01T00:00:00+14:00", "2026-13-01"])
def test_an_instant_no_calendar_has_reads_as_none(value: object) -> None:
    assert Video.of({"id": "v", "created_at": value}).created_at is None


def test_a_number_too_long_for_a_text_reads_as_none() -> None:
    assert Video.of({"id": "v", "title": 10**5_000, "failure_code": 7}).title is None


@pytest.mark.parametrize("value", [True, "NaN", "soon", [], {}, 10**400, "1e999", None])
def test_an_optional_field_of_the_wrong_type_reads_as_none(value: object) -> None:
    video = Video.of({"id": "v", "duration": value, "created_at": value})
    assert (video.duration, video.created_at) == (None, None)
    assert video.status == ""


def test_a_look_is_read_with_its_error_and_size() -> None:
    raw = {
        "id": "lk",
        "name": "Ann",
        "status": "failed",
        "error": {"code": "training_failed", "message": "No face was found."},
        "group_id": "ag",
        "preview_image_url": "https://x/i",
        "preview_video_url": None,
        "image_width": 512,
        "image_height": 768.0,
        "default_voice_id": "vo",
        "supported_api_engines": ["avatar_iii", "avatar_iv", 5],
    }
    look = Look.of(raw)
    assert (look.id, look.name, look.status, look.group_id) == ("lk", "Ann", "failed", "ag")
    assert (look.error_code, look.error_message) == ("training_failed", "No face was found.")
    assert (look.preview_image_url, look.preview_video_url) == ("https://x/i", None)
    assert (look.width, look.height) == (512, 768)
    assert (look.default_voice_id, look.supported_api_engines) == ("vo", ("avatar_iii", "avatar_iv"))
    assert look.raw == raw


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"video_id": "v", "status": "waiting"}, ("v", None, "waiting")),
        ({"avatar_item": {"id": "lk", "group_id": "a1"}, "avatar_group": {"id": "a2"}}, ("lk", "a1", None)),
        ({"avatar_item": {"id": "lk"}, "avatar_group": None}, ("lk", None, None)),
    ],
)
def test_a_create_names_what_was_made(data: dict[str, Any], expected: tuple[str | None, ...]) -> None:
    created = Created.of(data)
    assert (created.id, created.group_id, created.status) == expected


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"video_id": None},
        {"video_id": ["v"]},
        {"avatar_item": None, "avatar_group": {"id": "a"}},
        {"id": "v"},
    ],
)
def test_a_create_without_an_id_is_unreadable(data: dict[str, Any]) -> None:
    with pytest.raises(Unreadable):
        Created.of(data)


@pytest.mark.parametrize("parse", [Video.of, Look.of])
@pytest.mark.parametrize("heygen_id", [None, "", [], True, {"a": 1}])
def test_nothing_is_read_without_an_id(parse: Any, heygen_id: object) -> None:
    with pytest.raises(Unreadable):
        parse({"id": heygen_id, "status": "completed"})


@pytest.mark.parametrize(
    ("payload", "next_token"),
    [
        ({"data": [], "has_more": True, "next_token": "t"}, "t"),
        ({"data": [], "next_token": "t"}, "t"),
        ({"data": [], "has_more": False, "next_token": "t"}, None),
        ({"data": [], "has_more": True, "next_token": None}, None),
        ({"data": [], "has_more": True, "next_token": ""}, None),
    ],
)
def test_the_last_page_has_no_token(payload: dict[str, Any], next_token: str | None) -> None:
    assert Page.of(payload) == Page((), next_token)


@pytest.mark.parametrize(
    "payload", [{}, {"data": None}, {"data": {"videos": []}}, {"error": None, "data": "x"}]
)
def test_a_page_that_cannot_be_read_never_passes_for_an_empty_one(payload: dict[str, Any]) -> None:
    with pytest.raises(Unreadable):
        Page.of(payload)


def test_statuses_are_found_in_a_list_or_one_level_below() -> None:
    entries = [{"video_id": "a", "status": "queued"}]
    assert statuses({"data": entries}) == statuses({"data": {"videos": entries}}) == {"a": "queued"}
    with pytest.raises(Unreadable):
        statuses({"data": {"a": "queued"}})


@pytest.mark.parametrize(
    ("word", "state"),
    [
        ("completed", "completed"),
        ("COMPLETED", "completed"),
        ("failed", "failed"),
        ("not_found", "gone"),
        ("waiting", "running"),
        ("pending", "running"),
        ("queued", "running"),
        ("processing", "running"),
        ("moderating", "running"),
        ("", "running"),
        (None, "running"),
    ],
)
def test_a_word_we_do_not_know_means_still_running(word: str | None, state: str) -> None:
    assert video_state(word) == state


@pytest.mark.parametrize(
    ("word", "state"),
    [
        (None, "ready"),
        ("completed", "ready"),
        ("Failed", "failed"),
        ("processing", "running"),
        ("pending_consent", "running"),
        ("dreaming", "running"),
    ],
)
def test_a_look_without_a_status_is_ready(word: str | None, state: str) -> None:
    assert look_state(Look.of({"id": "lk", "status": word})) == state


@patiently
@given(fields(VIDEO_FIELDS), fields(LOOK_FIELDS), fields(OTHER_FIELDS))
def test_nothing_heygen_says_breaks_the_reading(
    video: dict[str, Any], look: dict[str, Any], other: dict[str, Any]
) -> None:
    Video.of({**video, "id": "v"})
    assert look_state(Look.of({**look, "id": "lk"})) in {"running", "ready", "failed"}
    Account.of({**other, "username": "u"}, simulated=False)
    for parse in (Created.of, Page.of, statuses):
        with contextlib.suppress(Unreadable):
            parse(other)


@patiently
@given(st.binary())
@example(b"[" * 100_000)
@example(b"9" * 5_000)
@example(b"")
def test_any_bytes_decode_or_raise_value_error(body: bytes) -> None:
    with contextlib.suppress(ValueError):
        decode(body)


@patiently
@given(JSON)
@example({"a\x00\ud800": ["\udfff\x00", {"b": "\ud83d"}]})
@example([1e308 * 10, -1e308 * 10])
def test_what_is_decoded_can_be_stored_and_sent_on(value: Any) -> None:
    found = decode(json.dumps(value).encode())
    again = json.dumps(found, ensure_ascii=False, allow_nan=False)
    assert "\x00" not in again.encode().decode()
    assert "\\u0000" not in again


def test_a_number_too_large_for_json_decodes_to_none() -> None:
    assert decode(b"[1e400, -1e400, NaN, Infinity, 1.5]") == [None, None, None, None, 1.5]


def test_decoding_changes_nothing_that_can_be_stored() -> None:
    value = {"emoji": "\U0001f600", "n": [1, 2.5, None, True], "back\\u0000slash": "\\ud800"}
    assert decode(json.dumps(value).encode()) == value
    assert decode(b"\xef\xbb\xbf{}") == {}


@pytest.mark.parametrize(
    ("voice", "private"),
    [({}, False), ({"type": "public"}, False), ({"type": "private"}, True), ({"status": "complete"}, True)],
)
def test_a_clone_is_told_by_its_status_where_there_is_no_type(voice: dict[str, str], private: bool) -> None:
    assert is_private_voice(voice) is private
