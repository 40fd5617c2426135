"""Bodies: what is JSON to us, and when two of them mean the same."""

import asyncio
import json
import math
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.requests import Request

from app.api.json_body import LARGE, MAX_DEPTH, canonical, parse_json_object, read_json
from app.errors import InvalidParameter

text = st.text('aAé😀"\\/\x1f\ud7ff', max_size=6)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=4),
    max_leaves=20,
)
objects = st.dictionaries(text, values, max_size=4)


def parse(body: str | bytes, content_type: str | None = "application/json") -> dict[str, Any]:
    return parse_json_object(body.encode() if isinstance(body, str) else body, content_type)


def refusal(body: str | bytes, content_type: str | None = "application/json") -> InvalidParameter:
    with pytest.raises(InvalidParameter) as caught:
        parse(body, content_type)
    assert (caught.value.status, caught.value.code) == (400, "invalid_parameter")
    return caught.value


@pytest.mark.parametrize(
    "content_type",
    ["application/json", "APPLICATION/JSON; charset=utf-8", " application/json ", "application/problem+json"],
)
def test_json_is_taken_under_its_content_types(content_type: str) -> None:
    assert parse('{"a": 1}', content_type) == {"a": 1}


@pytest.mark.parametrize("content_type", [None, "", "text/plain", "application/jsonp", "text/x+json", "json"])
def test_any_other_content_type_is_refused(content_type: str | None) -> None:
    error = refusal('{"a": 1}', content_type)
    assert (error.param, error.message) == ("Content-Type", "'Content-Type' must be application/json.")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "The body must be valid JSON: Expecting value at line 1, column 1."),
        (
            b"{",
            "The body must be valid JSON: Expecting property name enclosed in double quotes at line 1, column 2.",
        ),
        (b"{} {}", "The body must be valid JSON: Extra data at line 1, column 4."),
        (b'{"a": "\n"}', "The body must be valid JSON: Invalid control character at at line 1, column 8."),
        (b"\xef\xbb\xbf{}", "The body must not start with a byte-order mark."),
        (b'{"a": "\xff"}', "The body must be UTF-8: byte 7 is not."),
        (b'{"a": "\xed\xa0\x80"}', "The body must be UTF-8: byte 7 is not."),
        ("{}".encode("utf-16"), "The body must be UTF-8: byte 0 is not."),
        (b"[]", "The body must be a JSON object."),
        (b"null", "The body must be a JSON object."),
        (b'"text"', "The body must be a JSON object."),
        (b'{"a": NaN}', "The body must be valid JSON: NaN is no JSON number."),
        (b'{"a": Infinity}', "The body must be valid JSON: Infinity is no JSON number."),
        (b'{"a": -Infinity}', "The body must be valid JSON: -Infinity is no JSON number."),
        (b'{"a": 1e400}', "The body must not have a number beyond the range of a double."),
        (b'{"a": -1e400}', "The body must not have a number beyond the range of a double."),
        (b'{"a": %s}' % (b"9" * 4301), "The body must not have an integer of more than 4300 digits."),
        (b'{"a": %s}' % (b"9" * 100_000), "The body must not have an integer of more than 4300 digits."),
    ],
)
def test_what_is_no_usable_json_object_is_refused_with_the_reason(body: bytes, message: str) -> None:
    assert refusal(body).message == message


@pytest.mark.parametrize(
    "body",
    ["[" * 100_000, '{"a":' * 100_000, '{"a": ' + "[" * 32 + "]" * 32 + "}", '{"x":"]]]]","a":' + "[" * 32],
)
def test_a_body_nested_too_deeply_is_refused_before_it_is_built(body: str) -> None:
    assert refusal(body).message == "The body must be nested at most 32 levels deep."


def test_depth_counts_nesting_and_not_brackets() -> None:
    deepest = '{"a": ' + "[" * (MAX_DEPTH - 1) + "]" * (MAX_DEPTH - 1) + "}"
    assert parse(deepest)
    assert parse('{"a": [' + "[]," * 100 + "[]]}")
    assert parse(json.dumps({"a": "[" * 1000, "b": '"[\\"' * 1000}))


def test_a_body_of_too_many_values_is_refused_before_it_is_built() -> None:
    assert refusal('{"a": [' + "0," * 250_001 + "0]}").message == "The body must have at most 250000 values."
    assert parse(json.dumps({"a": "," * 250_001}))


def test_an_unfinished_string_of_quotes_costs_no_more_than_its_length() -> None:
    body = '{"a": "' + '\\"' * 300_000 + "[" * 40
    assert refusal(body).message.startswith("The body must be valid JSON: Unterminated string")


