import contextlib
from collections.abc import AsyncIterator

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.webhooks.destination import (
    BadDestination,
    DeliveryFailed,
    DownloadFailed,
    GuardedClient,
    check_url,
    download,
    guarded_client,
    post,
)
from tests.webhooks.hosts import DENIED, DENIED_HOSTS, PLAIN_NAMES, PUBLIC, leading_to, numbers_only
from tests.webhooks.loopback import loopback, ok


@pytest.fixture
async def client() -> AsyncIterator[GuardedClient]:
    async with guarded_client(allow_private=False, lookup=numbers_only) as client:
        yield client


def refusal(url: str, *, allow_private: bool = False) -> str | None:
    try:
        check_url(url, allow_private=allow_private)
    except BadDestination as error:
        return error.reason
    return None


@pytest.mark.parametrize(
    "url",
    [
        *(f"https://[{ip}]/" if ":" in ip else f"https://{ip}/" for ip in PUBLIC),
        *(f"https://{name}/hook" for name in PLAIN_NAMES if "." in name),
        *(
            "https://good.example",
            "https://good.example.",
            "HTTPS://GOOD.EXAMPLE/Hook",
            "https://good.example:443/",
        ),
        *("https://good.example:8443/x", "https://good.example?a=1", "https://good.example/#@127.0.0.1/"),
        *(
            "https://good.example/a%0d%0aX:%20y",
            "https://good.example/~a/b;c=d?e=[f]&g={h}",
            "https://1.2.3.4.example/",
        ),
        "https://good.example/" + "x" * 2027,
    ],
)
def test_public_https_urls_are_destinations(url: str) -> None:
    assert refusal(url) is None


@pytest.mark.parametrize("host", DENIED_HOSTS)
def test_hosts_of_our_own_are_refused_by_form(host: str) -> None:
    assert refusal(f"https://{host}/") in {"bad_url", "private_address"}
    assert refusal(f"https://{host}:8443/x?y") in {"bad_url", "private_address"}


@pytest.mark.parametrize("address", [address for address in DENIED if "%" not in address])
def test_a_denied_address_in_its_usual_form_is_named_as_such(address: str) -> None:
    assert refusal(f"https://[{address}]/" if ":" in address else f"https://{address}/") == "private_address"


BAD_FORMS = (
    *(
        "https://good@127.0.0.1/",
        "https://good:x@good.example/",
        "https://@good.example/",
        "https://:@good.example/",
    ),
    *("https://127.0.0.1\\@good.example/", "https://good.example\\@127.0.0.1/", "https:\\\\good.example\\"),
    *(
        "https://127.0.0.1:80\\@good.example/",
        "https://127.0.0.1%2f@good.example/",
        "https://good:80@127.0.0.1:6379/",
    ),
    *(
        "https://go\tod.example/",
        "https://\n127.0.0.1/",
        "https://good.example/\r\nX: y",
        "https://good.example/ x",
    ),
    *(
        " https://good.example/",
        "https://good.example/\0",
        "https://good.example/\x7f",
        "https://good.example\n",
    ),
    *(
        "//127.0.0.1/",
        "https:127.0.0.1",
        "https:/good.example/",
        "https:///good.example",
        "https://",
        "",
        "good",
    ),
    *(
        "https://good.example:0/",
        "https://good.example:99999/",
        "https://good.example:0x50/",
        "https://good.example:/",
    ),
    *(
        "https://good.example:-1/",
        "https://good.example:443:443/",
        "https://good.example:80/",
        "https://good.example:٤٤٣/",
    ),
    *("file:///etc/passwd", "gopher://good.example/", "ftp://good.example/", "dict://good.example:11111/"),
    *(
        "data:text/plain,x",
        "jar:https://good.example!/",
        "unix:/run/x",
        "javascript:alert(1)",
        "https+unix://x/",
    ),
    *("http://good.example/", "HTTP://good.example/", "ws://good.example/", "wss://good.example/"),
    *(
        "https://good..example/",
        "https://.example/",
        "https://-a.example/",
        "https://a-.example/",
        "https://.../",
    ),
    *(
        "https://go%6fd.example/",
        "https://[::1/",
        "https://::1/",
        "https://[]/",
        "https://[v1.x]/",
        "https://[::1]x/",
    ),
    *(
        "https://g\u00adood.example/",
        "https://gооd.example/",
        "https://bücher.example/",
        "https://good.example/ü",
    ),
    *(
        "https://1.2.3/",
        "https://1.2.3.4.5/",
        "https://1.2.3.256/",
        "https://01.2.3.4/",
        "https://1.2.3.0x4/",
    ),
    *(
        "https://" + "a" * 300 + ".example/",
        "https://" + "a." * 127 + "example/",
        "https://good.example/" + "x" * 9000,
    ),
)


