import asyncio
import gzip
import socket
import ssl
import threading
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from app.webhooks.destination import (
    AddrInfo,
    DeliveryFailed,
    Downloaded,
    DownloadFailed,
    GuardedClient,
    download,
    guarded_client,
    post,
)
from tests.webhooks.hosts import leading_to
from tests.webhooks.loopback import Loopback, Reply, endlessly, loopback, ok, say


@pytest.fixture
async def client() -> AsyncIterator[GuardedClient]:
    async with guarded_client(allow_private=True) as client:
        yield client


def url(server: Loopback, path: str = "/hook") -> str:
    return f"http://127.0.0.1:{server.port}{path}"


async def failure(client: GuardedClient, reply: Reply, within: float = 30) -> str:
    async with loopback(reply) as server:
        with pytest.raises(DeliveryFailed) as failed:
            await post(client, url(server), {}, b"{}", timeout=within)
    return failed.value.reason


async def test_a_post_arrives_as_given_and_the_answer_comes_back(client: GuardedClient) -> None:
    async with loopback(ok(b"thanks", status=b"202 Accepted")) as server:
        answer = await post(client, url(server, "/hook?a=1"), {"webhook-id": "e1"}, '{"é":1}'.encode())
    assert (answer.status, answer.body) == (202, b"thanks")
    assert timedelta(0) < answer.duration < timedelta(seconds=10)
    [request] = server.requests
    head, _, body = request.partition(b"\r\n\r\n")
    assert head.startswith(b"POST /hook?a=1 HTTP/1.1\r\n")
    assert body == '{"é":1}'.encode()
    lines = [line.lower() for line in head.split(b"\r\n")]
    assert b"webhook-id: e1" in lines
    assert b"accept-encoding: identity" in lines
    assert f"host: 127.0.0.1:{server.port}".encode() in lines


@pytest.mark.parametrize(
    "status", [b"400 Bad Request", b"404 Not Found", b"410 Gone", b"500 Oops", b"299 Odd"]
)
async def test_any_status_is_an_answer(client: GuardedClient, status: bytes) -> None:
    async with loopback(ok(status=status)) as server:
        assert (await post(client, url(server), {}, b"{}")).status == int(status[:3])


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects_are_answers_and_never_followed(
    client: GuardedClient, status: int, tmp_path: Path
) -> None:
    async with (
        loopback(ok()) as inside,
        loopback(
            ok(status=b"%d Moved" % status, headers=b"Location: %s\r\n" % url(inside).encode())
        ) as server,
    ):
        assert (await post(client, url(server), {}, b"{}")).status == status
        with pytest.raises(DownloadFailed, match="redirect"):
            await download(client, url(server), target=tmp_path / "photo", limit=1000)
        assert inside.accepted == 0
    assert len(server.requests) == 2


async def test_refresh_headers_and_cookies_are_ignored() -> None:
    headers = b"Set-Cookie: a=b; Path=/\r\nRefresh: 0; url=/elsewhere\r\n"
    async with (
        guarded_client(allow_private=True, lookup=leading_to("127.0.0.1")) as client,
        loopback(ok(headers=headers)) as server,
    ):
        for _ in range(2):  # by name: cookie jars keep nothing of a bare address
            await post(client, f"http://caller.example:{server.port}/", {}, b"{}")
    assert len(server.requests) == 2
    assert b"cookie" not in server.requests[1].lower()


async def test_the_form_of_a_url_is_checked_at_every_attempt(client: GuardedClient, tmp_path: Path) -> None:
    async with loopback(ok(b"x")) as server:
        bad = f"http://user:password@127.0.0.1:{server.port}/"
        with pytest.raises(DeliveryFailed, match="bad_url"):
            await post(client, bad, {}, b"{}")
        with pytest.raises(DownloadFailed, match="bad_url"):
            await download(client, bad, target=tmp_path / "photo", limit=1000)
        assert server.accepted == 0


