import base64
import hashlib
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest
from cryptography.fernet import Fernet
from hypothesis import given
from hypothesis import strategies as st

from app.secrets import (
    CannotDecrypt,
    Secrets,
    digest,
    generate_key,
    load_or_create,
    new_api_key,
    new_webhook_secret,
    parse_api_key,
    same,
    token,
)

OLD, NEW = "old key " * 4, "new key " * 4


def test_what_was_encrypted_comes_back() -> None:
    secrets = Secrets([NEW])
    encrypted = secrets.encrypt(b"\x00 the script \xff")
    assert b"script" not in encrypted
    assert secrets.decrypt(encrypted) == b"\x00 the script \xff"


def test_the_newest_key_encrypts_and_every_key_decrypts() -> None:
    encrypted_before = Secrets([OLD]).encrypt(b"x")
    rotating = Secrets([NEW, OLD])
    assert rotating.decrypt(encrypted_before) == b"x"
    assert Secrets([NEW]).decrypt(rotating.encrypt(b"y")) == b"y"


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: data[:-1],
        lambda data: data[:20] + bytes([data[20] ^ 1]) + data[21:],
        lambda data: data[:0],
        lambda data: b"\x00\xff not base64" + data,
    ],
)
def test_altered_data_cannot_be_decrypted(spoil: Callable[[bytes], bytes]) -> None:
    secrets = Secrets([NEW])
    with pytest.raises(CannotDecrypt):
        secrets.decrypt(spoil(secrets.encrypt(b"x" * 40)))


def test_data_of_a_dropped_key_cannot_be_decrypted() -> None:
    with pytest.raises(CannotDecrypt):
        Secrets([NEW]).decrypt(Secrets([OLD]).encrypt(b"x"))


def test_no_purpose_shares_a_key_with_another_or_with_encryption() -> None:
    secrets = Secrets([NEW, OLD])
    links, cursors = secrets.signing_keys("links"), secrets.signing_keys("cursors")
    assert len({*links, *cursors}) == 4
    assert all(len(key) == 32 for key in links)
    assert links[1:] == Secrets([OLD]).signing_keys("links")  # newest first
    with pytest.raises(CannotDecrypt):
        secrets.decrypt(Fernet(base64.urlsafe_b64encode(links[0])).encrypt(b"x"))


def test_derived_keys_stay_the_same_from_version_to_version() -> None:
    """Otherwise an upgrade would make every stored secret unreadable."""
    assert (
        Secrets(["k" * 32]).signing_keys("links")[0].hex()
        == "b787d98807216cd7fa6b65ba02d8b5fe164b28b0d5a604ce1d58ef34cdf4ef00"
    )


@pytest.mark.parametrize("keys", [[], [""], ["x" * 31], [NEW, "short"]])
def test_missing_and_short_keys_are_refused_by_name(keys: list[str]) -> None:
    with pytest.raises(ValueError, match="SECRET_KEYS"):
        Secrets(keys)


def test_made_keys_and_tokens_are_long_enough_and_never_repeat() -> None:
    assert Secrets([generate_key()])
    assert re.fullmatch(r"[0-9a-f]{32}", token())
    assert len({token() for _ in range(1000)} | {generate_key() for _ in range(1000)}) == 2000


def test_a_digest_is_the_sha256_in_hex() -> None:
    assert digest("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


@pytest.mark.parametrize(("other", "equal"), [("é", True), ("e", False), ("", False), ("\ud800", False)])
def test_texts_are_compared_whatever_their_characters(other: str, equal: bool) -> None:
    assert same("é", other) is equal


def test_a_webhook_secret_is_32_bytes_in_the_standard_form() -> None:
    secret = new_webhook_secret()
    assert secret.startswith("whsec_")
    assert len(base64.b64decode(secret.removeprefix("whsec_"), validate=True)) == 32
    assert secret != new_webhook_secret()


def test_a_new_api_key_is_recognised_as_text_and_as_bytes() -> None:
    key, public_id, secret_sha256 = new_api_key()
    assert re.fullmatch(rf"gr_{public_id}_[A-Za-z0-9_-]{{43}}[A-Za-z0-9_-]{{6}}", key)
    assert re.fullmatch(r"[0-9a-f]{16}", public_id)
    assert secret_sha256 == hashlib.sha256(key[20:63].encode()).hexdigest()
    assert parse_api_key(key) == parse_api_key(key.encode()) == (public_id, secret_sha256)


def test_every_single_altered_character_of_an_api_key_is_noticed() -> None:
    key = new_api_key().key
    for position, character in enumerate(key):
        other = "a" if character != "a" else "b"
        assert parse_api_key(key[:position] + other + key[position + 1 :]) is None


@pytest.mark.parametrize(
    "alter",
    [
        lambda key: key[:0],
        lambda key: key[:-1],
        lambda key: key + "\n",
        lambda key: " " + key,
        lambda key: key + "\0",
        lambda key: key.upper(),
        lambda key: key.replace("gr_", "sk_"),
        lambda key: key[:30] + "é" + key[31:],
        lambda key: key[:30] + "\ud800" + key[31:],
        lambda key: key * 1500,  # 100 kB
        lambda key: key + "' OR 1=1 --",
    ],
)
def test_anything_else_is_no_api_key_and_no_error(alter: Callable[[str], str]) -> None:
    assert parse_api_key(alter(new_api_key().key)) is None


@given(st.one_of(st.text(st.characters(codec=None)), st.binary()))
def test_junk_is_no_api_key(text: str | bytes) -> None:
    assert parse_api_key(text) is None


def test_a_key_file_is_made_once_for_the_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "greenroom.key"
    keys = load_or_create(path)
    assert len(keys) == 1
    assert Secrets(keys)
    assert path.stat().st_mode & 0o777 == 0o600
    assert load_or_create(path) == keys
    assert list(tmp_path.iterdir()) == [path]


def test_processes_that_start_at_once_go_on_with_the_same_key(tmp_path: Path) -> None:
    path = tmp_path / "greenroom.key"
    start = Barrier(16)

    def load(_: int) -> tuple[str, ...]:
        start.wait()
        return load_or_create(path)

    with ThreadPoolExecutor(16) as threads:
        assert len(set(threads.map(load, range(16)))) == 1
    assert list(tmp_path.iterdir()) == [path]


def test_a_key_file_may_list_older_keys(tmp_path: Path) -> None:
    path = tmp_path / "greenroom.key"
    path.write_text(f"{'n' * 40}\n\n{'o' * 32}\n")
    assert load_or_create(path) == ("n" * 40, "o" * 32)


@pytest.mark.parametrize("content", ["", "\n", "short\n"])
def test_a_key_file_without_a_usable_key_is_an_error_that_names_it(tmp_path: Path, content: str) -> None:
    path = tmp_path / "greenroom.key"
    path.write_text(content)
    with pytest.raises(ValueError, match=r"greenroom\.key"):
        load_or_create(path)
