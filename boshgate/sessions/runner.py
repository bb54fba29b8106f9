"""One BOSH session at work: the pure session joined to its streams, its exchanges and one timer.

The session decides, synchronously; `Runner.pump` carries out what it decided. Every input goes through
`Runner.feed`, which ends in a pump, so that nothing stays behind. There is one timer for each session, and it
is left alone when the session asks for a later time than it is set to (each request pushes the time back): it
fires once too early and is set anew.

An exception out of the session is a bug of ours: it ends that session, with ``internal-server-error`` for who
waits (XEP-0124 section 17.2), and is noticed by no other.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Final, ParamSpec, cast

from boshgate.backend.pool import Backends
from boshgate.backend.stream import BackendStream
from boshgate.bosh.body import Body
from boshgate.bosh.conditions import Condition
from boshgate.bosh.events import (
    CloseStream,
    OpenStream,
    Respond,
    RestartStream,
    ReturnPayloads,
    SendPayloads,
    SessionTerminated,
    Throttle,
)
from boshgate.bosh.session import Session
from boshgate.errors import AuthenticationTimeout, BackendError, BindingError, QueueFull
from boshgate.logs import SessionLogger
from boshgate.metrics import Tally
from boshgate.sessions.admission import Admission, check_domain
from boshgate.xmpp.framer import StreamHeader
from boshgate.xmpp.undelivered import error_for
from boshgate.xmpp.xml import Element

MAX_RETURNED: Final = 500
"""Most elements of one stream that are looked at when its client is gone: the server may have sent any number
of small ones before it was throttled, and others are waiting for the loop."""

P = ParamSpec("P")


class Exchange(ABC):
    """One HTTP request and the response that it is owed (XEP-0124 section 14.3: a rid may have two)."""

    __slots__ = ()

    @abstractmethod
    def respond(self, body: bytes, content: str, status: int = 200) -> None:
        """Send *body*, a ``<body/>`` document, with Content-Type *content* and HTTP *status*."""


class SessionStream:
    """One stream of a session: hands what its XMPP server says to the session, under the stream's name."""

    __slots__ = ("backend", "name", "runner")

    def __init__(self, runner: "Runner", name: str) -> None:
        self.runner = runner
        self.name = name
        self.backend: BackendStream

    def stream_opened(self, header: StreamHeader) -> None:
        """The server's stream header came: the first, or the one after a restart."""
        runner = self.runner
        authid, from_, version = header.id, header.from_, header.version
        runner.feed(
            runner.session.stream_opened,
            self.name, authid=authid, from_=from_, version=version, now=runner.now(),
        )  # fmt: skip

    def stream_received(self, elements: list[Element]) -> None:
        """The server sent *elements*, in one burst."""
        runner = self.runner
        runner.tally.to_clients += len(elements)
        runner.feed(runner.session.receive_payloads, self.name, elements, runner.now())

    def stream_closed(self, error: BackendError | None) -> None:
        """The stream is over (XEP-0124 section 17.2: why)."""
        runner = self.runner
        runner.forget(self.name)
        condition = None
        if error is not None:
            runner.log.info("stream to the XMPP server failed: %s", error)
            own_fault = isinstance(error, QueueFull | AuthenticationTimeout)
            condition = Condition.POLICY_VIOLATION if own_fault else Condition.REMOTE_CONNECTION_FAILED
        runner.feed(runner.session.stream_closed, self.name, condition, runner.now())

    def pause_sending(self) -> None:
        """The server reads slowly; a BOSH client is bounded by its window of requests (14.2)."""

    def resume_sending(self) -> None:
        """The server reads again."""


