"""Several streams of one session: who may open one and to where, what it counts, and how each one ends."""

import logging

import pytest

from boshgate.config import Config
from boshgate.metrics import Metrics
from boshgate.sessions.admission import Admission
from boshgate.sessions.runner import MAX_RETURNED
from boshgate.sessions.store import Sessions
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

ADDRESS = "192.0.2.1"


class World:
    """A session with one stream, and what it was made of."""

    def __init__(self, backends: FakeBackends, clock: Clock, max_sessions: int = 3, streams: int = 4) -> None:
        config = Config()
        limits = config.limits.model_copy(update={"max_sessions": max_sessions})
        bosh = config.bosh.model_copy(update={"max_streams": streams})
        config = config.model_copy(update={"limits": limits, "bosh": bosh})
        self.backends = backends
        self.clock = clock
        self.admission = Admission(config.limits)
        self.metrics = Metrics()
        self.sessions = Sessions(config, backends.real, self.admission, self.metrics)
        self.creation = FakeExchange()
        self.runner = self.sessions.create(self.creation, request(), address=ADDRESS, secure=True)
        self.rid = 1
        self.ready()

    def ready(self) -> FakeStream:
        """The server of the newest stream is ready."""
        stream = self.backends.streams[-1]
        stream.handler.stream_opened(HEADER)
        stream.handler.stream_received([FEATURES])
        return stream

    def post(self, payload: str = "", rid: int | None = None, **attributes: str) -> FakeExchange:
        """Another request."""
        if rid is None:
            self.rid += 1
        exchange = FakeExchange()
        named = {"rid": str(rid or self.rid), "sid": self.runner.session.sid} | attributes
        self.runner.receive_request(exchange, request(payload, **named))
        return exchange

    def add(self, to: str = "example.org") -> FakeExchange:
        """Ask for another stream."""
        return self.post(to=to)


@pytest.fixture
def world(backends: FakeBackends, clock: Clock) -> World:
    return World(backends, clock)


def stream_name(exchange: FakeExchange) -> str:
    """The stream that a response names."""
    assert exchange.answer is not None
    return exchange.answer.partition(" stream='")[2].partition("'")[0]


@pytest.mark.rule("M1", "M3")
def test_each_stream_has_an_unpredictable_name_and_a_connection_of_its_own(world: World) -> None:
    asking = world.add()
    world.ready()
    names = {stream_name(world.creation), stream_name(asking)}
    assert len(names) == 2
    assert all(len(name) >= 16 for name in names)
    assert len(world.backends.streams) == 2
    assert set(world.runner.streams) == names


@pytest.mark.rule("M4", "M7")
def test_streams_are_written_to_and_closed_one_by_one(world: World) -> None:
    asking = world.add()
    first, second = world.backends.streams[0], world.ready()
    name = stream_name(asking)
    world.post("<a xmlns='b'/>", stream=name)
    world.post("<c xmlns='d'/>")
    world.post(stream=name, type="terminate")
    assert first.calls == ["<c xmlns='d'/>"]
    assert second.calls == ["<a xmlns='b'/>", "<c xmlns='d'/>", "close"]


@pytest.mark.rule("M8", "E2", "E3")
@pytest.mark.parametrize(
    ("to", "condition"),
    [
        ("other.example", "host-unknown"),
        ("evil&#10;2026 INFO", "improper-addressing"),
        ("", "improper-addressing"),
        ("a@b", "improper-addressing"),
    ],
)
def test_a_stream_to_a_domain_that_is_not_served_is_over_at_once(
    world: World, caplog: pytest.LogCaptureFixture, to: str, condition: str
) -> None:
    caplog.set_level(logging.INFO)
    refused = world.add(to)
    assert refused.answer == (
        f"<body xmlns='{HB}' stream='{stream_name(refused)}' type='terminate' condition='{condition}'/>"
    )
    assert len(world.backends.streams) == 1
    assert f"refused another stream: {condition}: " in caplog.text
    assert "2026 INFO" not in caplog.text
    world.post("<a xmlns='b'/>")
    assert world.backends.streams[0].calls == ["<a xmlns='b'/>"]


def test_what_was_sent_to_a_stream_in_the_same_breath_as_its_refusal_is_counted(world: World) -> None:
    world.post("<a xmlns='b'/>", rid=3)
    world.rid = 1
    world.add("other.example")
    assert world.backends.streams[0].calls == ["<a xmlns='b'/>"]
    assert world.runner.session.discarded == 1


