"""The way to the servers of one domain: its addresses in order, with the TLS of their scheme, in one budget.

Only what the configuration names is ever connected to. A ``<see-other-host/>`` during set-up is therefore
*not* followed, a departure from the SHOULD of RFC 6120 section 4.9.3.19: it would let whoever answers on the
configured address point the gateway at any host inside. The next configured address is tried in its place.
"""

import asyncio
import ipaddress
import logging
import os
import socket
import ssl
from typing import Final

from boshgate.backend.opening import Adopt, Opening
from boshgate.backend.tls import client_context
from boshgate.config import BackendAddress, Domain, LimitsTable, to_unicode
from boshgate.errors import ConfigError, ConnectFailed
from boshgate.xmpp.framer import Framer
from boshgate.xmpp.negotiation import Negotiation, Tls

logger = logging.getLogger(__name__)

TLS_BY_SCHEME: Final = {"tcp": Tls.NONE, "xmpp": Tls.STARTTLS, "xmpps": Tls.ESTABLISHED}

SOCKET_OPTIONS: Final = [
    (level, getattr(socket, name), value)
    for level, name, value in (
        (socket.IPPROTO_TCP, "TCP_NODELAY", 1),
        # RFC 6120 4.6.1: a server that vanished is noticed after two minutes, with data under way or without.
        (socket.SOL_SOCKET, "SO_KEEPALIVE", 1),
        (socket.IPPROTO_TCP, "TCP_KEEPIDLE", 60),
        (socket.IPPROTO_TCP, "TCP_KEEPINTVL", 20),
        (socket.IPPROTO_TCP, "TCP_KEEPCNT", 3),
        (socket.IPPROTO_TCP, "TCP_USER_TIMEOUT", 120_000),
    )
    if hasattr(socket, name)  # the last four are not everywhere
]


async def resolve(host: str, port: int) -> list[str]:
    """All IP addresses of *host*, in the order of RFC 6724. Raises OSError."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        return list(dict.fromkeys(str(entry[4][0]) for entry in found))
    return [host]


class Connector:
    """Opens connections to the servers of *domain*. Raises ConfigError if its ``ca_file`` is of no use."""

    __slots__ = ("_contexts", "backends", "domain", "keep_location", "limits", "to")

    def __init__(self, domain: Domain, limits: LimitsTable) -> None:
        self.domain = domain.name
        """The folded name in A-labels: SNI (XEP-0368 section 3), and the name the certificate must have."""
        self.to = to_unicode(domain.name)
        """The name in the stream header (RFC 6120 section 4.7.2)."""
        self.backends = domain.backends
        self.limits = limits
        self.keep_location = domain.keep_location
        self._contexts: dict[str, ssl.SSLContext] = {}
        for scheme in {backend.scheme for backend in domain.backends} - {"tcp"}:
            try:
                self._contexts[scheme] = client_context(domain.ca_file, alpn=scheme == "xmpps")
            except OSError as exc:
                problem = f"domains.{domain.name}.ca_file: {str(domain.ca_file)!r} holds no PEM certificates"
                raise ConfigError([problem]) from exc

    async def connect(self, *, from_: str | None, lang: str | None, inherit_lang: bool, adopt: Adopt) -> None:
        """Hand the first connection whose stream gets ready to *adopt*; raises ConnectFailed after the last.

        The backends are tried in order. Each gets an equal share of what is left of ``connect_timeout``, so
        that one that swallows packets does not use up the time of those behind it.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self.limits.connect_timeout
        failures: list[str] = []
        for index, backend in enumerate(self.backends):
            share = (deadline - loop.time()) / (len(self.backends) - index)
            attempt = _Attempt(self, backend, loop.time() + share)
            try:
                await attempt.run(from_, lang, inherit_lang, adopt)
            except ConnectFailed as exc:
                logger.debug("%s: %s", self.domain, exc)
                failures.append(str(exc))
            else:
                return
        raise ConnectFailed("; ".join(failures))

    async def start_tls(
        self, transport: asyncio.Transport, opening: Opening, scheme: str
    ) -> asyncio.Transport:
        """TLS on *transport*; the certificate must fit the XMPP domain, not the address (RFC 6120 13.7.2)."""
        secure = await asyncio.get_running_loop().start_tls(
            transport,
            opening,
            self._contexts[scheme],
            server_hostname=self.domain,
            ssl_shutdown_timeout=self.limits.close_timeout,
        )
        if secure is None:
            raise ConnectFailed("the server closed the connection during the TLS handshake")
        return secure


class _Attempt:
    """One backend: all its addresses until one gives a stream, at the latest by *deadline* (loop time)."""

    def __init__(self, connector: Connector, backend: BackendAddress, deadline: float) -> None:
        self._connector = connector
        self._backend = backend
        self._deadline = deadline
        self._loop = asyncio.get_running_loop()

    async def run(self, from_: str | None, lang: str | None, inherit_lang: bool, adopt: Adopt) -> None:
        """Try the addresses in order. Raises ConnectFailed."""
        connector = self._connector
        failures: list[str] = []
        addresses = await self._resolve()
        for index, address in enumerate(addresses):
            negotiation = Negotiation(
                to=connector.to, tls=TLS_BY_SCHEME[self._backend.scheme], from_=from_, lang=lang
            )
            framer = Framer(
                max_element_bytes=connector.limits.max_backend_stanza_bytes, inherit_lang=inherit_lang
            )
            opening = Opening(negotiation, framer, adopt, direct_tls=self._backend.scheme == "xmpps")
            share = (self._deadline - self._loop.time()) / (len(addresses) - index)
            try:
                async with asyncio.timeout_at(self._deadline):
                    await self._open(opening, address, self._loop.time() + share)
            except (OSError, ConnectFailed) as exc:
                if opening.adopted:
                    return
                failures.append(_reason(exc))
            else:
                return
            finally:
                opening.drop()
        reasons = ", ".join(dict.fromkeys(failures))
        raise ConnectFailed(f"{self._backend}: {reasons}")

    async def _resolve(self) -> list[str]:
        try:
            async with asyncio.timeout_at(self._deadline):
                return await resolve(self._backend.host, self._backend.port)
        except OSError as exc:
            raise ConnectFailed(f"{self._backend}: {_reason(exc)}") from exc

    async def _open(self, opening: Opening, address: str, connected_by: float) -> None:
        """TCP, TLS and the stream; with STARTTLS a stream in clear comes before the TLS handshake."""
        async with asyncio.timeout_at(connected_by):
            transport, _ = await self._loop.create_connection(lambda: opening, address, self._backend.port)
        if not transport.is_closing():
            sock = transport.get_extra_info("socket")
            for option in SOCKET_OPTIONS:
                sock.setsockopt(*option)
        if self._backend.scheme != "tcp":
            await opening.step()
            opening.secured(await self._connector.start_tls(transport, opening, self._backend.scheme))
        await opening.step()


def _reason(exc: Exception) -> str:
    """What to tell the operator of *exc*."""
    if isinstance(exc, TimeoutError):
        return "no answer in time"
    if isinstance(exc, ssl.SSLCertVerificationError):
        return f"certificate refused: {exc.verify_message}"
    if isinstance(exc, ssl.SSLError):
        return f"TLS failed: {exc.reason or exc}"
    if isinstance(exc, socket.gaierror):
        return exc.strerror or str(exc)
    if isinstance(exc, OSError):
        # The two event loops word the same error differently.
        return os.strerror(exc.errno) if exc.errno else "the server closed the connection"
    return str(exc)
