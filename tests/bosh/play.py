"""Moves: what may happen to a session, one at a time, and how every play is brought to its end."""

from collections.abc import Callable
from random import Random
from typing import NamedTuple

from boshgate.bosh.body import Body
from boshgate.bosh.policy import SessionPolicy
from boshgate.bosh.session import Session
from boshgate.xmpp.xml import Element
from tests.bosh.model import Model
from tests.bosh.wire import FIRST_RID, ITEM_NOT_FOUND, RESTART, Asked, Http, end_of, keys_of, payload

COMMON = (
    ["ask and arrive"] * 16 + ["ask"] * 6 + ["again and arrive"] * 8 + ["again"] * 4 + ["overtake"] * 4
    + ["request"] * 8 + ["response"] * 16 + ["lose request", "lose response", "break", "break unnoticed"] * 3
    + ["server"] * 12 + ["server and answers"] * 8 + ["restart"] * 2 + ["break all"]
    + ["time 1", "time 999", "time 1000", "time 1001", "time 3000", "pause 2", "pause 11"] * 2 + ["due"] * 6
)  # fmt: skip
ENDS = ["silence", "shutdown", "error", "closed", "remote-connection-failed"]
OFFENCES = ["above", "below", "altered", "pause", "restart", "forbidden", "key", "poll"]
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


WAITS, HOLDS = (6, 6, 6, 3, 0), (1, 1, 1, 2, 2, 0)
PENDING, RESPONSE = (10_000, 400, 100), (10_000, 200, 1)
REPLY, SLOW, KEYS, ACKS = (0, 0, 999), (False, False, True), (False, True), (False, True)


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
            reply_ms=setting.reply, hole_ms=2000, closing_ms=1000, linger_ms=4000,
        )  # fmt: skip
        self.begin()

    def begin(self) -> None:
        """Create a session."""
        self.model = Model(
            self.session_class, self.policy, self.setting.wait, self.setting.hold,
            keys=self.setting.keys, acks=self.setting.acks,
        )  # fmt: skip
        if not self.setting.slow:
            self.server_does(("features",), all_arrives=True)

    def do(self, move: Move) -> None:
        """Make *move*; when a session is over another one begins."""
        model = self.model
        who, _, how = move.what.partition(" ")
        scenes: dict[str, Callable[[], None]] = {
            "overtake": self.overtake,
            "break all": self.break_all,
            "due": self.advance_to_deadline,
        }
        if move.what in scenes:
            scenes[move.what]()
        elif who in ("ask", "again", "restart", "pause", "terminate"):
            self.client_does(who, move.pick, move.number, how)
        elif who == "server":
            self.server_does(move.burst, all_arrives=how != "")
        elif who == "time":
            model.advance(int(how))
            model.tick()
        elif who == "offend":
            self.offend(how)
        elif who == "end" or how in ENDS:
            if who == "cut" and (held := model.https("arrived")):
                model.break_held(held[0], noticed=True)
            self.end(how, move.burst)
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
            self.restart()
        elif what == "again" and model.broken:
            model.ask_again(index)
        elif model.may_ask(what):
            model.ask(count, what if what in ("pause", "terminate") else "plain", how)
        if (how == "and arrive" or what == "terminate") and (waiting := model.https("upstream")):
            model.deliver_request(waiting[-1])

    def restart(self) -> None:
        """SASL succeeds, and the client restarts the stream (XEP-0206 section 5)."""
        model = self.model
        if not model.may_restart and model.server_may_send:
            model.server_sends(["success"])
            self.deliver_responses()
        if model.may_restart:
            model.ask(0, "restart")
            model.deliver_request(model.https("upstream")[-1])

    def overtake(self) -> None:
        """The second request arrives before the first one (14.2)."""
        model = self.model
        for _ in range(2):
            if model.may_ask("plain"):
                model.ask(1, "plain")
        if waiting := model.https("upstream"):
            model.deliver_request(waiting[-1])

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

    def server_does(self, burst: tuple[str, ...], *, all_arrives: bool) -> None:
        """Open the stream, or send *burst* on it."""
        model = self.model
        if model.stream == "opening" and model.cause is None:
            model.server_opens()
            burst = ("features",)
        if model.server_may_send or model.is_closing:
            model.server_sends(burst)
        if all_arrives:
            self.deliver_responses()

    def advance_to_deadline(self) -> None:
        """What comes next races the timer."""
        due = self.model.session.get_timer()
        if due is not None and self.model.now < due:
            self.model.advance(due - self.model.now, handle_last=False)

    # Ends

    def end(self, how: str, burst: tuple[str, ...]) -> None:
        """10, 17.2, XEP-0206 section 6: nobody asks any more, or the gateway or the server ends it."""
        model = self.model
        if how == "silence":
            model.advance(25_000)
        elif how == "shutdown":
            model.terminate()
        elif how != "error":
            if model.stream != "gone":
                model.server_goes(None if how == "closed" else how)
        elif model.server_may_send or model.is_closing:
            model.server_sends([*burst, "error"])

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
        elif fault == "restart" and model.success is None:
            attributes = {RESTART: "1"}
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
        for _ in range(200 + 5 * len(model.sent)):
            if not self.goes_on():
                break
        else:
            raise AssertionError("something is waiting for ever")
        if model.knows_the_sid and model.cause != "offence" and not (too_late or model.terminating):
            assert model.processed == model.sent, "6: all of it arrives"
            assert model.told is (model.cause is not None), "17.2: the client is told"
        elif model.knows_the_sid and model.cause == "client":
            assert model.told or too_late, "13: the client is told"
        self.leave()

    def goes_on(self) -> bool:
        """Do the next thing that has to be done; False if nothing has."""
        model = self.model
        if waiting := model.https("upstream"):
            model.deliver_request(waiting[0])
        elif waiting := model.https("downstream"):
            model.deliver_response(waiting[0])
        elif model.stream == "opening" and model.cause is None:
            self.server_does((), all_arrives=False)
        elif model.cause == "client" and model.ended is None and model.stream != "gone":
            model.server_goes(None)
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
        model.session.receive_payloads("S", [payload("stanza", "late")], model.now)
        model.session.stream_closed("S", None, model.now)
        model.tick()
        assert model.session.next_event() is None
