"""What comes at the wrong moment between a clear stream and TLS (RFC 6120 section 5.4.3)."""

import asyncio

import pytest

from boshgate.backend.opening import Opening
from boshgate.errors import ConnectFailed
from boshgate.xmpp.framer import Framer, FramerEvent
from boshgate.xmpp.negotiation import Negotiation, Tls
from tests.backend.conftest import OpenStream
from tests.backend.scripted import FEATURES, HEADER, PROCEED, STARTTLS_FEATURES, Client


class FakeTransport(asyncio.Transport):
    """Notes what is written to it."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.reading = True
        self.aborted = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += data

    def pause_reading(self) -> None:
        self.reading = False

    def abort(self) -> None:
        self.aborted = True


def adopt(transport: asyncio.Transport, framer: Framer, events: list[FramerEvent]) -> None:
    raise AssertionError("the stream is not ready")


async def before_the_handshake() -> Opening:
    """An opening whose server has said <proceed/>."""
    negotiation = Negotiation(to="example.org", tls=Tls.STARTTLS)
    opening = Opening(negotiation, Framer(max_element_bytes=10_000), adopt, direct_tls=False)
    transport = FakeTransport()
    opening.connection_made(transport)
    opening.data_received((HEADER + STARTTLS_FEATURES).encode())
    opening.data_received(PROCEED.encode())
    await opening.step()
    assert not transport.reading, "what follows <proceed/> is for TLS to read"
    return opening


async def test_a_server_that_speaks_before_our_header_in_tls_is_refused() -> None:  # RFC 6120 4.2
    opening = await before_the_handshake()
    opening.data_received((HEADER + FEATURES).encode())
    secure = FakeTransport()
    with pytest.raises(ConnectFailed, match="data before the stream header"):
        opening.secured(secure)
    assert secure.written == b""


async def test_a_connection_lost_as_the_handshake_ends_is_not_waited_for() -> None:
    opening = await before_the_handshake()
    opening.connection_lost(None)
    with pytest.raises(ConnectFailed, match="closed the connection"):
        opening.secured(FakeTransport())


@pytest.mark.rule("N11")
async def test_what_was_said_in_clear_is_forgotten_in_tls() -> None:
    opening = await before_the_handshake()
    secure = FakeTransport()
    opening.secured(secure)
    assert secure.written.startswith(b"<?xml version='1.0'?><stream:stream ")
    # A framer that still believed in the clear stream would take this for features.
    opening.data_received(FEATURES.encode())
    with pytest.raises(ConnectFailed, match="no XMPP stream"):
        await opening.step()


async def test_a_stream_that_was_aborted_takes_no_connection_over(open_stream: OpenStream) -> None:
    client = Client()
    stream = open_stream(client, "tcp://127.0.0.1")
    stream.write(b"<auth>secret</auth>")
    stream.abort()
    transport = FakeTransport()
    stream._adopt(transport, Framer(max_element_bytes=10_000), [])
    assert transport.aborted
    assert transport.written == b""
    assert await client.closed() is None
