"""Who the client is: its address and scheme, from the connection and from the proxies that are trusted.

Headers are read from right to left: each trusted proxy vouches for the hop before it, and the first address
that is not a trusted proxy's is the client's. What stands further left was written by the client itself.
"""

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Headers = tuple[tuple[bytes, bytes], ...]

_FORWARDED_PAIR = re.compile(r'(?<![A-Za-z])([A-Za-z]++)=(?:"((?:[^"\\]|\\.)*)"|([^";,\s]*))\s*(?:;|$)')
_NAMES = frozenset({b"forwarded", b"x-forwarded-for", b"x-forwarded-proto"})
_MAX_REMEMBERED = 256
"""Bytes of these headers; clients may send any."""
_MAX_HOPS = 32
_MAX_ADDRESS = 64
"""Characters; no address with a port has more."""


@dataclass(frozen=True, slots=True)
class Client:
    """The client of a request: *address* without port, and whether its own connection was encrypted."""

    address: str
    secure: bool


def client_of(scope: Any, trusted: tuple[Network, ...]) -> Client:
    """Tell the client of an ASGI *scope*; *trusted* are the networks of proxies (configuration).

    Cheap, for it is asked at each request of a session that began over TLS: the answer is remembered.
    """
    host, _port = scope.get("client") or ("", 0)
    secure = scope.get("scheme") in {"https", "wss"}
    headers = tuple([header for header in scope["headers"] if header[0] in _NAMES])
    short = sum([len(value) for _, value in headers]) <= _MAX_REMEMBERED
    return (_read if short else _read.__wrapped__)(host, secure, headers, trusted)


@lru_cache(1024)
def _read(host: str, secure: bool, headers: Headers, trusted: tuple[Network, ...]) -> Client:
    peer = _parse_address(host)
    if peer is None or not _is_trusted(peer, trusted):
        return Client(host, secure)
    hops = _forwarded(headers) or _x_forwarded(headers)
    address: Address = peer
    for hop_address, hop_scheme in reversed(hops[-_MAX_HOPS:]):
        if hop_scheme is not None:
            secure = hop_scheme == "https"
        if hop_address is None:
            break
        address = hop_address
        if not _is_trusted(hop_address, trusted):
            break
    return Client(str(address), secure)


def _is_trusted(address: Address, trusted: Iterable[Network]) -> bool:
    return any(address in network for network in trusted)


def _parse_address(text: str) -> Address | None:
    """Parse an address with or without port, as ``Forwarded`` (RFC 7239 section 6) and others write it."""
    return _parse_short_address(text.strip()) if len(text) <= _MAX_ADDRESS else None


@lru_cache(1024)
def _parse_short_address(text: str) -> Address | None:
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def _values(headers: Headers, name: bytes) -> list[str]:
    joined = b",".join(value for header, value in headers if header == name)
    return [part.strip() for part in joined.decode("latin-1").split(",")] if joined else []


def _forwarded(headers: Headers) -> list[tuple[Address | None, str | None]]:
    """The hops of ``Forwarded`` (RFC 7239 section 4), leftmost first."""
    hops = []
    for element in _values(headers, b"forwarded"):
        pairs = {
            match[1].lower(): match[2] if match[2] is not None else match[3]
            for match in _FORWARDED_PAIR.finditer(element)
        }
        proto = pairs.get("proto")
        hops.append((_parse_address(pairs.get("for", "")), proto.lower() if proto else None))
    return hops


def _x_forwarded(headers: Headers) -> list[tuple[Address | None, str | None]]:
    """The hops of ``X-Forwarded-For``, leftmost first; ``X-Forwarded-Proto`` belongs to the last of them."""
    addresses = [_parse_address(value) for value in _values(headers, b"x-forwarded-for")]
    schemes: list[str | None] = [value.lower() for value in _values(headers, b"x-forwarded-proto")]
    if not addresses:
        return [(None, schemes[-1])] if schemes else []
    if len(schemes) < len(addresses):
        # One value for several hops: most proxies set it once, at the edge.
        schemes = [*(None for _ in addresses[len(schemes) :]), *schemes]
    return list(zip(addresses, schemes[-len(addresses) :], strict=True))
