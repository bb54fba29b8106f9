"""The BOSH session, section by section of XEP-0124: requests, payloads and time come in, events go out.

It says itself what happens to the session; small machines beside it keep the rid window (`window`), the buffer of
responses (`replies`), what waits for the client (`outbox`), the stream (`streams`) and what was granted (`creation`).
They know nothing of each other: all coupling is here. Nobody waits for a response while something waits for the
client: every input ends in `_answer`.
"""

from collections.abc import Sequence
from enum import Enum

from boshgate.bosh.body import EMPTY, RECOVERABLE_ERROR, Body, serialise_body, terminal_body
from boshgate.bosh.conditions import Condition
from boshgate.bosh.creation import creation_attributes, grant_session
from boshgate.bosh.events import (
    CloseStream,
    Event,
    Exchange,
    OpenStream,
    Respond,
    RestartStream,
    SendPayloads,
    SessionTerminated,
    Throttle,
)
from boshgate.bosh.outbox import SASL_SUCCESS, STREAM_ERROR, Outbox
from boshgate.bosh.policy import SessionPolicy
from boshgate.bosh.replies import Replies, Reply
from boshgate.bosh.streams import COMPRESS_FAILURE, LOCAL, STARTTLS_FAILURE, Local, Stream, StreamState
from boshgate.bosh.window import Arrival, Request, Window
from boshgate.errors import BindingError
from boshgate.namespaces import XBOSH
from boshgate.xmpp.xml import Element


class SessionState(Enum):
    """Where the session is; each input method says what it does in which state."""

    CREATING = "creating"
    """7.2: the creation request is unanswered, nobody knows the sid."""
    OPEN = "open"
    """8: payloads go both ways."""
    CLOSING = "closing"
    """13: the client has terminated; the answer waits a moment for the server's last stanzas."""
    ENDING = "ending"
    """17.2: the session is over, and the client is to be told with its next response."""
    TERMINATED = "terminated"
    """13, 17.2: the client was told; until the linger is over it may ask for that answer again."""


