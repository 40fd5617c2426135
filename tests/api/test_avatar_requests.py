"""`POST /v3/avatars`: every field and every rule of the request."""

import base64
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.api.avatar_requests import (
    PhotoAvatar,
    PromptAvatar,
    TwinAvatar,
    parse_avatar,
    parse_change,
    parse_consent,
)
from app.api.file_inputs import InlineAsset, StoredAsset, UrlAsset
from app.api.file_types import MB
from app.errors import ApiError, InvalidParameter

URL = {"type": "url", "url": "https://example.com/portrait.jpg"}
PHOTO: dict[str, Any] = {"type": "photo", "name": "Sarah — Marketing", "file": URL}
INLINE = {"type": "base64", "media_type": "image/png", "data": "aGk="}
PROMPT: dict[str, Any] = {"type": "prompt", "name": "Sarah", "prompt": "A pilot."}
TWIN: dict[str, Any] = {
    "type": "digital_twin",
    "name": "Sarah",
    "file": {"type": "asset_id", "asset_id": "a1"},
}
KNOWN = "'type' must be one of 'photo', 'prompt', 'digital_twin'."


def refusal(body: dict[str, Any]) -> InvalidParameter:
    with pytest.raises(InvalidParameter) as caught:
        parse_avatar(body)
    assert (caught.value.status, caught.value.code) == (400, "invalid_parameter")
    return caught.value


def photo(body: dict[str, Any]) -> PhotoAvatar:
    request = parse_avatar(body)
    assert isinstance(request, PhotoAvatar)
    return request


def test_the_guides_body_is_taken_as_it_stands() -> None:
    request = photo(PHOTO)
    assert (request.type, request.name, request.avatar_group_id) == ("photo", "Sarah — Marketing", None)
    assert request.file == UrlAsset(type="url", url="https://example.com/portrait.jpg")
    assert (request.test, request.greenroom.reuse, request.greenroom.priority) == (False, True, 0)


def test_a_file_may_be_an_asset_or_come_inline() -> None:
    stored = photo(PHOTO | {"file": {"type": "asset_id", "asset_id": "a1"}})
    assert stored.file == StoredAsset(type="asset_id", asset_id="a1")
    inline = photo(PHOTO | {"file": INLINE}).file
    assert isinstance(inline, InlineAsset)
    assert (inline.data, inline.media_type) == (b"hi", "image/png")
    assert "hi" not in repr(inline)


def test_an_explicit_null_counts_as_omitted() -> None:
    nulls = {"avatar_group_id": None, "test": None, "greenroom": None, "file": URL | {"asset_id": None}}
    assert parse_avatar(PHOTO | nulls) == parse_avatar(PHOTO)


def test_our_own_options_are_read() -> None:
    options = {
        "metadata": {"a": None},
        "priority": 3.0,
        "deadline": "2030-01-31T12:00:00+02:00",
        "reuse": False,
    }
    request = parse_avatar(PHOTO | {"greenroom": options, "test": True, "avatar_group_id": "g1"})
    assert request.greenroom.metadata == {"a": None}
    assert request.greenroom.priority == 3
    assert request.greenroom.deadline == datetime(2030, 1, 31, 10, tzinfo=UTC)
    assert (request.greenroom.reuse, request.test, request.avatar_group_id) == (False, True, "g1")


NO_FILE = "At least one file source is required: provide 'file'."


def with_file(**fields: Any) -> dict[str, Any]:
    return PHOTO | {"file": fields}


