"""What may share a response (XEP-0206 section 2), and how long it may be."""

import pytest

from boshgate.bosh.outbox import ALONE, STREAM_ERROR, Outbox
from boshgate.xmpp.xml import Element


def stanza(size: int) -> Element:
    """A payload of *size* bytes."""
    return Element("{jabber:client}message", b"x" * size)


def sizes(outbox: Outbox) -> list[list[int]]:
    """The lengths of the payloads in each portion."""
    return [[len(payload.data) for payload in portion] for portion in outbox.portions]


def test_stanzas_share_a_response_up_to_the_limit() -> None:
    outbox = Outbox(10)
    for size in (4, 6, 1, 10, 11, 12, 1):
        outbox.append(stanza(size))
    assert sizes(outbox) == [[4, 6], [1], [10], [11], [12], [1]]
    assert outbox.size == 45


@pytest.mark.parametrize("name", sorted(ALONE))
def test_some_elements_come_alone(name: str) -> None:
    outbox = Outbox(100)
    for payload in (stanza(1), Element(name, b"xx"), Element(name, b"xx"), stanza(3), stanza(4)):
        outbox.append(payload)
    assert sizes(outbox) == [[1], [2], [2], [3, 4]]


def test_stream_error_joins_the_stanzas_however_long_they_are() -> None:
    outbox = Outbox(10)
    outbox.append(stanza(10))
    outbox.append(Element(STREAM_ERROR, b"x" * 20))
    assert sizes(outbox) == [[10, 20]]


def test_stream_error_joins_nothing_that_comes_alone() -> None:
    outbox = Outbox(100)
    outbox.append(Element(min(ALONE), b"x"))
    outbox.append(Element(STREAM_ERROR, b"xx"))
    assert sizes(outbox) == [[1], [2]]


def test_taking_empties_it() -> None:
    outbox = Outbox(10)
    outbox.append(stanza(4))
    outbox.append(stanza(7))
    assert outbox.take() == [stanza(4)]
    assert outbox.size == 7
    assert outbox.take() == [stanza(7)]
    assert outbox.take() == []
    assert outbox.size == 0
    outbox.append(stanza(1))
    assert sizes(outbox) == [[1]]


def test_clearing_tells_how_much_was_lost() -> None:
    outbox = Outbox(1)
    for size in (1, 2, 3):
        outbox.append(stanza(size))
    assert outbox.clear() == 3
    assert (outbox.portions, outbox.size) == ([], 0)
