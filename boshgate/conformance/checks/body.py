"""The <body/> wrapper: XEP-0124 section 6, and what XMPP allows in XML (RFC 6120 section 11)."""

from boshgate.conformance.bosh import expect_terminal
from boshgate.conformance.check import Section, Transport, expect
from boshgate.conformance.checks.http import creation
from boshgate.conformance.kit import Kit
from boshgate.conformance.wire import Answer
from boshgate.conformance.xml import message, named, ping, quoteattr
from boshgate.namespaces import CLIENT, HTTPBIND

section = Section("Body", Transport.BOSH, prefix="body")

BAD = "bad-request"


def _expect_bad_request(answer: Answer, what: str) -> str:
    """What cannot be read says nothing of 'ver': it may be refused as for a legacy client (17.1)."""
    if answer.status == 400:
        return "HTTP 400"
    expect_terminal(answer, BAD, what=what)
    return BAD


async def _refused(kit: Kit, text: str | bytes, what: str) -> str:
    """A request that belongs to no session is refused."""
    return _expect_bad_request(await (await kit.http()).request(text), what)


async def _refused_inside(kit: Kit, payload: str, what: str, prolog: str = "") -> str:
    """A request of a session is refused; whoever is the server, too, may do that as for a stream."""
    session = await kit.session(wait="1")
    await session.features()
    body = session.wrap(payload, {"rid": str(session.rid + 1), "sid": session.sid})
    answer = await session.http.request(prolog + body)
    if answer.status == 200:
        expect_terminal(answer, BAD, "remote-stream-error", what=what)
        return str(answer.get("condition"))
    return _expect_bad_request(answer, what)


@section.must("W1", "XEP-0124 6")
async def another_root_is_refused(kit: Kit) -> str:
    """A root that is not <body/> is a bad request."""
    return await _refused(
        kit, f"<nobody xmlns='{HTTPBIND}' rid='1' to={quoteattr(kit.domain)}/>", "<nobody/>"
    )


@section.must("W1", "XEP-0124 6")
async def another_namespace_is_refused(kit: Kit) -> str:
    """A <body/> in another namespace is a bad request."""
    return await _refused(
        kit, f"<body xmlns='urn:other' rid='1' to={quoteattr(kit.domain)}/>", "another namespace"
    )


@section.must("W1", "XEP-0124 6")
async def a_prefixed_body_is_taken(kit: Kit) -> str:
    """<b:body xmlns:b='http://jabber.org/protocol/httpbind'/> is a <body/>."""
    text = " ".join(f"{name}={quoteattr(str(value))}" for name, value in creation(kit).items())
    body = f"<b:body xmlns:b='{HTTPBIND}' xmlns:xmpp='urn:xmpp:xbosh' rid='{1 << 30}' {text}/>"
    session = await kit.bosh()
    answer = await session.http.request(body)
    session.sid, session.rid = answer.get("sid"), 1 << 30
    expect(session.sid, f"no session but {answer}")
    return "a session was created"


@section.must("W1 E1", "XEP-0124 6, 17.2")
async def what_is_not_well_formed_is_refused(kit: Kit) -> str:
    """What is no XML is a bad request."""
    for text in (
        "",
        "hello",
        "<body",
        f"<body xmlns='{HTTPBIND}' rid='1'>",
        f"<body xmlns='{HTTPBIND}'></bod>",
    ):
        await _refused(kit, text, repr(text[:20]))
    return "5 kinds"


@section.must("W2 HC24", "XEP-0124 6")
async def comments_are_refused(kit: Kit) -> str:
    """A comment is a bad request."""
    return await _refused_inside(kit, "<!-- comment -->", "a comment")


@section.must("W2 HC24", "XEP-0124 6")
async def processing_instructions_are_refused(kit: Kit) -> str:
    """A processing instruction is a bad request."""
    return await _refused_inside(kit, "<?php echo 1 ?>", "a processing instruction")


@section.must("W2 HC24", "XEP-0124 6")
async def entities_are_refused(kit: Kit) -> str:
    """An internal DTD subset with entities is a bad request: entities may grow without limit."""
    dtd = "<!DOCTYPE body [<!ENTITY a 'aaaaaaaaaa'><!ENTITY b '&a;&a;&a;&a;&a;'>]>"
    return await _refused_inside(kit, "<message xmlns='jabber:client'>&b;</message>", "an entity", dtd)


@section.must("W2 HC24", "XEP-0124 6")
async def document_types_are_refused(kit: Kit) -> str:
    """An external DTD subset is a bad request, and is never fetched."""
    return await _refused_inside(kit, "", "a DTD", "<!DOCTYPE body SYSTEM 'file:///etc/hostname'>")


@section.must("W3", "XEP-0124 6")
async def text_in_the_body_is_refused(kit: Kit) -> str:
    """Character data directly in <body/> is a bad request."""
    return await _refused_inside(kit, "hello", "text in <body/>")


@section.must("W3", "XEP-0124 6")
async def white_space_in_the_body_is_tolerated(kit: Kit) -> str:
    """White space around the payloads changes nothing: all examples of the XEP have it."""
    session = await kit.session()
    answer = await session.ask("\n  \t\n", {"type": "terminate"})
    expect(answer.is_terminate and answer.get("condition") is None, f"{answer}")
    return "tolerated"


