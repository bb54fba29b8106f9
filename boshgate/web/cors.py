"""Which web origins may use the gateway: CORS headers for BOSH, the Origin check for WebSocket.

Origins are compared as the Fetch standard serialises them: lower-case, default port left out.
"""

from collections.abc import Iterable, Sequence
from urllib.parse import urlsplit

Headers = list[tuple[bytes, bytes]]

_DEFAULT_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}


def normalise(origin: str) -> str:
    """Serialise *origin* for comparing: ``scheme://host[:port]``; what is no origin comes back unchanged."""
    try:
        url = urlsplit(origin.strip().lower())
        port = url.port
    except ValueError:
        return origin
    if not url.scheme or not url.hostname:
        return origin
    host = f"[{url.hostname}]" if ":" in url.hostname else url.hostname
    suffix = "" if port is None or port == _DEFAULT_PORTS.get(url.scheme) else f":{port}"
    return f"{url.scheme}://{host}{suffix}"


class Origins:
    """The configured origins (``server.allowed_origins``)."""

    def __init__(self, allowed: Sequence[str]) -> None:
        self._any = "*" in allowed
        self._allowed = frozenset(normalise(origin) for origin in allowed)
        self._open: Headers = [(b"access-control-allow-origin", b"*")]

    def allows(self, origin: str | None) -> bool:
        """Whether a page of *origin* may connect; None is no browser (RFC 6455 section 10.2)."""
        return self._any or origin is None or normalise(origin) in self._allowed

    def headers(self, request_headers: Iterable[tuple[bytes, bytes]]) -> Headers:
        """The CORS headers of any answer, errors included, to a request with *request_headers*."""
        if self._any:
            return self._open
        origin = find(request_headers, b"origin")
        if origin is None or normalise(origin) not in self._allowed:
            return [(b"vary", b"Origin")]
        return [(b"access-control-allow-origin", origin.encode("latin-1")), (b"vary", b"Origin")]

    def preflight(self) -> Headers:
        """What ``OPTIONS`` is answered beside `headers` (Fetch standard, CORS preflight)."""
        return [
            (b"access-control-allow-methods", b"POST, OPTIONS"),
            (b"access-control-allow-headers", b"Content-Type, Content-Encoding"),
            (b"access-control-max-age", b"86400"),
        ]


def find(headers: Iterable[tuple[bytes, bytes]], name: bytes) -> str | None:
    """The value of the first header *name* (lower-case), or None."""
    for header, value in headers:
        if header == name:
            return value.decode("latin-1")
    return None
