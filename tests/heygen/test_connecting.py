"""Calls that fail before a byte of them is written, and what TLS can do to them."""

import asyncio
import ipaddress
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from app.heygen.errors import NoAnswer, NotSent
from tests.heygen.calls import Call, both, create, read
from tests.heygen.conftest import Connect
from tests.heygen.faulty_server import PATIENCE, Behaviour, Connection, FaultyServer, answer, closed_port

SHORT = 0.25  # seconds: for faults that only the deadline ends


@both
async def test_a_refused_connection_was_never_used(connect: Connect, call: Call) -> None:
    with pytest.raises(NotSent) as caught:
        await call(connect(closed_port()))
    assert caught.value.reason == "refused"


@both
async def test_an_unknown_name_was_never_reached(connect: Connect, call: Call) -> None:
    with pytest.raises(NotSent) as caught:
        await call(connect("http://no-such-host.invalid"))
    assert caught.value.reason == "dns"


async def test_several_addresses_that_all_refuse_read_as_refused(connect: Connect) -> None:
    with pytest.raises(NotSent) as caught:
        await create(connect(closed_port().replace("127.0.0.1", "localhost")))
    assert caught.value.reason == "refused"


async def plain_http(connection: Connection) -> None:
    await connection.reader.read(1)
    await connection.send(answer("400 Bad Request", b""))


async def close_in_handshake(connection: Connection) -> None:
    await connection.reader.read(65_536)


async def reset_in_handshake(connection: Connection) -> None:
    await connection.reader.read(65_536)
    connection.reset()


@both
@pytest.mark.parametrize("behave", [plain_http, close_in_handshake, reset_in_handshake])
async def test_a_failed_handshake_carried_no_request(connect: Connect, call: Call, behave: Behaviour) -> None:
    async with FaultyServer(behave) as server:
        with pytest.raises(NotSent) as caught:
            await call(connect(server.https_url))
    assert caught.value.reason == "tls"


async def test_a_handshake_that_stalls_is_a_connect_timeout(connect: Connect) -> None:
    async with FaultyServer(Connection.hang) as server, asyncio.timeout(PATIENCE):
        with pytest.raises(NotSent) as caught:
            await create(connect(server.https_url, SHORT))
    assert caught.value.reason == "connect_timeout"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key and a certificate for the loopback address that nobody vouches for."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    return path


def garbage_after_handshake(certificate: Path) -> Behaviour:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)

    async def behave(connection: Connection) -> None:
        await connection.handshake(context)
        await connection.reader.read(1)
        await connection.send(b"\x17\x03\x03\x00\x20" + b"?" * 32)
        await connection.hang()

    return behave


async def test_a_certificate_nobody_vouches_for_stops_the_call_before_it_is_written(
    connect: Connect, certificate: Path
) -> None:
    async with FaultyServer(garbage_after_handshake(certificate)) as server:
        with pytest.raises(NotSent) as caught:
            await create(connect(server.https_url))
    assert caught.value.reason == "tls"


async def test_a_tls_record_that_breaks_after_the_request_leaves_the_outcome_open(
    connect: Connect, certificate: Path
) -> None:
    trusting = ssl.create_default_context(cafile=str(certificate))
    async with (
        FaultyServer(garbage_after_handshake(certificate)) as server,
        httpx.AsyncClient(verify=trusting, trust_env=False) as client,
    ):
        with pytest.raises(NoAnswer) as caught:
            await create(connect(server.https_url, http=client))
    assert caught.value.reason == "protocol"


async def test_a_call_that_waits_in_vain_for_a_connection_was_never_sent(connect: Connect) -> None:
    arrived = asyncio.Event()

    async def hang(connection: Connection) -> None:
        await connection.request()
        arrived.set()
        await connection.hang()

    async with (
        FaultyServer(hang) as server,
        httpx.AsyncClient(limits=httpx.Limits(max_connections=1), trust_env=False) as client,
    ):
        first = asyncio.create_task(create(connect(server.url, http=client)))
        await asyncio.wait_for(arrived.wait(), PATIENCE)
        with pytest.raises(NotSent) as caught:
            await read(connect(server.url, SHORT, client))
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
    assert caught.value.reason == "pool_timeout"
