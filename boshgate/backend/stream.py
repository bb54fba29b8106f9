"""One XMPP stream to a server, as the client's side sees it: bytes in, elements out, exactly one end.

There is one object for each stream, an `asyncio.Protocol` around a `Framer`. While an authenticated client
idles there is no task, no timer and no parser: a task exists only while connecting, a timer only before
authentication and while closing. The handler is called from the event loop and never from inside a call of
its own, with one exception: `write` may call ``pause_sending``.
"""

import asyncio
import enum
import logging
from collections.abc import Sequence
from typing import Final

from boshgate import namespaces as ns
from boshgate.backend.connector import Connector
from boshgate.backend.handler import StreamHandler, StreamOwner
from boshgate.errors import (
    AuthenticationTimeout,
    BackendError,
    BadStream,
    ConnectFailed,
    ConnectionLost,
    QueueFull,
)
from boshgate.xmpp.features import show_features
from boshgate.xmpp.framer import Framer, FramerEvent, StreamClosed, StreamFailed, StreamHeader, StreamOpened
from boshgate.xmpp.header import bare_jid, language
from boshgate.xmpp.negotiation import (
    STREAM_END,
    is_sasl_success,
    stream_error,
    stream_header,
)
from boshgate.xmpp.resumption import MAY_GRANT, enables_management, grants_resumption, hide_location
from boshgate.xmpp.xml import Element

logger = logging.getLogger(__name__)

FEATURES: Final = f"{{{ns.STREAMS}}}features"
STREAM_ERROR: Final = f"{{{ns.STREAMS}}}error"
SASL_SUCCESS: Final = frozenset({f"{{{ns.SASL}}}success", f"{{{ns.SASL2}}}success"})
NOTICED: Final = SASL_SUCCESS | MAY_GRANT | {FEATURES}
"""The elements that the gateway looks into; for all others the name is compared and that is all."""


class State(enum.IntEnum):
    """How far the stream is; what the client may do with it follows from this."""

    CONNECTING = 0
    """TCP, TLS and the first header (RFC 6120 sections 3 to 5); what the client sends is queued."""
    OPEN = 1
    """RFC 6120 section 4.2: the stream is the client's, restarts included."""
    CLOSING = 2
    """RFC 6120 section 4.4: our end tag is sent; what the server still sends is delivered."""
    ENDING = 3
    """The stream is over; what was written is flushed, and the TCP connection closes."""
    CLOSED = 4
    """No connection any more."""