class Session:
    """One session. *sid* and *stream* are fresh random names; *exchange* carries the creation *request* (7.1).

    Raises BindingError where the session cannot be had; there are no events then. All times are milliseconds.
    """

    __slots__ = (
        "_announce", "_condition", "_deadline", "_events", "_hold_limit", "_idle_since", "_outbox", "_pause", "_reason",
        "_repeated_at", "_repeats", "_replies", "_stream", "_window", "discarded", "grant", "policy", "sid", "state",
        "undelivered",
    )  # fmt: skip

    # 7: creation

    def __init__(
        self, sid: str, stream: str, exchange: Exchange, request: Body, policy: SessionPolicy, now: int
    ) -> None:
        self.grant = grant = grant_session(request, policy)
        self.sid = sid
        self.policy = policy
        self.state = SessionState.CREATING
        self.undelivered = 0
        """Payloads from the server that no response took along."""
        self.discarded = 0
        """Payloads from the client that were not forwarded."""
        self._stream = Stream(stream)
        self._window = Window(request.rid - 1, grant.requests)
        # 8: the most requests held at once; 12: in a polling session every request is answered at once.
        self._hold_limit = 0 if grant.polling else grant.hold
        self._replies = Replies(grant.requests)
        self._outbox = Outbox(policy.max_response_bytes)
        self._announce: dict[str, str] | None = creation_attributes(sid, grant, policy)
        self._condition: str | None = None
        self._reason = ""
        self._idle_since = now
        self._pause: int | None = None
        self._deadline = 0
        self._repeats = self._repeated_at = 0
        self._events: list[Event] = [OpenStream(stream, grant.to, grant.from_, grant.lang)]
        # 14.3: an exact copy of the creation request cannot exist, it would need the sid: any repeat counts as one.
        self._window.hold(Request(request.rid, exchange, None, now + grant.wait * 1000, None))
        self._answer(now)

    def stream_opened(
        self, stream: str, *, authid: str | None, from_: str | None, version: str | None, now: int
    ) -> None:
        """The server's stream header arrived: the first one, or the one after a restart."""
        if self._stream.is_over:
            return
        if self._stream.state is StreamState.RESTARTING:
            from_ = version = None  # XEP-0206 section 5: they are known; section 4: authid is a new one
        self._stream.state = StreamState.OPEN
        # 7.2, XEP-0206 section 4: in the creation response, or else in any later one.
        found = {"authid": authid, "from": from_, f"{{{XBOSH}}}version": version}
        known = {name: value for name, value in found.items() if value is not None}
        self._announce = {**(self._announce or {}), **known} or None
        if version is None and self.state is SessionState.CREATING:
            # RFC 6120 section 4.7.5: a server before XMPP 1.0 will send no features: nothing is to be waited for.
            self._respond_oldest(now)

    # 8: payloads

    def receive_request(self, exchange: Exchange, body: Body, now: int) -> None:
        """A request of this session arrived."""
        if self.state is SessionState.CLOSING or self.state is SessionState.TERMINATED:
            return self._receive_late(exchange, body, now)
        try:
            # 11: one request above the window may pause or terminate.
            extra = body.is_terminate or (self.policy.max_pause > 0 and "pause" in body.attributes)
            arrival = self._window.classify(body.rid, extra=extra)
            if arrival is Arrival.NEXT:
                self._receive_next(exchange, body, now)
            elif arrival is Arrival.EARLY:
                self._receive_early(exchange, body, extra, now)
            elif arrival is Arrival.REPEATED_UNANSWERED:
                self._receive_repeated_unanswered(exchange, body, now)
            elif arrival is Arrival.REPEATED:
                self._receive_repeated(exchange, body, now)
            else:
                raise BindingError(Condition.ITEM_NOT_FOUND, "rid above the window")  # 14.2
        except BindingError as error:
            self._fail(exchange, error, now)
        return None

    def _receive_next(self, exchange: Exchange, body: Body, now: int) -> None:
        """14.2: payloads are forwarded in the order of rids; those that waited for this one follow."""
        self._repeats = 0
        request: Request | None = Request(body.rid, exchange, body.digest, now + self.grant.wait * 1000, body)
        while request is not None:
            self._process(request, now)
            request = self._window.pop_next()
        self._answer(now)

    def _process(self, request: Request, now: int) -> None:
        """Do what *request* says, which now is next in order."""
        body, request.body = request.body, None
        assert body is not None, "a request is processed once"
        self._window.hold(request)
        self._pause = None  # 10: back to normal with the next request
        if self.state is not SessionState.OPEN:
            # 13, 17.2: the stream is gone, or going, and the client is about to hear so.
            self.discarded += len(body.payloads)
            return
        try:
            if body.is_terminate:
                self._receive_terminate(body.payloads, now)
                return
            if body.is_restart:
                self._receive_restart(body)
            elif body.payloads:
                self._forward(body.payloads, now)
            if "pause" in body.attributes and self.policy.max_pause and self.state is SessionState.OPEN:
                self._receive_pause(request, body, now)
        except BindingError as error:
            self._fail(request.exchange, error, now)

    def _forward(self, payloads: tuple[Element, ...], now: int) -> None:
        """8: forward *payloads* as soon as possible, apart from those that no server may get."""
        if not LOCAL.keys().isdisjoint([payload.name for payload in payloads]):
            return self._forward_checked(payloads, now)
        self._events.append(SendPayloads(self._stream.name, payloads))
        return None

    def _forward_checked(self, payloads: tuple[Element, ...], now: int) -> None:
        actions = [LOCAL.get(payload.name) for payload in payloads]
        if Local.REFUSE in actions:
            self.discarded += len(payloads)
            raise BindingError(Condition.BAD_REQUEST, "an element that no client may send")
        end = next(
            (i for i, action in enumerate(actions) if action in (Local.TERMINATE, Local.STARTTLS)), None
        )
        if forwarded := tuple(payload for payload in payloads[:end] if payload.name not in LOCAL):
            self._events.append(SendPayloads(self._stream.name, forwarded))
        for _ in range(actions[:end].count(Local.COMPRESS)):
            self._outbox.append(COMPRESS_FAILURE)
        if end is None:
            return
        self.discarded += len(payloads) - end - 1
        if actions[end] is Local.TERMINATE:
            self._receive_terminate((), now)
        else:
            self._outbox.append(STARTTLS_FAILURE)
            self._end(None, "the client asked for STARTTLS", now)

    def receive_payloads(self, stream: str, payloads: Sequence[Element], now: int) -> None:
        """The server sent *payloads*."""
        if self.state is SessionState.ENDING or self.state is SessionState.TERMINATED:
            self.undelivered += len(payloads)
            return
        for index, payload in enumerate(payloads):
            self._outbox.append(payload)
            if payload.name == SASL_SUCCESS:
                self._stream.restart_allowed = True
            elif payload.name == STREAM_ERROR:
                self.undelivered += len(payloads) - index - 1
                self._receive_stream_error(now)
                return
        self._answer(now)
        stream_ = self._stream
        if (
            self._outbox.size > self.policy.max_pending_bytes
            and not stream_.throttled
            and not stream_.is_over
        ):
            stream_.throttled = True
            self._events.append(Throttle(stream, on=True))

    def _answer(self, now: int) -> None:
        """8: respond in the order of rids: as soon as there are payloads, and when more than ``hold`` are held."""
        if self.state is SessionState.ENDING:
            self._answer_ending(now)
        elif self.state is not SessionState.CLOSING:
            window = self._window
            while window.held and (
                len(window.held) > self._hold_limit or (self._outbox.portions and window.live_held())
            ):
                self._respond_oldest(now)

    def _respond_oldest(self, now: int) -> None:
        """Answer the held request with the lowest rid."""
        request = self._window.held.pop(0)
        if request.exchange is None:
            # 14.3: its connection broke. What waits goes to a request that somebody listens to; the client may
            # ask for this answer.
            body = EMPTY
        else:
            body = self._next_body()
        self._respond(request, body, now)

    def _next_body(self) -> bytes:
        payloads = self._take_payloads()
        if self._announce is None:
            return serialise_body({}, payloads) if payloads else EMPTY
        body = serialise_body(self._announce, payloads)
        self._announce = None
        if self.state is SessionState.CREATING:
            self.state = SessionState.OPEN
        return body

    def _take_payloads(self) -> list[Element]:
        payloads = self._outbox.take()
        stream = self._stream
        if stream.throttled and self._outbox.size <= self.policy.low_water:
            stream.throttled = False
            if not stream.is_over:
                self._events.append(Throttle(stream.name, on=False))
        return payloads

    def _respond(self, request: Request, body: bytes, now: int) -> None:
        """Answer *request*, and keep the answer: 14.3."""
        self._replies.store(Reply(request.rid, request.digest, body))
        if request.exchange is not None:
            self._events.append(Respond(request.exchange, body))
            self._idle_since = now

    # XEP-0206 section 5: restart

    def _receive_restart(self, body: Body) -> None:
        """A new stream over the same connection; payloads in the request are ignored."""
        if not self._stream.restart_allowed:
            raise BindingError(Condition.BAD_REQUEST, "restart, but SASL has not succeeded")
        self._stream.restart_allowed = False
        self._stream.state = StreamState.RESTARTING
        self.discarded += len(body.payloads)
        grant = self.grant
        self._events.append(
            RestartStream(
                self._stream.name, body.to or grant.to, body.from_ or grant.from_, body.lang or grant.lang
            )
        )

    # 10: inactivity

    def _receive_pause(self, request: Request, body: Body, now: int) -> None:
        """Respond to all held requests, this one without payloads, and set the inactivity to its value."""
        seconds = body.number("pause", 65535)
        if not seconds:
            raise BindingError(Condition.BAD_REQUEST, "pause is no positive number")
        while self._window.held[0] is not request:
            self._respond_oldest(now)
        self._window.held.clear()
        self._replies.store_pause(Reply(request.rid, request.digest, EMPTY))
        if request.exchange is not None:
            self._events.append(Respond(request.exchange, EMPTY))
            self._idle_since = now
        # The section is silent on more than 'maxpause': what may be had is given.
        self._pause = min(seconds, self.policy.max_pause) * 1000

    @property
    def _inactive_at(self) -> int:
        """When the session is over unless a request arrives; only if no request is unanswered."""
        limit = self.grant.inactivity * 1000 if self._pause is None else self._pause
        return self._idle_since + limit

    def exchange_lost(self, exchange: Exchange, now: int) -> None:
        """The connection of *exchange* broke before it was answered; nothing is to be sent there."""
        request = self._window.find_exchange(exchange)
        if request is None:
            return
        # 14.3: the rid stays unanswered, the client may send it again; 10: but nothing is held any more.
        request.exchange = None
        self._idle_since = now
        if self.state is SessionState.CREATING:
            # 7.2: the sid is in the response that nobody gets: nobody can use this session.
            self._drop("the creation request was lost", now)

    # 13: terminating

    def _receive_terminate(self, payloads: tuple[Element, ...], now: int) -> None:
        """The client ends the session: forward *payloads*, then close the stream."""
        if payloads:
            self._forward(payloads, now)
        if self.state is SessionState.OPEN:
            self.state = SessionState.CLOSING
            self._reason = "terminated by the client"
            self._deadline = now + self.policy.closing_ms
            self._close_stream(clean=True)

    def _finish_closing(self, now: int) -> None:
        """13: the oldest request is answered with type='terminate' and what the server sent last, others empty."""
        self._finish(terminal_body(None, self._outbox.take()), EMPTY, now)

    def _receive_late(self, exchange: Exchange, body: Body, now: int) -> None:
        """A request after the end: a repeat gets its answer (14.3), anything else finds no session (10)."""
        request = self._window.find(body.rid)
        reply = self._replies.find(body.rid)
        if request is not None and request.digest in (None, body.digest):
            self._take_over(request, exchange, now)
        elif reply is not None and reply.digest in (None, body.digest):
            self._events.append(Respond(exchange, reply.body))
        else:
            self._events.append(Respond(exchange, terminal_body(Condition.ITEM_NOT_FOUND)))

    # 14: request ids

    def _receive_early(self, exchange: Exchange, body: Body, extra: bool, now: int) -> None:
        """14.2: a lower rid is missing: neither forward nor answer this one before it came."""
        window = self._window
        live = sum(request.exchange is not None for request in window.outstanding())
        if live >= self.grant.requests and not extra:
            raise BindingError(Condition.POLICY_VIOLATION, "too many simultaneous requests")  # 11
        self._repeats = 0
        self._pause = None
        patience = self.grant.wait * 1000 or self.policy.hole_ms
        window.park(Request(body.rid, exchange, body.digest, now + patience, body))

    def _receive_repeated_unanswered(self, exchange: Exchange, body: Body, now: int) -> None:
        """14.3: sent again while we owe the response."""
        request = self._window.find(body.rid)
        assert request is not None, "so it was classified"
        self._check_copy(request.digest, body)
        self._count_repeat(now)
        self._pause = None
        self._take_over(request, exchange, now)
        if request.rid > self._window.last and request.deadline <= now:
            # 17.3: after an error the client repeats this request and those before it: wait for them once more.
            request.deadline = now + (self.grant.wait * 1000 or self.policy.hole_ms)
        self._answer(now)
        self._answer_expired(now)

    def _take_over(self, request: Request, exchange: Exchange, now: int) -> None:
        """14.3: the existing request gets a recoverable error at once, any future response goes to the latest.

        The original deadline stands, so that nobody is held for ever by repeating (8).
        """
        if request.exchange is not None:
            self._respond_error(request, now)
        request.exchange = exchange

    def _respond_error(self, request: Request, now: int) -> None:
        """17.3: the request stays unanswered; the client repeats it if it still wants the answer."""
        assert request.exchange is not None, "somebody waits"
        self._events.append(Respond(request.exchange, RECOVERABLE_ERROR))
        request.exchange = None
        self._idle_since = now

    def _receive_repeated(self, exchange: Exchange, body: Body, now: int) -> None:
        """14.3: answered before: the same response again, nothing is forwarded."""
        reply = self._replies.find(body.rid)
        if reply is None:
            raise BindingError(Condition.ITEM_NOT_FOUND, "the response is no longer in the buffer")
        self._check_copy(reply.digest, body)
        self._count_repeat(now)
        self._events.append(Respond(exchange, reply.body))
        self._idle_since = now  # 10: this is a response
        if not self._replies.is_pause(body.rid):
            self._pause = None

    def _check_copy(self, digest: bytes | None, body: Body) -> None:
        """14.3: a repeat is an exact copy; for anything else there is no response in the buffer."""
        if digest is not None and digest != body.digest:
            self.discarded += len(body.payloads)
            raise BindingError(Condition.ITEM_NOT_FOUND, "a rid again with another content")

    def _count_repeat(self, now: int) -> None:
        """14.3: repeating must not be a way round the polling limits."""
        fast = now - self._repeated_at < self.policy.repeat_ms
        self._repeats = self._repeats + 1 if fast else 1
        self._repeated_at = now
        if self._repeats > self.policy.max_repeats:
            raise BindingError(Condition.POLICY_VIOLATION, "too many repeats")

    # 17: errors, and ends that the client did not ask for

    def _fail(self, culprit: Exchange | None, error: BindingError, now: int) -> None:
        """17.2: the request at fault gets its condition, the others other-request, in the order of rids."""
        fault = terminal_body(error.condition)
        requests = self._window.outstanding()
        others = [request.exchange for request in requests if request.exchange is not None]
        for exchange in others:
            other = terminal_body(Condition.OTHER_REQUEST)
            self._events.append(Respond(exchange, fault if exchange == culprit else other))
        if culprit is not None and culprit not in others:
            self._events.append(Respond(culprit, fault))
        self._condition = error.condition
        self._drop(error.text, now)

    def _receive_stream_error(self, now: int) -> None:
        """XEP-0206 section 6: the server's ``<stream:error/>``, which is in the outbox, ends the stream."""
        if self.state is SessionState.CLOSING:
            self._finish_closing(now)
        else:
            self._end(Condition.REMOTE_STREAM_ERROR, "stream error from the server", now)

    def stream_closed(self, stream: str, condition: str | None, now: int) -> None:
        """The stream is over: None: the server closed it; else why, e.g. remote-connection-failed (17.2)."""
        self._stream.state = StreamState.CLOSED
        if self.state is SessionState.CLOSING:
            self._finish_closing(now)
        elif self.state is SessionState.CREATING:
            # 17.2: whatever it was, there never was a usable connection to the server.
            self._end(condition or Condition.REMOTE_CONNECTION_FAILED, "the stream was never ready", now)
        elif self.state is SessionState.OPEN:
            self._end(condition, "the stream was lost" if condition else "closed by the server", now)

    def terminate(self, condition: str, now: int) -> None:
        """The connection manager ends the session with *condition*, e.g. system-shutdown (17.2)."""
        if self.state is SessionState.CLOSING:
            self._finish_closing(now)
        elif self.state in (SessionState.CREATING, SessionState.OPEN):
            self._end(condition, "ended by the connection manager", now, clean=False)

    def _end(self, condition: str | None, reason: str, now: int, *, clean: bool = True) -> None:
        """17.2: tell the client with its next response, which may be one that it waits for already."""
        unknown = self.state is SessionState.CREATING
        self.state = SessionState.ENDING
        self._condition = condition
        self._reason = reason
        self._close_stream(clean=clean)
        self._answer_ending(now)
        if unknown:
            self._forget()  # nobody knows the sid: nobody can ask again

    def _answer_ending(self, now: int) -> None:
        """17.2: what still waits goes out first; the last of it goes with the condition."""
        window = self._window
        if len(self._outbox.portions) <= 1 and window.live_early() and not window.live_held():
            # Nothing will be forwarded any more: there is no need to wait for a missing rid (14.2).
            self._discard(window.close_hole())
        while len(self._outbox.portions) > 1 and window.live_held():
            self._respond_oldest(now)
        if window.live_held():
            last = self._take_payloads()
            error = [payload for payload in last if payload.name == STREAM_ERROR]
            self._finish(terminal_body(self._condition, last), terminal_body(self._condition, error), now)

    def _finish(self, first: bytes, others: bytes, now: int) -> None:
        """Answer all: *first* goes to the oldest request that somebody listens to. Then linger, for repeats (14.3)."""
        self.state = SessionState.TERMINATED
        self._deadline = now + self.policy.linger_ms
        self._discard(self._window.early)
        requests = self._window.outstanding()
        oldest = next((request for request in requests if request.exchange is not None), requests[0])
        for request in requests:
            self._respond(request, first if request is oldest else others, now)
        self._window.clear()

    def _discard(self, early: list[Request]) -> None:
        """Count the payloads of *early* requests that will not be forwarded."""
        for request in early:
            if request.body is not None:
                self.discarded += len(request.body.payloads)
                request.body = None

    def _drop(self, reason: str, now: int) -> None:
        """End the session here and now, without telling anybody who is not told already."""
        self.state = SessionState.TERMINATED
        self._reason = reason
        self._close_stream(clean=False)
        self._discard(self._window.early)
        self._window.clear()
        self._forget()

    def _close_stream(self, *, clean: bool) -> None:
        if not self._stream.is_over:
            self._stream.state = StreamState.CLOSING
            self._events.append(CloseStream(self._stream.name, clean))

    def _forget(self) -> None:
        """10: from now on as if the session never was."""
        self.undelivered += self._outbox.clear()
        self._replies.clear()
        self._deadline = 0
        self._events.append(
            SessionTerminated(self._condition, self._reason, self.undelivered, self.discarded)
        )

    # Time

    def handle_timer(self, now: int) -> None:
        """Do what is due at *now*."""
        if self.state is SessionState.TERMINATED:
            if self._deadline and now >= self._deadline:
                self._forget()
        elif self.state is SessionState.CLOSING:
            if now >= self._deadline:
                self._finish_closing(now)
        else:
            self._answer_expired(now)
            if not self._somebody_waits() and now >= self._inactive_at:
                self._drop(self._reason or "inactivity", now)  # 10

    def _answer_expired(self, now: int) -> None:
        """8: nobody waits longer than ``wait``."""
        held = self._window.held
        expired = [
            request.rid for request in held if request.exchange is not None and request.deadline <= now
        ]
        while expired and held and held[0].rid <= expired[-1]:
            self._respond_oldest(now)
        for request in self._window.early:
            if request.exchange is not None and request.deadline <= now:
                self._respond_error(
                    request, now
                )  # 14.2, 17.3: the hole was not filled: the client must repeat

    def _somebody_waits(self) -> bool:
        return self._window.live_held() or self._window.live_early()

    def get_timer(self) -> int | None:
        """Return when `handle_timer` is to be called, None for never."""
        if self.state is SessionState.TERMINATED:
            return self._deadline or None
        if self.state is SessionState.CLOSING:
            return self._deadline
        waiting = [request.deadline for request in self._window.outstanding() if request.exchange is not None]
        return min(waiting) if waiting else self._inactive_at

    # Outputs

    def next_event(self) -> Event | None:
        """Return what is to be done next, in order; None: nothing."""
        return self._events.pop(0) if self._events else None

    @property
    def content(self) -> str:
        """7.1: the Content-Type of all responses."""
        return self.grant.content

    def __repr__(self) -> str:
        window = self._window
        return (
            f"<Session {self.state.value} rid={window.last} held={len(window.held)} early={len(window.early)} "
            f"pending={self._outbox.size} {self._stream!r}>"
        )
