"""Content codings: requests that come compressed, and responses that may go out so (XEP-0124 5, 7.1, 7.2).

Compression is rare among BOSH clients; who does not use it pays for a look at the headers and no more.
"""

import zlib
from functools import lru_cache
from typing import Final, NamedTuple

MINIMUM_BYTES: Final = 1024
"""Shorter responses gain nothing."""

_LEVEL: Final = 5
_GZIP, _ZLIB, _RAW = 31, 15, -15  # zlib's wbits
_MEMBERS: Final = 100
"""RFC 1952 section 2.2: a gzip file has members. Each costs a copy of all that stand behind it."""

_OURS: Final = {"gzip": "gzip", "x-gzip": "gzip", "deflate": "deflate"}
"""RFC 9110 section 8.4.1: names and what they mean; ``deflate`` is the zlib format."""

_FOREIGN: Final = {"br", "zstd", "compress", "x-compress", "dcb", "dcz", "exi", "pack200-gzip", "aes128gcm"}
"""The other codings of IANA's registry; what is in neither list is no coding at all."""


class UnsupportedCoding(Exception):
    """A real coding that we did not say we understand (RFC 9110 section 15.5.16)."""


class Corrupt(Exception):
    """The request is not coded as it says."""


class Inflated(Exception):
    """More came out than is allowed."""


class Offer(NamedTuple):
    """What a client accepts: the best *coding* of ours, and whether *identity* (no coding) will do."""

    coding: str | None
    identity: bool


def request_coding(header: bytes) -> str | None:
    """Return the coding that ``Content-Encoding: header`` names; None: the request is plain.

    Raises UnsupportedCoding.
    """
    names = [name.strip() for name in header.decode("latin-1").lower().split(",")]
    names = [name for name in names if name not in ("", "identity")]
    if not any(name in _OURS or name in _FOREIGN for name in names):
        return None  # libpurple writes the content type here
    if len(names) > 1 or names[0] not in _OURS:
        raise UnsupportedCoding(header.decode("latin-1"))
    return _OURS[names[0]]


def decompress(data: bytes, coding: str, limit: int) -> bytes:
    """Return what *data* is without *coding*.

    Raises Inflated as soon as there are more than *limit* bytes, Corrupt if *data* is not so coded.
    """
    inflated = b""
    for _ in range(_MEMBERS):
        inflater = zlib.decompressobj(_GZIP if coding == "gzip" else _wrapping(data))
        try:
            inflated += inflater.decompress(data, limit + 1 - len(inflated))
        except zlib.error as error:
            raise Corrupt(f"not {coding}: {error}") from None
        if len(inflated) > limit:
            raise Inflated
        if not inflater.eof:
            raise Corrupt(f"{coding} breaks off")
        data = inflater.unused_data
        if not data:
            return inflated
        if coding != "gzip" or inflated == b"":
            raise Corrupt(f"something follows the {coding}")
    raise Corrupt(f"{coding} in more than {_MEMBERS} members")


def _wrapping(data: bytes) -> int:
    """RFC 9110 section 8.4.1.2 (note): some send the deflate format without the zlib format around it."""
    wrapped = len(data) > 1 and data[0] & 15 == 8 and (data[0] << 8 | data[1]) % 31 == 0
    return _ZLIB if wrapped else _RAW


@lru_cache(256)
def read_offer(header: bytes) -> Offer:
    """Return what ``Accept-Encoding: header`` offers (RFC 9110 section 12.5.3)."""
    weights: dict[str, float] = {}
    for member in header.decode("latin-1").lower().split(","):
        name, *parameters = (part.strip() for part in member.split(";"))
        weight = _weight(parameters)
        if name and weight is not None:
            weights[_OURS.get(name, name)] = weight
    others = weights.get("*", 0.0)
    coding = max(("gzip", "deflate"), key=lambda name: weights.get(name, others))
    weight = weights.get(coding, others)
    # Unless it is excluded, no coding will always do; it comes last where it is not weighed itself.
    identity = weights.get("identity", 0.0 if "*" in weights and others == 0 else 0.001)
    return Offer(coding if weight > 0 and weight >= identity else None, identity > 0)


def _weight(parameters: list[str]) -> float | None:
    """Return the weight; None: it is none, and what it belongs to means nothing."""
    if not parameters:
        return 1.0
    name, _, value = parameters[0].partition("=")
    if name.strip() != "q" or len(parameters) > 1 or len(value) > 6:
        return None
    digits = value.strip()
    if not digits.replace(".", "", 1).isdecimal() or not digits.isascii():
        return None
    return min(float(digits), 1.0)


def compress(body: bytes, accepted: bytes) -> tuple[bytes, str | None]:
    """Return *body* and the coding it is in, for ``Accept-Encoding: accepted``; None: in none."""
    offer = read_offer(accepted)
    if offer.coding is None or (offer.identity and len(body) < MINIMUM_BYTES):
        return body, None
    deflater = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP if offer.coding == "gzip" else _ZLIB)
    compressed = deflater.compress(body) + deflater.flush()
    if offer.identity and len(compressed) >= len(body):
        return body, None
    return compressed, offer.coding
