"""One client on a WebSocket (RFC 7395), and its stream to the XMPP server: framing, restarts, ending.

What comes from the client is handled in the connection's own task, in order; what comes from the server is
sent from the backend's callback, without a task for each frame. Backpressure goes both ways: a client that
reads slowly stops the reading of its server, and the other way round.

How a stream ends decides whether it can be resumed (XEP-0198 section 5): a client that sent ``<close/>``, or
broke the rules, has its stream closed with ``</stream:stream>``; one that just vanished has not.
"""

import asyncio
import enum
import logging
import secrets
from typing import Final, Protocol

from starlette.types import Receive, Send

from boshgate.backend.pool import Backends
from boshgate.backend.stream import BackendStream
from boshgate.bosh.screening import COMPRESS_FAILURE, LOCAL, STARTTLS_FAILURE, Local
from boshgate.config import LimitsTable
from boshgate.errors import AuthenticationTimeout, BackendError, BindingError, QueueFull, XmlError
from boshgate.logs import SessionLogger
from boshgate.metrics import Metrics
from boshgate.sessions.admission import check_domain
from boshgate.web.writer import MessageWriter
from boshgate.xmpp.framer import StreamHeader
from boshgate.xmpp.frames import Open, close_frame, open_frame, parse_frame, stream_error_frame
from boshgate.xmpp.header import bare_jid
from boshgate.xmpp.negotiation import is_xmpp_1
from boshgate.xmpp.xml import Element

logger = logging.getLogger("boshgate.websocket")


class CloseCode(enum.IntEnum):
    """WebSocket close codes (RFC 6455 section 7.4.1) that the gateway sends or looks for."""

    NORMAL = 1000
    GOING_AWAY = 1001
    PROTOCOL_ERROR = 1002
    UNACCEPTABLE_DATA = 1003
    NONE = 1005
    """Never on the wire: there was no code, or no Close frame at all."""
    INVALID_DATA = 1007
    TOO_BIG = 1009
    INTERNAL_ERROR = 1011


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


class Service(Protocol):
    """What a connection needs of the gateway around it."""

    @property
    def backends(self) -> Backends: ...
    @property
    def limits(self) -> LimitsTable: ...
    @property
    def metrics(self) -> Metrics: ...


