"""Which namespaces the endpoint declares and understands: XEP-0206 section 2, XEP-0124 section 6."""

from boshgate.conformance.bosh import FEATURES
from boshgate.conformance.check import Section, Transport, expect
from boshgate.conformance.kit import Kit
from boshgate.conformance.xml import Element, message, named, ping, quoteattr, tag, written
from boshgate.namespaces import CLIENT, HTTPBIND, STREAMS

section = Section("Namespaces", Transport.BOSH, prefix="namespaces")


@section.must("W7", "XEP-0206 2")
async def features_come_with_the_stream_namespace(kit: Kit) -> str:
    """A body that holds <stream:features/> declares xmlns:stream on the <body/> itself."""
    session = await kit.session()
    features = await session.features()
    body = features.getparent()
    assert body is not None, "a payload is in a body"
    found = body.nsmap.get("stream")
    expect(found == STREAMS, f"xmlns:stream of the <body/>: {found or 'absent'}")
    return "declared"


@section.practice("W7 WS8", "clients: strophe.js")
async def features_are_prefixed(kit: Kit) -> str:
    """The features are written <stream:features>: old clients look for that very tag."""
    features = await (await kit.session()).features()
    expect(features.prefix == "stream", f"the prefix is {features.prefix!r}")
    return "<stream:features>"


@section.must("W8", "XEP-0206 2", login=True)
async def stanzas_come_in_jabber_client(kit: Kit) -> str:
    """A stanza to the client declares xmlns='jabber:client', and so do its children."""
    session = await kit.login()
    answer = await session.exchange(ping("p", kit.domain), named("p"), "the answer to a ping")
    expect(tag(answer) == f"{{{CLIENT}}}iq", f"the iq is {tag(answer)}")
    echo = await session.exchange(message(session.jid, "m"), named("m"), "a message to oneself")
    expect(tag(echo) == f"{{{CLIENT}}}message", f"the message is {tag(echo)}")
    expect(echo.find(f"{{{CLIENT}}}body") is not None, f"its <body> is elsewhere: {written(echo)}")
    return "iq and message"


@section.should("W9", "XEP-0206 2, note", login=True)
async def stanzas_without_namespace_are_understood(kit: Kit) -> str:
    """A client's stanza without xmlns, and all in it, is taken for jabber:client (xmpp4r, tsung)."""
    session = await kit.login()
    await kit.echo(session)
    text = f"<message to={quoteattr(session.jid)} type='headline' id='bare'><body>hello</body></message>"
    echo = await session.exchange(text, named("bare"), "the message without xmlns")
    found = [tag(element) for element in echo.iter() if HTTPBIND in tag(element)]
    expect(not found, f"came back in the namespace of BOSH: {' '.join(found)}")
    expect(echo.findtext(f"{{{CLIENT}}}body") == "hello", f"its text is lost: {written(echo)}")
    return "came back in jabber:client"


@section.must("W10 HC16", "RFC 6120 4.8.5", login=True)
async def prefixes_of_the_body_are_kept(kit: Kit) -> str:
    """A prefix that is declared on the <body/> and used in a payload arrives declared."""
    session = await kit.login()
    await kit.echo(session)
    text = message(session.jid, "pre", "hello", "<x:mark at='1'/>")
    since = len(session.received)
    await session.ask(text, {"xmlns:x": "urn:example:x"})
    echo = await session.wait_for(named("pre"), "the message with a prefix", since)
    mark = echo.find("{urn:example:x}mark")
    expect(mark is not None and mark.get("at") == "1", f"the prefixed element is lost: {written(echo)}")
    return "the element came back in its namespace"


@section.must("W11 HC16", "XML 1.0 2.4", login=True)
async def text_is_not_changed(kit: Kit) -> str:
    """Escapes, quotes and characters of four bytes arrive as they were sent."""
    session = await kit.login()
    await kit.echo(session)
    text = "<>&'\" ]]> \U0001f600 ÿ é \t|"
    echo = await session.exchange(message(session.jid, "text", text), named("text"), "the message")
    found = echo.findtext(f"{{{CLIENT}}}body")
    expect(found == text, f"{found!r} instead of {text!r}")
    return "came back unchanged"


@section.should("W6", "XEP-0206 2", login=True)
async def kinds_of_payload_are_not_mixed(kit: Kit) -> str:
    """Features, SASL elements and stanzas come in bodies of their own."""
    session = await kit.login()
    for body in {element.getparent() for element in session.received}:
        assert body is not None, "a payload is in a body"
        kinds = {_kind(element) for element in body}
        expect(len(kinds) == 1, f"one body has {' and '.join(sorted(kinds))}")
    return "none was mixed in a login"


def _kind(element: Element) -> str:
    if tag(element) == FEATURES:
        return "features"
    return "stanzas" if tag(element).startswith(f"{{{CLIENT}}}") else "SASL"