class BackendStream(asyncio.Protocol):
    """A stream to the server of a domain; `Backends.open_stream` makes them."""

    __slots__ = (
        "_connector",
        "_framer",
        "_handler",
        "_owner",
        "_queue",
        "_queued",
        "_reading_paused",
        "_sending_paused",
        "_state",
        "_task",
        "_timer",
        "_transport",
        "authenticated",
        "managed",
        "restart_allowed",
        "resumable",
    )

    def __init__(self, connector: Connector, handler: StreamHandler, owner: StreamOwner) -> None:
        self._connector = connector
        self._handler: StreamHandler | None = handler
        self._owner = owner
        self._state = State.CONNECTING
        self._transport: asyncio.Transport | None = None
        self._framer: Framer | None = None
        self._queue: list[bytes] | None = None
        self._queued = 0
        self._reading_paused = False
        self._sending_paused = False
        self._task: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self.restart_allowed = False
        """SASL (RFC 6120) succeeded since the last header: the client must restart the stream now (6.4.6)."""
        self.authenticated = False
        """The server has sent a success of SASL or SASL2 at some time."""
        self.managed = False
        """The server counts stanzas (XEP-0198): there must be none of the gateway's own (SM4)."""
        self.resumable = False
        """The server has granted XEP-0198 resumption: a lost client must not close the stream (SM5)."""

    def __repr__(self) -> str:
        return f"<BackendStream {self._connector.domain} {self._state.name}>"

    # What the client's side asks for

    def connect(self, *, from_: str | None, lang: str | None, inherit_lang: bool) -> None:
        """Begin to connect; returns at once."""
        connecting = self._connector.connect(
            from_=bare_jid(from_), lang=language(lang), inherit_lang=inherit_lang, adopt=self._adopt
        )
        self._task = asyncio.get_running_loop().create_task(connecting)
        self._task.add_done_callback(self._connected)

    def write(self, data: bytes) -> None:
        """Send *data*, complete elements; they wait until the stream is ready, and are lost once it closes.

        A client that sends more than the limits allow to wait ends with QueueFull.
        """
        if self._state is State.OPEN:
            transport = self._send(data)
            # The client's side should have stopped at pause_sending: memory stays bounded if it has not.
            if self._sending_paused and transport.get_write_buffer_size() > self._max_queued:
                self._refuse(QueueFull("more was sent than the server takes"))
        elif self._state is State.CONNECTING:
            # RFC 6120 5.3.1, P16: nothing of the client's goes out before TLS.
            self._queued += len(data)
            if self._queued > self._max_queued:
                self._refuse(QueueFull("more was sent than may wait for the stream to be ready"))
            elif self._queue is None:
                self._queue = [data]
            else:
                self._queue.append(data)

    def restart(self, *, from_: str | None, lang: str | None) -> None:
        """Send a new header on the same connection (RFC 6120 section 6.4.6, RFC 7395 section 3.7).

        It is for the domain that the stream was opened for. Raises ValueError unless `restart_allowed`.
        """
        if self._state is not State.OPEN:
            return
        if not self.restart_allowed:
            raise ValueError("restart without SASL success")
        assert self._framer is not None, "it came with the transport"
        self.restart_allowed = False
        self._framer.reset()
        header = stream_header(to=self._connector.to, from_=bare_jid(from_), lang=language(lang))
        self._send(header)

    def close(self) -> None:
        """Send ``</stream:stream>`` and deliver what comes until the server's, or until ``close_timeout``."""
        if self._state is State.CONNECTING:
            self.abort()
        elif self._state is State.OPEN:
            # RFC 6120 4.4: send nothing more, keep reading.
            self._state = State.CLOSING
            self._send(STREAM_END)
            self._start_timer(self._connector.limits.close_timeout)

    def abort(self) -> None:
        """Flush and close the TCP connection without ``</stream:stream>`` (XEP-0198 section 5, SM5, SM11)."""
        if self._state is State.CONNECTING:
            self._state = State.ENDING
            self._cancel()
        elif self._state in {State.OPEN, State.CLOSING}:
            self._finish()

    def pause_reading(self) -> None:
        """Take no more from the server until `resume_reading`; what was read already still comes."""
        self._reading_paused = True
        if self._transport is not None and self._state < State.ENDING:
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Take from the server again."""
        self._reading_paused = False
        if self._transport is not None and self._state < State.ENDING:
            self._transport.resume_reading()

    # What the event loop brings

    def _adopt(self, transport: asyncio.Transport, framer: Framer, events: list[FramerEvent]) -> None:
        """The stream is ready on *transport*: send what waited, deliver what came."""
        if self._state is not State.CONNECTING:
            transport.abort()
            return
        self._transport = transport
        self._framer = framer
        self._state = State.OPEN
        transport.set_protocol(self)
        if self._reading_paused:
            transport.pause_reading()
        queue, self._queue = self._queue, None
        if queue:
            transport.write(b"".join(queue))
        self._start_timer(self._connector.limits.auth_timeout)
        self._receive(events)

    def _connected(self, task: asyncio.Task[None]) -> None:
        """The task is done: nothing more to do if the connection was adopted."""
        self._task = None
        failure = None if task.cancelled() else task.exception()
        if self._transport is not None:
            return
        if self._state is not State.CONNECTING:
            self._gone(None)
        elif failure is None:
            self._gone(ConnectFailed("the gateway stops"))
        elif isinstance(failure, BackendError):
            self._gone(failure)
        else:
            logger.error("%r: connecting raised", self, exc_info=failure)
            self._gone(ConnectFailed("internal error"))

    def data_received(self, data: bytes) -> None:
        """Deliver what *data* completes."""
        if self._state < State.ENDING:
            assert self._framer is not None, "it came with the transport"
            self._receive(self._framer.receive_data(data))

    def eof_received(self) -> None:
        """The server closed the connection; the transport follows when we return."""
        if self._state < State.ENDING:
            error = self._unannounced("the server closed the connection without </stream:stream>")
            self._state = State.ENDING
            self._start_timer(self._connector.limits.close_timeout)
            self._end(error)

    def connection_lost(self, exc: Exception | None) -> None:
        """There is no connection any more."""
        reason = (
            f"the connection to the server was lost: {exc}" if exc else "the server closed the connection"
        )
        self._gone(self._unannounced(reason))

    def pause_writing(self) -> None:
        """The write buffer is above its high-water mark."""
        self._sending_paused = True
        if self._handler is not None:
            try:
                self._handler.pause_sending()
            except Exception:
                self._handler_raised()

    def resume_writing(self) -> None:
        """The write buffer is below its low-water mark."""
        self._sending_paused = False
        if self._handler is not None:
            try:
                self._handler.resume_sending()
            except Exception:
                self._handler_raised()

    # What came in, to the handler

    def _receive(self, events: Sequence[FramerEvent]) -> None:
        """Hand *events* on: one list of elements for the whole read, unless a header comes between."""
        elements: list[Element] = []
        try:
            for event in events:
                if type(event) is Element:
                    elements.append(self._notice(event) if event.name in NOTICED else event)
                    if event.name != STREAM_ERROR:
                        continue
                    # RFC 6120 4.9.1.1: whatever stands behind it, the stream is over.
                self._deliver(elements)
                elements = []
                if isinstance(event, StreamOpened):
                    self._opened(event.header)
                elif isinstance(event, StreamClosed):
                    self._server_closed()
                elif isinstance(event, StreamFailed):
                    self._bad_stream(event)
            self._deliver(elements)
        except Exception:
            self._handler_raised()

    def _opened(self, header: StreamHeader) -> None:
        if header.version is None:
            self._stop_waiting()  # RFC 6120 4.7.5: before 1.0 there is no SASL to wait for
        if self._handler is not None and self._state < State.ENDING:
            self._handler.stream_opened(header)

    def _notice(self, element: Element) -> Element:
        if element.name == FEATURES:
            return show_features(element, self._connector.limits.max_stanza_bytes)
        if element.name in SASL_SUCCESS:
            self.authenticated = True
            self._stop_waiting()
            # XEP-0388 2.6.1: a success of SASL2 is no reason to restart.
            self.restart_allowed = self.restart_allowed or is_sasl_success(element)
        self.resumable = self.resumable or grants_resumption(element)
        self.managed = self.managed or enables_management(element)
        return element if self._connector.keep_location else hide_location(element)

    def _deliver(self, elements: list[Element]) -> None:
        if not elements or self._state >= State.ENDING or self._handler is None:
            return
        self._handler.stream_received(elements)
        if elements[-1].name == STREAM_ERROR:
            # RFC 6120 4.9.1.1: after a stream error both sides close, and the one who got it answers (T23).
            self.close()

    def _server_closed(self) -> None:
        """``</stream:stream>`` came (RFC 6120 section 4.4)."""
        if self._state is State.OPEN:
            self._send(STREAM_END)
        if self._state < State.ENDING:
            self._finish()
            self._end(None)

    def _bad_stream(self, event: StreamFailed) -> None:
        """RFC 6120 sections 11.1 and 11.3: tell the server, and end."""
        if self._state is State.OPEN:
            self._send(stream_error(event.condition) + STREAM_END)
        if self._state < State.ENDING:
            self._finish()
            self._end(BadStream(event.condition, event.text))

    # The ways to the end

    def _send(self, data: bytes) -> asyncio.Transport:
        assert self._transport is not None, "this is for OPEN and CLOSING"
        self._transport.write(data)
        return self._transport

    @property
    def _max_queued(self) -> int:
        limits = self._connector.limits
        return limits.max_pending_bytes + limits.max_stanza_bytes

    def _refuse(self, error: BackendError) -> None:
        """End because of a call of the client's side, which hears of it later, not inside its call."""
        if self._state is State.CONNECTING:
            self._state = State.ENDING
            self._cancel()
        else:
            self._finish()
        asyncio.get_running_loop().call_soon(self._end, error)

    def _cancel(self) -> None:
        self._queue = None
        assert self._task is not None, "there is one while connecting"
        self._task.cancel()

    def _finish(self) -> None:
        """Flush, then FIN; read on until the server's FIN, and discard.

        A socket that is closed with unread data sends RST, and the server may lose our last stanzas to it.
        """
        assert self._transport is not None, "this is for OPEN and CLOSING"
        self._state = State.ENDING
        self._start_timer(self._connector.limits.close_timeout)
        if self._transport.is_closing():
            return
        self._transport.resume_reading()
        if self._transport.can_write_eof():
            self._transport.write_eof()
        else:
            # TLS: flushes, sends close_notify, waits for the server's, closes.
            self._transport.close()

    def _start_timer(self, seconds: float) -> None:
        self._stop_timer()
        self._timer = asyncio.get_running_loop().call_later(seconds, self._timed_out)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _stop_waiting(self) -> None:
        """The client has authenticated, or need not; any other timer runs on."""
        self._owner.authenticated(self)
        if self._state is State.OPEN:
            self._stop_timer()

    def _timed_out(self) -> None:
        self._timer = None
        if self._state is State.OPEN:
            # RFC 6120 13.12, S3: nothing but a success ends this wait.
            self._send(STREAM_END)
            self._finish()
            self._end(AuthenticationTimeout("the client did not authenticate in time"))
        elif self._state is State.CLOSING:
            # RFC 6120 4.4: the server's end tag did not come.
            self._finish()
            self._end(None)
        elif self._transport is not None:
            self._transport.abort()

    def _unannounced(self, reason: str) -> BackendError | None:
        """The error of a connection that ends now: none if we were closing it (RFC 6120 section 4.4)."""
        return ConnectionLost(reason) if self._state is State.OPEN else None

    def _handler_raised(self) -> None:
        logger.exception("%r: handling what came raised", self)
        if self._state < State.ENDING:
            self._finish()
        self._end(BackendError("internal error"))

    def _gone(self, error: BackendError | None) -> None:
        """The TCP connection is gone, or there never was one."""
        self._state = State.CLOSED
        self._transport = None
        self._framer = None
        self._stop_timer()
        self._owner.forget(self)
        self._end(error)

    def _end(self, error: BackendError | None) -> None:
        """Tell the handler, once."""
        handler, self._handler = self._handler, None
        if handler is not None:
            try:
                handler.stream_closed(error)
            except Exception:
                logger.exception("%r: its handler raised at the end", self)