async def test_proxies_and_passwords_of_the_environment_are_ignored(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password secret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    async with loopback(ok()) as proxy, loopback(ok()) as server:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        async with guarded_client(allow_private=True) as client:
            await post(client, url(server), {}, b"{}")
        assert proxy.accepted == 0
    assert b"authorization" not in server.requests[0].lower()


async def test_of_an_endless_answer_only_the_beginning_is_read(client: GuardedClient) -> None:
    async with loopback(endlessly(b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 1000)) as server:
        answer = await post(client, url(server), {}, b"{}", keep=70_001)
        await asyncio.wait_for(server.hung_up.wait(), 10)
    assert (answer.status, answer.body) == (200, b"x" * 70_001)


async def test_a_bomb_is_kept_as_it_came_and_not_inflated(client: GuardedClient) -> None:
    bomb = gzip.compress(bytes(20_000_000))
    async with loopback(ok(bomb, headers=b"Content-Encoding: gzip\r\n")) as server:
        assert (await post(client, url(server), {}, b"{}")).body == bomb


DRIPPING = {
    "headers": endlessly(b"HTTP/1.1 200 OK\r\nX: ", b"x", pause=0.02),
    "body": endlessly(b"HTTP/1.1 200 OK\r\n\r\n", b"x", pause=0.02),
    "informational answers": endlessly(b"", b"HTTP/1.1 100 Continue\r\n\r\n", pause=0.02),
    "nothing at all": endlessly(b"", b"", pause=0.02),
}


@pytest.mark.parametrize("part", DRIPPING)
async def test_one_deadline_covers_everything_however_busy_the_line(client: GuardedClient, part: str) -> None:
    assert await failure(client, DRIPPING[part], within=0.3) == "timeout"


BROKEN = {
    "not HTTP": (say(b"SSH-2.0-OpenSSH_9.2\r\n\r\n"), "protocol"),
    "a header of 64 kB": (ok(headers=b"X: " + b"x" * 65_536 + b"\r\n"), "protocol"),
    "10,000 headers": (ok(headers=b"X: y\r\n" * 10_000), "protocol"),
    "a negative length": (say(b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n"), "protocol"),
    "two lengths": (say(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx"), "protocol"),
    "no answer": (say(b"", close=True), "disconnected"),
    "half a header": (say(b"HTTP/1.1 200 OK\r\nCont", close=True), "disconnected"),
    "a body cut short": (
        say(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\nx", close=True),
        "disconnected",
    ),
    "half a chunk": (
        say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nx", close=True),
        "disconnected",
    ),
    "a senseless chunk": (
        say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nx\r\n"),
        "protocol",
    ),
}


@pytest.mark.parametrize("fault", BROKEN)
async def test_broken_answers_have_a_name(client: GuardedClient, fault: str) -> None:
    reply, reason = BROKEN[fault]
    assert await failure(client, reply) == reason


async def test_an_upgrade_nobody_asked_for_is_an_answer_like_any_other(client: GuardedClient) -> None:
    async with loopback(
        say(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", close=True)
    ) as server:
        assert (await post(client, url(server), {}, b"{}")).status == 101


async def test_a_closed_port_is_refused(client: GuardedClient) -> None:
    with socket.socket() as nobody_listens:
        nobody_listens.bind(("127.0.0.1", 0))
        with pytest.raises(DeliveryFailed, match="refused"):
            await post(client, f"http://127.0.0.1:{nobody_listens.getsockname()[1]}/", {}, b"{}")


async def test_a_header_cannot_smuggle_another(client: GuardedClient) -> None:
    async with loopback(ok()) as server:
        with pytest.raises(DeliveryFailed, match="protocol"):
            await post(client, url(server), {"X": "y\r\nZ: z"}, b"{}")
    assert server.requests == []


async def test_an_unknown_name_fails_and_may_be_found_later() -> None:
    asked = []

    def lookup(host: str, port: int) -> list[AddrInfo]:
        asked.append(host)
        if len(asked) == 1:
            raise socket.gaierror(socket.EAI_NONAME, "unknown")
        return leading_to("127.0.0.1")(host, port)

    async with guarded_client(allow_private=True, lookup=lookup) as client, loopback(ok()) as server:
        with pytest.raises(DeliveryFailed, match="dns"):
            await post(client, f"http://caller.example:{server.port}/", {}, b"{}")
        assert (await post(client, f"http://caller.example:{server.port}/", {}, b"{}")).status == 200


async def test_silent_name_servers_count_against_the_deadline_and_hold_up_nothing_else() -> None:
    silence = threading.Event()

    def lookup(host: str, port: int) -> list[AddrInfo]:
        silence.wait(30)
        raise socket.gaierror(socket.EAI_AGAIN, "nobody answered")

    async with guarded_client(allow_private=True, lookup=lookup) as client:
        names = [f"http://caller-{number}.example/" for number in range(32)]
        posts = [post(client, name, {}, b"{}", timeout=0.5) for name in names]
        failures = await asyncio.gather(*posts, return_exceptions=True)
        assert [str(failure) for failure in failures] == ["timeout"] * 32
        # Each look-up still holds its thread, but none of those that the rest of the service uses.
        assert await asyncio.wait_for(asyncio.to_thread(silence.is_set), 10) is False
        silence.set()


async def test_slow_receivers_take_no_connections_from_others(client: GuardedClient) -> None:
    everyone = asyncio.Barrier(150)

    async def reply(writer: asyncio.StreamWriter) -> None:
        await everyone.wait()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    async with loopback(reply) as server:
        await asyncio.gather(*(post(client, url(server), {}, b"{}", timeout=30) for _ in range(150)))
    assert server.accepted == 150


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Self-signed certificates for `right.example`: good.pem and expired.pem, key included."""
    folder = tmp_path_factory.mktemp("certificates")
    now = datetime.now(UTC)
    for name, end in (("good", now + timedelta(days=1)), ("expired", now - timedelta(days=1))):
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "right.example")])
        certificate = (
            x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
            .not_valid_before(now - timedelta(days=2))
            .not_valid_after(end)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName("right.example")]), critical=False)
            .sign(key, hashes.SHA256())
        )
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        (folder / f"{name}.pem").write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    return folder


@pytest.mark.parametrize(
    ("certificate", "trusted", "host", "reason"),
    [
        ("good", True, "right.example", None),
        ("good", True, "wrong.example", "tls"),
        ("good", False, "right.example", "tls"),
        ("expired", True, "right.example", "tls"),
    ],
)
async def test_certificates_are_checked(
    certificates: Path, certificate: str, trusted: bool, host: str, reason: str | None
) -> None:
    own = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    own.load_cert_chain(certificates / f"{certificate}.pem")
    theirs = ssl.create_default_context(cafile=certificates / f"{certificate}.pem") if trusted else None
    async with (
        guarded_client(allow_private=True, lookup=leading_to("127.0.0.1"), tls=theirs) as client,
        loopback(ok(), tls=own) as server,
    ):
        if reason is None:
            assert (await post(client, f"https://{host}:{server.port}/", {}, b"{}")).status == 200
            return
        with pytest.raises(DeliveryFailed, match=reason):
            await post(client, f"https://{host}:{server.port}/", {}, b"{}")
    assert server.requests == []


async def test_a_handshake_that_stalls_counts_against_the_deadline(client: GuardedClient) -> None:
    async with loopback(ok()) as server:  # waits for a blank line that no TLS client sends
        with pytest.raises(DeliveryFailed, match="timeout"):
            await post(client, f"https://127.0.0.1:{server.port}/", {}, b"{}", timeout=0.3)


async def test_a_file_is_downloaded(client: GuardedClient, tmp_path: Path) -> None:
    photo = bytes(range(256)) * 2000
    async with loopback(ok(photo, headers=b"Content-Type: image/jpeg\r\n")) as server:
        downloaded = await download(client, url(server), target=tmp_path / "photo", limit=len(photo))
    assert downloaded == Downloaded(len(photo), "image/jpeg")
    assert (tmp_path / "photo").read_bytes() == photo


NOT_DOWNLOADED = {
    "announced too large": (say(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\n"), "too_large"),
    "endless": (endlessly(b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 500), "too_large"),
    "a byte too many": (ok(b"x" * 1001), "too_large"),
    "a byte too many, unannounced": (say(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 1001, close=True), "too_large"),
    "missing": (ok(b"{}", status=b"404 Not Found"), "http_404"),
    "in part": (ok(b"x", status=b"206 Partial Content"), "http_206"),
    "cut short": (say(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\nx", close=True), "disconnected"),
    "too slow": (endlessly(b"HTTP/1.1 200 OK\r\n\r\n", b"x", pause=0.02), "timeout"),
}


@pytest.mark.parametrize("fault", NOT_DOWNLOADED)
async def test_a_file_that_does_not_come_whole_leaves_nothing(
    client: GuardedClient, tmp_path: Path, fault: str
) -> None:
    reply, reason = NOT_DOWNLOADED[fault]
    within = 0.5 if reason == "timeout" else 30
    async with loopback(reply) as server:
        with pytest.raises(DownloadFailed) as failed:
            await download(client, url(server), target=tmp_path / "photo", limit=1000, timeout=within)
    assert failed.value.reason == reason
    assert not (tmp_path / "photo").exists()


async def test_a_fault_of_our_own_disk_is_not_blamed_on_the_server(
    client: GuardedClient, tmp_path: Path
) -> None:
    async with loopback(ok(b"x")) as server:
        with pytest.raises(FileNotFoundError):
            await download(client, url(server), target=tmp_path / "no" / "folder" / "photo", limit=1000)
