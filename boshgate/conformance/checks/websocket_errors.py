"""Streams that cannot be opened, and messages that are no XMPP: RFC 7395 3.3.2 and 3.5, RFC 6120 4.9."""

from boshgate.conformance.check import Fails, Section, Transport, expect
from boshgate.conformance.kit import Kit
from boshgate.conformance.websocket import (
    CLOSE,
    OPEN,
    STREAM_ERROR,
    Ws,
    close,
    expect_stream_error,
    opening,
)
from boshgate.conformance.xml import message, stream_condition
from boshgate.namespaces import CLIENT, STREAMS

section = Section("WebSocket errors", Transport.WEBSOCKET, prefix="websocket_errors")

NOBODY = "no-such-domain.invalid"


@section.must("WS12 HC20", "RFC 7395 3.5")
async def an_error_while_opening_comes_after_open(kit: Kit) -> str:
    """For a domain that is not served: <open/>, then the error in a message of its own, then <close/>."""
    ws = await kit.websocket()
    await ws.send(opening(NOBODY))
    names: list[str] = []
    while CLOSE not in names:
        names.append((await ws.receive()).name)
    expect(names == [OPEN, STREAM_ERROR, CLOSE], f"{', '.join(names)}")
    return "<open/>, error, <close/>"


@section.must("WS12 HC20", "RFC 6120 4.9.3.6")
async def an_unknown_domain_is_host_unknown(kit: Kit) -> str:
    """A domain that is not served is host-unknown (remote-connection-failed for a proxy)."""
    ws = await kit.websocket()
    await ws.send(opening(NOBODY))
    await expect_stream_error(ws, "host-unknown", "remote-connection-failed", what=NOBODY)
    return "host-unknown"


@section.must("WS12 WS14", "RFC 7395 3.5, 3.6")
async def after_an_error_the_connection_is_closed(kit: Kit) -> str:
    """After a stream error and <close/> from both sides the WebSocket is closed."""
    ws = await kit.websocket()
    await ws.send(opening(NOBODY))
    await ws.wait_for_close()
    if ws.is_open:
        await ws.send(close())
    code = await ws.closing()
    expect(code in (1000, 1005), f"closed with {code}")
    return f"closed with {code}"


@section.must("WS10", "RFC 6120 4.7.2")
async def open_without_to_is_refused(kit: Kit) -> str:
    """<open/> without 'to' is an error, or for a default domain."""
    ws = await kit.websocket()
    await ws.send(opening(kit.domain, to=None))
    frame = await ws.receive()
    expect(frame.name in (OPEN, CLOSE), f"{frame}")
    if frame.name == OPEN and frame.element.get("from") == kit.domain:
        second = await ws.receive()
        if second.name != STREAM_ERROR:
            return "taken for the default domain"
        return str(stream_condition(second.element))
    if frame.name == OPEN:
        await expect_stream_error(
            ws, "improper-addressing", "host-unknown", "bad-format", "not-authorized", what="no 'to'"
        )
    return "refused"


async def _refused_first(kit: Kit, text: str, *conditions: str, what: str) -> str:
    ws = await kit.websocket()
    await ws.send(text)
    await expect_stream_error(ws, *conditions, what=what)
    return " or ".join(conditions)


@section.must("WS9 HC20", "RFC 7395 3.3.2")
async def open_in_another_namespace_is_refused(kit: Kit) -> str:
    """<open/> in another namespace is invalid-namespace."""
    text = f"<open xmlns='{CLIENT}' to='{kit.domain}' version='1.0'/>"
    return await _refused_first(kit, text, "invalid-namespace", what="another namespace")


@section.must("WS9 HC20", "RFC 7395 3.3.2")
async def the_framing_of_tcp_is_refused(kit: Kit) -> str:
    """<stream:stream>, as in drafts before the RFC (tsung), is invalid-namespace or no document at all."""
    text = f"<stream:stream xmlns='{CLIENT}' xmlns:stream='{STREAMS}' to='{kit.domain}' version='1.0'>"
    return await _refused_first(kit, text, "invalid-namespace", "not-well-formed", what="<stream:stream>")


@section.must("WS10", "RFC 7395 3.4")
async def a_stanza_before_open_is_refused(kit: Kit) -> str:
    """Where the first message is not <open/> the stream ends with an error."""
    conditions = ("not-authorized", "bad-format", "invalid-namespace", "policy-violation")
    return await _refused_first(kit, message(kit.domain, "early"), *conditions, what="a stanza")


async def _opened(kit: Kit) -> Ws:
    ws = await kit.websocket()
    await ws.open()
    return ws


async def _refused(kit: Kit, text: str, *conditions: str, what: str) -> str:
    ws = await _opened(kit)
    await ws.send(text)
    await expect_stream_error(ws, *conditions, what=what)
    return " or ".join(conditions)