@pytest.mark.parametrize(
    ("body", "param", "message"),
    [
        (PHOTO | {"type": "studio_avatar"}, "type", KNOWN),
        (PHOTO | {"type": ["photo"]}, "type", KNOWN),
        (PHOTO | {"type": None}, "type", "'type' is required."),
        (PHOTO | {"name": None}, "name", "'name' is required."),
        (PHOTO | {"name": ""}, "name", "'name' must not be empty."),
        (PHOTO | {"name": "é" * 256}, "name", "'name' must be at most 255 characters."),
        (PHOTO | {"name": "a\nb"}, "name", "'name' must not contain control characters."),
        (PHOTO | {"name": 3}, "name", "'name' must be a string."),
        (PHOTO | {"file": None}, "files", NO_FILE),
        ({"type": "video", "name": "Sarah"}, "files", NO_FILE),
        (PHOTO | {"file": "x"}, "file", "'file' must be an object."),
        (with_file(), "file.type", "'file.type' is required."),
        (with_file(type="ftp"), "file.type", "'file.type' must be one of 'url', 'asset_id', 'base64'."),
        (with_file(type=[]), "file.type", "'file.type' must be one of 'url', 'asset_id', 'base64'."),
        (with_file(type="url"), "file.url", "'file.url' is required."),
        (with_file(type="url", url="/x"), "file.url", "'file.url' must be an absolute http or https URL."),
        (with_file(type="asset_id"), "file.asset_id", "'file.asset_id' is required."),
        (with_file(type="asset_id", asset_id=""), "file.asset_id", "'file.asset_id' must not be empty."),
        (with_file(**URL, asset_id="a"), "file.asset_id", "'file.asset_id' is not a known field."),
        (
            with_file(**INLINE | {"media_type": "image/gif"}),
            "file.media_type",
            "'file.media_type' must be 'image/png' or 'image/jpeg'.",
        ),
        (with_file(**INLINE | {"data": 1}), "file.data", "'file.data' must be a string."),
        (with_file(**INLINE | {"data": ""}), "file.data", "'file.data' must not be empty."),
        (
            with_file(**INLINE | {"data": "data:image/png;base64,aGk="}),
            "file.data",
            "'file.data' must be standard base64, without line breaks or a data: prefix.",
        ),
        (
            with_file(**INLINE | {"data": "aGk=aGk="}),
            "file.data",
            "'file.data' must be standard base64, without line breaks or a data: prefix.",
        ),
        (
            with_file(**INLINE | {"data": "é" * 4}),
            "file.data",
            "'file.data' must be standard base64, without line breaks or a data: prefix.",
        ),
        (
            with_file(**INLINE | {"data": "aGk"}),
            "file.data",
            "'file.data' must be standard base64, without line breaks or a data: prefix.",
        ),
        (PHOTO | {"avatar_group_id": ""}, "avatar_group_id", "'avatar_group_id' must not be empty."),
        (PHOTO | {"test": "yes"}, "test", "'test' must be true or false."),
        (PHOTO | {"prompt": "x"}, "prompt", "'prompt' is not a known field."),
        (PROMPT | {"prompt": None}, "prompt", "'prompt' is required."),
        (PROMPT | {"prompt": ""}, "prompt", "'prompt' must not be empty."),
        (PROMPT | {"prompt": "é" * 1001}, "prompt", "'prompt' must be at most 1000 characters."),
        (PROMPT | {"file": URL}, "file", "'file' is not a known field."),
        (
            PROMPT | {"reference_images": [URL] * 4},
            "reference_images",
            "'reference_images' must have at most 3 items.",
        ),
        (
            PROMPT | {"reference_images": [URL, {"type": "url"}]},
            "reference_images.1.url",
            "'reference_images.1.url' is required.",
        ),
        (PROMPT | {"avatar_id": ""}, "avatar_id", "'avatar_id' must not be empty."),
        (
            TWIN | {"file": INLINE},
            "file.media_type",
            "'file.media_type' must be 'video/mp4' or 'video/webm'.",
        ),
        (TWIN | {"name": None}, "name", "'name' is required."),
        (TWIN | {"avatar_id": "l1"}, "avatar_id", "'avatar_id' is not a known field."),
        (
            PHOTO | {"greenroom": {"archive": True}},
            "greenroom.archive",
            "'greenroom.archive' is not a known field.",
        ),
        (PHOTO | {"greenroom": {"reuse": 1}}, "greenroom.reuse", "'greenroom.reuse' must be true or false."),
    ],
)
def test_a_broken_rule_is_named_with_its_field(body: dict[str, Any], param: str, message: str) -> None:
    error = refusal(body)
    assert (error.param, error.message, error.errors) == (param, message, ())


def test_all_that_is_missing_is_told_at_once() -> None:
    error = refusal({"type": "photo", "mood": "good"})
    assert (error.param, error.message) == ("files", NO_FILE), "HeyGen's name for it"
    assert [(fault.path, fault.message) for fault in error.errors] == [
        ("file", NO_FILE),
        ("name", "'name' is required."),
        ("mood", "'mood' is not a known field."),
    ]
    error = refusal({"type": "prompt"})
    assert [fault.path for fault in error.errors] == ["name", "prompt"]


