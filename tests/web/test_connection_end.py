"""XMPP over WebSocket (RFC 7395 section 3.6): who ends a stream and how, slow readers, bugs."""

import asyncio
import logging
from collections.abc import Callable

import pytest

from boshgate.web.connection import Connection
from boshgate.xmpp.frames import parse_frame
from tests.backend.scripted import Peer
from tests.web.conftest import MakeFront
from tests.web.front import (
    CLOSE,
    ENABLED,
    END,
    OPEN,
    Front,
    Talk,
    XmppServer,
    eventually,
    hears_end,
    meanwhile,
    message,
    open_websocket,
)

SIZE, COUNT = 100_000, 200
"""Together more than all sockets between two ends hold."""


# --- Closing (section 3.6) ------------------------------------------------------------------------------


@pytest.mark.rule("WS14")
async def test_the_client_closes_and_says_no_more(conversation: tuple[Talk, Peer]) -> None:
    talk, peer = conversation
    await talk.says(CLOSE)
    await peer.hears(END)
    await peer.says(END)
    await talk.hears(CLOSE)
    assert await talk.hears_end() == 1000  # after close_timeout


@pytest.mark.rule("WS14")
async def test_the_client_closes_and_the_server_never_does(conversation: tuple[Talk, Peer]) -> None:
    talk, peer = conversation
    await talk.says(CLOSE)
    await peer.hears(END)
    await talk.hears(CLOSE)  # after close_timeout
    assert await talk.leaves() == 1000


@pytest.mark.rule("WS32")
async def test_nothing_of_a_client_follows_its_close(front: Front, conversation: tuple[Talk, Peer]) -> None:
    talk, peer = conversation
    await talk.says(CLOSE, message(1), "<", OPEN, CLOSE)
    assert await peer.hears(END) == END
    await peer.says(END)
    await talk.hears(CLOSE)
    assert await talk.leaves() == 1000
    assert front.metric("elements_dropped_total", direction="to_server", reason="after close") == 1


@pytest.mark.rule("WS32")
async def test_nothing_follows_our_close(front: Front, conversation: tuple[Talk, Peer]) -> None:
    talk, peer = conversation
    await talk.says("<")
    await talk.hears_error("not-well-formed")
    await peer.hears(END)
    await peer.says("<message/><message/>")
    dropped = {"direction": "to_client", "reason": "after close"}
    await eventually(lambda: front.metric("elements_dropped_total", **dropped) == 2)
    assert await talk.leaves() == 1000


@pytest.mark.rule("WS29")
async def test_a_client_that_does_not_authenticate_in_time_is_ended(
    make_front: MakeFront, xmpp_server: XmppServer
) -> None:  # attack S3
    talk, peer = await open_websocket(await make_front(limits={"auth_timeout": 0.2}), xmpp_server)
    await talk.hears_error("connection-timeout")
    assert await talk.leaves() == 1000
    assert await peer.hears_rest() == END


@pytest.mark.rule("WS13")
@pytest.mark.parametrize("lost", [False, True])
async def test_a_stream_error_of_the_server_is_one_message(
    conversation: tuple[Talk, Peer], lost: bool
) -> None:
    talk, peer = conversation
    conflict = "<conflict xmlns='urn:ietf:params:xml:ns:xmpp-streams'/><text xml:lang='en'>Replaced</text>"
    await peer.says(f"<message/><stream:error>{conflict}</stream:error>{'' if lost else END}")
    if lost:
        peer.ends()
    await talk.hears("<message ")
    assert conflict in await talk.hears("<stream:error ")
    await talk.hears(CLOSE)
    if not lost:
        assert await peer.hears_rest() == END
    await talk.says(CLOSE)
    assert await talk.hears_end() == 1000


async def test_the_server_is_lost(conversation: tuple[Talk, Peer]) -> None:
    talk, peer = conversation
    await peer.says("<message/>")
    peer.resets()
    await talk.hears("<message ")
    await talk.hears_error("remote-connection-failed")
    assert await talk.hears_end() == 1000