class Runner:
    """A session, and everything of the outside world that belongs to it."""

    __slots__ = (
        "_admission",
        "_backends",
        "_ended",
        "_loop",
        "_on_end",
        "_timer",
        "_timer_due",
        "address",
        "failed",
        "log",
        "opened_at",
        "secure",
        "session",
        "streams",
        "tally",
    )

    def __init__(
        self,
        session: Session,
        *,
        backends: Backends,
        admission: Admission,
        log: SessionLogger,
        tally: Tally,
        address: str,
        secure: bool,
        on_end: Callable[["Runner", SessionTerminated], None],
    ) -> None:
        self.session = session
        self.streams: dict[str, SessionStream] = {}
        self.log = log
        self.tally = tally
        self.address = address
        self.secure = secure
        self._backends = backends
        self._admission = admission
        self._on_end = on_end
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_due = 0
        self._ended = False
        self.opened_at = self.now()
        self.failed = False
        """Whether a bug ended the session: an exchange that is not answered by now will not be."""

    def now(self) -> int:
        """The loop's clock in milliseconds."""
        return int(self._loop.time() * 1000)

    def start(self) -> None:
        """Carry out what the creation of the session decided."""
        self.feed(lambda: None)

    def feed(self, receive: Callable[P, None], *arguments: P.args, **named: P.kwargs) -> None:
        """Give the session an input, *receive* with its arguments, and carry out what it decides."""
        try:
            receive(*arguments, **named)
            self.pump()
        except Exception:
            self.fail()

    def receive_request(self, exchange: Exchange, body: Body) -> None:
        """A request of this session arrived."""
        self.feed(self.session.receive_request, exchange, body, self.now())

    def exchange_lost(self, exchange: Exchange) -> None:
        """The client hung up before *exchange* was answered (XEP-0124 section 14.3)."""
        self.feed(self.session.exchange_lost, exchange, self.now())

    def terminate(self, condition: str) -> None:
        """End the session from our side (XEP-0124 section 17.2)."""
        self.feed(self.session.terminate, condition, self.now())

    def expire(self) -> None:
        """The process ends: as if all the time had passed that a terminated session lingers."""
        while not self._ended and not self.failed and (due := self.session.get_timer()) is not None:
            self.feed(self.session.handle_timer, due)

    def pump(self) -> None:
        """Carry out what the session decided, then set the timer."""
        while (event := self.session.next_event()) is not None:
            if type(event) is Respond:
                cast(Exchange, event.exchange).respond(event.body, self.session.content, event.status)
            elif type(event) is SendPayloads:
                self._send(event)
            else:
                self._carry_out(event)
        self._set_timer()

    def _send(self, event: SendPayloads) -> None:
        stream = self.streams.get(event.stream)
        if stream is None:
            self.session.discarded += len(event.payloads)  # opened in the same breath, and refused
            return
        self.tally.from_clients += len(event.payloads)
        stream.backend.write(b"".join([element.data for element in event.payloads]))

    def _carry_out(self, event: object) -> None:
        match event:
            case OpenStream():
                self._open(event)
            case RestartStream(stream, from_, lang):
                self.streams[stream].backend.restart(from_=from_, lang=lang)
            case ReturnPayloads(stream, payloads):
                self._return(stream, payloads)
            case CloseStream(stream, clean):
                if (closing := self.streams.get(stream)) is not None:
                    # XEP-0198 section 5: what can be resumed is kept unless the client itself closed it.
                    resumable = closing.backend.resumable and not clean
                    closing.backend.abort() if resumable else closing.backend.close()
            case Throttle(stream, on):
                if (throttled := self.streams.get(stream)) is not None:
                    throttled.backend.pause_reading() if on else throttled.backend.resume_reading()
            case SessionTerminated():
                self._end(event)
            case _:
                raise AssertionError(f"the session has no event {event!r}")

    def _return(self, name: str, payloads: Sequence[Element]) -> None:
        """Answer for a client that is gone (XEP-0206 section 7)."""
        stream = self.streams.get(name)
        # SM4: with XEP-0198 the server knows by itself what did not arrive, and counts what it gets.
        if stream is None or stream.backend.managed:
            return
        errors = [error for payload in payloads[:MAX_RETURNED] if (error := error_for(payload)) is not None]
        if errors:
            stream.backend.write(b"".join(errors))
            self.tally.returned += len(errors)
            self.log.info("answered %d stanzas for a client that is gone", len(errors))

    def _open(self, event: OpenStream) -> None:
        stream = SessionStream(self, event.stream)
        if self.streams:
            # XEP-0124 section 16.3: another one; the first was looked at before there was a session.
            try:
                self._admit(event.to)
            except BindingError as error:
                self.log.info("refused another stream: %s", error)  # not to where: that is any text
                self.session.stream_closed(event.stream, error.condition, self.now())
                return
            self.log.info("opened another stream for %s", event.to)
        stream.backend = self._backends.open_stream(
            to=event.to,
            from_=event.from_,
            lang=event.lang,
            handler=stream,
            inherit_lang=False,
            client_address=self.address,
        )
        self.streams[event.stream] = stream

    def _admit(self, to: str) -> None:
        """A stream costs what a session costs, and is counted as one; raises BindingError."""
        check_domain(self._backends, to)
        if (refusal := self._admission.refusal(self.address)) is not None:
            raise BindingError(*refusal)
        self._admission.admit(self.address)

    def forget(self, name: str) -> None:
        """The stream *name* is over; the last one is counted as the session itself, and with it."""
        del self.streams[name]
        if self.streams:
            self._admission.release(self.address)

    def _set_timer(self) -> None:
        due = self.session.get_timer()
        if due is None:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            return
        if self._timer is not None:
            if self._timer_due <= due:
                return
            self._timer.cancel()
        self._timer_due = due
        self._timer = self._loop.call_at(due / 1000, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        # The loop may call a hair early; the session must not find its time in the future then.
        self.feed(self._handle_timer, max(self.now(), self._timer_due))

    def _handle_timer(self, now: int) -> None:
        due = self.session.get_timer()
        if due is not None and due <= now:
            self.session.handle_timer(now)

    def fail(self) -> None:
        """An exception came out of the session: answer who waits, as far as it still can, and forget it."""
        if self.failed:
            return
        self.log.exception("bug: the session ends by an exception")
        self.failed = True
        session = self.session
        try:
            session.terminate(Condition.INTERNAL_SERVER_ERROR, self.now())
            self.pump()
        except Exception:
            self.log.exception("bug: and its end by another one")
        for stream in self.streams.values():
            stream.backend.close()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._end(
            SessionTerminated(
                Condition.INTERNAL_SERVER_ERROR, "a bug of ours", session.undelivered, session.discarded
            )
        )

    def _end(self, event: SessionTerminated) -> None:
        if not self._ended:
            self._ended = True
            self._on_end(self, event)