def test_words_and_footage_are_taken() -> None:
    images = [URL, {"type": "asset_id", "asset_id": "a1"}, INLINE]
    words = parse_avatar(PROMPT | {"prompt": "é" * 1000, "reference_images": images, "avatar_id": "l1"})
    assert isinstance(words, PromptAvatar)
    assert [image.type for image in words.reference_images] == ["url", "asset_id", "base64"]
    assert parse_avatar(TWIN).type == "digital_twin"
    assert parse_avatar(TWIN | {"type": "video"}) == parse_avatar(TWIN)


def test_names_and_consents_are_checked() -> None:
    assert parse_change({"name": "Tom"}).name == "Tom"
    assert parse_consent({"reroute_url": None}).model_dump(exclude_none=True) == {}
    footage = {"type": "url", "url": "https://example.com/me.mp4"}
    whole = {"reroute_url": "https://example.com/x?a=1", "consent_text": "I do.", "consent_video": footage}
    assert parse_consent(whole).model_dump(exclude_none=True) == whole
    wrong: list[tuple[Any, dict[str, Any], str]] = [
        (parse_change, {}, "name"),
        (parse_change, {"name": ""}, "name"),
        (parse_change, {"name": "Tom", "tags": []}, "tags"),
        (parse_consent, {"consent_text": "a <b> c"}, "consent_text"),
        (parse_consent, {"consent_text": "x" * 1001}, "consent_text"),
        (parse_consent, {"reroute_url": "javascript:alert(1)"}, "reroute_url"),
        (parse_consent, {"consent_video": INLINE}, "consent_video.media_type"),
        (parse_consent, {"consent_id": "x"}, "consent_id"),
    ]
    for parse, body, param in wrong:
        with pytest.raises(InvalidParameter) as caught:
            parse(body)
        assert caught.value.param == param


def test_a_photo_in_the_body_may_have_32_mb_and_no_byte_more() -> None:
    largest = base64.b64encode(bytes(32 * MB)).decode()
    file = photo(PHOTO | {"file": INLINE | {"data": largest}}).file
    assert isinstance(file, InlineAsset)
    assert len(file.data) == 32 * MB
    for size in (32 * MB + 1, 32 * MB + 100):
        data = base64.b64encode(bytes(size)).decode()
        error = refusal(PHOTO | {"file": INLINE | {"data": data}})
        assert (error.param, error.message) == ("file.data", "'file.data' must be at most 32 MB.")


def test_footage_in_the_body_may_be_larger_than_a_photo() -> None:
    data = base64.b64encode(bytes(33 * MB)).decode()
    request = parse_avatar(TWIN | {"file": INLINE | {"media_type": "video/mp4", "data": data}})
    assert isinstance(request, TwinAvatar)
    assert isinstance(request.file, InlineAsset)
    assert len(request.file.data) == 33 * MB


def test_a_type_may_have_another_name_that_is_in_use() -> None:
    file = photo(PHOTO | {"file": INLINE | {"media_type": "image/JPG"}}).file
    assert isinstance(file, InlineAsset)
    assert file.media_type == "image/jpeg"


def test_several_faults_are_told_at_once() -> None:
    error = refusal({"type": "photo", "name": "", "file": URL, "x": 1})
    assert error.message == "'name' must not be empty."
    assert [fault.path for fault in error.errors] == ["name", "x"]


def test_many_faults_and_long_names_are_cut_short() -> None:
    error = refusal(PHOTO | {f"{n}" + "x" * 10_000: 1 for n in range(1_000)})
    assert len(error.errors) == 20
    assert len(error.message) < 300


# A small alphabet of characters that mean something to some parser.
words = st.text("a0#:/.= -\n\x00é\ud800", max_size=8)
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=8,
)


@settings(deadline=None)  # the machine may be busy
@given(
    st.fixed_dictionaries(
        {"type": st.sampled_from(["photo", "prompt", "digital_twin", "video"]) | anything},
        optional={
            "name": anything,
            "file": anything
            | st.fixed_dictionaries(
                {"type": st.sampled_from(["url", "asset_id", "base64"])},
                optional=dict.fromkeys(("url", "asset_id", "media_type", "data"), anything),
            ),
            "greenroom": anything
            | st.fixed_dictionaries(
                {}, optional=dict.fromkeys(("metadata", "priority", "deadline", "reuse"), anything)
            ),
            "test": anything,
        },
    )
)
def test_no_body_does_worse_than_a_refusal(body: dict[str, Any]) -> None:
    with suppress(ApiError):
        assert parse_avatar(body).type in {"photo", "prompt", "digital_twin"}
