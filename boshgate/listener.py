"""uvicorn's connections with the limits that it leaves to a proxy in front: there may be none.

What is limited: the head of a request, in bytes and in time; pongs that wait for a client that does not read;
how long a client may be gone while bytes are on their way to it.
"""

import asyncio
import logging
import re
import socket
from collections.abc import Iterable
from typing import Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

MAX_HEAD_BYTES: Final = 64 << 10
"""Bytes of a request's head after its first segment; no browser sends a tenth of it."""

SOCKET_OPTIONS: Final = [
    (level, getattr(socket, name), value)
    for level, name, value in (
        # A client behind a NAT that forgot it; connections inherit the options of the socket that listens.
        (socket.SOL_SOCKET, "SO_KEEPALIVE", 1),
        # One that takes nothing for so long, milliseconds, is gone: else its session would last for as long
        # as the system sends again, a quarter of an hour.
        (socket.IPPROTO_TCP, "TCP_USER_TIMEOUT", 60_000),
    )
    if hasattr(socket, name)  # the second is Linux's
]

_UPGRADE: Final = re.compile(rb"\r\nupgrade:(?![ \t]*websocket[ \t]*\r\n)", re.IGNORECASE)

logger = logging.getLogger("boshgate.server")


class HttpProtocol(HttpToolsProtocol):
    """An HTTP connection whose clients must come to the point."""

    _head_bytes = 0
    _head_since: float | None = None
    """Since when the head of a request is awaited (loop time); None: none is, or nothing of it came yet."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the first request."""
        super().connection_made(transport)  # type: ignore[arg-type]
        self._head_since = self.loop.time()

    def data_received(self, data: bytes) -> None:
        """Pass *data* on, and refuse a head without an end."""
        if b"pgrade:" in data and not self._reads_body:
            # RFC 9110 section 7.8: the offer of another protocol may be ignored. The parser does not: it
            # would take the body of the request for the other protocol's.
            head, end, rest = data.partition(b"\r\n\r\n")
            data = _UPGRADE.sub(b"\r\nx-upgrade:", head) + end + rest
        self._head_bytes += len(data)
        super().data_received(data)
        if self._head_since is not None and self._head_bytes > MAX_HEAD_BYTES:
            logger.info("refused a request from %s: its head is too large", self.client)
            self.send_400_response("The head of the request is too large.")

    @property
    def _reads_body(self) -> bool:
        return self.cycle is not None and self.cycle.more_body

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        self._head_bytes = 0
        if self._head_since is None:
            self._head_since = self.loop.time()

    def on_headers_complete(self) -> None:
        """The head of a request is complete."""
        super().on_headers_complete()
        self._head_since = None

    def is_late(self, now: float, seconds: float) -> bool:
        """Whether the head of a request has been awaited for *seconds*, and nothing else is being done."""
        serving = self.cycle is not None and not self.cycle.response_complete
        return not serving and self._head_since is not None and now - self._head_since >= seconds


class WebSocketProtocol(WebSocketsSansIOProtocol):
    """A WebSocket connection that owes a client no more than one pong (RFC 6455 section 5.5.3)."""

    _pong = b""

    def handle_ping(self) -> None:
        """Answer a ping; while the client does not read, only the last one."""
        pong = b"".join(self.conn.data_to_send())
        if self.writable.is_set():
            self.transport.write(pong)
        else:
            self._pong = pong

    def resume_writing(self) -> None:
        """The client reads again."""
        super().resume_writing()
        if self._pong and not self.transport.is_closing():
            self.transport.write(self._pong)
        self._pong = b""


def close_late(connections: Iterable[object], seconds: float) -> None:
    """Close those of *connections* whose client has begun no request for *seconds*, or not ended its head."""
    now = asyncio.get_running_loop().time()
    for connection in list(connections):
        if isinstance(connection, HttpProtocol) and connection.is_late(now, seconds):
            connection.transport.close()
