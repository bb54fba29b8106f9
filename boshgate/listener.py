"""uvicorn's connections: they read ahead, and have the limits that it leaves to a proxy in front.

There may be no proxy. What is limited: the head of a request, in bytes and in time; pongs that wait for a
client that does not read; how long a client may be gone while bytes are on their way to it.

What is no HTTP is refused with words that help, in its turn, and so that a page in a browser may read them.

Read ahead: uvicorn serves the requests that a client sends on one connection one by one. But XEP-0124 has one
request held until the next one comes, and there are clients that send it on the same connection (section 11).
So it is served too, and its response waits until those before it are out, as HTTP demands (RFC 9112 9.3.2).
"""

import asyncio
import logging
import re
import socket
import sys
from collections.abc import Collection, Iterable
from http import HTTPStatus
from typing import Any, Final, cast

from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from boshgate.web import closing

MAX_HEAD_BYTES: Final = 64 << 10
"""Bytes of a request's head after its first segment; no browser sends a tenth of it."""

MAX_AHEAD: Final = 8
"""Requests of one connection that are served at once; no session has so many."""

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


class _Waiting:
    """Stands for the transport of a response whose turn has not come."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._written: list[bytes] = []
        self._closed = False

    def write(self, data: bytes) -> None:
        """Keep *data*."""
        self._written.append(data)

    def close(self) -> None:
        """Close when all is written."""
        self._closed = True

    def is_closing(self) -> bool:
        """Whether nothing can be written any more."""
        return self._transport.is_closing()

    def give_turn(self) -> asyncio.Transport:
        """Write what was kept; returns the transport, for what follows."""
        if not self._transport.is_closing():
            self._transport.write(b"".join(self._written))
            if self._closed:
                self._transport.close()
        return self._transport


class _Flow(FlowControl):
    """Does not read on while requests wait to be served."""

    def __init__(self, transport: asyncio.Transport, waiting: Collection[object]) -> None:
        super().__init__(transport)
        self._waiting_requests = waiting

    def resume_reading(self) -> None:
        """Read on, if there is room for another request."""
        if self.read_paused and not self._waiting_requests:
            super().resume_reading()


class HttpProtocol(HttpToolsProtocol):
    """An HTTP connection that reads ahead, and whose clients must come to the point."""

    _turns: list[RequestResponseCycle] | None = None
    """Requests that are served at once: the first may respond, the others wait. None: there are no two."""

    _farewell: bytes | None = None
    """The last response: what the client sent is no HTTP, and no more of it is read."""

    _head_bytes = 0
    _head_since: float | None = None
    """Since when the head of a request is awaited (loop time); None: none is, or nothing of it came yet."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the first request."""
        super().connection_made(cast(asyncio.Transport, transport))
        self.flow = _Flow(self.transport, self.pipeline)
        self._extensions: Any = {closing.CLOSE: self.transport.close}
        self._head_since = self.loop.time()

    def data_received(self, data: bytes) -> None:
        """Pass *data* on, and refuse a head without an end."""
        if self._farewell is not None:
            return
        if b"pgrade:" in data and not self._reads_body:
            # RFC 9110 section 7.8: the offer of another protocol may be ignored. The parser does not: it
            # would take the body of the request for the other protocol's.
            head, end, rest = data.partition(b"\r\n\r\n")
            data = _UPGRADE.sub(b"\r\nx-upgrade:", head) + end + rest
        self._head_bytes += len(data)
        super().data_received(data)
        if self._farewell is None and self._head_since is not None and self._head_bytes > MAX_HEAD_BYTES:
            self._refuse(431, f"The head of the request has more than {MAX_HEAD_BYTES} bytes.")  # RFC 6585 5

    def send_400_response(self, msg: str) -> None:
        """The parser gave up: say where (RFC 9112 section 2.2)."""
        self._refuse(400, f"{msg} {sys.exception()}")

    def handle_websocket_upgrade(self) -> None:
        """Become a WebSocket, unless responses are owed: they come first (RFC 9112 section 9.3.2).

        uvicorn would let go of them: nobody would tell their requests that the client is gone.
        """
        if self._is_serving:
            self._refuse(400, "A WebSocket cannot begin where a response is owed.")
        else:
            super().handle_websocket_upgrade()

    def _refuse(self, status: int, text: str) -> None:
        """Give a response to what is no request, after those that are owed, and close the connection.

        No session is touched: nobody knows whose request it was meant to be (XEP-0124 section 17.2).
        """
        logger.info("refused a request from %s: HTTP %d, %s", self.client, status, text)
        self._farewell = self._response(status, text)
        broken = self.cycle
        if self._reads_body and not broken.response_started:
            broken.disconnected = True  # what its body was to be nobody knows
            broken.message_event.set()
            if self.pipeline:
                self.pipeline.popleft()
            elif self._turns is not None:
                self._turns.pop()
        if not self._is_serving:
            self._leave()

    def _response(self, status: int, text: str) -> bytes:
        """A response outside of ASGI; it is no secret, so that every origin may read it (Fetch standard)."""
        body = text.encode("ascii", "replace") + b"\n"
        headers = [
            *self.server_state.default_headers,
            (b"content-type", b"text/plain; charset=utf-8"),
            (b"content-length", str(len(body)).encode()),
            (b"cache-control", b"no-store"),
            (b"x-content-type-options", b"nosniff"),
            (b"access-control-allow-origin", b"*"),
            (b"connection", b"close"),
        ]
        lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}".encode()]
        lines += [name + b": " + value for name, value in headers]
        return b"\r\n".join([*lines, b"", body])

    def _leave(self) -> None:
        """Nothing is owed any more: say what is to be said, and close, but not at once (RFC 9112 9.6)."""
        assert self._farewell is not None, "it was refused"
        if not self.transport.is_closing():
            self.transport.write(self._farewell)
            self.transport.write_eof()
            self.loop.call_later(closing.LINGER_SECONDS, self.transport.close)

    @property
    def _is_serving(self) -> bool:
        """Whether a response is owed."""
        cycle = self.cycle
        alone = cycle is not None and not cycle.response_complete and not cycle.disconnected
        return bool(self._turns) or alone

    @property
    def _reads_body(self) -> bool:
        return self.cycle is not None and self.cycle.more_body

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        self.scope["extensions"] = self._extensions
        self._head_bytes = 0
        if self._head_since is None:
            self._head_since = self.loop.time()

    def on_headers_complete(self) -> None:
        """The head of a request is complete."""
        if self.parser.get_http_version() == "1.0":
            self.expect_100_continue = False  # RFC 9110 section 10.1.1: such a client knows no 100
        before = self.cycle
        super().on_headers_complete()
        self._head_since = None
        if len(self.pipeline) == 1:
            # uvicorn would serve it later; that nobody else waits means: `before` is being served.
            if self._turns is None:
                self._turns = [before]
            self._serve_ahead()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        """Serve a request; with others before it, its response waits for its turn."""
        if self._turns is not None:
            if len(self._turns) >= MAX_AHEAD:
                self.flow.pause_reading()
                self.pipeline.appendleft((cycle, app))
                return
            if self._turns:
                cycle.transport = cast(asyncio.Transport, _Waiting(self.transport))
            self._turns.append(cycle)
        super()._start_asgi_task(cycle, app)

    def _serve_ahead(self) -> None:
        assert self._turns is not None, "there are several"
        while self.pipeline and len(self._turns) < MAX_AHEAD:
            self._start_asgi_task(*self.pipeline.pop())
        self.flow.resume_reading()

    def on_response_complete(self) -> None:
        """A response is complete, perhaps not the first one's: let those write whose turn it is now."""
        if self._turns is None:
            self._end_response()
            return
        while self._turns and self._turns[0].response_complete:
            del self._turns[0]
            if self._turns:
                self._turns[0].transport = cast(_Waiting, self._turns[0].transport).give_turn()
        self._serve_ahead()
        if not self._turns:
            self._turns = None
            self._end_response()

    def _end_response(self) -> None:
        """Every response that was owed is out."""
        super().on_response_complete()
        if self._farewell is not None:
            self._leave()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone: uvicorn tells the last request."""
        for cycle in self._turns or ():
            cycle.disconnected = not cycle.response_complete
            cycle.message_event.set()
        super().connection_lost(exc)

    def shutdown(self) -> None:
        """Close the connection once the responses that are owed are out."""
        if self._turns is None:
            super().shutdown()
        else:
            self.cycle.keep_alive = False
            if self.cycle.response_complete:
                self.cycle.transport.close()  # when its turn has come

    def is_late(self, now: float, seconds: float) -> bool:
        """Whether the head of a request has been awaited for *seconds*, and nothing else is being done."""
        return not self._is_serving and self._head_since is not None and now - self._head_since >= seconds


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
