from datetime import UTC, datetime, timedelta, timezone
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.links import content_link, link_expiry, verify

NOW = datetime(2026, 11, 22, 15, 30, tzinfo=UTC)
PATH = "/v3/videos/0193a5c09d0f7d3ab1f0c1f3a5a0b1c2/content"
KEYS = (b"newest" * 6, b"oldest" * 6)

texts = st.text(st.characters(codec=None), max_size=40)  # lone surrogates too


def parts(link: str) -> tuple[str, str, str, str]:
    """What a route reads from a link: path, variant, expires, signature."""
    url = urlsplit(link)
    query = parse_qs(url.query, strict_parsing=True)
    return url.path, query["variant"][0], query["expires"][0], query["signature"][0]


def test_a_link_carries_all_that_verifies_it() -> None:
    link = content_link("https://api.example", PATH, "video", NOW, KEYS)
    assert link.startswith(f"https://api.example{PATH}?variant=video&expires=")
    assert verify(*parts(link), NOW, KEYS)


def test_a_slash_after_the_api_url_is_not_doubled() -> None:
    assert content_link("http://localhost:8000/", PATH, "video", NOW, KEYS).startswith(
        f"http://localhost:8000{PATH}?"
    )


def test_the_signature_stays_what_links_already_given_out_carry() -> None:
    link = content_link("https://api.example", "/v3/assets/a1/content", "file", NOW, [b"k" * 32])
    assert link == (
        "https://api.example/v3/assets/a1/content?variant=file&expires=1795996800"
        "&signature=3458aaa170f866a9f1feee288ba5312382cabe15eb955c9a3d4c1d99baa222d2"
    )


@pytest.mark.parametrize("second", [0, 1, 3600, 86_399])
def test_every_link_of_one_utc_day_is_the_same_and_lasts_seven_days(second: int) -> None:
    midnight = datetime(2026, 11, 22, tzinfo=UTC)
    now = midnight + timedelta(seconds=second)
    link = content_link("https://api.example", PATH, "video", now, KEYS)
    assert link == content_link("https://api.example", PATH, "video", midnight, KEYS)
    assert link_expiry(now) == datetime(2026, 11, 30, tzinfo=UTC)
    assert verify(*parts(link), now + timedelta(days=7), KEYS)


def test_the_day_is_utc_wherever_now_was_read() -> None:
    tokyo = datetime(2026, 11, 23, 8, tzinfo=timezone(timedelta(hours=9)))
    assert link_expiry(tokyo) == datetime(2026, 11, 30, tzinfo=UTC)


def test_a_link_ends_at_its_expiry_to_the_second() -> None:
    link = content_link("https://api.example", PATH, "video", NOW, KEYS)
    assert verify(*parts(link), link_expiry(NOW) - timedelta(seconds=1), KEYS)
    assert not verify(*parts(link), link_expiry(NOW), KEYS)


def test_a_link_signed_with_an_older_key_still_works_and_one_of_a_dropped_key_does_not() -> None:
    old = content_link("https://api.example", PATH, "video", NOW, KEYS[1:])
    assert verify(*parts(old), NOW, KEYS)
    assert not verify(*parts(old), NOW, KEYS[:1])


def test_the_signature_covers_path_variant_and_expiry() -> None:
    path, variant, expires, signature = parts(content_link("https://api.example", PATH, "video", NOW, KEYS))
    assert not verify(path.replace("c2/", "c3/"), variant, expires, signature, NOW, KEYS)
    assert not verify(path, "thumbnail", expires, signature, NOW, KEYS)
    assert not verify(path, variant, str(int(expires) + 1), signature, NOW, KEYS)
    assert not verify(path, variant, "0" + expires, signature, NOW, KEYS)


def test_parts_cannot_be_moved_across_their_borders() -> None:
    link = content_link("https://api.example", "/a", "b&expires=1795996800", NOW, KEYS)
    _, _, expires, signature = parts(link)
    assert not verify("/a", "b", expires, signature, NOW, KEYS)
    assert not verify("/a", "b", f"{expires}&expires={expires}", signature, NOW, KEYS)
    assert verify("/a", "b&expires=1795996800", expires, signature, NOW, KEYS)


@pytest.mark.parametrize(
    "expires", ["", "-1", "+1795996800", " 1795996800", "1e12", "NaN", "٣", "²", "9" * 5000, "\ud800"]
)
def test_an_expiry_that_is_no_plain_number_is_refused(expires: str) -> None:
    signature = parts(content_link("https://api.example", PATH, "video", NOW, KEYS))[3]
    assert not verify(PATH, "video", expires, signature, NOW, KEYS)


@given(path=texts, variant=texts, expires=texts, signature=texts)
def test_junk_is_refused_and_never_an_error(path: str, variant: str, expires: str, signature: str) -> None:
    assert not verify(path, variant, expires, signature, NOW, KEYS)
    assert not verify(path, variant, "9999999999", signature, NOW, KEYS)
