"""The client's address: only trusted proxies are believed, from right to left."""

import ipaddress
import time
from typing import Any

import pytest

from boshgate.web.client import Client, client_of

TRUSTED = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("10.0.0.0/8"))


def scope(peer: str | None, *headers: tuple[str, str], scheme: str = "http") -> dict[str, Any]:
    return {
        "client": (peer, 1) if peer is not None else None,
        "scheme": scheme,
        "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in headers],
    }


def test_without_a_proxy_the_peer_is_the_client() -> None:
    assert client_of(scope("192.0.2.1"), TRUSTED) == Client("192.0.2.1", secure=False)


@pytest.mark.rule("X1", "G7")
def test_an_untrusted_peer_is_not_believed() -> None:  # attack S11
    headers = [("X-Forwarded-For", "198.51.100.1"), ("Forwarded", "for=198.51.100.2;proto=https")]
    assert client_of(scope("192.0.2.1", *headers), TRUSTED) == Client("192.0.2.1", secure=False)


@pytest.mark.parametrize(
    ("value", "address"),
    [
        ("198.51.100.1", "198.51.100.1"),
        ("203.0.113.9, 198.51.100.1", "198.51.100.1"),  # the left one is the client's own claim
        ("198.51.100.1, 10.1.1.1", "198.51.100.1"),
        ("198.51.100.1:4711", "198.51.100.1"),
        ("2001:db8::1", "2001:db8::1"),
        ("[2001:db8::1]:4711", "2001:db8::1"),
        ("::ffff:198.51.100.1", "198.51.100.1"),
        ("10.1.1.1", "10.1.1.1"),
        ("198.51.100.1, garbage", "127.0.0.1"),  # what cannot be read ends the chain
        ("", "127.0.0.1"),
        (", ".join(["198.51.100.7"] + ["10.0.0.1"] * 1000), "10.0.0.1"),
    ],
)
def test_x_forwarded_for_is_read_from_right_to_left(value: str, address: str) -> None:  # attack S11
    assert client_of(scope("127.0.0.1", ("X-Forwarded-For", value)), TRUSTED).address == address


@pytest.mark.rule("X1", "G7")
@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("for=198.51.100.1;proto=https", Client("198.51.100.1", secure=True)),
        ('for="[2001:db8::1]:4711";Proto=HTTPS', Client("2001:db8::1", secure=True)),
        ("for=203.0.113.9, for=198.51.100.1;by=10.0.0.1", Client("198.51.100.1", secure=False)),
        ("for=unknown;proto=https", Client("127.0.0.1", secure=True)),
        ("proto=https", Client("127.0.0.1", secure=True)),
    ],
)
def test_forwarded_is_read_from_right_to_left(value: str, expected: Client) -> None:
    assert client_of(scope("127.0.0.1", ("Forwarded", value)), TRUSTED) == expected


def test_forwarded_wins_over_x_forwarded_for() -> None:
    headers = [("X-Forwarded-For", "198.51.100.1"), ("Forwarded", "for=198.51.100.2")]
    assert client_of(scope("127.0.0.1", *headers), TRUSTED).address == "198.51.100.2"


@pytest.mark.rule("X1", "G7")
@pytest.mark.parametrize(
    ("protocol", "chain", "secure"),
    [
        ("https", "198.51.100.1", True),
        ("http", "198.51.100.1", False),
        ("https", "198.51.100.1, 10.0.0.1", True),
        ("https, http", "198.51.100.1, 10.0.0.1", True),
    ],
)
def test_x_forwarded_proto_tells_the_scheme(protocol: str, chain: str, secure: bool) -> None:
    headers = [("X-Forwarded-For", chain), ("X-Forwarded-Proto", protocol)]
    assert client_of(scope("127.0.0.1", *headers), TRUSTED) == Client("198.51.100.1", secure)


def test_x_forwarded_proto_alone_tells_the_scheme() -> None:
    assert client_of(scope("127.0.0.1", ("X-Forwarded-Proto", "https")), TRUSTED).secure


def test_direct_tls_is_secure() -> None:
    assert client_of(scope("192.0.2.1", scheme="wss"), TRUSTED).secure


def test_a_peer_without_address_is_nobody() -> None:
    assert client_of(scope(None, ("X-Forwarded-For", "198.51.100.1")), TRUSTED).address == ""


@pytest.mark.parametrize("name", ["Forwarded", "X-Forwarded-For"])
@pytest.mark.parametrize(
    "value", ["a" * 60_000, "a=" * 30_000, 'a="' * 20_000, "a" + " " * 60_000 + "a", "a=b;" * 15_000]
)
def test_no_header_makes_the_gateway_slow(name: str, value: str) -> None:
    before = time.process_time()
    assert client_of(scope("127.0.0.1", (name, value)), TRUSTED).address == "127.0.0.1"
    assert time.process_time() - before < 1  # it was 15 for the first
