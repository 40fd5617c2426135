"""Addresses and hosts that a caller may or may not name."""

import socket

from app.webhooks.destination import AddrInfo, Lookup

PUBLIC = (
    *("8.8.8.8", "1.1.1.1", "172.32.0.1", "172.15.255.255", "11.0.0.0", "9.255.255.255", "126.255.255.255"),
    *("100.63.255.255", "100.128.0.0", "169.253.255.255", "169.255.0.0", "192.167.255.255", "192.169.0.0"),
    *("168.63.129.15", "168.63.129.17", "198.17.255.255", "198.20.0.0", "223.255.255.255"),
    *("2001:4860:4860::8888", "2606:4700:4700::1111", "2a00:1450:4001::1", "::ffff:8.8.8.8"),
)

DENIED = (
    *(
        "0.0.0.0",  # noqa: S104
        "0.255.255.255",
        "10.0.0.1",
        "10.255.255.255",
        "100.64.0.1",
        "100.100.100.200",
        "100.127.255.255",
    ),
    *("127.0.0.1", "127.255.255.255", "168.63.129.16", "169.254.169.254", "169.254.170.2", "172.16.0.1"),
    *(
        "172.31.255.255",
        "192.0.0.8",
        "192.0.0.192",
        "192.0.2.1",
        "192.31.196.1",
        "192.52.193.1",
        "192.88.99.1",
    ),
    *("192.168.0.0", "192.168.255.255", "192.175.48.1", "198.18.0.1", "198.19.255.255", "198.51.100.1"),
    *("203.0.113.1", "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255"),
    # IPv6, and IPv4 in its clothes: mapped, compatible, translated, NAT64 (both), 6to4, Teredo
    *("::", "::1", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1", "::8.8.8.8"),
    *(
        "::ffff:0:127.0.0.1",
        "::ffff:0:8.8.8.8",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b::808:808",
        "64:ff9b:1::7f00:1",
    ),
    *("2002:7f00:1::", "2002:808:808::1", "2001::1", "2001:0:53aa:64c::1", "2001:2::1", "2001:db8::1"),
    *("100::1", "100:0:0:1::1", "2620:4f:8000::1", "3fff::1", "5f00::1", "4000::1"),
    *("fc00::1", "fd00:ec2::254", "fd20:ce::254", "fe80::1", "fe80::1%eth0", "fec0::1", "ff02::1", "ff0e::1"),
)

# Hosts as a URL may spell them: most of the first lines mean 127.0.0.1 to the system's name service.
DENIED_HOSTS = (
    *(
        "127.0.0.1",
        "127.1",
        "127.0.1",
        "0",
        "0x0",
        "0.0.0.0",  # noqa: S104
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "0x7F.0x1",
    ),
    *("0177.0.0.1", "017700000001", "①②⑦.⓪.⓪.①", "１２７.0.0.1", "127。0。0。1", "127.0.0.1.", "127.1."),
    *("localhost", "LOCALHOST", "localhost.", "app.localhost", "[::]", "[::1]", "[0:0:0:0:0:ffff:127.0.0.1]"),
    *("[::ffff:7f00:1]", "[::ffff:169.254.169.254]", "[::127.0.0.1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]"),
    *("[fe80::1%25eth0]", "[fe80::1%25lo]", "[fd00:ec2::254]", "[fd20:ce::254]", "[ff02::1]", "[127.0.0.1]"),
    *("169.254.169.254", "169.254.43518", "0xa9fea9fe", "2852039166", "169.254.170.2", "100.100.100.200"),
    *(
        "192.0.0.192",
        "168.63.129.16",
        "metadata.google.internal",
        "printer.local",
        "router.home.arpa",
        "intranet",
    ),
    *("10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.0.1", "100.64.0.1", "198.18.0.1", "192.0.2.1"),
    *("203.0.113.1", "240.0.0.1", "255.255.255.255", "224.0.0.1"),
)

# Nothing in the name gives these away, only what they resolve to.
PLAIN_NAMES = ("localtest.example", "kubernetes.default.svc", "xn--bcher-kva.example", "a_b.example")


def leading_to(*addresses: str) -> Lookup:
    """A name service that knows these addresses for every name."""

    def lookup(_host: str, _port: int) -> list[AddrInfo]:
        return records

    records: list[AddrInfo] = [
        (socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 0))
        for address in addresses
    ]
    return lookup


def numbers_only(host: str, port: int) -> list[AddrInfo]:
    """The system's own reading of numbers, however they are spelt; every name is this machine. Asks no network."""
    try:
        return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except socket.gaierror:
        return leading_to("127.0.0.1")(host, port)
