"""A model of both ends of a BOSH session and of the network between: what the properties are checked against.

The client keeps the rules of XEP-0124 as far as its network lets it: requests may overtake each other, get
lost on the way there or back, and connections may break with or without the gateway noticing. The model
knows what was said, and from that what has to come out; it does not look into the session, except for the
size of its buffers.
"""

import re
from collections.abc import Sequence

from boshgate.bosh.body import RECOVERABLE_ERROR, Body
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
from boshgate.bosh.policy import SessionPolicy
from boshgate.bosh.session import Session
from tests.bosh.client import Client
from tests.bosh.line import Line
from tests.bosh.wire import (
    FIRST_RID,
    ITEM_NOT_FOUND,
    Asked,
    Http,
    check_kinds,
    end_of,
    ids,
    is_end,
    keys_of,
    payload,
    stream_of,
)


class Model(Client):
    """Client, network, server, clock. Every method that moves something ends in `settle`, which checks."""

    def __init__(
        self,
        session_class: type[Session],
        policy: SessionPolicy,
        wait: int,
        hold: int,
        *,
        keys: bool,
        acks: bool,
    ) -> None:
        self.keys = keys
        self.acks = acks
        self.answered_at: dict[int, int] = {}
        self.polled_at: int | None = None  # by the newest request
        self.policy = policy
        self.now = 5_000_000
        self.size: dict[str, int] = {}
        self.lines = {"S1": Line("S1", FIRST_RID)}
        self.known: set[str] = set()
        self.names = 0
        self.ended: SessionTerminated | None = None
        self.cause: str | None = None  # of the end, as the model knows it
        self.terminating = False
        self.told = False
        self.first: dict[int, bytes] = {}
        self.order: list[int] = []  # in which requests were answered
        self.idle_since = self.now
        self.pause: int | None = None
        self.newest_pause: int | None = None
        self.reply_until = 0  # one request too many may be held
        self.received: set[int] = {FIRST_RID}
        self.last = FIRST_RID
        self.next_answer = FIRST_RID
        self.counter = 0
        attributes = {"to": "example.com", "ver": "1.11", "wait": str(wait), "hold": str(hold)}
        attributes |= (keys_of(FIRST_RID) if keys else {}) | ({"ack": "1"} if acks else {})
        creation = Asked(FIRST_RID, Body(FIRST_RID, attributes))
        self.asked = {FIRST_RID: creation}
        http = self._arrive(creation)
        self.session = session_class("SID", self.new_name, http, creation.body, policy, self.now)
        granted = self.session.grant
        self.wait, self.requests = granted.wait * 1000, granted.requests
        self.hold = 0 if granted.wait == 0 else granted.hold
        self.polls = granted.polling
        self.inactivity = granted.inactivity * 1000
        self.patience = self.wait or policy.hole_ms
        self.creating = True
        self.settle()

    def new_name(self) -> str:
        """16.2: a name that nobody else has."""
        self.names += 1
        return f"S{self.names}"

    # The network

    def deliver_requests(self) -> None:
        """All arrive."""
        for http in self.https("upstream"):
            self.deliver_request(http)

    def deliver_responses(self) -> None:
        """All arrive."""
        for http in self.https("downstream"):
            self.deliver_response(http)

    def break_held(self, http: Http, *, noticed: bool) -> None:
        """The connection of a request that is held breaks; the gateway may not notice."""
        http.state = "broken"
        if noticed and http.live:
            http.live = False
            self.idle_since = self.now
            if self.creating:
                self.cause = "client"
            self.session.exchange_lost(http, self.now)
        self.settle()
        assert not noticed or not self.creating or self.ended, "7: nobody can ever know the sid"

    def deliver_response(self, http: Http) -> None:
        """A response arrives at the client, which takes them in the order of rids (14.2)."""
        http.state = "done"
        assert http.response is not None
        kind, _ = end_of(http.response)
        if kind == "error":
            return  # 17.3: to be repeated
        http.asked.answer = http.response
        if is_end(http.response):
            self.told = True
        while (asked := self.asked.get(self.next_answer)) is not None and asked.answer is not None:
            self._process(asked, asked.answer)
            self.next_answer += 1
            if is_end(asked.answer):
                self.next_answer = 0  # 13: for the client that was the end

    def _process(self, asked: Asked, answer: bytes) -> None:
        """The client takes notice of *answer*, which is next."""
        name = stream_of(answer)
        self.known |= {line.name for line in self.lines.values() if line.rid == asked.rid}
        assert name is None or name in self.known or self.policy.max_streams == 1, "16.4: no such stream"
        line = self.lines[name or "S1"]
        line.processed += ids(answer)
        line.told = line.told or (name is not None and end_of(answer)[0] == "terminate")
        assert line.processed == line.sent[: len(line.processed)], "6: downstream in order, once"

    def deliver_request(self, http: Http) -> None:
        """A request arrives at the gateway."""
        asked = http.asked
        older = [other for other in asked.exchanges if other.live]
        self._arrive(asked, http)
        http.waits_since = older[0].waits_since if older else self.now
        known = asked.rid in self.received
        if self.cause is None:
            self._model_arrival(asked, known)
        else:
            self.received.add(asked.rid)
        http.state = "arrived"
        self.session.receive_request(http, asked.body, self.now)
        self.pump()
        if older:
            # 14.3: the existing request gets a recoverable error, the response goes to the latest.
            assert older[0].response == RECOVERABLE_ERROR, "4: an older exchange gets type='error'"
            assert http.response != RECOVERABLE_ERROR, "4: the newer exchange gets the response"
        self.check()

    def _arrive(self, asked: Asked, http: Http | None = None) -> Http:
        if http is None:
            http = Http(asked, "arrived")
            asked.exchanges.append(http)
        http.live = True
        http.arrived_at = http.waits_since = self.now
        return http

    def _model_arrival(self, asked: Asked, known: bool) -> None:
        """What an accepted request has to change: what was forwarded, and for how long nobody need ask."""
        if known:
            if asked.rid != self.newest_pause:
                self.pause = None
            return
        self.received.add(asked.rid)
        self.pause = None
        self.polled_at = None if asked.body.payloads or asked.kind != "plain" else self.now
        if asked.rid == self.last + 1:
            patience = self.policy.reply_ms if asked.body.payloads or asked.kind == "restart" else 0
            self.reply_until = self.now + patience
        while self.last + 1 in self.received:
            self.last += 1
            following = self.asked[self.last]
            self.pause = None
            if self.cause is not None:
                continue
            self._model_streams(following)
            if following.kind == "pause":
                self.pause = min(int(following.body.attributes["pause"]), self.policy.max_pause) * 1000
                self.newest_pause = self.last
            elif following.kind == "terminate":
                self.cause = "client"

    def _model_streams(self, asked: Asked) -> None:
        """What a request that is next in order changes for the streams (16)."""
        name = asked.body.attributes.get("stream")
        lines = [line for line in self.lines.values() if line.is_open and name in (None, line.name)]
        if asked.kind != "restart":
            for line in lines:
                line.expected += ids(b"".join(payload.data for payload in asked.body.payloads))
        if asked.kind == "add":
            opened = Line(f"S{len(self.lines) + 1}", asked.rid)
            self.lines[opened.name] = opened
        elif asked.kind == "close" and lines:
            if self.others_open(lines[0]):
                lines[0].is_open = False
                lines[0].closed_by_client = True
            else:
                self.cause = "client"
                self.terminating = True  # 16.5: it closed the last one

    def others_open(self, line: Line) -> bool:
        """Something can be sent on another stream than *line*."""
        return any(other.is_open for other in self.lines.values() if other is not line)

    # The server

    def server_opens(self, line: Line) -> None:
        """The server's header, and what the first stream begins with."""
        line.state = "open"
        self.session.stream_opened(line.name, authid="A", from_="example.com", version="1.0", now=self.now)
        self.settle()

    def server_sends(self, line: Line, kinds: Sequence[str]) -> None:
        """A burst of payloads."""
        burst = []
        for kind in kinds:
            self.counter += 1
            id_ = f"d{self.counter}"
            burst.append(payload(kind, id_))
            self.size[id_] = len(burst[-1].data)
            if kind == "success":
                line.success = id_
            # 16.5, 16.6: after its end there is no news of a stream.
            if not line.ended and (kind != "error" or not line.closed_by_client):
                line.sent.append(id_)
        if "error" in kinds:
            self._line_ends(line, told_alone=self.several)
        self.session.receive_payloads(line.name, burst, self.now)
        self.pump()
        full = self.bytes_of(line) > self.policy.max_pending_bytes
        if full and line.closed_by_client and self.cause is None:
            line.ended = True  # 16.5: enough of that
        self.check()

    def server_goes(self, line: Line, condition: str | None) -> None:
        """The stream is over."""
        self._line_ends(line, told_alone=False)
        line.state = "gone"
        self.session.stream_closed(line.name, condition, self.now)
        self.settle()

    def _line_ends(self, line: Line, *, told_alone: bool) -> None:
        """16.6: *line* is over, and with the last one the session; *told_alone*: in a response of its own."""
        if self.cause is not None:
            return
        line.is_open = False
        if self.others_open(line):
            line.ended = True
        else:
            self.cause = "server"
            line.ended = line.ended or told_alone

    @property
    def several(self) -> bool:
        """16.4: more than one stream has been opened."""
        return len(self.lines) > 1

    def bytes_of(self, line: Line) -> int:
        """How much waits for the client."""
        return sum(self.size[id_] for id_ in line.pending)

    # The gateway

    def terminate(self) -> None:
        """Shutdown."""
        if self.cause is None:
            self.cause = "gateway"
        self.session.terminate("system-shutdown", self.now)
        self.settle()

    def advance(self, ms: int, *, handle_last: bool = True) -> None:
        """Let time pass; what falls due in the last moment is perhaps handled a little later."""
        end = self.now + ms
        while (due := self.session.get_timer()) is not None and due <= end:
            if due == end and not handle_last:
                break
            self.now = max(due, self.now)
            self.tick()
        self.now = end

    def tick(self) -> None:
        """The timer goes off."""
        self.session.handle_timer(self.now)
        self.settle(handled=True)
        due = self.session.get_timer()
        assert due is None or due > self.now, "13: the timer is never in the past once it was handled"

    # Checks

    def settle(self, *, handled: bool = False) -> None:
        """Carry out what the session decided, and check everything."""
        self.pump()
        self.check(handled=handled)

    def pump(self) -> None:
        """Carry out what the session decided."""
        while (event := self.session.next_event()) is not None:
            assert self.ended is None or isinstance(event, Respond), "SessionTerminated is the last event"
            match event:
                case Respond(exchange, body):
                    assert isinstance(exchange, Http)
                    self._respond(exchange, body)
                case SendPayloads(name, payloads):
                    self.lines[name].server_got += [id_ for sent in payloads for id_ in ids(sent.data)]
                case ReturnPayloads(name, payloads):
                    self._return(self.lines[name], [id_ for sent in payloads for id_ in ids(sent.data)])
                case CloseStream(name, clean):
                    self._close(self.lines[name], clean)
                case Throttle(name, on):
                    assert self.lines[name].reading is on, "throttling is said once"
                    self.lines[name].reading = not on
                case RestartStream(name):
                    line = self.lines[name]
                    assert line.restarting
                    line.restarting = False
                    line.success = None
                    line.state = "opening"
                case SessionTerminated():
                    self._end(event)
                case OpenStream(name):
                    assert self.lines[name].state == "opening"

    def _return(self, line: Line, given_back: list[str]) -> None:
        assert line.state not in ("over", "gone"), "XEP-0206 7: before the stream is closed"
        assert not line.given_back, "XEP-0206 7: once"
        assert given_back == line.pending, "XEP-0206 7: what is in no response"
        line.given_back = True

    def _close(self, line: Line, clean: bool) -> None:
        assert line.state not in ("over", "gone"), "the stream is over already"
        line.state = "over"
        if not self.creating:
            ended = not line.is_open or self.cause in ("client", "server")
            assert clean is ended, "who did not end it leaves it resumable"
            dropped = line.is_open and self.cause in (None, "offence")
            assert line.given_back is (dropped and line.pending != []), "XEP-0206 7: the client is gone"

    def _respond(self, http: Http, body: bytes) -> None:
        assert http.live, "1: every exchange is answered once, and not after it was lost"
        http.live = False
        http.response = body
        self.order.append(http.asked.rid)
        if http.state == "arrived":
            http.state = "downstream"
        self.idle_since = self.now
        kind, condition = end_of(body)
        if self.creating and kind is None:
            self.creating = False
        if kind == "error":
            assert body == RECOVERABLE_ERROR
            return
        rid = http.asked.rid
        self.answered_at[rid] = self.now
        if body == ITEM_NOT_FOUND or condition == "other-request":
            assert self.cause is not None, "11: who keeps the rules is not thrown out"
            return
        check_kinds(body, condition)
        assert http.asked.kind != "pause" or self.cause or not ids(body), (
            "10: a pause is answered without payloads"
        )
        if rid in self.first:
            assert body == self.first[rid], "3: a repeat gets the identical body"
            return
        if rid < max(self.first, default=0):
            assert not ids(body) or kind == "terminate", "2: first answers come in rid order"
        self.first[rid] = body
        self._check_acks(http.asked, body)
        self._check_stream(http.asked, body, kind)
        self._emit(self.lines[stream_of(body) or "S1"], body, kind)

    def _check_stream(self, asked: Asked, body: bytes, kind: str | None) -> None:
        name = stream_of(body)
        if self.policy.max_streams == 1:
            assert name is None, "16.2: not offered"
        elif asked.rid == FIRST_RID and kind is None:
            assert name == "S1", "16.2: the first stream"
        elif opened := [line for line in self.lines.values() if line.rid == asked.rid and not is_end(body)]:
            over = self.cause is not None and name is None
            assert over or name == opened[0].name, "16.3: the name is for the response to this request"
        elif not self.several or asked.rid < self.lines["S2"].rid:
            assert name is None, "16.4: only one had been opened"
        elif ids(body):
            assert name is not None, "16.4: payloads have a stream"
        else:
            assert name is None or kind or b" from='" in body, "16.4: there is nothing for any stream"
        assert name is None or asked.rid >= self.lines[name].rid, "16.4: nobody knows that stream yet"

    def _emit(self, line: Line, body: bytes, kind: str | None) -> None:
        new = [id_ for id_ in ids(body) if id_ not in line.emitted]
        if not is_end(body):
            assert new == ids(body), "6: downstream once"
        line.emitted += new
        assert line.emitted == line.sent[: len(line.emitted)], "6: downstream in order"
        if kind == "terminate" and not is_end(body):
            assert line.ended, "16.6: the stream is not over"
            assert not line.reported, "16.6: that was said before"
            assert not line.pending or line.closed_by_client, "16.6: it had something left"
            line.reported = True

    def _check_acks(self, asked: Asked, body: bytes) -> None:
        rid = asked.rid
        says = dict(re.findall(r" (ack|report|time)='([0-9]+)'", body.partition(b">")[0].decode()))
        if not self.acks or self.cause is not None:
            assert self.acks or not says, "9: only who asks for acknowledgements gets them"
            return
        if len(asked.exchanges) > 1:
            return  # it may have been answered earlier, when nobody listened
        ack = str(self.last) if rid == FIRST_RID or self.last != rid else None
        assert says.get("ack") == ack, "9.1: the highest rid with none missing below, where it says something"
        if "report" in says:
            reported = self.asked[int(says["report"])]
            assert reported.rid < rid, "9.2: answered, and perhaps lost"
            time = int(says["time"])
            unheard = self.now - time  # perhaps nobody listened when it was answered
            assert time >= self.policy.report_ms, "9.2: some time has passed"
            assert self.answered_at.get(reported.rid, unheard) == unheard, "9.2: since it was sent"

    def _end(self, event: SessionTerminated) -> None:
        self.ended = event
        if event.reason == "inactivity":
            assert not self.live(), "10: nobody is inactive who waits for an answer"
            assert self.now >= self.inactive_at, "10: not before its time"
            self.cause = "inactivity"
        assert self.cause is not None, "11: ended for no reason"
        lost = sum(len(line.sent) - len(line.emitted) for line in self.lines.values())
        closed = self.cause == "client" or any(line.closed_by_client for line in self.lines.values())
        assert event.undelivered == lost or (event.undelivered > lost and closed), "lost data"
        arrived = [
            id_ for rid in self.received for sent in self.asked[rid].body.payloads for id_ in ids(sent.data)
        ]
        got = {id_ for line in self.lines.values() for id_ in line.server_got}
        assert event.discarded >= len(set(arrived) - got), "lost data"

    @property
    def inactive_at(self) -> int:
        """When the session ends if nobody asks."""
        return self.idle_since + (self.inactivity if self.pause is None else self.pause)

    def live(self) -> list[Http]:
        """The exchanges that the session owes a response."""
        return [http for asked in self.asked.values() for http in asked.exchanges if http.live]

    @property
    def pending(self) -> bool:
        """The servers have sent what no response has taken along, or a stream is over and nobody was told."""
        return any(line.pending or line.ended > line.reported for line in self.lines.values())

    def check(self, *, handled: bool = False) -> None:
        """Check what has to be true after each step; *handled*: so is what has to happen by now."""
        live = self.live()
        session = self.session
        for line in self.lines.values():
            assert line.server_got == line.expected, "5: upstream in order, once, as soon as it is in order"
        assert self.acks or len(session._responder.replies) <= self.requests + (self.cause is not None), (
            "10: the buffer is bounded"
        )
        if self.ended is not None:
            assert not live, "12: nothing is open after the end"
            assert session.get_timer() is None
            return
        assert len(session._window.outstanding()) <= self.hold + self.requests + 2, "10: so are requests"
        for http in live:
            limit = self.wait if http.asked.rid <= self.last else self.patience
            over = http.waits_since + limit
            assert self.cause == "client" or self.now < over or (self.now == over and not handled), "8: wait"
        if self.cause is not None:
            return
        self._check_open(live, handled=handled)

    def _check_open(self, live: list[Http], *, handled: bool) -> None:
        held = [http for http in live if http.asked.rid <= self.last]
        pending = self.pending
        if not self.creating:
            awaited = self.now < self.reply_until or (self.now == self.reply_until and not handled)
            assert len(held) <= self.hold + (awaited and self.hold > 0), "7: at most hold requests are held"
        assert not (held and pending), "9: nobody waits while something waits for him"
        lines = self.lines.values()
        assert self.session._streams.size == sum(map(self.bytes_of, lines)), "10: nothing else is buffered"
        assert len(self.session._streams.all) <= self.policy.max_streams, "10: so are streams"
        for line in lines:
            waiting = self.bytes_of(line)
            starved = line.is_open and not line.reading and waiting <= self.policy.low_water
            assert not starved, "the server is read again"
            full = waiting > self.policy.max_pending_bytes
            assert not (full and line.is_open and line.reading), "the server is not read"
        if not live and not self.creating:
            over = self.inactive_at
            assert self.now < over or (self.now == over and not handled), "10: inactivity ends it"

    def is_closing(self, line: Line) -> bool:
        """The client has terminated; the server sends on before it notices (13, 16.5)."""
        by_client = line.closed_by_client or (self.cause == "client" and line.is_open)
        return by_client and line.state == "over" and self.ended is None