@pytest.mark.rule("C16")
def test_a_stream_takes_the_place_of_a_session(world: World) -> None:
    world.add()
    world.ready()
    world.add()
    third = world.ready()
    assert world.admission.open == 3
    refused = world.add()
    world.post()
    assert refused.answer is not None
    assert "condition='policy-violation'" in refused.answer
    third.handler.stream_closed(None)
    assert world.admission.open == 2
    world.runner.terminate("system-shutdown")
    world.runner.expire()
    assert world.admission.open == 1  # the session is over, one of its two streams is still closing
    for stream in world.backends.streams[:2]:
        stream.handler.stream_closed(None)
    assert world.admission.open == 0


def test_the_session_lasts_longer_than_its_first_stream(world: World) -> None:
    world.add()
    second = world.ready()
    world.backends.streams[0].handler.stream_closed(None)
    assert world.admission.open == 1
    world.post("<a xmlns='b'/>")
    assert second.calls == ["<a xmlns='b'/>"]
    second.handler.stream_closed(None)
    world.post()
    world.runner.expire()
    assert world.admission.open == 0


@pytest.mark.rule("M2")
def test_where_the_limit_is_one_none_is_opened(backends: FakeBackends, clock: Clock) -> None:
    world = World(backends, clock, streams=1)
    assert stream_name(world.creation) == ""
    assert world.add().answer is None
    assert len(backends.streams) == 1


@pytest.mark.rule("SM5")
def test_a_lost_client_leaves_those_streams_open_that_can_be_resumed(world: World) -> None:
    world.add()
    world.ready().resumable = True
    world.clock.advance(61)
    world.clock.advance(61)
    assert [stream.calls for stream in world.backends.streams] == [["close"], ["abort"]]


# XEP-0206 section 7: a client that is gone

LOST = [
    Element("{jabber:client}presence", b"<presence xmlns='jabber:client' from='a@x'/>"),
    Element("{jabber:client}message", b"<message xmlns='jabber:client' from='a@x/1' to='b@y/2' id='m1'/>"),
    Element("{jabber:client}iq", b"<iq xmlns='jabber:client' type='get' id='q1'/>"),
]
ERRORS = (
    "<message xmlns='jabber:client' from='b@y/2' to='a@x/1' type='error' id='m1'><error type='wait'>"
    "<recipient-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>"
    "<iq xmlns='jabber:client' type='error' id='q1'><error type='cancel'>"
    "<service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>"
)


@pytest.mark.rule("B11")
def test_what_waits_for_a_client_that_is_gone_is_answered_before_the_stream_is_closed(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    world.backends.streams[0].handler.stream_received(LOST)
    world.clock.advance(61)
    assert world.backends.streams[0].calls == [ERRORS, "close"]
    assert world.metrics.bosh.returned == 2
    assert "answered 2 stanzas for a client that is gone" in caplog.text


@pytest.mark.rule("B11", "SM4", "SM5")
@pytest.mark.parametrize(("resumable", "call"), [(True, "abort"), (False, "close")])
def test_nothing_is_answered_where_the_server_counts_stanzas(
    world: World, resumable: bool, call: str
) -> None:
    stream = world.backends.streams[0]
    stream.managed = True
    stream.resumable = resumable
    stream.handler.stream_received(LOST)
    world.clock.advance(61)
    assert stream.calls == [call]
    assert world.metrics.bosh.returned == 0


@pytest.mark.rule("B11", "SM4")
def test_each_stream_answers_for_itself(world: World) -> None:
    world.add()
    first, second = world.backends.streams[0], world.ready()
    second.managed = True
    for stream in (first, second):
        stream.handler.stream_received(LOST)
    world.post()
    world.post()
    for stream in (first, second):
        stream.handler.stream_received(LOST[1:])
    world.clock.advance(61)
    world.clock.advance(61)
    assert first.calls[-2:] == [ERRORS, "close"]
    assert second.calls == ["close"]


@pytest.mark.rule("B11")
def test_presence_alone_is_dropped(world: World) -> None:
    world.backends.streams[0].handler.stream_received(LOST[:1])
    world.clock.advance(61)
    assert world.backends.streams[0].calls == ["close"]


def test_so_many_are_answered_and_no_more(world: World) -> None:
    world.backends.streams[0].handler.stream_received([LOST[2]] * (MAX_RETURNED + 1))
    world.clock.advance(61)
    assert world.metrics.bosh.returned == MAX_RETURNED
