"""A runner carries out what its session decides, in order, and keeps its one timer."""

import logging

import pytest

from boshgate.bosh.events import SessionTerminated
from boshgate.bosh.policy import SessionPolicy
from boshgate.bosh.session import Session
from boshgate.config import LimitsTable
from boshgate.errors import AuthenticationTimeout, BackendError, ConnectFailed, ConnectionLost, QueueFull
from boshgate.logs import SessionLogger
from boshgate.metrics import Tally
from boshgate.sessions.admission import Admission
from boshgate.sessions.runner import Runner
from boshgate.xmpp.xml import Element
from tests.sessions.conftest import (
    FEATURES,
    HB,
    HEADER,
    Clock,
    FakeBackends,
    FakeExchange,
    FakeStream,
    request,
)

SUCCESS = Element("{urn:ietf:params:xml:ns:xmpp-sasl}success", b"<success/>")


def stanza(number: int, size: int = 0) -> Element:
    return Element("{jabber:client}message", f"<message id='{number}'>{'x' * size}</message>".encode())


class Session1:
    """A session that is open, and the world around it."""

    def __init__(self, clock: Clock, backends: FakeBackends) -> None:
        self.clock = clock
        self.ends: list[SessionTerminated] = []
        self.creation = FakeExchange()
        self.admission = Admission(LimitsTable())
        self.admission.admit("192.0.2.1")
        policy = SessionPolicy(max_pending_bytes=10_000)
        self.runner = Runner(
            Session(
                "sid",
                lambda: "stream",
                self.creation,
                request(xml_lang="de"),
                policy,
                int(clock.time() * 1000),
            ),
            backends=backends.real,
            admission=self.admission,
            log=SessionLogger(logging.getLogger("boshgate.test"), "sid"),
            tally=Tally("bosh"),
            address="192.0.2.1",
            secure=False,
            on_end=lambda _, event: self.ends.append(event),
        )
        self.runner.start()
        self.stream: FakeStream = backends.streams[-1]
        self._rid = 1

    def open(self) -> None:
        self.stream.handler.stream_opened(HEADER)
        self.stream.handler.stream_received([FEATURES])

    def post(self, payload: str = "", **attributes: str) -> FakeExchange:
        exchange = FakeExchange()
        self._rid += 1
        named = {"rid": str(self._rid), "sid": "sid"} | attributes
        self.runner.receive_request(exchange, request(payload, **named))
        return exchange


@pytest.fixture
def opening(clock: Clock, backends: FakeBackends) -> Session1:
    return Session1(clock, backends)


@pytest.fixture
def session(opening: Session1) -> Session1:
    opening.open()
    return opening


def test_creation_opens_a_stream(opening: Session1) -> None:
    assert opening.stream.options == {
        "to": "example.org",
        "from_": None,
        "lang": "de",
        "inherit_lang": False,
        "client_address": "192.0.2.1",
    }
    assert opening.creation.answer is None


def test_header_and_features_answer_the_creation(session: Session1) -> None:
    assert session.creation.answer is not None
    assert "authid='s1'" in session.creation.answer
    assert "<stream:features/>" in session.creation.answer
    assert session.creation.content == "text/xml; charset=utf-8"


def test_payloads_of_a_request_are_one_write(session: Session1) -> None:
    held = session.post("<a xmlns='b'/><c xmlns='d'/>")
    assert session.stream.calls == ["<a xmlns='b'/><c xmlns='d'/>"]
    assert held.answer is None
    assert session.runner.tally.from_clients == 2


def test_payloads_of_a_burst_are_one_response(session: Session1) -> None:
    held = session.post()
    session.stream.handler.stream_received([stanza(1), stanza(2)])
    assert held.answer == f"<body xmlns='{HB}'><message id='1'></message><message id='2'></message></body>"
    assert session.runner.tally.to_clients == 3


def test_a_restart_goes_to_the_stream(session: Session1) -> None:
    session.stream.handler.stream_received([SUCCESS])
    session.post()
    session.post(xmpp_restart="true")
    assert session.stream.calls == [("restart", {"from_": None, "lang": "de"})]


def test_terminate_closes_the_stream(session: Session1) -> None:
    session.stream.resumable = True
    session.post("<a xmlns='b'/>", type="terminate")
    assert session.stream.calls == ["<a xmlns='b'/>", "close"]  # SM6


@pytest.mark.rule("SM5")
@pytest.mark.parametrize(("resumable", "call"), [(True, "abort"), (False, "close")])
def test_a_client_that_was_lost_may_resume(
    session: Session1, clock: Clock, resumable: bool, call: str
) -> None:
    session.stream.resumable = resumable
    clock.advance(61)
    assert session.stream.calls == [call]
    assert [event.reason for event in session.ends] == ["inactivity"]
    assert clock.due == []


@pytest.mark.rule("SM7")
@pytest.mark.parametrize(("resumable", "call"), [(True, "abort"), (False, "close")])
def test_a_shutdown_keeps_what_can_be_resumed(session: Session1, resumable: bool, call: str) -> None:
    session.stream.resumable = resumable
    held = session.post()
    session.runner.terminate("system-shutdown")
    assert session.stream.calls == [call]
    assert held.answer == f"<body xmlns='{HB}' type='terminate' condition='system-shutdown'/>"