@pytest.mark.parametrize("allow_private", [False, True])
@pytest.mark.parametrize(
    "url", [url for url in BAD_FORMS if url[:5].lower() != "http:" and ":80/" not in url]
)
def test_forms_that_parsers_read_differently_are_refused_everywhere(url: str, allow_private: bool) -> None:
    assert refusal(url, allow_private=allow_private) == "bad_url"


@pytest.mark.parametrize("url", BAD_FORMS)
def test_other_schemes_and_ports_are_refused(url: str) -> None:
    assert refusal(url) == "bad_url"


@given(st.text(st.characters(codec=None)), st.booleans())
def test_junk_is_refused_without_any_other_error(text: str, allow_private: bool) -> None:
    assert refusal(text, allow_private=allow_private) == "bad_url"
    with contextlib.suppress(BadDestination):
        check_url("https://" + text, allow_private=allow_private)


@pytest.mark.parametrize(
    "url",
    [
        *(
            "http://127.0.0.1:8000/",
            "http://localhost:3000/hook",
            "http://[::1]:9/",
            "https://10.0.0.1:65535/",
        ),
        *("http://receiver/", "http://receiver.local:1/", "https://169.254.169.254/"),
    ],
)
def test_laptops_and_tests_may_allow_private_destinations(url: str) -> None:
    assert refusal(url, allow_private=True) is None
    assert refusal(url) is not None


@pytest.mark.parametrize("host", DENIED_HOSTS)
async def test_no_spelling_of_a_host_opens_a_connection(client: GuardedClient, host: str) -> None:
    """Past `check_url` too: the client itself is asked, which dials whatever a parser made of the host."""
    async with loopback(ok()) as server:
        with pytest.raises(Exception):  # noqa: B017, PT011 (whichever layer refuses first)
            await client.get(f"http://{host}:{server.port}/")
        with pytest.raises(DeliveryFailed) as failed:
            await post(client, f"https://{host}:8443/", {}, b"{}")
        assert failed.value.reason in {"bad_url", "private_address"}
        assert server.accepted == 0


@pytest.mark.parametrize("name", PLAIN_NAMES)
async def test_no_name_of_ours_opens_a_connection(client: GuardedClient, name: str) -> None:
    async with loopback(ok()) as server:
        with pytest.raises(httpx.TransportError):
            await client.get(f"http://{name}:{server.port}/")
        assert server.accepted == 0


@pytest.mark.parametrize("address", DENIED)
async def test_a_name_that_leads_to_a_denied_address_is_refused(
    address: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    target = tmp_path_factory.mktemp("download") / "photo"
    async with guarded_client(allow_private=False, lookup=leading_to(address)) as client:
        with pytest.raises(DeliveryFailed) as delivery:
            await post(client, "https://caller.example/", {}, b"{}")
        with pytest.raises(DownloadFailed) as fetched:
            await download(client, "https://caller.example/", target=target, limit=1000)
    assert delivery.value.reason == fetched.value.reason == "private_address"
    assert str(delivery.value) == "private_address"  # not which address it was
    assert not target.exists()


@pytest.mark.parametrize(
    "answers",
    [
        ["8.8.8.8", "127.0.0.1"],
        ["127.0.0.1", "8.8.8.8"],
        ["8.8.8.8", "::1"],
        ["8.8.8.8"] * 1000 + ["10.0.0.1"],
    ],
    ids=["public first", "private first", "IPv6 loopback", "a thousand records"],
)
async def test_mixed_answers_are_refused_whole(answers: list[str]) -> None:
    async with guarded_client(allow_private=False, lookup=leading_to(*answers)) as client:
        with pytest.raises(DeliveryFailed, match="private_address"):
            await post(client, "https://caller.example/", {}, b"{}")
