"""Moves: what may happen to a session, one at a time, and how every play is brought to its end."""

from collections.abc import Callable
from random import Random
from typing import NamedTuple

from boshgate.bosh.body import Body
from boshgate.bosh.policy import SessionPolicy
from boshgate.bosh.session import Session
from boshgate.xmpp.xml import Element
from tests.bosh.line import Line
from tests.bosh.model import Model
from tests.bosh.wire import FIRST_RID, ITEM_NOT_FOUND, RESTART, Asked, Http, end_of, keys_of, payload

COMMON = (
    ["ask and arrive"] * 16 + ["ask"] * 6 + ["again and arrive"] * 8 + ["again"] * 4 + ["overtake"] * 4
    + ["request"] * 8 + ["response"] * 16 + ["lose request", "lose response", "break", "break unnoticed"] * 3
    + ["add"] * 4 + ["close", "one error", "one closed", "one remote-connection-failed", "replace"] * 2
    + ["server"] * 12 + ["server and answers"] * 8 + ["restart"] * 2 + ["break all"]
    + ["time 1", "time 999", "time 1000", "time 1001", "time 3000", "pause 2", "pause 11"] * 2 + ["due"] * 6
)  # fmt: skip
ENDS = ["silence", "shutdown", "error", "closed", "remote-connection-failed"]
OFFENCES = ["above", "below", "altered", "pause", "restart", "forbidden", "key", "poll", "stream"]
RARE = (
    ["pause 12", "terminate", "terminate"]
    + [f"end {how}" for how in ENDS]
    + [f"lose {how}" for how in ENDS[1:]]
    + [f"cut {how}" for how in ENDS[1:]]
    + [f"offend {how}" for how in OFFENCES]
)
BURST = ["stanza"] * 6 + ["sasl", "success", "features"]


class Move(NamedTuple):
    """*what* happens, to which exchange, with how many payloads of the client, or which of the server."""

    what: str
    pick: int
    number: int
    burst: tuple[str, ...]


def moves() -> list[Move]:
    """What may happen, as often as it should."""
    dice = Random(1)
    return [
        Move(
            what,
            dice.randrange(6),
            dice.choice([0, 1, 1, 2]),
            tuple(dice.choices(BURST, k=dice.randint(1, 4))),
        )
        for what in COMMON * 16 + RARE * 4
    ]


class Setting(NamedTuple):
    """What a session is created with: seconds asked for, bytes and ms allowed; *slow*: the server is."""

    wait: int
    hold: int
    pending: int
    response: int
    reply: int
    slow: bool
    keys: bool
    acks: bool
    streams: int


WAITS, HOLDS = (6, 6, 6, 3, 0), (1, 1, 1, 2, 2, 0)
PENDING, RESPONSE = (10_000, 400, 100), (10_000, 200, 1)
REPLY, SLOW, KEYS, ACKS = (0, 0, 999), (False, False, True), (False, True), (False, True)
STREAMS = (1, 2, 2, 4)


