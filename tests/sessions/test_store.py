"""The store makes sessions within the limits, finds them by sid, and forgets them at their end."""

import random
import re

import pytest

from boshgate.config import Config
from boshgate.errors import BindingError
from boshgate.metrics import Metrics
from boshgate.sessions.admission import Admission
from boshgate.sessions.store import Sessions, policy_of
from tests.sessions.conftest import FEATURES, HEADER, Clock, FakeBackends, FakeExchange, request


class World:
    """A store and what it was made of."""

    def __init__(self, backends: FakeBackends, **limits: int) -> None:
        config = Config()
        config = config.model_copy(update={"limits": config.limits.model_copy(update=limits)})
        self.backends = backends
        self.metrics = Metrics()
        self.admission = Admission(config.limits)
        self.sessions = Sessions(config, backends.real, self.admission, self.metrics)

    def create(self, address: str = "192.0.2.1", **attributes: str) -> str:
        """Make a session, and return its sid."""
        body = request(**attributes)
        return self.sessions.create(FakeExchange(), body, address=address, secure=True).session.sid

    def refusal(self, address: str = "192.0.2.1", **attributes: str) -> str:
        """The condition with which a session is refused."""
        with pytest.raises(BindingError) as caught:
            self.create(address, **attributes)
        return caught.value.condition

    def open(self) -> None:
        """Let the server of the newest session be ready."""
        handler = self.backends.streams[-1].handler
        handler.stream_opened(HEADER)
        handler.stream_received([FEATURES])

    def metric(self, name: str, **labels: str) -> float:
        return self.metrics.registry.get_sample_value(f"boshgate_{name}", labels) or 0.0


@pytest.fixture
def world(clock: Clock, backends: FakeBackends) -> World:
    return World(backends)


def test_a_session_is_found_by_its_sid(world: World) -> None:
    sid = world.create()
    assert world.sessions.find(sid).session.sid == sid
    assert len(world.sessions) == 1


@pytest.mark.rule("E5")
def test_an_unknown_sid_is_not_found(world: World) -> None:
    with pytest.raises(BindingError) as caught:
        world.sessions.find("unknown")
    assert caught.value.condition == "item-not-found"


@pytest.mark.rule("S1", "X3")
def test_a_sid_cannot_be_guessed(world: World) -> None:  # attack S9
    random.seed(1)
    first = world.create()
    random.seed(1)
    second = world.create()
    assert first != second
    for sid in (first, second):
        assert re.fullmatch(r"[A-Za-z0-9_-]{32}", sid)  # 192 bits, safe in XML and in URLs


@pytest.mark.rule("C2", "E2", "E3")
@pytest.mark.parametrize(
    ("to", "condition"),
    [
        ("", "improper-addressing"),
        ("a@example.org", "improper-addressing"),
        ("example.org/x", "improper-addressing"),
        ("example.org:22", "improper-addressing"),
        ("unknown.example", "host-unknown"),
        ("localhost", "host-unknown"),
        ("127.0.0.1", "host-unknown"),
    ],
)
def test_only_configured_domains_are_served(
    world: World, backends: FakeBackends, to: str, condition: str
) -> None:  # attack S14
    assert world.refusal(to=to) == condition
    assert backends.streams == []
    assert world.admission.open == 0


def test_a_bad_request_makes_no_session(world: World) -> None:
    assert world.refusal(ver="x") == "bad-request"
    assert len(world.sessions) == 0
    assert world.admission.open == 0
    assert world.metric("sessions_opened_total", transport="bosh") == 0


@pytest.mark.rule("C16")
def test_there_is_room_for_so_many(clock: Clock, backends: FakeBackends) -> None:
    world = World(backends, max_sessions=2, max_sessions_per_address=1)
    world.create("192.0.2.1")
    assert world.refusal("192.0.2.1") == "policy-violation"
    sid = world.create("192.0.2.2")
    world.open()
    assert world.refusal("192.0.2.3") == "policy-violation"
    world.sessions.find(sid).receive_request(FakeExchange(), request(sid=sid, rid="900"))  # ends it
    world.create("192.0.2.3")


@pytest.mark.rule("C16", "E11")
def test_nobody_is_admitted_while_draining(world: World) -> None:
    world.admission.draining = True
    assert world.refusal() == "system-shutdown"


def test_beginning_and_end_are_counted_and_logged(
    world: World, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="boshgate")
    sid = world.create()
    world.open()
    assert world.metric("sessions_open", transport="bosh") == 1
    clock.advance(2)
    world.sessions.find(sid).receive_request(FakeExchange(), request("<a xmlns='b'/>", sid=sid, rid="900"))
    assert len(world.sessions) == 0
    assert world.admission.open == 0
    assert world.metric("sessions_open", transport="bosh") == 0
    assert world.metric("sessions_opened_total", transport="bosh") == 1
    assert world.metric("sessions_closed_total", transport="bosh", reason="item-not-found") == 1
    assert world.metric("session_seconds_sum", transport="bosh") == 2
    assert world.metric("elements_dropped_total", direction="to_server", reason="session ended") == 1
    assert [record.getMessage() for record in caplog.records] == [
        f"[{sid[:8]}] opened for example.org by 192.0.2.1",
        f"[{sid[:8]}] closed after 2.0 s: rid above the window (undelivered 0, discarded 1)",
    ]
    assert sid not in caplog.text


def test_all_sessions_are_ended_together(world: World, backends: FakeBackends) -> None:
    exchanges = [FakeExchange() for _ in range(3)]
    for exchange in exchanges:
        world.sessions.create(exchange, request(), address="192.0.2.1", secure=False)
    world.sessions.terminate_all("system-shutdown")
    for exchange in exchanges:
        assert exchange.answer is not None
        assert "condition='system-shutdown'" in exchange.answer
    assert [stream.calls for stream in backends.streams] == [["close"]] * 3


def test_the_policy_has_the_configured_numbers() -> None:
    config = Config.model_validate(
        {
            "bosh": {"max_wait": 11, "max_hold": 2, "inactivity": 13, "max_pause": 14, "polling": 15},
            "limits": {"max_pending_bytes": 16_000},
        }
    )
    policy = policy_of(config)
    assert (policy.max_wait, policy.max_hold, policy.inactivity) == (11, 2, 13)
    assert (policy.max_pause, policy.polling, policy.max_pending_bytes) == (14, 15, 16_000)


def test_what_lingers_at_the_end_of_the_process_is_forgotten_with_its_line(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="boshgate.bosh")
    world.create()
    world.open()  # its creation is answered: nobody waits who could be told
    world.create()
    world.sessions.terminate_all("system-shutdown")
    assert len(world.sessions) == 1
    world.sessions.expire_all()
    assert len(world.sessions) == 0
    assert world.metric("sessions_open", transport="bosh") == 0
    assert sum("closed after" in line for line in caplog.messages) == 2
