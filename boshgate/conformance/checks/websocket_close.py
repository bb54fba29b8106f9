"""The end of a stream, in order or not: RFC 7395 section 3.6, XEP-0198 section 7."""

import asyncio

from boshgate.conformance.check import Fails, NotOffered, Section, Transport, expect
from boshgate.conformance.kit import Kit
from boshgate.conformance.login import authenticate
from boshgate.conformance.websocket import CLOSE, Ws, close
from boshgate.conformance.xml import Element, message, named, ping, quoteattr, tag, written
from boshgate.namespaces import SM3

section = Section("WebSocket closing", Transport.WEBSOCKET, prefix="websocket_close")

TO_NOTICE = 6.0
"""Seconds in which the server has noticed that a client is gone."""


@section.must("WS14 HC21", "RFC 7395 3.6", login=True)
async def close_is_answered_with_close(kit: Kit) -> str:
    """The client's <close/> is answered with <close/>."""
    ws = await kit.ws_login()
    await ws.send(close())
    await ws.wait_for_close()
    return "<close/>"


@section.must("WS14 WS25", "RFC 7395 3.6, RFC 6455 7.1.1")
async def the_closing_handshake_is_finished(kit: Kit) -> str:
    """After <close/> both ways the client's Close frame is answered, and TCP is closed."""
    ws = await kit.websocket()
    await ws.open()
    await ws.send(close())
    await ws.wait_for_close()
    await ws.socket.close(1000, "Stream closed")
    received = ws.socket.protocol.close_rcvd
    code = received.code if received is not None else 1006
    expect(code in (1000, 1005), f"the Close frame came back with {code}")
    return f"{code}"


@section.must("WS14", "RFC 7395 3.6")
async def the_server_closes_where_the_client_does_not(kit: Kit) -> str:
    """A client that only says <close/> is not kept for ever: the WebSocket is closed, with 1000."""
    ws = await kit.websocket()
    await ws.open()
    await ws.send(close())
    code = await ws.closing(20.0)
    expect(code in (1000, 1005), f"closed with {code}")
    return f"closed with {code}"


@section.must("WS32 HC21", "RFC 7395 3.6", login=True)
async def nothing_follows_close(kit: Kit) -> str:
    """<close/> is the last message."""
    ws = await kit.ws_login()
    for number in range(5):
        await ws.send(message(ws.jid, f"last{number}"))
    await ws.send(close())
    await ws.closing(20.0)
    names = [frame.name for frame in ws.frames]
    expect(CLOSE in names, "no <close/>")
    after = names[names.index(CLOSE) + 1 :]
    expect(not after, f"{' '.join(after)} came after <close/>")
    return "the last message"


@section.must("WS14 HC21", "RFC 7395 3.6, RFC 6120 4.4", login=True)
async def what_was_said_before_close_is_done(kit: Kit) -> str:
    """What the client sent before <close/> reaches the server."""
    ws, peer = await kit.ws_login(), await kit.ws_login()
    await kit.echo(peer)
    await ws.send(message(peer.jid, "farewell"))
    await ws.send(close())
    await peer.wait_for(named("farewell"), "what was sent before <close/>")
    return "delivered"


@section.must("WS14 SM6", "RFC 7395 3.6", login=True)
async def the_server_is_told(kit: Kit) -> str:
    """After <close/> the session is over for the server: nobody is there any more."""
    ws, peer = await kit.ws_login(), await kit.ws_login()
    await ws.send(close())
    await ws.wait_for_close()
    return await _gone(peer, ws.jid)


@section.must("WS15", "RFC 7395 3.6", login=True)
async def a_lost_connection_ends_the_session(kit: Kit) -> str:
    """A WebSocket that is lost without <close/> ends the session, where no resumption was agreed."""
    ws, peer = await kit.ws_login(), await kit.ws_login()
    ws.vanish()
    return await _gone(peer, ws.jid)


async def _gone(peer: Ws, jid: str) -> str:
    """The server says that nobody is at *jid*."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + TO_NOTICE
    while (now := loop.time()) < deadline:
        name = f"gone{now}"
        await peer.send(ping(name, jid))
        while (left := min(deadline, now + 2) - loop.time()) > 0:
            frame = await peer.poll(left)
            if frame is not None and frame.element.get("id") == name:
                if frame.element.get("type") == "error":
                    return "the server says that nobody is there"
                break
        await asyncio.sleep(0.2)
    raise Fails(f"after {TO_NOTICE:.0f} s the server still delivers to the session")


async def _resumable(kit: Kit) -> tuple[Ws, Element]:
    """A stream that may be resumed, and the server's <enabled/>."""
    ws = await kit.ws_login()
    features = [frame.element for frame in ws.frames if frame.name.endswith("}features")][-1]
    if features.find(f"{{{SM3}}}sm") is None:
        raise NotOffered("the server offers no stream management (XEP-0198)")
    enabled = await ws.exchange(
        f"<enable xmlns='{SM3}' resume='true'/>",
        lambda element: tag(element) in (f"{{{SM3}}}enabled", f"{{{SM3}}}failed"),
        "an answer to <enable/>",
    )
    if enabled.get("resume") not in ("true", "1"):
        raise NotOffered("the server grants no resumption")
    await ws.exchange(ping("before", kit.domain), named("before"), "the answer to a ping")
    return ws, enabled


async def _resume(kit: Kit, enabled: Element) -> Element:
    """What the server says to a client that wants to go on with the stream that *enabled* belongs to."""
    ws = await kit.websocket()
    _, features = await ws.open()
    await authenticate(ws.exchange, features, kit.account)
    await ws.open()
    previous = quoteattr(enabled.get("id") or "")
    return await ws.exchange(
        f"<resume xmlns='{SM3}' previd={previous} h='1'/>",
        lambda element: tag(element) in (f"{{{SM3}}}resumed", f"{{{SM3}}}failed"),
        "an answer to <resume/>",
    )


@section.should("WS15 SM5 HC22", "RFC 7395 3.6, XEP-0198 7", login=True)
async def a_lost_stream_can_be_resumed(kit: Kit) -> str:
    """A stream whose TCP connection is lost can be resumed: the server was not told that it ended."""
    ws, enabled = await _resumable(kit)
    ws.vanish()
    await asyncio.sleep(1)
    answer = await _resume(kit, enabled)
    expect(tag(answer) == f"{{{SM3}}}resumed", f"{written(answer)}")
    return "resumed"


@section.should("WS15 SM5 HC22", "RFC 7395 3.6, XEP-0198 7", login=True)
async def a_stream_without_close_can_be_resumed(kit: Kit) -> str:
    """A WebSocket closed with 1001 (the page was left) but without <close/> leaves a stream to resume."""
    ws, enabled = await _resumable(kit)
    await ws.socket.close(1001, "going away")
    await asyncio.sleep(1)
    answer = await _resume(kit, enabled)
    expect(tag(answer) == f"{{{SM3}}}resumed", f"{written(answer)}")
    return "resumed"


@section.must("WS14 SM6 HC22", "RFC 7395 3.6", login=True)
async def a_closed_stream_cannot_be_resumed(kit: Kit) -> str:
    """A stream that was closed with <close/> is over: nothing is left to be resumed."""
    ws, enabled = await _resumable(kit)
    await ws.send(close())
    await ws.wait_for_close()
    await ws.socket.close()
    await asyncio.sleep(1)
    answer = await _resume(kit, enabled)
    expect(tag(answer) == f"{{{SM3}}}failed", f"{written(answer)}")
    return "nothing to resume"
