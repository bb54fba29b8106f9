"""All configured domains: who is served, streams to their servers, and whether any server can be reached."""

import asyncio
import logging
import math
import time
from collections.abc import Callable
from typing import Final

from boshgate.backend.connector import Connector, resolve
from boshgate.backend.handler import StreamHandler
from boshgate.backend.stream import BackendStream
from boshgate.config import Config, to_ascii
from boshgate.errors import ConnectFailed

logger = logging.getLogger(__name__)

PROBE_LIFETIME: Final = 2.0
"""Seconds for which an answer of `Backends.reachable` is kept: a readiness probe costs no more than that."""


class Backends:
    """The XMPP servers behind the gateway. Raises ConfigError if a ``ca_file`` is of no use.

    Only configured domains are connected to, at their configured addresses (S14). *clock* gives seconds.
    """

    def __init__(self, config: Config, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._limits = config.limits
        self._connectors = {domain.name: Connector(domain, config.limits) for domain in config.domains}
        self.former_domains = frozenset(config.server.former_domains)
        self._streams: set[BackendStream] = set()
        self._unauthenticated: set[BackendStream] = set()
        self._empty: asyncio.Future[None] | None = None
        self._clock = clock
        self._probing = asyncio.Lock()
        self._probed = -math.inf
        self._reachable = False

    def serves(self, domain: str) -> bool:
        """Whether *domain*, in any case and any IDNA form, is configured (C2)."""
        return self._find(domain) is not None

    def _find(self, domain: str) -> Connector | None:
        try:
            return self._connectors.get(to_ascii(domain))
        except ValueError:
            return None

    def open_stream(
        self,
        *,
        to: str,
        from_: str | None,
        lang: str | None,
        handler: StreamHandler,
        inherit_lang: bool,
        client_address: str | None,
    ) -> BackendStream:
        """Begin a stream to a server of *to*; returns at once, *handler* hears the rest.

        *inherit_lang*: put the ``xml:lang`` of the server's header on its elements (RFC 7395 section 3.3.3).
        *client_address* is for the log. Raises ConnectFailed if *to* is not served; ask `serves` before.
        """
        connector = self._find(to)
        if connector is None:
            raise ConnectFailed(f"{to!r} is not served here")
        stream = BackendStream(connector, handler, self)
        self._streams.add(stream)
        self._unauthenticated.add(stream)
        stream.connect(from_=from_, lang=lang, inherit_lang=inherit_lang)
        logger.debug("stream to %s for %s", connector.domain, client_address)
        return stream

    @property
    def live(self) -> int:
        """How many streams have a TCP connection, or are about to."""
        return len(self._streams)

    @property
    def unauthenticated(self) -> int:
        """How many of them have a client that has not authenticated yet."""
        return len(self._unauthenticated)

    def authenticated(self, stream: BackendStream) -> None:
        """The client of *stream* has authenticated, or need not (RFC 6120 section 4.7.5)."""
        self._unauthenticated.discard(stream)

    def forget(self, stream: BackendStream) -> None:
        """The TCP connection of *stream* is gone."""
        self._streams.discard(stream)
        self._unauthenticated.discard(stream)
        if not self._streams and self._empty is not None:
            self._empty.set_result(None)
            self._empty = None

    def abort_all(self) -> None:
        """Abort every stream that is left (see `BackendStream.abort`)."""
        for stream in tuple(self._streams):
            stream.abort()

    async def closed(self) -> None:
        """Wait until no stream is left; each ends within ``close_timeout`` of its `close` or `abort`."""
        if self._streams:
            if self._empty is None:
                self._empty = asyncio.get_running_loop().create_future()
            await asyncio.shield(self._empty)

    async def reachable(self) -> bool:
        """Whether at least one configured address accepts TCP connections; the answer is kept two seconds."""
        async with self._probing:
            if self._clock() - self._probed >= PROBE_LIFETIME:
                self._reachable = await self._probe()
                self._probed = self._clock()
            return self._reachable

    async def _probe(self) -> bool:
        addresses = {(b.host, b.port) for c in self._connectors.values() for b in c.backends}
        probes = [asyncio.create_task(self._accepts(host, port)) for host, port in addresses]
        try:
            for probe in asyncio.as_completed(probes):
                if await probe:
                    return True
            return False
        finally:
            for task in probes:
                task.cancel()
            await asyncio.gather(*probes, return_exceptions=True)

    async def _accepts(self, host: str, port: int) -> bool:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._limits.connect_timeout):
                for address in await resolve(host, port):
                    try:
                        transport, _ = await loop.create_connection(asyncio.Protocol, address, port)
                    except OSError as exc:
                        logger.debug("%s:%d does not accept connections: %s", address, port, exc)
                    else:
                        transport.close()
                        return True
        except OSError as exc:  # TimeoutError is one
            logger.debug("%s:%d cannot be reached: %s", host, port, exc or "no answer in time")
        return False