@section.practice("WS18", "RFC 7395 3.4")
async def a_second_open_is_refused(kit: Kit) -> str:
    """<open/> without a login before it opens no second stream: it is refused, or ignored."""
    ws = await _opened(kit)
    await ws.send(opening(kit.domain))
    frame = await ws.poll(2.0)
    if frame is None:
        return "ignored"
    expect(frame.name != OPEN, f"another stream: {frame}")
    return f"refused: {frame}"


@section.must("WS27 HC24", "RFC 6120 4.9.3.13")
async def what_is_not_well_formed_is_refused(kit: Kit) -> str:
    """A message that is no XML is not-well-formed."""
    return await _refused(
        kit, "<message xmlns='jabber:client'><body></message>", "not-well-formed", "bad-format", what="no XML"
    )


@section.must("WS27 WS4 HC24", "RFC 7395 3.3.3")
async def two_elements_in_a_message_are_refused(kit: Kit) -> str:
    """A message is one document: a second root is not-well-formed."""
    text = "<presence xmlns='jabber:client'/><presence xmlns='jabber:client'/>"
    return await _refused(kit, text, "not-well-formed", "bad-format", "invalid-xml", what="two roots")


@section.must("WS4 WS27", "RFC 7395 3.3.3")
async def half_an_element_is_refused(kit: Kit) -> str:
    """An element is never spread over messages."""
    ws = await _opened(kit)
    await ws.send("<message xmlns='jabber:client'><body>half")
    await ws.send("</body></message>")
    await expect_stream_error(ws, "not-well-formed", "bad-format", "invalid-xml", what="half an element")
    return "refused"


@section.must("WS27 HC24", "RFC 6120 11.1")
async def comments_are_refused(kit: Kit) -> str:
    """A comment is restricted-xml."""
    text = "<message xmlns='jabber:client'><!-- comment --></message>"
    return await _refused(kit, text, "restricted-xml", "not-well-formed", what="a comment")


@section.must("WS27 HC24", "RFC 6120 11.1")
async def processing_instructions_are_refused(kit: Kit) -> str:
    """A processing instruction is restricted-xml."""
    text = "<message xmlns='jabber:client'><?php echo 1 ?></message>"
    return await _refused(kit, text, "restricted-xml", "not-well-formed", what="a processing instruction")


@section.must("WS27 HC24", "RFC 6120 11.1")
async def entities_are_refused(kit: Kit) -> str:
    """A DTD with entities is restricted-xml."""
    text = "<!DOCTYPE m [<!ENTITY a 'aaaaaaaaaa'>]><message xmlns='jabber:client'><body>&a;</body></message>"
    return await _refused(kit, text, "restricted-xml", "not-well-formed", what="an entity")


@section.must("WS3 HC24", "RFC 7395 3.2, RFC 6455 7.4.1")
async def binary_messages_are_refused(kit: Kit) -> str:
    """A binary message closes the WebSocket, with 1003 or after a stream error."""
    ws = await _opened(kit)
    await ws.send(message(kit.domain, "binary").encode())
    return await _closed(ws, {1003}, "a binary message")


@section.must("WS3 WS25", "RFC 6455 8.1")
async def what_is_not_utf_8_is_refused(kit: Kit) -> str:
    """A text message that is not UTF-8 fails the connection, with 1007 or after a stream error."""
    ws = await _opened(kit)
    await ws.socket.send(b"<message xmlns='jabber:client'><body>caf\xe9</body></message>", text=True)
    return await _closed(ws, {1007}, "a lone byte E9")


async def _closed(ws: Ws, codes: set[int], what: str) -> str:
    """The WebSocket is closed with one of *codes*, or a stream error came before <close/>."""
    seen = len(ws.frames)
    try:
        code = await ws.closing(4.0)
    except Fails:
        names = [frame.name for frame in ws.frames[seen:]]
        if STREAM_ERROR in names:
            return "a stream error, then <close/>"
        raise Fails(f"{what}: neither closed nor refused") from None
    errors = [frame for frame in ws.frames[seen:] if frame.name == STREAM_ERROR]
    expect(errors or code in codes, f"{what}: closed with {code}")
    return f"{stream_condition(errors[0].element) if errors else 'closed'}, {code}"


@section.must("WS9", "RFC 7395 3.3.2")
async def close_in_another_namespace_is_refused(kit: Kit) -> str:
    """<close/> in another namespace does not close the stream in order."""
    ws = await _opened(kit)
    await ws.send("<close xmlns='urn:other'/>")
    frame = await ws.poll(2.0)
    if frame is None:
        return "not taken for <close/>"
    expect(frame.name != CLOSE, "it is answered with <close/>, and no stream error")
    return str(frame)