class Connection:
    """One client on a WebSocket, and the stream to its XMPP server."""

    __slots__ = (
        "_address",
        "_client_from",
        "_close_code",
        "_domain",
        "_open_sent",
        "_sending_allowed",
        "_service",
        "_state",
        "_stream",
        "_timer",
        "_writer",
        "end",
        "log",
    )

    def __init__(self, service: Service, send: Send, address: str) -> None:
        self._service = service
        self._address = address
        self._writer = MessageWriter(send, self._stalled)
        self._state = State.WAITING
        self._stream: BackendStream | None = None
        self._domain = ""
        """Empty until the client has named one that is served."""
        self._client_from: str | None = None
        self._open_sent = False
        self._close_code = CloseCode.NORMAL
        self._sending_allowed: asyncio.Event | None = None
        self.log = SessionLogger(logger, secrets.token_hex(4))
        self.end = "connection lost"
        """Why the connection ended, for the log and the metrics."""
        # WS29: a client that never sends <open/> is not waited for.
        self._timer: asyncio.TimerHandle | None = asyncio.get_running_loop().call_later(
            service.limits.body_timeout, self._open_is_late
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
            self._service.metrics.websocket.requests += 1
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
        if len(text) > self._service.limits.max_stanza_bytes or (
            not text.isascii() and len(text.encode()) > self._service.limits.max_stanza_bytes
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
            if (action := LOCAL.get(element.name)) is not None:
                self._receive_local(action, element)
                return
            self._service.metrics.websocket.from_clients += 1
            self._stream.write(element.data)
        elif self._state is State.WAITING:
            self._fail("not-authorized", "the first message is not <open/>")  # RFC 7395 section 3.4
        else:
            self._service.metrics.dropped.labels("to_server", "after close").inc()

    def _receive_local(self, action: Local, element: Element) -> None:
        """What no server may get from a client is dealt with here (HC24)."""
        if action is Local.TERMINATE:
            self._end_stream("stream error from the client")  # RFC 6120 section 4.9.1.1
        elif action is Local.REFUSE:
            self._fail("unsupported-stanza-type", f"a client may not send {element.name}")
        elif not self._open_sent:
            # RFC 7395 section 3.4: nothing comes before <open/>; and the client cannot know what is offered.
            self._fail("not-authorized", f"{element.name} before <open/> was answered")
        elif action is Local.COMPRESS:
            if self._writer.stalled:
                # Answers to a client that does not read would be kept without limit.
                self._fail("policy-violation", "more questions than answers were read")
            else:
                self._send_text(COMPRESS_FAILURE.data.decode())
        else:
            # STARTTLS: RFC 7395 section 3.9; RFC 6120 section 5.4.2.2: failure, and the end of the stream.
            self._send_text(STARTTLS_FAILURE.data.decode())
            self._end_stream("the client asked for STARTTLS")

    def _receive_open(self, frame: Open) -> None:
        """RFC 7395 section 3.4 (the first), 3.7 (a restart)."""
        if self._state is State.WAITING:
            self._open_stream(frame)
        elif self._state is State.OPEN and self._stream is not None and self._stream.restart_allowed:
            self._state = State.OPENING
            self._open_sent = False
            self._client_from = bare_jid(frame.from_)
            self._stream.restart(lang=frame.lang, from_=frame.from_)
        elif self._state in {State.OPEN, State.OPENING}:
            self._fail("policy-violation", "<open/> without SASL success before it")

    def _open_stream(self, frame: Open) -> None:
        self._client_from = bare_jid(frame.from_)
        try:
            self._domain = check_domain(self._service.backends, frame.to)
        except BindingError as error:
            self._fail(error.condition, error.text)
            return
        if not is_xmpp_1(frame.version):
            self._fail("unsupported-version", "version is below 1.0")  # RFC 6120 section 4.9.3.25
            return
        self._state = State.OPENING
        self._cancel_timer()
        self.log.info("stream to %s", self._domain)
        self._stream = self._service.backends.open_stream(
            to=self._domain,
            from_=frame.from_,
            lang=frame.lang,
            handler=self,
            inherit_lang=True,
            client_address=self._address,
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
        if self._state not in {State.CLOSED, State.GONE, State.CLOSING} and code != CloseCode.NONE:
            # Not `end`: what a client may choose freely is no label of a metric.
            self.log.info("WebSocket closed with %d", code)
            self.end = "WebSocket closed without <close/>"
        if code in _VIOLATIONS and self._stream is not None:
            self._stream.close()
        self.lost()

    def lost(self) -> None:
        """Nothing can be sent any more; an unfinished stream is dropped *without* an end tag (3.6)."""
        self._count_dropped(self._writer.discard())
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
        self._send_open(header)

    def _send_open(self, header: StreamHeader) -> None:
        self._open_sent = True
        self._send_text(open_frame(header, from_=self._domain, to=self._client_from))

    def stream_received(self, elements: list[Element]) -> None:
        """Elements from the server: one message each (RFC 7395 section 3.3.3)."""
        if self._state in {State.CLOSED, State.GONE}:
            self._service.metrics.dropped.labels("to_client", "after close").inc(len(elements))
            return
        self._service.metrics.websocket.to_clients += len(elements)
        for element in elements:
            self._send_text(element.data.decode())

    def stream_closed(self, error: BackendError | None) -> None:
        """The stream is over: closed by the server or by us, or failed."""
        self._stream = None
        self.resume_sending()
        if self._state in {State.CLOSED, State.GONE}:
            return
        if self._state is State.CLOSING:
            self._send_close()  # whatever went wrong: the client has what it asked for
        elif error is None:
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
        if self._state in {State.CLOSING, State.CLOSED, State.GONE}:
            return
        self.log.info("stream error %s: %.200s", condition, text)
        self._close_code = code
        if not self._open_sent:
            header = StreamHeader(id=secrets.token_urlsafe(12), version="1.0", lang="en")
            self._send_open(header)
        self._send_text(stream_error_frame(condition))
        self._end_stream(condition)

    def _end_stream(self, end: str) -> None:
        """Say ``<close/>`` to the client and ``</stream:stream>`` to the server: nothing is to be resumed."""
        self.end = end
        self._send_close()
        if self._stream is not None:
            self._stream.close()

    def _send_close(self) -> None:
        """Send ``<close/>``; the client answers it, or the closing handshake comes first or too late."""
        self._send_text(close_frame())
        self._state = State.CLOSED
        self._cancel_timer()
        self._timer = asyncio.get_running_loop().call_later(
            self._service.limits.close_timeout, self._close_is_late
        )

    def _close(self, code: CloseCode, end: str) -> None:
        """Start the WebSocket closing handshake (RFC 6455 section 7.1.2)."""
        if self._state is State.GONE:
            return
        self.end = end
        if self._stream is not None and self._state is not State.CLOSING:
            self._stream.close()
        self._writer.write({"type": "websocket.close", "code": int(code)})
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
        if self._state in {State.CLOSING, State.CLOSED}:
            # No time to wait for the server's end tag, or for the client's <close/>.
            if self._state is State.CLOSING:
                self._send_close()
            self._close(CloseCode.GOING_AWAY, self.end)
        elif self._stream is not None and self._stream.resumable:
            self._stream.abort()
            self._stream = None
            self._close(CloseCode.GOING_AWAY, "system-shutdown")
        else:
            self._fail("system-shutdown", "the gateway is shutting down", CloseCode.GOING_AWAY)
            self._close(CloseCode.GOING_AWAY, "system-shutdown")

    def broke(self) -> None:
        """A bug of ours raised an exception: this connection ends, and no other."""
        self.log.exception("bug: the connection ends by an exception")
        self._fail("internal-server-error", "a bug of ours", CloseCode.INTERNAL_ERROR)
        self._close(CloseCode.INTERNAL_ERROR, "internal-server-error")

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # --- Writing ---------------------------------------------------------------------------------------

    def _send_text(self, text: str) -> None:
        if self._state is not State.GONE:
            self._writer.write({"type": "websocket.send", "text": text})

    def _stalled(self, stalled: bool) -> None:
        """The client reads slowly, or has caught up: its server is read accordingly."""
        if self._stream is not None:
            if stalled:
                self._stream.pause_reading()
            else:
                self._stream.resume_reading()

    def _count_dropped(self, count: int) -> None:
        if count:
            self._service.metrics.dropped.labels("to_client", "connection lost").inc(count)
