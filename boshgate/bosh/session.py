"""The BOSH session, section by section of XEP-0124: requests, payloads and time come in, events go out.

Here is everything that changes the session. Small machines beside it keep the rid window (`window`), the
responses (`responder`), the streams with what waits for the client (`streams`) and the keys; they know
nothing of each other. How they couple: nobody waits for a response while something waits for the client, so
that whatever changes either ends in `_answer`.
"""

from collections.abc import Collection, Sequence

from boshgate.bosh.body import EMPTY, Body, terminal_body
from boshgate.bosh.conditions import Condition
from boshgate.bosh.creation import adds_stream, creation_attributes, grant_pause, grant_session
from boshgate.bosh.events import Event, Exchange, SessionTerminated
from boshgate.bosh.keys import begin_keys
from boshgate.bosh.outbox import STREAM_ERROR
from boshgate.bosh.policy import SessionPolicy
from boshgate.bosh.polling import begin_polls, check_early
from boshgate.bosh.responder import Responder
from boshgate.bosh.screening import Local
from boshgate.bosh.states import OVER, SessionState
from boshgate.bosh.stream import Stream
from boshgate.bosh.streams import Namer, Streams
from boshgate.bosh.window import Arrival, Request, Window
from boshgate.errors import BindingError
from boshgate.xmpp.xml import Element