@pytest.mark.rule("P13")
def test_a_server_is_not_read_while_too_much_waits(session: Session1) -> None:
    session.stream.handler.stream_received([stanza(1, 11_000)])
    assert session.stream.calls == ["pause"]
    session.post()
    assert session.stream.calls == ["pause", "resume"]


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (None, "type='terminate'/>"),
        (ConnectionLost("reset"), "condition='remote-connection-failed'/>"),
        (ConnectFailed("refused"), "condition='remote-connection-failed'/>"),
        (BackendError("other"), "condition='remote-connection-failed'/>"),
        (QueueFull("too much"), "condition='policy-violation'/>"),
        (AuthenticationTimeout("late"), "condition='policy-violation'/>"),
    ],
)
def test_why_a_stream_ended_is_told(session: Session1, error: BackendError | None, told: str) -> None:
    held = session.post()
    session.stream.handler.stream_closed(error)
    assert held.answer is not None
    assert held.answer.endswith(told)
    assert session.runner.streams == {}


def test_what_a_session_wants_of_a_stream_that_is_gone_is_no_matter(session: Session1) -> None:
    session.stream.handler.stream_closed(None)
    session.post()
    session.runner.terminate("system-shutdown")
    assert session.stream.calls == []


def test_a_slow_server_is_no_matter(session: Session1) -> None:
    session.stream.handler.pause_sending()
    session.stream.handler.resume_sending()
    session.post("<a xmlns='b'/>")
    assert session.stream.calls == ["<a xmlns='b'/>"]


# The timer


def test_a_held_request_is_answered_when_its_time_is_up(session: Session1, clock: Clock) -> None:
    held = session.post()
    clock.advance(9.999)
    assert held.answer is None
    clock.advance(0.001)
    assert held.answer == f"<body xmlns='{HB}'/>"


def test_the_timer_is_left_alone_when_it_is_early_enough(session: Session1, clock: Clock) -> None:
    session.post()
    assert clock.due == [10.0]
    for _ in range(3):
        clock.advance(1)
        session.post()
    assert clock.due == [10.0]  # it fires too early once
    clock.advance(7)
    assert clock.due == [13.0]  # and is set anew


def test_a_timer_that_is_called_a_hair_early_is_on_time(session: Session1, clock: Clock) -> None:
    held = session.post()
    ((when, callback, _),) = (timer for timer in clock.timers if not timer[2].cancelled())
    clock.seconds = when - 0.0005
    callback()
    assert held.answer == f"<body xmlns='{HB}'/>"


def test_a_lost_exchange_is_told_to_the_session(session: Session1) -> None:
    held = session.post()
    session.runner.exchange_lost(held)
    session.stream.handler.stream_received([stanza(1)])
    assert held.answer is None


# Bugs


def broken(*_: object, **__: object) -> None:
    raise RuntimeError("a bug")


@pytest.mark.parametrize(
    "step",
    [
        "receive_request",
        "exchange_lost",
        "stream_opened",
        "receive_payloads",
        "stream_closed",
        "handle_timer",
    ],
)
def test_a_bug_answers_who_waits_and_ends_the_session_once(
    session: Session1,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    step: str,
) -> None:
    held = session.post()
    monkeypatch.setattr(Session, step, broken)
    for _ in range(2):
        if step == "receive_request":
            assert session.post().answer is None  # the endpoint's task: it sees `failed`
        elif step == "exchange_lost":
            session.runner.exchange_lost(FakeExchange())
        elif step == "stream_opened":
            session.stream.handler.stream_opened(HEADER)
        elif step == "receive_payloads":
            session.stream.handler.stream_received([stanza(1)])
        elif step == "stream_closed":
            if session.runner.streams:
                session.stream.handler.stream_closed(None)
        else:
            clock.advance(10)
    assert held.answer == f"<body xmlns='{HB}' type='terminate' condition='internal-server-error'/>"
    assert session.runner.failed
    assert [event.condition for event in session.ends] == ["internal-server-error"]
    assert caplog.text.count("Traceback") == 1
    assert clock.due == []
    if step != "stream_closed":
        assert set(session.stream.calls) == {"close"}


def test_a_bug_whose_handling_meets_another_ends_the_session_all_the_same(
    session: Session1, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(Session, "receive_request", broken)
    monkeypatch.setattr(Session, "terminate", broken)
    session.post()
    assert session.stream.calls == ["close"]
    assert [event.condition for event in session.ends] == ["internal-server-error"]
    assert [record.getMessage() for record in caplog.records] == [
        "[sid] bug: the session ends by an exception",
        "[sid] bug: and its end by another one",
    ]
    session.runner.terminate("system-shutdown")
    assert len(session.ends) == 1


def test_a_bug_at_the_beginning(
    clock: Clock, backends: FakeBackends, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backends, "open_stream", broken)
    monkeypatch.setattr(Session1, "stream", None, raising=False)
    backends.streams.append(FakeStream(None, {}))  # type: ignore[arg-type]
    made = Session1(clock, backends)
    assert made.runner.failed
    assert [event.condition for event in made.ends] == ["internal-server-error"]
    assert made.creation.answer == f"<body xmlns='{HB}' type='terminate' condition='internal-server-error'/>"
