"""The stream as the session sees it, and the sorting of what a client sends."""

import pytest

from boshgate.bosh.events import CloseStream, Event, OpenStream, Throttle
from boshgate.bosh.outbox import Outbox
from boshgate.bosh.screening import COMPRESS_FAILURE, STARTTLS_FAILURE, Local, Screened, screen
from boshgate.bosh.states import StreamState
from boshgate.bosh.stream import Stream
from boshgate.errors import BindingError
from boshgate.namespaces import COMPRESS, FRAMING, STREAMS, TLS
from boshgate.xmpp.xml import Element

STANZA = Element("{jabber:client}message", b"")
STARTTLS = Element(f"{{{TLS}}}starttls", b"")
COMPRESSION = Element(f"{{{COMPRESS}}}compress", b"")
STREAM_ERROR = Element(f"{{{STREAMS}}}error", b"")


def open_stream(events: list[Event]) -> Stream:
    """A stream that has just been opened."""
    stream = Stream("S", ("example.com", None, None), Outbox(100), [], events)
    stream.open()
    return stream


def test_stream_is_closed_once_and_read_until_then() -> None:
    events: list[Event] = []
    stream = open_stream(events)
    stream.throttle(on=True)
    stream.throttle(on=True)
    stream.close(clean=False)
    stream.close(clean=True)
    stream.throttle(on=True)
    assert events == [
        OpenStream("S", "example.com", None, None),
        Throttle("S", on=True),
        Throttle("S", on=False),
        CloseStream("S", clean=False),
    ]
    assert stream.is_over


def test_closed_stream_cannot_be_closed() -> None:
    events: list[Event] = []
    stream = open_stream(events)
    stream.throttle(on=True)
    stream.state = StreamState.CLOSED
    stream.close(clean=True)
    assert events[1:] == [Throttle("S", on=True)]
    assert repr(stream) == "<Stream S closed throttled>"


def test_what_no_server_may_get_is_sorted_out() -> None:
    assert screen((STANZA, COMPRESSION, STANZA)) == Screened((STANZA, STANZA), [COMPRESS_FAILURE], None, 0)
    assert screen((STANZA, STARTTLS, STANZA)) == Screened((STANZA,), [STARTTLS_FAILURE], Local.STARTTLS, 1)
    assert screen((STREAM_ERROR, STANZA, STANZA)) == Screened((), [], Local.TERMINATE, 2)


def test_what_no_client_may_send_refuses_all_of_it() -> None:
    with pytest.raises(BindingError) as refused:
        screen((STANZA, STARTTLS, Element(f"{{{FRAMING}}}open", b"")))
    assert refused.value.condition == "bad-request"