@pytest.mark.parametrize(
    ("body", "param", "message"),
    [
        (r'{"a": "x\u0000"}', "a", "'a' must not contain the character U+0000."),
        (r'{"a": "\ud800"}', "a", "'a' must not contain half of a surrogate pair."),
        (r'{"a": "\uDC00\uD800"}', "a", "'a' must not contain half of a surrogate pair."),
        (r'{"a": {"b": [1, "\u0000"]}}', "a.b.1", "'a.b.1' must not contain the character U+0000."),
        (r'{"\u0000": 1}', None, "A key of this object must not contain the character U+0000."),
        (r'{"a": {"\ud800": 1}}', "a", "A key of this object must not contain half of a surrogate pair."),
    ],
)
def test_text_that_no_database_stores_is_refused_by_name(body: str, param: str | None, message: str) -> None:
    error = refusal(body)
    assert (error.param, error.message) == (param, message)


def test_a_surrogate_pair_is_one_character_and_an_escaped_backslash_is_no_escape() -> None:
    assert parse(r'{"a": "\ud83d\ude00", "b": "\\u0000"}') == {"a": "😀", "b": "\\u0000"}


def test_of_a_key_that_comes_twice_the_last_counts() -> None:
    assert parse('{"a": 1, "a": 2}') == {"a": 2}


def test_integers_keep_every_digit() -> None:
    assert parse('{"a": 9007199254740993, "b": -0}') == {"a": 9007199254740993, "b": 0}


@settings(deadline=None)  # the machine may be busy
@given(objects)
def test_whatever_json_writes_is_read_back(value: dict[str, Any]) -> None:
    assert parse(json.dumps(value)) == value
    assert parse(json.dumps(value, ensure_ascii=False)) == value


@settings(deadline=None)  # the machine may be busy
@given(st.binary())
def test_no_bytes_do_worse_than_a_refusal(raw: bytes) -> None:
    with suppress(InvalidParameter):
        assert isinstance(parse(raw), dict)


@settings(deadline=None)  # the machine may be busy
@given(objects)
def test_order_of_keys_and_spelling_of_numbers_do_not_change_the_meaning(value: dict[str, Any]) -> None:
    assert canonical(respelled(value)) == canonical(value)


@settings(deadline=None)  # the machine may be busy
@given(objects, st.sampled_from(["extra", "né"]))
def test_a_null_in_an_object_means_nothing(value: dict[str, Any], key: str) -> None:
    without = {name: item for name, item in value.items() if name != key}
    assert canonical(without | {key: None}) == canonical(without)
    assert canonical(without | {key: 0}) != canonical(without)


@settings(deadline=None)  # the machine may be busy
@given(objects, objects)
def test_different_meanings_have_different_bytes(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert (canonical(one) == canonical(other)) == (meaning(one) == meaning(other))


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ({"a": 1.0}, {"a": 1}, True),
        ({"a": -0.0}, {"a": 0}, True),
        ({"a": 1e22}, {"a": 10**22}, True),
        ({"a": 1.5}, {"a": 1}, False),
        ({"a": True}, {"a": 1}, False),
        ({"a": "1"}, {"a": 1}, False),
        ({"a": [None]}, {"a": []}, False),
        ({"a": {"b": None}}, {"a": {}}, True),
        ({"a": {}}, {}, False),
        ({"a": "é"}, {"a": "e\u0301"}, False),
    ],
)
def test_bodies_compare_by_value(one: dict[str, Any], other: dict[str, Any], same: bool) -> None:
    assert (canonical(one) == canonical(other)) is same


def test_long_strings_compare_by_value() -> None:
    one, other = ("é" + "x" * LARGE + end for end in "ab")
    assert canonical({"a": [one]}) == canonical({"a": [one]}) != canonical({"a": [other]})
    assert len(canonical([one])) < 100


def test_the_canonical_form_is_utf8_as_written() -> None:
    assert canonical({"b": "é", "a": [1.0, None]}) == '{"a":[1,null],"b":"é"}'.encode()


def respelled(value: Any) -> Any:
    """The same meaning as another client would write it."""
    if isinstance(value, dict):
        return {key: respelled(value[key]) for key in reversed(value)}
    if isinstance(value, list):
        return [respelled(item) for item in value]
    if type(value) is int and abs(value) < 2**53:
        return float(value)
    return value


def meaning(value: Any) -> Any:
    """Equality by another road: Python's own, with booleans told from numbers."""
    if isinstance(value, dict):
        return {key: meaning(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [meaning(item) for item in value]
    assert not (isinstance(value, float) and math.isnan(value))
    return ("bool", value) if isinstance(value, bool) else value


async def test_while_a_large_body_is_read_the_loop_goes_on() -> None:
    large = json.dumps({"data": "x" * 8_000_000}).encode()

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": large, "more_body": False}

    headers = [(b"content-type", b"application/json")]
    request = Request({"type": "http", "method": "POST", "path": "/", "headers": headers}, receive)
    reading, turns = asyncio.ensure_future(read_json(request)), 0
    while not reading.done():
        await asyncio.sleep(0)
        turns += 1
    assert len((await reading)["data"]) == 8_000_000
    assert turns > 3, "everybody waited"