class Play:
    """A session after the other; `model` is the one that is on."""

    model: Model

    def __init__(self, session_class: type[Session], setting: Setting) -> None:
        self.session_class = session_class
        self.setting = setting
        # Times are short, so that everything falls due within a play.
        self.policy = SessionPolicy(
            max_wait=60, max_hold=2, inactivity=4, max_pause=11, polling=1, max_repeats=10**6,
            max_pending_bytes=setting.pending, max_response_bytes=setting.response,
            max_streams=setting.streams, reply_ms=setting.reply, hole_ms=2000, closing_ms=1000,
            linger_ms=4000,
        )  # fmt: skip
        self.begin()

    def begin(self) -> None:
        """Create a session."""
        self.model = Model(
            self.session_class, self.policy, self.setting.wait, self.setting.hold,
            keys=self.setting.keys, acks=self.setting.acks,
        )  # fmt: skip
        if not self.setting.slow:
            self.server_does(0, ("features",), all_arrives=True)

    def do(self, move: Move) -> None:
        """Make *move*; when a session is over another one begins."""
        model = self.model
        who, _, how = move.what.partition(" ")
        scenes: dict[str, Callable[[], None]] = {
            "overtake": self.overtake,
            "break all": self.break_all,
            "replace": self.replace,
            "due": self.advance_to_deadline,
        }
        if move.what in scenes:
            scenes[move.what]()
        elif who in ("ask", "again", "restart", "pause", "terminate", "add", "close"):
            self.client_does(who, move.pick, move.number, how)
        elif who == "server":
            self.server_does(move.pick, move.burst, all_arrives=how != "")
        elif who == "time":
            model.advance(int(how))
            model.tick()
        elif who == "offend":
            self.offend(how)
        elif who == "one" and not model.several:
            pass  # that would be the end of the session, which is another move
        elif who == "end" or how in ENDS:
            if who == "cut" and (held := model.https("arrived")):
                model.break_held(held[0], noticed=True)
            self.end(how, move.burst, move.pick if who == "one" else None)
            if who == "lose":
                self.lose_all()
        else:
            self.network(move.what, move.pick)
        if self.model.ended is not None:
            self.conclude()
            self.begin()

    # The client

    def client_does(self, what: str, index: int, count: int, how: str) -> None:
        """Ask, or ask again, if the rules allow it; *how* says what then becomes of it."""
        model = self.model
        if what == "restart":
            self.restart(self.line(index))
        elif what == "again" and model.broken:
            model.ask_again(index)
        elif what == "add":
            if model.may_add and not model.creating:
                model.ask(0, "add")
        elif what == "close":
            if (name := model.named(index)) is not None and model.may_ask("plain"):
                model.ask(count, "close", stream=name)
        elif model.may_ask(what):
            kind = what if what in ("pause", "terminate") else "plain"
            model.ask(count, kind, how, None if what == "terminate" else model.named(index))
        if (how == "and arrive" or what in ("terminate", "add")) and (waiting := model.https("upstream")):
            model.deliver_request(waiting[-1])

    def line(self, index: int) -> Line:
        """One of the streams."""
        return list(self.model.lines.values())[index % len(self.model.lines)]

    def restart(self, line: Line) -> None:
        """SASL succeeds, and the client restarts the stream (XEP-0206 section 5)."""
        model = self.model
        for one in dict.fromkeys((line, self.line(0))):
            if not model.may_restart(line) and one.server_may_send and one.is_open:
                model.server_sends(one, ["success"])
        self.deliver_responses()
        if model.may_restart(line):
            line.restarting = True
            model.ask(0, "restart", stream=line.name if model.several else None)
            model.deliver_request(model.https("upstream")[-1])

    def overtake(self) -> None:
        """The second request arrives before the first one (14.2)."""
        model = self.model
        for _ in range(2):
            if model.may_ask("plain"):
                model.ask(1, "plain")
        if waiting := model.https("upstream"):
            model.deliver_request(waiting[-1])

    def replace(self) -> None:
        """A stream ends in every respect, and another takes its place (16.3, 16.6)."""
        model, line = self.model, self.line(-1)
        if model.several and line.is_open and line.server_may_send:
            model.server_sends(line, ["error"])
            for what in ("ask", "add"):
                self.client_does(what, 0, 1, "and arrive")
                self.deliver_responses()
                if line.state == "over" and model.cause is None:
                    model.server_goes(line, None)

    # The network

    def network(self, what: str, index: int) -> None:
        """One of the exchanges gets on, or its connection breaks and the client sees it."""
        model = self.model
        where = {
            "request": "upstream",
            "lose request": "upstream",
            "break": "arrived",
            "break unnoticed": "arrived",
        }
        if not (choice := model.https(where.get(what, "downstream"))):
            self.client_does("again", index, index % 3, "and arrive")  # there is no such exchange
            return
        http = choice[index % len(choice)]
        if what == "request":
            model.deliver_request(http)
        elif what == "response":
            model.deliver_response(http)
        elif http.state == "arrived":
            model.break_held(http, noticed=what == "break")
        else:
            http.state = "broken"

    def break_all(self) -> None:
        """The network is gone, and the gateway notices."""
        for http in self.model.https("arrived"):
            self.model.break_held(http, noticed=True)
        self.lose_all()

    def lose_all(self) -> None:
        """No response arrives."""
        for http in self.model.https("downstream"):
            http.state = "broken"

    def deliver_responses(self) -> None:
        """All arrive."""
        for http in self.model.https("downstream"):
            self.model.deliver_response(http)

    # The server and the clock

    def server_does(self, index: int, burst: tuple[str, ...], *, all_arrives: bool) -> None:
        """Open a stream, or send *burst* on it."""
        model, line = self.model, self.line(index)
        if line.state == "opening" and line.is_open and model.cause is None:
            model.server_opens(line)
            burst = ("features",)
        if line.state == "over" and not line.is_open and model.cause is None and len(burst) > 2:
            model.server_goes(line, None)
        elif line.server_may_send or model.is_closing(line):
            model.server_sends(line, burst)
        if all_arrives:
            self.deliver_responses()

    def advance_to_deadline(self) -> None:
        """What comes next races the timer."""
        due = self.model.session.get_timer()
        if due is not None and self.model.now < due:
            self.model.advance(due - self.model.now, handle_last=False)

    # Ends

    def end(self, how: str, burst: tuple[str, ...], index: int | None) -> None:
        """10, 17.2, XEP-0206 section 6: nobody asks any more, or the gateway or the server ends it.

        *index*: only that stream; else all of them.
        """
        model = self.model
        if how == "silence":
            model.advance(25_000)
        elif how == "shutdown":
            model.terminate()
        for line in list(model.lines.values()) if index is None else [self.line(index)]:
            if how in ("silence", "shutdown") or line.state == "gone":
                continue
            if how != "error":
                model.server_goes(line, None if how == "closed" else how)
            elif line.server_may_send or model.is_closing(line):
                model.server_sends(line, [*burst, "error"])

    def offend(self, fault: str) -> None:
        """The client breaks a rule: the culprit gets its condition, the others other-request; all is over."""
        model = self.model
        if model.cause is not None or model.creating:
            return
        body, condition = self.offence(fault)
        others = model.live()
        model.cause = "offence"
        model.told = True
        http = Http(Asked(body.rid, body), "arrived", live=True)
        before = len(model.order)
        model.session.receive_request(http, body, model.now)
        model.settle()
        assert end_of(http.response or b"") == ("terminate", condition), "17.2: the culprit"
        for other in others:
            assert end_of(other.response or b"") == ("terminate", "other-request"), "17.2: the others"
        order = [rid for rid in model.order[before:] if rid >= FIRST_RID]
        assert fault == "altered" or order == sorted(order), "2: in rid order"
        assert model.ended is not None

    def offence(self, fault: str) -> tuple[Body, str]:
        """A request that breaks a rule, and the condition it deserves."""
        model = self.model
        rid, attributes = model.last + 1, {}
        payloads: tuple[Element, ...] = (payload("stanza", "evil"),)
        condition = "bad-request"
        if fault == "pause":
            attributes = {"pause": "0"}
        elif fault == "restart" and all(line.success is None for line in model.lines.values()):
            attributes = {RESTART: "1"}
        elif fault == "stream" and model.policy.max_streams > 1:
            attributes = {"stream": "S99"}
            condition = "item-not-found"
        elif fault == "forbidden":
            payloads += (Element("{urn:ietf:params:xml:ns:xmpp-framing}open", b""),)
        elif fault == "key" and model.keys:
            attributes = {"key": "0" * 40}
            condition = "item-not-found"
        elif fault == "poll" and model.polls and model.has_just_polled:
            payloads = ()
            condition = "policy-violation"
        else:
            altered = fault == "altered" and model.last > FIRST_RID
            rid = model.last if altered else 1 if fault == "below" else model.last + model.requests + 1
            condition = "item-not-found"
        if fault != "key" and model.keys:
            attributes |= keys_of(rid)
        return Body(rid, attributes, payloads, b"other"), condition

    # The end of the play

    def conclude(self) -> None:
        """Both sides go on without losing anything: whatever was said arrives, and the session ends."""
        model = self.model
        too_late = model.ended is not None
        for _ in range(200 + 5 * sum(len(line.sent) for line in model.lines.values())):
            if not self.goes_on():
                break
        else:
            raise AssertionError("something is waiting for ever")
        if model.knows_the_sid and model.cause != "offence" and not (too_late or model.terminating):
            for line in model.lines.values():
                assert line.processed == line.sent or line.closed_by_client, "6: all of it arrives"
                assert line.told is line.ended, "16.6: the client is told"
            assert model.told is (model.cause is not None), "17.2: the client is told"
        elif model.knows_the_sid and model.cause == "client":
            assert model.told or too_late, "13: the client is told"
        self.leave()

    def goes_on(self) -> bool:
        """Do the next thing that has to be done; False if nothing has."""
        model, lines = self.model, range(len(self.model.lines))
        if waiting := model.https("upstream"):
            model.deliver_request(waiting[0])
        elif waiting := model.https("downstream"):
            model.deliver_response(waiting[0])
        elif model.cause is None and (opening := [i for i in lines if self.line(i).state == "opening"]):
            self.server_does(opening[0], (), all_arrives=False)
        elif model.ended is None and (over := [i for i in lines if self.line(i).state == "over"]):
            model.server_goes(self.line(over[0]), None)
        elif model.ended is None and model.broken:
            model.ask_again(0)
        elif model.ended is None and (model.pending or model.cause is not None) and model.may_ask("plain"):
            model.ask(0, "plain")
        else:
            return False
        return True

    def leave(self) -> None:
        """Nobody asks any more: the session ends in time, and is unknown after that."""
        model = self.model
        for http in model.live():
            model.break_held(http, noticed=True)
        if model.cause is None:
            model.advance(model.inactive_at - model.now - 1)
            assert model.ended is None
            model.advance(1)
        else:
            model.advance(20_000)
        assert model.ended is not None, "10: every session ends"
        late = Http(
            Asked(model.last, Body(model.last, {}, (), b"digest-%d" % model.last)), "arrived", live=True
        )
        model.session.receive_request(late, late.asked.body, model.now)
        model.pump()
        assert late.response == ITEM_NOT_FOUND, "12: later requests find no session"
        for name in model.lines:
            model.session.receive_payloads(name, [payload("stanza", "late")], model.now)
            model.session.stream_closed(name, None, model.now)
        model.tick()
        assert model.session.next_event() is None
