"""Messages in both directions: RFC 7395 sections 3.2, 3.3, 3.8, 3.10."""

import asyncio

from boshgate.conformance.check import NotOffered, Section, Transport, expect, offered
from boshgate.conformance.kit import Kit
from boshgate.conformance.login import authenticate
from boshgate.conformance.websocket import OPEN, STREAM_ERROR, Ws, expect_stream_error
from boshgate.conformance.xml import (
    LANG,
    attributes_of,
    condition_of,
    iq,
    message,
    named,
    ping,
    quoteattr,
    tag,
    written,
)
from boshgate.namespaces import CLIENT, COMPRESS, SASL, SM3, TLS

section = Section("WebSocket messages", Transport.WEBSOCKET, prefix="websocket_frames")

BURST = 20


async def _burst(kit: Kit) -> Ws:
    """A stream on which many messages came at once."""
    ws = await kit.ws_login()
    await kit.echo(ws)
    for number in range(BURST):
        await ws.send(message(ws.jid, f"burst{number}"))
    await ws.wait_for(named(f"burst{BURST - 1}"), f"the last of {BURST} messages")
    return ws


@section.must("WS3 WS5", "RFC 7395 3.2, 3.3.3", login=True)
async def every_message_is_text_that_starts_with_an_element(kit: Kit) -> str:
    """Every message is text, and its first character is '<'; white space is never sent."""
    ws = await _burst(kit)
    for frame in ws.frames:
        expect(isinstance(frame.data, str), f"a binary message: {frame}")
        expect(str(frame.data[:1]) == "<", f"a message starts with {frame.data[:20]!r}")
        expect(str(frame.data[:5]) != "<?xml", "a message has an XML declaration")
    return f"{len(ws.frames)} messages"


@section.must("WS4 HC17", "RFC 7395 3.3.3", login=True)
async def every_message_is_one_document(kit: Kit) -> str:
    """Every message is one element, complete by itself, though many come at once."""
    ws = await _burst(kit)
    for frame in ws.frames:
        frame.element  # noqa: B018  # fails the check where it is not one document
    found = [frame.element.get("id") for frame in ws.frames]
    order = [name for name in found if name and name.startswith("burst")]
    expect(order == [f"burst{number}" for number in range(BURST)], f"{' '.join(order)}")
    return f"{len(ws.frames)} messages, in order"


@section.must("WS7 W8 HC16", "RFC 7395 3.3.3", login=True)
async def stanzas_come_in_jabber_client(kit: Kit) -> str:
    """Stanzas declare xmlns='jabber:client', and so do their children."""
    ws = await kit.ws_login()
    answer = await ws.exchange(ping("p", kit.domain), named("p"), "the answer to a ping")
    expect(tag(answer) == f"{{{CLIENT}}}iq", f"the iq is {tag(answer)}")
    echo = await ws.exchange(message(ws.jid, "m"), named("m"), "a message to oneself")
    expect(tag(echo) == f"{{{CLIENT}}}message", f"the message is {tag(echo)}")
    expect(echo.find(f"{{{CLIENT}}}body") is not None, f"its <body> is elsewhere: {written(echo)}")
    return "iq and message"


@section.must("WS7 HC16", "RFC 7395 3.3.3", login=True)
async def languages_are_declared(kit: Kit) -> str:
    """Each message has the language of the server's stream, where it has none of its own."""
    ws = await kit.ws_login()
    opened = [frame.element for frame in ws.frames if frame.name == OPEN]
    offered(opened[-1].get(LANG), "the server's stream has no xml:lang")
    answer = await ws.exchange(
        iq("get", "lang", "<query xmlns='urn:example:nobody-knows'/>", kit.domain), named("lang"), "the error"
    )
    expect(answer.get(LANG), f"no xml:lang on {written(answer)}")
    return f"xml:lang='{answer.get(LANG)}'"


@section.must("W11 HC17", "XML 1.0 2.4", login=True)
async def text_is_not_changed(kit: Kit) -> str:
    """Escapes, quotes and characters of four bytes arrive as they were sent."""
    ws = await kit.ws_login()
    await kit.echo(ws)
    text = "<>&'\" ]]> \U0001f600 ÿ é \t|"
    echo = await ws.exchange(message(ws.jid, "text", text), named("text"), "the message")
    found = echo.findtext(f"{{{CLIENT}}}body")
    expect(found == text, f"{found!r} instead of {text!r}")
    return "came back unchanged"


