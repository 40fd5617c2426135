"""Our token at the end of a title, where a lost video is found by it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.heygen.titles import TITLE_LIMIT, token_of, with_token, without_token
from tests.heygen.conftest import patiently

TOKEN = "0123456789abcdef" * 2
MARK = f"[gr:{TOKEN}]"


@pytest.mark.parametrize(
    ("title", "marked"),
    [
        (None, MARK),
        ("", MARK),
        ("Hello", f"Hello {MARK}"),
        ("Zoë \U0001f600", f"Zoë \U0001f600 {MARK}"),
        (f"copy of {MARK}", f"copy of {MARK} {MARK}"),
    ],
)
def test_a_token_stands_at_the_end_of_a_title(title: str | None, marked: str) -> None:
    assert with_token(title, TOKEN) == marked
    assert token_of(marked) == TOKEN
    assert without_token(marked) == (title or "")


@patiently
@given(st.text(), st.integers(0, 300))
def test_a_title_comes_back_as_it_was_or_as_its_beginning(title: str, limit: int) -> None:
    marked = with_token(title, TOKEN, limit)
    assert token_of(marked) == TOKEN
    assert len(marked) <= max(limit, len(MARK) + 1)
    assert title.startswith(without_token(marked))
    if len(title) + len(MARK) + 1 <= limit:
        assert without_token(marked) == title


def test_a_long_title_is_cut_and_its_token_is_not() -> None:
    marked = with_token("x" * 1_000, TOKEN)
    assert len(marked) == TITLE_LIMIT
    assert marked.endswith(f"x {MARK}")


@pytest.mark.parametrize("joined", ["e\u0301", "\U0001f468\u200d\U0001f469\u200d\U0001f467", "\u2764\ufe0f"])
def test_a_cut_does_not_split_a_joined_character(joined: str) -> None:
    for room in range(1, len(joined)):
        marked = with_token(f"ab{joined}", TOKEN, limit=len(MARK) + 1 + 2 + room)
        assert without_token(marked) == "ab"


@pytest.mark.parametrize("token", ["", TOKEN[:-1], TOKEN + "0", TOKEN.upper(), "g" * 32, f"{TOKEN}\n"])
def test_a_token_that_could_not_be_found_again_is_refused(token: str) -> None:
    with pytest.raises(ValueError, match="token"):
        with_token("x", token)


@pytest.mark.parametrize(
    "title", [None, "", "Hello", MARK + " and more", "[gr:123]", MARK.upper(), f"x {MARK}."]
)
def test_a_title_without_our_token_is_left_alone(title: str | None) -> None:
    assert token_of(title) is None
    assert title is None or without_token(title) == title


def test_blanks_that_heygen_may_add_hide_no_token() -> None:
    assert token_of(f"Hello {MARK} \n") == TOKEN
    assert without_token(f"Hello {MARK} \n") == "Hello"