@pytest.mark.rule("T19")
async def test_the_server_sends_no_xml(conversation: tuple[Talk, Peer]) -> None:
    talk, peer = conversation
    await peer.says("<message><!-- --></message>")
    await talk.hears_error("remote-connection-failed")
    assert "<restricted-xml " in await peer.hears_rest()


def _vanish(talk: Talk) -> None:
    talk.vanishes()


def _close_with(code: int) -> Callable[[Talk], None]:
    def close(talk: Talk) -> None:
        talk.websocket.protocol.send_close(code)
        talk.websocket.transport.write(b"".join(talk.websocket.protocol.data_to_send()))

    return close


@pytest.mark.rule("HC22", "WS15")
@pytest.mark.parametrize(
    ("leave", "reason"),
    [
        (_vanish, "connection lost"),
        (_close_with(1000), "WebSocket closed without <close/>"),
        (_close_with(1001), "WebSocket closed without <close/>"),
        (_close_with(4711), "WebSocket closed without <close/>"),
    ],
    ids=["lost", "1000", "1001", "4711"],
)
@pytest.mark.parametrize("resumable", [False, True])
async def test_a_client_that_goes_without_close_leaves_no_end_tag(
    front: Front, conversation: tuple[Talk, Peer], leave: Callable[[Talk], None], reason: str, resumable: bool
) -> None:
    talk, peer = conversation
    if resumable:
        await peer.says(ENABLED)
        await talk.hears("<enabled ")
    stanzas = [message(number, "x" * 1000) for number in range(50)]
    await talk.says(*stanzas)
    await eventually(lambda: front.gateway.metrics.websocket.requests == 51)
    leave(talk)
    assert await peer.hears_rest() == "".join(stanzas)
    peer.ends()
    await eventually(lambda: not front.gateway.websocket.connections)
    assert front.metric("sessions_closed_total", transport="websocket", reason=reason) == 1


@pytest.mark.rule("WS25")
@pytest.mark.parametrize("code", [1002, 1003, 1007, 1009])
async def test_a_client_that_cannot_bear_our_frames_is_not_to_resume(
    conversation: tuple[Talk, Peer], code: int
) -> None:
    talk, peer = conversation
    await peer.says(ENABLED)
    await talk.hears("<enabled ")
    _close_with(code)(talk)
    assert await peer.hears_rest() == END


@pytest.mark.rule("WS15", "WS21", "HC22")
async def test_a_client_that_answers_no_ping_is_lost(make_front: MakeFront, xmpp_server: XmppServer) -> None:
    front = await make_front(websocket={"ping_interval": 0.1, "ping_timeout": 0.1})
    talk, peer = await open_websocket(front, xmpp_server)
    talk.websocket.transport.pause_reading()
    assert await peer.hears_rest() == ""


@pytest.mark.rule("WS21")
async def test_an_idle_client_is_pinged(make_front: MakeFront, xmpp_server: XmppServer) -> None:
    front = await make_front(websocket={"ping_interval": 0.05, "ping_timeout": 0.5})
    talk, peer = await open_websocket(front, xmpp_server)
    server_side = next(iter(front.server.server_state.connections))
    await eventually(lambda: getattr(server_side, "last_ping_rtt", 0) > 0)
    await peer.says("<message/>")
    await talk.hears("<message ")


@pytest.mark.rule("WS21")
async def test_a_ping_is_answered_with_its_payload(conversation: tuple[Talk, Peer]) -> None:
    talk, _ = conversation
    await (await talk.websocket.ping(b"12345"))


# --- Backpressure (WS31, HC24 i) ------------------------------------------------------------------------


def _only_connection(front: Front) -> Connection:
    (connection,) = front.gateway.websocket.connections
    return connection


