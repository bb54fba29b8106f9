"""One connection while the gateway alone speaks on it: from the TCP handshake to the features for the client.

What to say (RFC 6120 section 5) is decided in `boshgate.xmpp.negotiation`; this carries it out. The moment
the stream is ready, the transport changes to the protocol of the stream, in the same call that read the last
byte: neither a byte nor the loss of the connection can fall between the two.
"""

import asyncio
from typing import Protocol, cast

from boshgate.errors import ConnectFailed
from boshgate.xmpp.framer import Framer, FramerEvent, StreamFailed, StreamOpened
from boshgate.xmpp.negotiation import (
    STREAM_END,
    Failed,
    Negotiation,
    Ready,
    Send,
    StartTls,
    stream_error,
)


class Adopt(Protocol):
    """Takes over a connection whose stream is ready."""

    def __call__(self, transport: asyncio.Transport, framer: Framer, events: list[FramerEvent]) -> None:
        """*events*: the header, the features if there are any, and what the server sent after them."""


class Opening(asyncio.Protocol):
    """A connection to one address; the connector awaits `step`, once for STARTTLS and once for the stream."""

    __slots__ = (
        "_adopt",
        "_direct_tls",
        "_framer",
        "_late_failure",
        "_negotiation",
        "_step",
        "_transport",
        "adopted",
    )

    def __init__(self, negotiation: Negotiation, framer: Framer, adopt: Adopt, *, direct_tls: bool) -> None:
        self._negotiation = negotiation
        self._framer = framer
        self._adopt = adopt
        self._direct_tls = direct_tls
        self._transport: asyncio.Transport | None = None
        self._step: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
        self._late_failure: str | None = None
        self.adopted = False
        """The stream has the connection now: whatever comes later is its matter."""

    async def step(self) -> None:
        """Wait until TLS must begin, or until the stream is adopted. Raises ConnectFailed."""
        failure = await self._step
        if failure is not None:
            raise ConnectFailed(failure)

    def secured(self, transport: asyncio.Transport) -> None:
        """TLS is established: begin (anew) on *transport*. Raises ConnectFailed."""
        self._transport = transport
        if self._late_failure is not None:
            raise ConnectFailed(self._late_failure)
        self._step = asyncio.get_running_loop().create_future()
        if self._direct_tls:
            transport.write(self._negotiation.start())
        else:
            # RFC 6120 5.4.3.3: everything learned before TLS is discarded.
            self._framer.reset()
            transport.write(self._negotiation.tls_established())

    def drop(self) -> None:
        """Give the connection up, unless it was adopted."""
        if self._transport is not None and not self.adopted:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """TCP is connected."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are, without saying so
        if self._direct_tls:
            # XEP-0368 3: TLS from the first byte; nothing is said or listened to before it.
            self._transport.pause_reading()
            self._step.set_result(None)
        else:
            self._transport.write(self._negotiation.start())

    def data_received(self, data: bytes) -> None:
        """Let the negotiation answer what the server sent."""
        if self._step.done():
            # Between <proceed/> and our first word inside TLS a server has nothing to say (RFC 6120 4.2).
            self._fail("data before the stream header")
            return
        events = self._framer.receive_data(data)
        for index, event in enumerate(events):
            self._receive(event, events[index + 1 :])
            if self._step.done():
                return

    def _receive(self, event: FramerEvent, rest: list[FramerEvent]) -> None:
        """Carry out the answer to *event*; *rest* came with it."""
        assert self._transport is not None, "connection_made came first"
        action = self._negotiation.receive(event)
        if isinstance(action, Send):
            self._transport.write(action.data)
        elif isinstance(action, StartTls):
            # RFC 6120 5.4.3.3: TLS begins right after the ">" of <proceed/>; what came with it was injected.
            if rest or self._framer.has_pending:
                self._fail("data in clear after <proceed/>")
            else:
                # What comes from here on is for TLS to read.
                self._transport.pause_reading()
                self._step.set_result(None)
        elif isinstance(action, Ready):
            self._hand_over(action, rest)
        elif isinstance(action, Failed):
            if isinstance(event, StreamFailed):
                # RFC 6120 4.9.1.1: the server is told what was wrong with its stream.
                self._transport.write(stream_error(event.condition) + STREAM_END)
            self._fail(action.text)

    def _hand_over(self, ready: Ready, rest: list[FramerEvent]) -> None:
        assert self._transport is not None, "connection_made came first"
        self.adopted = True
        self._step.set_result(None)
        first: list[FramerEvent] = [StreamOpened(ready.header)]
        if ready.features is not None:
            first.append(ready.features)
        self._adopt(self._transport, self._framer, first + rest)

    def eof_received(self) -> None:
        """The server closed the connection."""
        self._fail("the server closed the connection")

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        self._fail(f"the connection was lost: {exc}" if exc else "the server closed the connection")

    def _fail(self, text: str) -> None:
        if not self._step.done():
            self._step.set_result(text)
        elif self._late_failure is None:
            self._late_failure = text