@section.must("W2", "XEP-0124 6", login=True)
async def cdata_and_character_references_are_taken(kit: Kit) -> str:
    """CDATA sections and numeric character references are XML like any other."""
    session = await kit.login()
    text = message(session.jid, "c", "REPLACED").replace("REPLACED", "a&#x1F600;<![CDATA[<&]]>")
    echo = await session.exchange(text, named("c"), "the message with CDATA")
    found = echo.findtext(f"{{{CLIENT}}}body")
    expect(found == "a\U0001f600<&", f"{found!r} came back")
    return "both came back as the characters they stand for"


@section.must("W4", "XEP-0124 6", login=True)
async def several_payloads_keep_their_order(kit: Kit) -> str:
    """Several elements in one body are forwarded in document order."""
    session = await kit.login()
    await kit.echo(session)
    wanted = [f"n{number}" for number in range(10)]
    since = len(session.received)
    await session.ask("".join(message(session.jid, name) for name in wanted))
    await session.wait_for(lambda element: element.get("id") == wanted[-1], "the last of 10 messages", since)
    found = [element.get("id") for element in session.received[since:] if element.get("id") in wanted]
    expect(found == wanted, f"came back as {' '.join(map(str, found))}")
    return "10 messages in order"


@section.must("W5", "XEP-0124 6, 14.1")
async def a_request_without_rid_is_refused(kit: Kit) -> str:
    """Every request has a rid."""
    session = await kit.bosh()
    return await _refused(kit, session.wrap("", creation(kit)), "no rid")


@section.must("W5", "XEP-0124 14.1")
async def a_rid_that_is_no_number_is_refused(kit: Kit) -> str:
    """A rid is a decimal number: not 1e9, not 0x10, not 1.5, not Arabic digits."""
    for rid in ("", "abc", "1e9", "0x10", "1.5", "1 2", "١٢٣"):
        await _refused_rid(kit, rid)
    return "7 kinds"


@section.must("W5", "XEP-0124 14.1")
async def a_rid_that_is_not_positive_is_refused(kit: Kit) -> str:
    """A rid is positive."""
    for rid in ("0", "-1"):
        await _refused_rid(kit, rid)
    return "0 and -1"


@section.must("W5 R11 HC24", "XEP-0124 14.1")
async def a_rid_that_is_too_large_is_refused(kit: Kit) -> str:
    """A rid is never above 9007199254740991."""
    for rid in ("9007199254740992", "99999999999999999999"):
        await _refused_rid(kit, rid)
    return "2^53 and more"


async def _refused_rid(kit: Kit, rid: str) -> None:
    session = await kit.bosh()
    answer = await session.http.request(session.wrap("", creation(kit, rid=rid)))
    if answer.body is not None and answer.body.get("sid"):
        session.sid, session.rid = answer.body.get("sid"), int(rid) if rid.isdecimal() else 0
    expect_terminal(answer, BAD, what=f"rid={rid!r}")


@section.practice("W15", "XEP-0124 22")
async def unknown_attributes_are_ignored(kit: Kit) -> str:
    """Attributes that nobody knows, in any namespace, change nothing."""
    session = await kit.session(unknown="1", secure="true", **{"xmlns:q": "urn:q", "q:unknown": "1"})
    answer = await session.ask(
        attributes={"type": "terminate", "foo": "bar", "xmlns:q": "urn:q", "q:bar": "1"}
    )
    expect(answer.is_terminate and answer.get("condition") is None, f"{answer}")
    return "ignored in creation and later"


@section.should("W14", "XEP-0124 7.1")
async def creation_attributes_of_later_requests_are_ignored(kit: Kit) -> str:
    """wait, hold, ver and xml:lang in a later request neither change the session nor end it."""
    session = await kit.session(wait="2")
    request = session.send(attributes={"wait": "60", "hold": "0", "ver": "1.5", "xml:lang": "de"})
    expect(await request.is_held(0.7), f"hold='0' of a later request is obeyed: {await request.seen()}")
    answer = await request.answer(2 + 3)
    expect(answer.is_empty, f"{answer}")
    return "ignored"


@section.should("H19", "XEP-0124 7.2")
async def what_is_not_utf_8_is_refused(kit: Kit) -> str:
    """A request that is not UTF-8, where no other charset was announced, is a bad request."""
    session = await kit.session()
    charsets = session.granted("charsets")
    body = session.wrap(
        ping("caf\xe9", kit.domain), {"rid": str(session.rid + 1), "sid": session.sid}
    ).encode("latin-1")
    return _expect_bad_request(
        await session.http.request(body), f"a lone byte E9 (charsets: {charsets or 'none'})"
    )


@section.must("H18 W13", "RFC 6120 13.12", login=True)
async def ten_thousand_bytes_are_taken(kit: Kit) -> str:
    """A stanza of 10000 bytes is never too large."""
    session = await kit.login()
    await kit.echo(session)
    text = message(session.jid, "big", "x" * (10_000 - len(message(session.jid, "big", ""))))
    echo = await session.exchange(text, named("big"), "a message of 10000 bytes")
    found = len(echo.findtext(f"{{{CLIENT}}}body") or "")
    return f"{len(text)} bytes there, {found} characters back"


@section.must("E1 X4", "XEP-0124 17.2")
async def bad_xml_ends_no_other_session(kit: Kit) -> str:
    """What cannot be read belongs to no session, so that it can end none."""
    session = await kit.session()
    broken = session.wrap("", {"rid": str(session.rid + 1), "sid": session.sid})[:-3]
    _expect_bad_request(await session.http.request(broken), "half a body")
    expect(await session.is_alive(), "the session is over")
    return "the session whose sid was in it goes on"
