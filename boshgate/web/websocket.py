"""XMPP over WebSocket (RFC 7395): one connection is one stream, framed; there is no session to keep.

`WebSocketEndpoint` is the ASGI callable and the register of open connections, `Connection` one of them. What
comes from the client is handled in the connection's own task, in order; what comes from the XMPP server is
sent from the backend's callback (`boshgate.web.eager`), without a task for each frame. Backpressure goes both
ways: a client that reads slowly stops the reading of its server, and the other way round.

How a stream ends decides whether it can be resumed (XEP-0198 section 5): a client that sent ``<close/>``, or
broke the rules, has its stream closed with ``</stream:stream>``; one that just vanished has not.
"""

import asyncio
import enum
import logging
import secrets
from collections import deque
from typing import Any, Final

from starlette.types import Receive, Scope, Send

from boshgate.backend.pool import Backends
from boshgate.backend.stream import BackendStream
from boshgate.config import Config, to_ascii
from boshgate.errors import AuthenticationTimeout, BackendError, QueueFull, XmlError
from boshgate.logs import SessionLogger
from boshgate.metrics import WEBSOCKET, Metrics
from boshgate.sessions.admission import Admission
from boshgate.web.client import client_of
from boshgate.web.cors import Origins, find
from boshgate.web.eager import run_eagerly
from boshgate.xmpp.framer import StreamHeader
from boshgate.xmpp.frames import Open, close_frame, open_frame, parse_frame, stream_error_frame
from boshgate.xmpp.xml import Element

SUBPROTOCOL: Final = "xmpp"
"""RFC 7395 section 3.1."""

logger = logging.getLogger("boshgate.websocket")


class CloseCode(enum.IntEnum):
    """WebSocket close codes (RFC 6455 section 7.4.1) that the gateway sends or looks for."""

    NORMAL = 1000
    GOING_AWAY = 1001
    PROTOCOL_ERROR = 1002
    UNACCEPTABLE_DATA = 1003
    INVALID_DATA = 1007
    TOO_BIG = 1009


_VIOLATIONS: Final = {
    CloseCode.PROTOCOL_ERROR,
    CloseCode.UNACCEPTABLE_DATA,
    CloseCode.INVALID_DATA,
    CloseCode.TOO_BIG,
}
"""Ends after which resuming would only repeat the violation: the XMPP session is ended for good."""


class State(enum.Enum):
    """Where a connection stands."""

    WAITING = enum.auto()
    """For the client's first ``<open/>`` (RFC 7395 section 3.4)."""
    OPENING = enum.auto()
    """For the server's stream header: the first, or the one after a restart (3.7)."""
    OPEN = enum.auto()
    CLOSING = enum.auto()
    """The client sent ``<close/>``; what the server still says is passed on (3.6)."""
    CLOSED = enum.auto()
    """We sent ``<close/>``: nothing follows but the closing handshake (3.6)."""
    GONE = enum.auto()
    """The WebSocket is closed or lost."""


