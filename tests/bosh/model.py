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
    SendPayloads,
    SessionTerminated,
    Throttle,
)
from boshgate.bosh.policy import SessionPolicy
from boshgate.bosh.session import Session
from tests.bosh.client import Client
from tests.bosh.wire import (
    FIRST_RID,
    ITEM_NOT_FOUND,
    Asked,
    Http,
    check_kinds,
    end_of,
    ids,
    keys_of,
    payload,
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
        self.sent: list[str] = []  # by the server
        self.emitted: list[str] = []  # in first responses
        self.size: dict[str, int] = {}
        self.server_got: list[str] = []
        self.expected: list[str] = []
        self.stream = "opening"
        self.reading = True
        self.success: str | None = None  # the newest that no restart followed
        self.restarting = False
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
        self.processed: list[str] = []
        self.next_answer = FIRST_RID
        self.counter = 0
        attributes = {"to": "example.com", "ver": "1.11", "wait": str(wait), "hold": str(hold)}
        attributes |= (keys_of(FIRST_RID) if keys else {}) | ({"ack": "1"} if acks else {})
        creation = Asked(FIRST_RID, Body(FIRST_RID, attributes))
        self.asked = {FIRST_RID: creation}
        http = self._arrive(creation)
        self.session = session_class("SID", "S", http, creation.body, policy, self.now)
        granted = self.session.grant
        self.wait, self.requests = granted.wait * 1000, granted.requests
        self.hold = 0 if granted.wait == 0 else granted.hold
        self.polls = granted.polling
        self.inactivity = granted.inactivity * 1000
        self.patience = self.wait or policy.hole_ms
        self.creating = True
        self.settle()

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
        if kind == "terminate":
            self.told = True
        while (asked := self.asked.get(self.next_answer)) is not None and asked.answer is not None:
            self.processed += ids(asked.answer)
            self.next_answer += 1
            if end_of(asked.answer)[0] == "terminate":
                self.next_answer = 0  # 13: for the client that was the end
        assert self.processed == self.sent[: len(self.processed)], "6: downstream in order, once"

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
            if following.kind != "restart":
                self.expected += ids(b"".join(payload.data for payload in following.body.payloads))
            if following.kind == "pause":
                self.pause = min(int(following.body.attributes["pause"]), self.policy.max_pause) * 1000
                self.newest_pause = self.last
            elif following.kind == "terminate":
                self.cause = "client"

    # The server

    @property
    def server_may_send(self) -> bool:
        """The server's stream is open, and somebody reads from it."""
        return self.stream == "open" and self.reading

    def server_opens(self) -> None:
        """The server's header, and what the first stream begins with."""
        self.stream = "open"
        self.session.stream_opened("S", authid="A", from_="example.com", version="1.0", now=self.now)
        self.settle()

    def server_sends(self, kinds: Sequence[str]) -> None:
        """A burst of payloads."""
        burst = []
        for kind in kinds:
            self.counter += 1
            id_ = f"d{self.counter}"
            burst.append(payload(kind, id_))
            self.size[id_] = len(burst[-1].data)
            if kind == "success":
                self.success = id_
            self.sent.append(id_)
        if "error" in kinds and self.cause is None:
            self.cause = "server"
        self.session.receive_payloads("S", burst, self.now)
        self.settle()

    def server_goes(self, condition: str | None) -> None:
        """The stream is over."""
        self.stream = "gone"
        if self.cause is None:
            self.cause = "server"
        self.session.stream_closed("S", condition, self.now)
        self.settle()

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
                case SendPayloads(_, payloads):
                    self.server_got += [id_ for sent in payloads for id_ in ids(sent.data)]
                case CloseStream(_, clean):
                    assert self.stream != "gone", "the stream is over already"
                    self.stream = "over"
                    self._check_close(clean)
                case Throttle(_, on):
                    assert self.reading is on, "throttling is said once"
                    self.reading = not on
                case RestartStream():
                    assert self.restarting
                    self.restarting = False
                    self.success = None
                    self.stream = "opening"
                case SessionTerminated():
                    self._end(event)
                case OpenStream():
                    assert self.stream == "opening"

    def _check_close(self, clean: bool) -> None:
        if not self.creating:
            assert clean is (self.cause in ("client", "server")), "who did not end it leaves it resumable"

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
        self._emit(body, kind)

    def _emit(self, body: bytes, kind: str | None) -> None:
        new = [id_ for id_ in ids(body) if id_ not in self.emitted]
        if kind != "terminate":
            assert new == ids(body), "6: downstream once"
        self.emitted += new
        assert self.emitted == self.sent[: len(self.emitted)], "6: downstream in order"

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
        lost = len(self.sent) - len(self.emitted)
        assert event.undelivered == lost or (event.undelivered > lost and self.cause == "client"), "lost data"
        arrived = [
            id_ for rid in self.received for sent in self.asked[rid].body.payloads for id_ in ids(sent.data)
        ]
        assert event.discarded >= len(set(arrived) - set(self.server_got)), "lost data"

    @property
    def inactive_at(self) -> int:
        """When the session ends if nobody asks."""
        return self.idle_since + (self.inactivity if self.pause is None else self.pause)

    def live(self) -> list[Http]:
        """The exchanges that the session owes a response."""
        return [http for asked in self.asked.values() for http in asked.exchanges if http.live]

    @property
    def pending(self) -> list[str]:
        """What the server has sent and no response has taken along."""
        return self.sent[len(self.emitted) :]

    def check(self, *, handled: bool = False) -> None:
        """Check what has to be true after each step; *handled*: so is what has to happen by now."""
        live = self.live()
        session = self.session
        assert self.server_got == self.expected, "5: upstream in order, once, and as soon as it is in order"
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
        pending = sum(self.size[id_] for id_ in self.pending)
        if not self.creating:
            awaited = self.now < self.reply_until or (self.now == self.reply_until and not handled)
            assert len(held) <= self.hold + (awaited and self.hold > 0), "7: at most hold requests are held"
        assert not (held and pending), "9: nobody waits while something waits for him"
        assert self.session._outbox.size == pending, "10: nothing else is buffered"
        assert self.reading or pending > self.policy.low_water, "the server is read again"
        assert not self.reading or pending <= self.policy.max_pending_bytes, "the server is not read"
        if not live and not self.creating:
            over = self.inactive_at
            assert self.now < over or (self.now == over and not handled), "10: inactivity ends it"

    @property
    def is_closing(self) -> bool:
        """The client has terminated; the server sends on before it notices (13)."""
        return self.cause == "client" and self.stream == "over" and self.ended is None