class Session:
    """One session; *sid* is a fresh random name, *exchange* carries the creation *request*.

    *new_name* names its streams (16.2). Raises BindingError where the session cannot be had; there are no
    events then. Times are milliseconds.
    """

    __slots__ = (
        "_condition", "_deadline", "_events", "_hold_limit", "_keys", "_pause", "_polls", "_reason",
        "_responder", "_streams", "_window", "content", "discarded", "grant", "policy", "sid", "state",
        "undelivered",
    )  # fmt: skip

    # 7: initiating a session

    def __init__(
        self, sid: str, new_name: Namer, exchange: Exchange, request: Body, policy: SessionPolicy, now: int
    ) -> None:
        self.grant = grant = grant_session(request, policy)
        self.content = grant.content  # the Content-Type of all responses
        self.sid = sid
        self.policy = policy
        self.state = SessionState.CREATING
        self.undelivered = 0  # payloads from the server that are in no response
        self.discarded = 0  # payloads from the client that the server did not get
        self._events: list[Event] = []
        self._streams = Streams(new_name, policy, self._events)
        self._window = Window(request.rid - 1, grant.requests)
        self._hold_limit = 0 if grant.polling else grant.hold  # 12
        self._responder = Responder(request, grant, policy, self._events, now)
        self._keys = begin_keys(request)
        self._polls = begin_polls(grant, policy)
        self._condition: str | None = None
        self._reason = ""
        self._deadline = 0
        self._pause: int | None = None
        # 14.3: no repeat can be an exact copy of the creation request, which has no sid: any will do (None).
        creation = Request(request.rid, exchange, None, now + grant.wait_ms, None)
        creation.opened = first = self._streams.open(request)
        first.announce = creation_attributes(sid, first.name, grant, policy)
        if self._responder.acks is not None:
            first.announce["ack"] = str(request.rid)  # 9.1
        self._window.hold(creation)
        self._answer(now)

    def stream_opened(
        self, stream: str, *, authid: str | None, from_: str | None, version: str | None, now: int
    ) -> None:
        """The server's stream header arrived: the first one, or the one after a restart."""
        found = self._streams.all.get(stream)
        if found is None or found.is_over:
            return
        # 7.2, 16.3, XEP-0206 section 4: in the response that names the stream, or in any later one.
        found.opened(authid, from_, version)
        held = self._window.held
        if version is None and held and held[0].opened is found:
            # RFC 6120 section 4.7.5: a server before XMPP 1.0 sends no features that could be waited for.
            self._respond_oldest(now)

    # 8: sending and receiving payloads

    def receive_request(self, exchange: Exchange, body: Body, now: int) -> None:
        """A request with the sid of this session arrived."""
        if self.state is not SessionState.OPEN and self.state is not SessionState.ENDING:
            self._receive_late(exchange, body, now)
            return
        try:
            arrival = self._window.classify(body.rid)
            if arrival is Arrival.NEXT:
                self._receive_next(exchange, body, now)
            elif arrival is Arrival.REPEATED_UNANSWERED:
                self._receive_repeated_unanswered(exchange, body, now)
            elif arrival is Arrival.REPEATED:
                self._receive_repeated(exchange, body, now)
            else:
                self._receive_early(exchange, body, arrival, now)
        except BindingError as error:
            self._fail(exchange, body, error, now)

    def _receive_next(self, exchange: Exchange, body: Body, now: int) -> None:
        """14.2: forward in the order of rids: this one, and those that waited for it."""
        if self._polls is not None and self.state is SessionState.OPEN:
            self._polls.receive(body, self._responder.replies.find(body.rid - 1), now)  # 12
        deadline = now + self.grant.wait_ms
        request: Request | None = Request(body.rid, exchange, body.digest, deadline, body)
        while request is not None:
            self._process(request, now)
            request = self._window.pop_next()
        forwarded = self.state is SessionState.OPEN and (body.payloads or body.is_restart)
        patience = self.policy.reply_ms if forwarded else 0
        if self._streams.waiting or not self._window.await_reply(self._hold_limit, now, patience):
            self._answer(now)

    def _process(self, request: Request, now: int) -> None:
        """Do what *request* says, which is next in order."""
        body, request.body = request.body, None
        assert body is not None, "a request is processed once"
        self._window.hold(request)
        self._pause = None  # 10: back to normal with the next request
        try:
            if self._keys is not None:
                self._keys.check(body)  # 15.4
            if self.state is not SessionState.OPEN:
                self.discarded += len(body.payloads)  # 13, 17.2: the stream is over
                return
            if body.excess is not None:
                raise BindingError(Condition.POLICY_VIOLATION, body.excess)
            if (acks := self._responder.acks) is not None:
                acks.receive(body, self._window.held[0].rid - 1, now)  # 9.2
            pause = grant_pause(body, self.policy) if "pause" in body.attributes else None
            if body.is_terminate:
                self._receive_terminate(body.payloads, self._streams.named(body), now)
            elif body.is_restart:
                self._streams.restart(body)
                self.discarded += len(body.payloads)  # XEP-0206 section 5: ignored
            elif body.payloads:
                self._forward(body.payloads, self._streams.named(body), now)
            elif "to" in body.attributes and adds_stream(body, self.policy):
                self._open_another(request, body, now)
            if pause is not None and self.state is SessionState.OPEN:
                self._receive_pause(request, pause, now)
            while acks is not None and acks.missing and self._window.held and self.state is SessionState.OPEN:
                self._respond_oldest(now)  # 9.2: the next response goes out at once, with a report
        except BindingError as error:
            self._fail(request.exchange, body, error, now)

    def _forward(self, payloads: tuple[Element, ...], streams: Collection[Stream], now: int) -> None:
        """8: to the server as soon as possible, apart from what no server may get (XEP-0206 2, 4)."""
        if not streams:
            self.discarded += len(payloads)  # 16.4: the stream is gone
        for stream in streams:
            if (screened := stream.forward(payloads)) is None:
                continue
            self.discarded += screened.discarded
            stream.receive(screened.answers)
            if screened.ends is Local.TERMINATE:
                self._receive_terminate((), (stream,), now)
            elif screened.ends is not None:
                self._end_stream(stream, None, "the client asked for STARTTLS", now)

    def receive_payloads(self, stream: str, payloads: Sequence[Element], now: int) -> None:
        """The server sent *payloads*, in one burst."""
        found = self._streams.all.get(stream)
        if found is None or found.end is not None or self.state in OVER:
            self.undelivered += len(payloads)
            return
        kept = found.receive(payloads)
        if kept < len(payloads):
            self.undelivered += len(payloads) - kept - 1
            self._receive_stream_error(found, payloads[kept], now)
            return
        self._answer(now)
        if found.outbox.size > self.policy.max_pending_bytes:
            if self.state is SessionState.CLOSING:
                self._finish_closing(now)
            elif found.is_over:
                self.stream_closed(stream, None, now)  # 16.5: by the client, who has heard enough
            else:
                found.throttle(on=True)

    def _answer(self, now: int) -> None:
        """Respond in the order of rids: as soon as payloads wait, and when more than ``hold`` are held."""
        if self.state is SessionState.OPEN or self.state is SessionState.CREATING:
            window, streams = self._window, self._streams
            while window.held and (
                len(window.held) > self._hold_limit or (streams.waiting and window.live_held())
            ):
                self._respond_oldest(now)
        elif self.state is SessionState.ENDING:
            self._answer_ending(now)

    def _respond_oldest(self, now: int) -> None:
        """Answer the held request with the lowest rid, with what waits or empty."""
        request = self._window.held.pop(0)
        # 14.3: if its connection broke, what waits goes to a request that somebody listens to.
        opened = request.opened
        body = self._streams.next_body(opened, heard=request.exchange is not None)
        if opened is not None and self.state is SessionState.CREATING:
            self.state = SessionState.OPEN
        self._responder.respond(request, body, self._window, now)

    # 10: inactivity

    @property
    def _inactive_at(self) -> int:
        """When the session is over for want of requests, if none is unanswered."""
        return self._responder.idle_since + (self.grant.inactivity_ms if self._pause is None else self._pause)

    def _receive_pause(self, request: Request, pause: int, now: int) -> None:
        """Respond to all held requests, to this one without payloads; *pause* is the inactivity for once."""
        self._respond_before(request, now)
        self._window.held.clear()
        self._responder.respond_to_pause(request, self._window, now)
        self._pause = pause

    def _respond_before(self, request: Request, now: int) -> None:
        while self._window.held[0] is not request:
            self._respond_oldest(now)

    def exchange_lost(self, exchange: Exchange, now: int) -> None:
        """The connection of *exchange* broke before it was answered; nothing is sent there any more."""
        if (request := self._window.find_exchange(exchange)) is None:
            return
        # 14.3: the rid stays unanswered, the client may send it again; 10: yet nobody is waiting.
        request.exchange = None
        self._responder.idle_since = now
        if self.state is SessionState.CREATING:
            self._drop("the creation request was lost")  # 7.2: with the sid in its answer: nobody can go on

    # 13: terminating the session

    def _receive_terminate(
        self, payloads: tuple[Element, ...], streams: Collection[Stream], now: int
    ) -> None:
        """The client ends *streams*: forward *payloads*, then close them; the last ones end the session."""
        if payloads:
            self._forward(payloads, streams, now)
        if self.state is SessionState.OPEN and self._streams.others_open(streams):
            for stream in streams:
                stream.close(clean=True)  # 16.5: its end is reported when the server has closed it too
        elif self.state is SessionState.OPEN:
            self.state = SessionState.CLOSING
            self._reason = "terminated by the client"
            self._deadline = now + self.policy.closing_ms
            self._responder.replies.make_room()
            self._streams.close(clean=True)

    def _finish_closing(self, now: int) -> None:
        """13: the oldest request gets type='terminate', with what the server still sent; others are empty."""
        while self._streams.several and self._streams.waiting and len(self._window.held) > 1:
            self._respond_oldest(now)
        last = self._streams.take_last()
        if not self._window.live():
            self.undelivered += len(last)  # unless somebody asks for the answer after all
        self._finish(terminal_body(None, last), EMPTY, now)

    def _receive_late(self, exchange: Exchange, body: Body, now: int) -> None:
        """After the end only a repeat is answered (14.3), for others there is no session (10)."""
        request = self._window.find(body.rid)
        reply = self._responder.replies.find(body.rid)
        if request is not None and request.digest == body.digest:
            self._take_over(request, exchange, now)
        elif reply is not None and reply.digest in (None, body.digest):
            self._responder.respond_again(exchange, reply, now)
        else:
            self.discarded += len(body.payloads)
            self._responder.refuse(exchange, Condition.ITEM_NOT_FOUND)

    # 14: request ids

    def _receive_early(self, exchange: Exchange, body: Body, arrival: Arrival, now: int) -> None:
        """14.2: a lower rid is missing; before it came this one is neither forwarded nor answered."""
        check_early(body, arrival, self._window.live(), self.grant, self.policy, now)  # 11
        self._pause = None
        self._window.park(Request(body.rid, exchange, body.digest, now + self.grant.patience_ms, body))

    def _receive_repeated_unanswered(self, exchange: Exchange, body: Body, now: int) -> None:
        """14.3: sent again while we owe the response."""
        request = self._window.find(body.rid)
        assert request is not None, "so it was classified"
        self._window.check_copy(request.digest, body, self.policy, now)
        self._pause = None
        self._take_over(request, exchange, now)
        self._answer(now)

    def _take_over(self, request: Request, exchange: Exchange, now: int) -> None:
        """14.3: an existing request gets a recoverable error at once, the response goes to the latest."""
        if request.exchange is None:  # else its time goes on: repeating is no way to be held for ever (8)
            request.deadline = now + self.grant.patience_ms
        self._responder.respond_error(request, now)
        request.exchange = exchange

    def _receive_repeated(self, exchange: Exchange, body: Body, now: int) -> None:
        """14.3: answered before: the same response again; nothing is forwarded."""
        reply = self._responder.replies.find(body.rid)
        if reply is None:
            raise BindingError(Condition.ITEM_NOT_FOUND, "the response is no longer in the buffer")
        self._window.check_copy(reply.digest, body, self.policy, now)
        self._responder.respond_again(exchange, reply, now)
        if not self._responder.replies.is_pause(body.rid):
            self._pause = None

    # 16: multiple streams

    def _open_another(self, request: Request, body: Body, now: int) -> None:
        """16.3: open another stream; the response to *request*, and to no other one, brings its name."""
        self._respond_before(request, now)  # with nothing of a stream that the client cannot know
        request.opened = self._streams.open(body)
        if request.opened.is_over:
            self._respond_oldest(now)  # one too many

    # 17: errors, and other ends that the client did not ask for

    def _fail(self, culprit: Exchange | None, body: Body, error: BindingError, now: int) -> None:
        """17.2: the client broke a rule with *body*, and that ends the session at once."""
        self.discarded += len(body.payloads)
        self._responder.refuse_all(self._window.live(), culprit, error.condition)
        self._condition = error.condition
        # XEP-0198 section 5: nobody is to resume a stream, only to send the same again that is too large.
        self._drop(error.text, clean=body.excess is not None)

    def _receive_stream_error(self, stream: Stream, error: Element, now: int) -> None:
        """XEP-0206 section 6: the client gets a copy, after the stanzas before it."""
        if self.state is SessionState.CLOSING or stream.is_over:
            self.undelivered += 1  # 13, 16.5: the client is done, its answer has no condition
            self.stream_closed(stream.name, None, now)
        else:
            stream.receive_error(error)
            self._end_stream(stream, Condition.REMOTE_STREAM_ERROR, "stream error from the server", now)
            self._answer(now)

    def stream_closed(self, stream: str, condition: str | None, now: int) -> None:
        """The stream is over; None: the server closed it; else why, e.g. remote-connection-failed (17.2)."""
        if (found := self._streams.all.get(stream)) is None:
            return
        asked_for = found.is_over  # 16.5: by the client, which is not told of a failure then
        self._streams.closed(found)
        if self.state is SessionState.CLOSING:
            if self._streams.all_closed():
                self._finish_closing(now)
        elif self.state is SessionState.CREATING:
            # 17.2: even a server that says goodbye was of no use yet.
            self._end(condition or Condition.REMOTE_CONNECTION_FAILED, "the stream was never ready", now)
        elif self.state is SessionState.OPEN and found.end is None:
            reason = "the stream was lost" if condition else "closed by the server"
            self._end_stream(found, None if asked_for else condition, reason, now)
            self._answer(now)

    def _end_stream(self, stream: Stream, condition: str | None, reason: str, now: int) -> None:
        """16.6: *stream* is over, and the session goes on with the others; with the last one it is over."""
        if self._streams.others_open((stream,)):
            self._streams.end(stream, condition)
        else:
            self._end(self._streams.end_last(stream, condition), reason, now)

    def terminate(self, condition: str, now: int) -> None:
        """The connection manager ends the session with *condition*, e.g. system-shutdown (17.2)."""
        if self.state is SessionState.CLOSING:
            self._finish_closing(now)
        elif self.state is SessionState.CREATING or self.state is SessionState.OPEN:
            self._end(condition, "ended by the connection manager", now, clean=False)

    def _end(self, condition: str | None, reason: str, now: int, *, clean: bool = True) -> None:
        """17.2: tell the client, now if it waits for a response, else with its next one."""
        unknown = self.state is SessionState.CREATING
        self.state = SessionState.ENDING
        self._condition = condition
        self._reason = reason
        self._responder.replies.make_room()
        self._streams.close(clean=clean)
        self._answer_ending(now)
        if unknown:
            self._forget()  # nobody knows the sid: nobody will ask again

    def _answer_ending(self, now: int) -> None:
        """17.2: what waits goes out in as many responses as it needs; the last one brings the condition."""
        while self._streams.rest() and self._window.live_held():
            self._respond_oldest(now)
        if self._window.live_held():
            last = self._streams.take_last()
            error = [payload for payload in last if payload.name == STREAM_ERROR]
            self._finish(terminal_body(self._condition, last), terminal_body(self._condition, error), now)

    def _finish(self, first: bytes, others: bytes, now: int) -> None:
        """Answer all, *first* goes to the oldest request that somebody waits for; then linger (14.3)."""
        self.state = SessionState.TERMINATED
        self._deadline = now + self.policy.linger_ms
        self._responder.respond_to_all(self._window, first, others, now, self._condition)
        self.discarded += self._window.clear()

    def _drop(self, reason: str, *, clean: bool = False) -> None:
        """End the session at once and tell nobody."""
        self.state = SessionState.TERMINATED
        self._reason = reason
        self._streams.drop(clean=clean)
        self.discarded += self._window.clear()
        self._forget()

    def _forget(self) -> None:
        """10: from now on as if there had been no session."""
        self.undelivered += self._streams.clear()
        self._responder.replies.clear()
        self._deadline = 0
        end = SessionTerminated(self._condition, self._reason, self.undelivered, self.discarded)
        self._events.append(end)

    # Time and outputs

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
            if now >= self._inactive_at and not self._window.live():
                self._drop(self._reason or "inactivity")  # 10

    def _answer_expired(self, now: int) -> None:
        """8: nobody waits longer than ``wait``."""
        for request in [request for request in self._window.live() if request.deadline <= now]:
            while request in self._window.held:
                self._respond_oldest(now)
            if request.rid > self._window.last:
                self._responder.respond_error(request, now)  # 14.2: the hole was not filled: 17.3

    def get_timer(self) -> int | None:
        """Return when `handle_timer` is to be called; None: never."""
        if self.state is SessionState.TERMINATED or self.state is SessionState.CLOSING:
            return self._deadline or None
        due = self._window.due()
        return self._inactive_at if due is None else due

    def next_event(self) -> Event | None:
        """Return what is to be done next; None: nothing."""
        return self._events.pop(0) if self._events else None

    def __repr__(self) -> str:
        return f"<Session {self.state.value} {self._window!r} {self._streams!r}>"