class WebSocketEndpoint:
    """Serves ``websocket.path``."""

    def __init__(
        self, config: Config, backends: Backends, origins: Origins, admission: Admission, metrics: Metrics
    ) -> None:
        self.backends = backends
        self.admission = admission
        self.metrics = metrics
        self.tally = metrics.websocket
        self.limits = config.limits
        self.connections: set[Connection] = set()
        self._origins = origins
        self._trusted_proxies = config.server.trusted_proxies
        self._opened = metrics.opened.labels(WEBSOCKET)
        self._open = metrics.open.labels(WEBSOCKET)
        self._lifetime = metrics.lifetime.labels(WEBSOCKET)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one WebSocket, from the handshake to its end."""
        await receive()  # websocket.connect
        address = client_of(scope, self._trusted_proxies).address
        if (refusal := self._refusal(scope, address)) is not None:
            await self._refuse(send, address, *refusal)
            return
        await send({"type": "websocket.accept", "subprotocol": SUBPROTOCOL})
        connection = Connection(self, send, address)
        self.connections.add(connection)
        self.admission.admit(address)
        self._opened.inc()
        self._open.inc()
        loop = asyncio.get_running_loop()
        opened_at = loop.time()
        connection.log.info("opened by %s", address)
        try:
            await connection.run(receive)
        finally:
            connection.lost()
            self.connections.discard(connection)
            self.admission.release(address)
            seconds = loop.time() - opened_at
            self._open.dec()
            self._lifetime.observe(seconds)
            self.metrics.closed.labels(WEBSOCKET, connection.end).inc()
            connection.log.info("closed after %.1f s: %s", seconds, connection.end)

    def _refusal(self, scope: Scope, address: str) -> tuple[int, str] | None:
        """Why the handshake is refused: HTTP status and reason; None: it is accepted."""
        if not self._origins.allows(find(scope["headers"], b"origin")):
            return 403, "this origin is not allowed"  # RFC 6455 section 10.2
        if SUBPROTOCOL not in scope["subprotocols"]:
            return 400, "the subprotocol 'xmpp' was not offered"  # RFC 7395 section 3.1
        if (refusal := self.admission.refusal(address)) is not None:
            return 503, refusal[1]
        return None

    async def _refuse(self, send: Send, address: str, status: int, reason: str) -> None:
        logger.info("refused a handshake from %s: HTTP %d, %s", address, status, reason)
        self.metrics.refused.labels(WEBSOCKET, str(status)).inc()
        await send(
            {
                "type": "websocket.http.response.start",
                "status": status,
                "headers": [(b"content-type", b"text/plain; charset=utf-8")],
            }
        )
        await send({"type": "websocket.http.response.body", "body": reason.encode() + b"\n"})

    def shut_down(self) -> None:
        """End every connection because the process ends (XEP-0198 section 5, requirement SM7)."""
        for connection in list(self.connections):
            connection.shut_down()


class Connection:
    """One client on a WebSocket, and the stream to its XMPP server."""

    __slots__ = (
        "_client_from",
        "_close_code",
        "_domain",
        "_endpoint",
        "_open_sent",
        "_outgoing",
        "_send",
        "_sending_allowed",
        "_state",
        "_stream",
        "_timer",
        "_writer",
        "end",
        "log",
    )

    def __init__(self, endpoint: WebSocketEndpoint, send: Send, address: str) -> None:
        self._endpoint = endpoint
        self._send = send
        self._state = State.WAITING
        self._stream: BackendStream | None = None
        self._domain = ""
        self._client_from: str | None = None
        self._open_sent = False
        self._close_code = CloseCode.NORMAL
        self._outgoing: deque[dict[str, Any]] | None = None
        self._writer: asyncio.Task[None] | None = None
        self._sending_allowed: asyncio.Event | None = None
        self.log = SessionLogger(logger, secrets.token_hex(4))
        self.end = "connection lost"
        """Why the connection ended, for the log and the metrics."""
        # WS29: a client that never sends <open/> is not waited for.
        self._timer: asyncio.TimerHandle | None = asyncio.get_running_loop().call_later(
            endpoint.limits.body_timeout, self._open_is_late
        )

    def __repr__(self) -> str:
        return f"<Connection {self.log.name_} {self._state.name} {self._stream!r}>"

    # --- From the client -------------------------------------------------------------------------------

    async def run(self, receive: Receive) -> None:
        """Handle what the client sends, in order, until the WebSocket is closed or lost."""
        while True:
            message = await receive()
            if message["type"] == "websocket.disconnect":
                self._disconnected(message.get("code", CloseCode.NORMAL))
                return
            self._endpoint.tally.requests += 1
            text = message.get("text")
            if text is None:
                self._close(CloseCode.UNACCEPTABLE_DATA, "binary message")  # RFC 7395 section 3.2
            else:
                self._receive_text(text)
            if self._sending_allowed is not None:
                await self._sending_allowed.wait()

    def _receive_text(self, text: str) -> None:
        if self._state is State.GONE:
            return
        if len(text) > self._endpoint.limits.max_stanza_bytes or (
            not text.isascii() and len(text.encode()) > self._endpoint.limits.max_stanza_bytes
        ):
            # RFC 6120 section 13.12; the session ends, or a resuming client would send it for ever.
            self._fail("policy-violation", "larger than limits.max_stanza_bytes", CloseCode.TOO_BIG)
            return
        try:
            frame = parse_frame(text)
        except XmlError as error:
            self._fail(error.condition, error.text)
            return
        if type(frame) is Element:
            self._receive_element(frame)
        elif type(frame) is Open:
            self._receive_open(frame)
        else:
            self._receive_close()

    def _receive_element(self, element: Element) -> None:
        if self._state in {State.OPEN, State.OPENING} and self._stream is not None:
            self._endpoint.tally.from_clients += 1
            self._stream.write(element.data)
        elif self._state is State.WAITING:
            self._fail("not-authorized", "the first message is not <open/>")  # RFC 7395 section 3.4
        else:
            self._endpoint.metrics.dropped.labels("to_server", "after close").inc()

    def _receive_open(self, frame: Open) -> None:
        """RFC 7395 section 3.4 (the first), 3.7 (a restart)."""
        if self._state is State.WAITING:
            self._open_stream(frame)
        elif self._state is State.OPEN and self._stream is not None and self._stream.restart_allowed:
            self._state = State.OPENING
            self._open_sent = False
            self._client_from = frame.from_
            self._stream.restart(to=self._domain, lang=frame.lang, from_=frame.from_)
        elif self._state in {State.OPEN, State.OPENING}:
            self._fail("policy-violation", "<open/> without SASL success before it")

    def _open_stream(self, frame: Open) -> None:
        self._client_from = frame.from_
        if frame.version is None or not frame.version.startswith("1."):
            self._fail("unsupported-version", "version is not 1.0")  # RFC 6120 section 4.9.3.25
            return
        if not frame.to:
            self._fail("improper-addressing", "no 'to' in <open/>")  # RFC 6120 section 4.9.3.7
            return
        try:
            domain = to_ascii(frame.to)
        except ValueError:
            domain = ""
        if not self._endpoint.backends.serves(domain):
            self._fail("host-unknown", "'to' is not a domain that is served here")  # 4.9.3.6
            return
        self._domain = domain
        self._state = State.OPENING
        self._cancel_timer()
        self.log.info("stream to %s", domain)
        self._stream = self._endpoint.backends.open_stream(
            to=domain,
            from_=frame.from_,
            lang=frame.lang,
            handler=self,
            inherit_lang=True,
            client_address=None,
        )

    def _receive_close(self) -> None:
        """The client closes, or answers our ``<close/>`` (RFC 7395 section 3.6)."""
        if self._state is State.CLOSED:
            self._close(self._close_code, self.end)
        elif self._stream is not None:
            self._state = State.CLOSING
            self.end = "client closed"
            self._stream.close()
        else:
            self.end = "client closed"
            self._send_close()

    def _disconnected(self, code: int) -> None:
        """The WebSocket is gone: closed by the client, lost, or closed by the server library."""
        if self._state not in {State.CLOSED, State.GONE, State.CLOSING}:
            self.end = f"WebSocket closed with {code}" if code != 1005 else "connection lost"
        if code in _VIOLATIONS and self._stream is not None:
            self._stream.close()
        self.lost()

    def lost(self) -> None:
        """Nothing can be sent any more; an unfinished stream is dropped *without* an end tag (3.6)."""
        self._forget_outgoing()
        if self._state is State.GONE:
            return
        closed = self._state in {State.CLOSING, State.CLOSED}
        self._state = State.GONE
        self._cancel_timer()
        if self._stream is not None and not closed:
            self._stream.abort()

    # --- From the XMPP server --------------------------------------------------------------------------

    def stream_opened(self, header: StreamHeader) -> None:
        """The server's stream header: answer the client's ``<open/>`` (RFC 7395 section 3.4)."""
        if self._state is State.OPENING:
            self._state = State.OPEN
        self._open_sent = True
        self._send_text(open_frame(header, to=self._client_from))

    def stream_received(self, elements: list[Element]) -> None:
        """Elements from the server: one message each (RFC 7395 section 3.3.3)."""
        if self._state in {State.CLOSED, State.GONE}:
            self._endpoint.metrics.dropped.labels("to_client", "after close").inc(len(elements))
            return
        self._endpoint.tally.to_clients += len(elements)
        for element in elements:
            self._send_text(element.data.decode())

    def stream_closed(self, error: BackendError | None) -> None:
        """The stream is over: closed by the server or by us, or failed."""
        self._stream = None
        self.resume_sending()
        if self._state in {State.CLOSED, State.GONE}:
            return
        if error is None:
            if self._state is not State.CLOSING:
                self.end = "server closed"
            self._send_close()
        elif isinstance(error, QueueFull):
            self._fail("policy-violation", str(error))
        elif isinstance(error, AuthenticationTimeout):
            self._fail("connection-timeout", str(error))  # RFC 6120 section 4.9.3.4
        else:
            self._fail("remote-connection-failed", str(error))  # RFC 6120 section 4.9.3.15

    def pause_sending(self) -> None:
        """The server reads slowly: read no more from the client."""
        if self._sending_allowed is None:
            self._sending_allowed = asyncio.Event()

    def resume_sending(self) -> None:
        """The server reads again."""
        if self._sending_allowed is not None:
            self._sending_allowed.set()
            self._sending_allowed = None

    # --- Ending ----------------------------------------------------------------------------------------

    def _fail(self, condition: str, text: str, code: CloseCode = CloseCode.NORMAL) -> None:
        """End the stream with a stream error: ``<open/>`` if still owed, the error, ``<close/>`` (3.5)."""
        if self._state in {State.CLOSED, State.GONE}:
            return
        self.log.info("stream error %s: %s", condition, text)
        self.end = condition
        self._close_code = code
        if not self._open_sent:
            header = StreamHeader(
                id=secrets.token_urlsafe(12), from_=self._domain or None, to=None, version="1.0", lang="en"
            )
            self._send_text(open_frame(header, to=self._client_from))
        self._send_text(stream_error_frame(condition))
        self._send_close()
        if self._stream is not None:
            self._stream.close()

    def _send_close(self) -> None:
        """Send ``<close/>``; the client answers it, or the closing handshake comes first or too late."""
        self._send_text(close_frame())
        self._state = State.CLOSED
        self._cancel_timer()
        self._timer = asyncio.get_running_loop().call_later(
            self._endpoint.limits.close_timeout, self._close_is_late
        )

    def _close(self, code: CloseCode, end: str) -> None:
        """Start the WebSocket closing handshake (RFC 6455 section 7.1.2)."""
        if self._state is State.GONE:
            return
        self.end = end
        if self._stream is not None and self._state is not State.CLOSING:
            self._stream.close()
        self._send_message({"type": "websocket.close", "code": int(code)})
        self._state = State.GONE
        self._cancel_timer()

    def _open_is_late(self) -> None:
        self._timer = None
        self._fail("connection-timeout", "no <open/>")  # RFC 6120 section 4.9.3.4

    def _close_is_late(self) -> None:
        self._timer = None
        self._close(self._close_code, self.end)

    def shut_down(self) -> None:
        """The process ends: keep what can be resumed, tell the others (XEP-0198 section 5, SM7)."""
        if self._state in {State.CLOSED, State.GONE}:
            return
        if self._stream is not None and self._stream.resumable:
            self._stream.abort()
            self.end = "system-shutdown"
            self._send_message({"type": "websocket.close", "code": int(CloseCode.GOING_AWAY)})
            self._state = State.GONE
            self._cancel_timer()
        else:
            self._fail("system-shutdown", "the gateway is shutting down", CloseCode.GOING_AWAY)
            self._close(CloseCode.GOING_AWAY, "system-shutdown")

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # --- Writing: one writer, in order -----------------------------------------------------------------

    def _send_text(self, text: str) -> None:
        if self._state is not State.GONE:
            self._send_message({"type": "websocket.send", "text": text})

    def _send_message(self, message: dict[str, Any]) -> None:
        if self._outgoing is not None:
            self._outgoing.append(message)
            return
        try:
            writer = run_eagerly(self._send(message))  # type: ignore[arg-type]
        except OSError:
            # The client is gone; receive() is about to say so, and why.
            return
        if writer is not None:
            # The client reads slowly: queue what follows, and let its server wait.
            self._outgoing = deque()
            self._writer = writer
            writer.add_done_callback(self._written)
            if self._stream is not None:
                self._stream.pause_reading()

    def _written(self, writer: asyncio.Task[None]) -> None:
        """A message that had to wait is written: go on with those behind it."""
        self._writer = None
        if writer.cancelled() or writer.exception() is not None:
            self._forget_outgoing()
            return
        waiting, self._outgoing = self._outgoing, None
        while waiting:
            self._send_message(waiting.popleft())
            if self._outgoing is not None:
                self._outgoing.extend(waiting)
                return
        if self._stream is not None:
            self._stream.resume_reading()

    def _forget_outgoing(self) -> None:
        if self._outgoing:
            self._endpoint.metrics.dropped.labels("to_client", "connection lost").inc(len(self._outgoing))
        self._outgoing = None