@pytest.mark.rule("WS31", "WS32", "HC24i")
async def test_a_server_is_not_read_while_its_client_does_not_read(
    front: Front, conversation: tuple[Talk, Peer]
) -> None:
    talk, peer = conversation
    talk.websocket.transport.pause_reading()
    stanzas = [f"<message id='a{n}'><body>{'x' * SIZE}</body></message>" for n in range(COUNT)]
    async with meanwhile(peer.says(*stanzas)) as saying:
        writer = _only_connection(front)._writer
        await eventually(lambda: writer.stalled)
        taken = front.gateway.metrics.websocket.to_clients
        await asyncio.sleep(0.1)
        assert not saying.done()
        assert front.gateway.metrics.websocket.to_clients == taken < COUNT
        assert writer._waiting is not None
        assert len(writer._waiting) < 10  # what one read brought
        talk.websocket.transport.resume_reading()
        for number in range(COUNT):
            await talk.hears(f"<message xmlns='jabber:client' id='a{number}'>")
        await saying
        await peer.says(END)
        await talk.hears(CLOSE)
    assert not writer.stalled


@pytest.mark.rule("WS31", "HC24i")
async def test_a_client_is_not_read_while_its_server_does_not_read(
    front: Front, conversation: tuple[Talk, Peer]
) -> None:
    talk, peer = conversation
    stanzas = [message(n, "x" * SIZE) for n in range(COUNT)]
    async with meanwhile(talk.says(*stanzas, CLOSE)) as saying:
        connection = _only_connection(front)
        await eventually(lambda: connection._sending_allowed is not None)
        taken = front.gateway.metrics.websocket.requests
        await asyncio.sleep(0.1)
        assert not saying.done()
        assert front.gateway.metrics.websocket.requests == taken < COUNT
        stream = connection._stream
        assert stream is not None
        assert stream._transport is not None
        assert stream._transport.get_write_buffer_size() < 4 * SIZE
        assert await hears_end(peer) == "".join(stanzas) + END
        await saying


async def test_a_client_that_does_not_read_may_not_go_on_asking(
    front: Front, conversation: tuple[Talk, Peer]
) -> None:
    talk, peer = conversation
    talk.websocket.transport.pause_reading()
    async with meanwhile(peer.says(*["<message><body>" + "x" * SIZE + "</body></message>"] * COUNT)):
        connection = _only_connection(front)
        await eventually(lambda: connection._writer.stalled)
        await talk.says(*["<compress xmlns='http://jabber.org/protocol/compress'/>"] * 50)
        await eventually(lambda: connection.end == "policy-violation")
        talk.vanishes()


async def test_a_client_that_vanishes_while_it_does_not_read(
    front: Front, conversation: tuple[Talk, Peer]
) -> None:
    talk, peer = conversation
    talk.websocket.transport.pause_reading()
    async with meanwhile(peer.says(*["<message><body>" + "x" * SIZE + "</body></message>"] * COUNT)):
        await eventually(lambda: _only_connection(front)._writer.stalled)
        talk.vanishes()
        await eventually(lambda: not front.gateway.websocket.connections)
    assert front.metric("elements_dropped_total", direction="to_client", reason="connection lost") > 0


# --- Bugs -----------------------------------------------------------------------------------------------


@pytest.mark.rule("WS25")
async def test_a_bug_ends_one_connection_and_no_other(
    front: Front,
    xmpp_server: XmppServer,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    victim, victims_peer = await open_websocket(front, xmpp_server)
    other, others_peer = await open_websocket(front, xmpp_server)

    def fail(text: str) -> object:
        if "bug" in text:
            raise RuntimeError("a bug")
        return parse_frame(text)

    monkeypatch.setattr("boshgate.web.connection.parse_frame", fail)
    caplog.set_level(logging.INFO, logger="boshgate")
    await victim.says("<bug/>")
    await victim.hears_error("internal-server-error")
    assert await victim.hears_end() == 1011
    assert await victims_peer.hears_rest() == END
    await other.says(message(1))
    await others_peer.hears("id='m1'")
    assert caplog.text.count("Traceback") == 1


async def test_a_bug_on_the_way_to_the_client_ends_its_stream(
    conversation: tuple[Talk, Peer], monkeypatch: pytest.MonkeyPatch
) -> None:
    talk, peer = conversation

    def fail(*_: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(Connection, "stream_received", fail)
    await peer.says("<message/>")
    await talk.hears_error("remote-connection-failed")
    assert await talk.hears_end() == 1000