@section.must("W10 WS7", "RFC 6120 4.8.5", login=True)
async def prefixes_are_kept(kit: Kit) -> str:
    """A prefix in a stanza arrives declared."""
    ws = await kit.ws_login()
    await kit.echo(ws)
    extra = "<x:mark xmlns:x='urn:example:x' at='1'/>"
    echo = await ws.exchange(message(ws.jid, "pre", "hello", extra), named("pre"), "the message")
    mark = echo.find("{urn:example:x}mark")
    expect(mark is not None and mark.get("at") == "1", f"{written(echo)}")
    return "the element came back in its namespace"


@section.must("WS24", "RFC 6455 5.4", login=True)
async def fragmented_messages_are_taken(kit: Kit) -> str:
    """A message in several frames is one message."""
    ws = await kit.ws_login()
    text = ping("fragments", kit.domain)
    await ws.send([text[:10], text[10:30], text[30:]])
    await ws.wait_for(named("fragments"), "the answer to a ping in 3 fragments")
    return "3 fragments"


@section.must("WS21", "RFC 6455 5.5.2")
async def pings_are_answered(kit: Kit) -> str:
    """A Ping frame is answered with Pong."""
    ws = await kit.websocket()
    await ws.open()
    waiter = await ws.socket.ping()
    reader = asyncio.create_task(ws.poll(5.0))
    try:
        async with asyncio.timeout(5.0):
            await waiter
    except TimeoutError:
        expect(False, "no Pong within 5 s")
    finally:
        reader.cancel()
        await asyncio.wait([reader])
    return "Pong"


@section.must("WS24", "RFC 6120 13.12", login=True)
async def ten_thousand_bytes_are_taken(kit: Kit) -> str:
    """A stanza of 10000 bytes is never too large."""
    ws = await kit.ws_login()
    await kit.echo(ws)
    text = message(ws.jid, "big", "x" * (10_000 - len(message(ws.jid, "big", ""))))
    await ws.exchange(text, named("big"), "a message of 10000 bytes")
    return f"{len(text)} bytes there and back"


@section.practice("F9 WS24 HC24", "XEP-0478 3.1")
async def announced_limits_are_kept(kit: Kit) -> str:
    """A stanza above the limit that the features announce (XEP-0478) is refused, one below is not."""
    ws = await kit.websocket()
    _, features = await ws.open()
    found = features.findtext("{urn:xmpp:stream-limits:0}limits/{urn:xmpp:stream-limits:0}max-bytes")
    if found is None or not found.isdecimal() or int(found) > 4 << 20:
        raise NotOffered(f"no limit to try is announced: {found or 'none'}")
    await ws.send(f"<auth xmlns='{SASL}' mechanism='NONE'>{'A' * int(found)}</auth>")
    code = await ws.closing()
    errors = [frame for frame in ws.frames if frame.root is not None and frame.name == STREAM_ERROR]
    expect(errors or code == 1009, f"closed with {code}")
    return f"{found} bytes"


@section.may("WS26", "RFC 7692", login=True)
async def compression_works_where_agreed(kit: Kit) -> str:
    """With permessage-deflate, where the endpoint agrees to it, messages are the same."""
    ws = await kit.ws_login(compression="deflate")
    names = [extension.name for extension in ws.socket.protocol.extensions]
    offered(names, "permessage-deflate is declined")
    await kit.echo(ws)
    text = "a" * 2000
    echo = await ws.exchange(message(ws.jid, "deflate", text), named("deflate"), "the message")
    expect(echo.findtext(f"{{{CLIENT}}}body") == text, "the text was changed")
    return ", ".join(names)


@section.practice("W9", "clients: tsung", login=True)
async def stanzas_without_namespace_are_understood(kit: Kit) -> str:
    """A stanza without xmlns is taken for jabber:client, or the stream ends with an error; it is not lost."""
    ws = await kit.ws_login()
    await ws.send(f"<iq type='get' id='bare' to={quoteattr(kit.domain)}><ping xmlns='urn:xmpp:ping'/></iq>")
    frame = await ws.receive()
    if frame.name == STREAM_ERROR:
        return "refused with a stream error"
    expect(frame.element.get("id") == "bare", f"{frame}")
    expect(tag(frame.element) == f"{{{CLIENT}}}iq", f"answered in {tag(frame.element)}")
    return "answered"


