"""The rid window as a truth table (XEP-0124 section 14)."""

import pytest

from boshgate.bosh.body import Body
from boshgate.bosh.policy import SessionPolicy
from boshgate.bosh.window import Arrival, Request, Window
from boshgate.errors import BindingError
from boshgate.xmpp.xml import Element


def make(rid: int, exchange: str | None = "x", deadline: int = 0, payloads: int = 0) -> Request:
    """A request."""
    body = Body(rid, {}, (Element("{urn:a}a", b""),) * payloads)
    return Request(rid, exchange, b"", deadline, body)


@pytest.fixture
def window() -> Window:
    """L is 10, requests 3: 9 answered, 10 held, 12 early."""
    window = Window(9, 3)
    window.hold(make(10))
    window.park(make(12, payloads=2))
    return window


@pytest.mark.parametrize(
    ("rid", "arrival"),
    [
        (1, Arrival.REPEATED),
        (9, Arrival.REPEATED),
        (10, Arrival.REPEATED_UNANSWERED),
        (11, Arrival.NEXT),
        (12, Arrival.REPEATED_UNANSWERED),
        (13, Arrival.EARLY),
        (14, Arrival.EXTRA),
        (15, Arrival.OUTSIDE),
        (2**53 - 1, Arrival.OUTSIDE),
    ],
)
def test_arrival(window: Window, rid: int, arrival: Arrival) -> None:
    assert window.classify(rid) is arrival


def test_early_requests_become_next_in_order(window: Window) -> None:
    window.park(make(14))
    window.park(make(13))
    assert window.pop_next() is None
    window.hold(make(11))
    order = []
    while (request := window.pop_next()) is not None:
        order.append(request.rid)
        window.hold(request)
    assert order == [12, 13, 14]
    assert window.last == 14


def test_requests_are_found(window: Window) -> None:
    assert window.find(11) is None
    assert window.find(12) is window.early[0]
    assert window.find_exchange("y") is None
    assert window.find_exchange("x") is window.held[0]


def test_who_waits_and_how_long(window: Window) -> None:
    assert window.live_held()
    assert [request.rid for request in window.live()] == [10, 12]
    window.held[0].deadline = 7
    window.early[0].deadline = 5
    assert window.due() == 5
    window.early[0].deadline = 8
    assert window.due() == 7
    window.held[0].exchange = None
    assert not window.live_held()
    assert window.due() == 8
    window.early[0].exchange = None
    assert window.due() is None


def test_clearing_tells_what_is_lost(window: Window) -> None:
    window.early.append(Request(13, None, None, 0, None))
    assert window.clear() == 2
    assert window.outstanding() == []


def test_repeats_are_counted_in_a_row(window: Window) -> None:
    policy = SessionPolicy(max_repeats=1, repeat_ms=10)

    def repeat(now: int) -> None:
        window.check_copy(None, Body(11, {}), policy, now)

    for now in (100, 119):
        repeat(now)
        with pytest.raises(BindingError):
            repeat(now + 9)
    window.hold(make(11))
    repeat(129)
    with pytest.raises(BindingError):
        repeat(130)
    window.park(make(13))
    repeat(131)


def test_repr_tells_whether_somebody_waits() -> None:
    assert repr(make(1)) == "<Request 1 live until 0>"
    assert repr(make(1, None)) == "<Request 1 lost until 0>"