@section.must("WS23 SM1", "RFC 7395 3.10, XEP-0198 4", login=True)
async def stream_management_passes_through(kit: Kit) -> str:
    """XEP-0198: <enable/> and <r/> are answered by the server, with the right count."""
    ws = await kit.ws_login()
    features = [frame.element for frame in ws.frames if frame.name.endswith("}features")][-1]
    offered(features.find(f"{{{SM3}}}sm") is not None, "the server offers no stream management (XEP-0198)")
    await ws.exchange(
        f"<enable xmlns='{SM3}'/>", lambda element: tag(element) == f"{{{SM3}}}enabled", "<enabled/>"
    )
    for number in range(2):
        await ws.exchange(ping(f"sm{number}", kit.domain), named(f"sm{number}"), "the answer to a ping")
    answer = await ws.exchange(
        f"<r xmlns='{SM3}'/>", lambda element: tag(element) == f"{{{SM3}}}a", "an answer to <r/>"
    )
    expect(attributes_of(answer).get("h") == "2", f"{written(answer)} after 2 stanzas")
    return "h='2' after 2 stanzas"


@section.must("B13 F11", "RFC 6120 6.4.5", login=True)
async def a_failed_login_may_be_tried_again(kit: Kit) -> str:
    """A SASL <failure/> is passed on and does not end the stream."""
    ws = await kit.websocket()
    _, features = await ws.open()
    failure = await ws.exchange(
        f"<auth xmlns='{SASL}' mechanism='NO-SUCH-MECHANISM'>AAAA</auth>",
        lambda element: tag(element).startswith(f"{{{SASL}}}"),
        "<failure/>",
    )
    expect(tag(failure) == f"{{{SASL}}}failure", f"{written(failure)}")
    await authenticate(ws.exchange, features, kit.account)
    return "failed, then logged in"


@section.must("E16", "RFC 6120 8.3", login=True)
async def stanza_errors_are_passed_on(kit: Kit) -> str:
    """An error stanza is like any other, and the stream goes on."""
    ws = await kit.ws_login()
    question = iq("get", "err", "<query xmlns='urn:example:nobody-knows'/>", kit.domain)
    error = await ws.exchange(question, named("err"), "the error")
    expect(error.get("type") == "error", f"{written(error)}")
    await ws.exchange(ping("after", kit.domain), named("after"), "the answer to a ping")
    return str(condition_of(error))


async def _never(kit: Kit, text: str, unwanted: str) -> str:
    ws = await kit.websocket()
    await ws.open()
    await ws.send(text)
    frame = await ws.poll(2.0)
    expect(frame is None or frame.name != unwanted, f"{frame}")
    return str(frame) if frame is not None else "no answer"


@section.practice("WS22 HC24", "RFC 7395 3.9")
async def a_client_never_starts_tls(kit: Kit) -> str:
    """A client's <starttls/> never makes the stream behind start TLS."""
    return await _never(kit, f"<starttls xmlns='{TLS}'/>", f"{{{TLS}}}proceed")


@section.practice("B8 HC24", "XEP-0138 3")
async def a_client_never_starts_compression(kit: Kit) -> str:
    """A client's <compress/> never compresses the stream behind."""
    text = f"<compress xmlns='{COMPRESS}'><method>zlib</method></compress>"
    return await _never(kit, text, f"{{{COMPRESS}}}compressed")


@section.must("WS13 E9", "RFC 7395 3.5", login=True)
async def a_stream_error_is_passed_on(kit: Kit) -> str:
    """A stream error of the server comes whole, in a message of its own, then <close/>."""
    first = await kit.ws_login()
    await kit.echo(first)
    resource = first.jid.partition("/")[2]
    second = await kit.ws_login(resource=resource)
    if second.jid != first.jid:
        raise NotOffered("the server does not let another session take a resource")
    await expect_stream_error(first, "conflict", what="a resource that another session took")
    return "conflict, then <close/>"
