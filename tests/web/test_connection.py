"""XMPP over WebSocket (RFC 7395) from the client's frames to the server's stream and back."""

import re

import pytest

from tests.backend.scripted import FEATURES, HEADER, PATIENCE, Peer, header
from tests.web.conftest import MakeFront
from tests.web.front import (
    CLOSE,
    DOMAIN,
    END,
    FRAMING,
    OPEN,
    SUCCESS,
    Front,
    Talk,
    XmppServer,
    eventually,
    message,
)

STREAM = "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'"


# --- Opening (RFC 7395 section 3.4) ---------------------------------------------------------------------


@pytest.mark.rule("WS11")
async def test_open_is_answered_by_the_servers_header(front: Front, xmpp_server: XmppServer) -> None:
    talk = Talk(await front.websocket())
    await talk.says(OPEN)
    assert await talk.hears("<open ") == f"<open xmlns='{FRAMING}' from='example.org' id='s1' version='1.0'/>"
    features = await talk.hears("<stream:features ")
    assert "xmlns:stream='http://etherx.jabber.org/streams'" in features  # WS8
    assert "<mechanism>PLAIN</mechanism>" in features
    await xmpp_server.accept()
    assert f" to='{DOMAIN}' " in xmpp_server.headers[0]


@pytest.mark.rule("WS11", "T12", "T14")
@pytest.mark.parametrize("from_", ["a@example.org", "a@example.org/web"])
async def test_who_the_client_said_it_is_comes_back(
    front: Front, xmpp_server: XmppServer, from_: str
) -> None:
    talk = Talk(await front.websocket())
    await talk.says(OPEN.replace("version", f"from='{from_}' xml:lang='de' version"))
    assert " to='a@example.org' " in await talk.hears("<open ")  # RFC 6120 4.7.2: the bare JID
    await xmpp_server.accept()
    assert "xml:lang='de'" in xmpp_server.headers[0]
    assert "from='a@example.org'" in xmpp_server.headers[0]


@pytest.mark.rule("WS11")
@pytest.mark.parametrize(
    ("header", "opened"),
    [
        (
            header(id="++TR84=", xml_lang="fr", to="a@example.org"),
            "from='example.org' id='++TR84=' version='1.0' xml:lang='fr'",
        ),
        (header(**{"from": "", "id": "&apos;&lt;"}), "from='example.org' id='&apos;&lt;' version='1.0'"),
        (header(**{"from": "other.example"}), "from='other.example' id='s1' version='1.0'"),
    ],
)
async def test_open_has_what_the_server_said_and_nothing_else(
    make_front: MakeFront, header: str, opened: str
) -> None:
    """RFC 6120 4.7.1: "from" always; 4.7.2: no "to" for a client that gave no "from"."""
    async with XmppServer(negotiates=False) as server:
        front = await make_front(server)
        talk = Talk(await front.websocket())
        await talk.says(OPEN)
        peer = await server.accept()
        await peer.hears_header()
        assert not await talk.has_news(), "not before the server has"
        await peer.says(header + FEATURES)
        assert await talk.hears("<open ") == f"<open xmlns='{FRAMING}' {opened}/>"


@pytest.mark.rule("WS10")
@pytest.mark.parametrize("version", ["1.0", "1.1", "01.0", "1.10", "2.0", "11.0"])
async def test_a_newer_version_gets_ours(front: Front, xmpp_server: XmppServer, version: str) -> None:
    """RFC 6120 4.7.5: the lower of the two is answered, and numbers are compared, not strings."""
    talk = Talk(await front.websocket())
    await talk.says(OPEN.replace("1.0", version))
    assert " version='1.0'" in await talk.hears("<open ")
    await talk.hears("<stream:features ")
    await xmpp_server.accept()
    assert " version='1.0'" in xmpp_server.headers[0]


@pytest.mark.rule("WS7", "WS11")
async def test_frames_inherit_the_language_of_the_stream(make_front: MakeFront) -> None:
    async with XmppServer(negotiates=False) as server:
        front = await make_front(server)
        talk = Talk(await front.websocket())
        await talk.says(OPEN)
        peer = await server.accept()
        await peer.hears_header()
        await peer.says(HEADER.replace(" id=", " xml:lang='fr' id=") + FEATURES, "<message/>")
        assert "xml:lang='fr'" in await talk.hears("<open ")
        assert " xml:lang='fr'" in await talk.hears("<stream:features ")
        assert await talk.hears("<message") == "<message xmlns='jabber:client' xml:lang='fr'/>"


@pytest.mark.rule("WS12")
async def test_a_domain_that_is_served_no_longer_is_gone(make_front: MakeFront) -> None:
    front = await make_front(server={"former_domains": ("old.example",)})
    talk = Talk(await front.websocket())
    await talk.says(OPEN.replace(DOMAIN, "Old.Example"))
    await talk.hears("<open ")
    await talk.hears_error("host-gone")


@pytest.mark.rule("WS5", "WS9", "WS10", "WS12", "WS27")
@pytest.mark.parametrize(
    ("first", "condition"),
    [
        (OPEN.replace(DOMAIN, "unknown.example"), "host-unknown"),  # HC20
        (OPEN.replace(DOMAIN, "a@b"), "improper-addressing"),
        (OPEN.replace(DOMAIN, ""), "improper-addressing"),
        (f"<open xmlns='{FRAMING}' version='1.0'/>", "improper-addressing"),
        (OPEN.replace("1.0", "0.9"), "unsupported-version"),
        (OPEN.replace(" version='1.0'", ""), "unsupported-version"),
        (OPEN.replace("1.0", "one"), "unsupported-version"),
        ("<message xmlns='jabber:client'/>", "not-authorized"),  # WS10
        ("<r xmlns='urn:xmpp:sm:3'/>", "not-authorized"),
        ("<open xmlns='jabber:client' to='example.org' version='1.0'/>", "invalid-namespace"),  # WS9
        ("<open to='example.org' version='1.0'/>", "invalid-namespace"),
        (f"<?xml version='1.0'?>{STREAM} to='{DOMAIN}'>", "invalid-namespace"),  # tsung
        (f"{STREAM} to='{DOMAIN}'/>", "invalid-namespace"),
        ("", "not-well-formed"),  # WS5
        (" " + OPEN, "not-well-formed"),
        ("\ufeff" + OPEN, "not-well-formed"),
        ("hello", "not-well-formed"),
        (OPEN + OPEN, "not-well-formed"),  # HC24 f
        (OPEN[:-1], "not-well-formed"),
        (OPEN.replace("version", "to='x' version"), "not-well-formed"),
        ("</stream:stream>", "not-well-formed"),  # S20
        (OPEN + "<!-- -->", "restricted-xml"),  # WS27
        (OPEN + "<?pi?>", "restricted-xml"),
        (f"<!DOCTYPE a [<!ENTITY b 'c'>]>{OPEN}", "restricted-xml"),
        (OPEN.replace(DOMAIN, "&unknown;"), "restricted-xml"),
    ],
)
async def test_what_cannot_open_a_stream_gets_open_error_close(
    front: Front, xmpp_server: XmppServer, first: str, condition: str
) -> None:
    talk = Talk(await front.websocket())
    await talk.says(first)
    opened = await talk.hears(f"<open xmlns='{FRAMING}' ")
    # RFC 6120 4.9.1.3: "from" is empty where the client named no host of ours; 4.7.2: it gave no "from".
    host = DOMAIN if condition == "unsupported-version" else ""
    assert re.fullmatch(rf".* from='{host}' id='[^']{{16}}' version='1.0' xml:lang='en'/>", opened)
    await talk.hears_error(condition)
    await talk.says(CLOSE)
    assert await talk.hears_end() == 1000
    assert xmpp_server.connections == 0


@pytest.mark.rule("WS28")
async def test_close_before_open(front: Front, xmpp_server: XmppServer) -> None:
    talk = Talk(await front.websocket())
    await talk.says(CLOSE)
    await talk.hears(CLOSE)
    assert await talk.leaves() == 1000
    assert xmpp_server.connections == 0


@pytest.mark.rule("WS28")
async def test_close_at_once_after_open_leaves_no_connection(make_front: MakeFront) -> None:
    async with XmppServer(negotiates=False) as server:
        front = await make_front(server, limits={"connect_timeout": 2 * PATIENCE})
        talk = Talk(await front.websocket())
        await talk.says(OPEN, CLOSE)
        await talk.hears(CLOSE)
        await eventually(lambda: front.gateway.backends.live == 0)
        assert await talk.leaves() == 1000


async def test_a_client_that_vanishes_while_connecting_leaves_no_connection(make_front: MakeFront) -> None:
    async with XmppServer(negotiates=False) as server:
        front = await make_front(server)
        talk = Talk(await front.websocket())
        await talk.says(OPEN)
        peer = await server.accept()
        talk.vanishes()
        await peer.hears_header()
        assert await peer.hears_rest() == ""


@pytest.mark.rule("P16")
async def test_what_is_sent_too_early_waits_for_the_stream(make_front: MakeFront) -> None:
    async with XmppServer(negotiates=False) as server:
        front = await make_front(server)
        talk = Talk(await front.websocket())
        await talk.says(OPEN, message(1), message(2))
        peer = await server.accept()
        await peer.hears_header()
        await peer.says(HEADER + FEATURES)
        assert await peer.hears("id='m2'><body>hello</body></message>") == message(1) + message(2)


@pytest.mark.rule("WS10", "WS12", "WS22")
@pytest.mark.parametrize(
    "namespace", ["urn:ietf:params:xml:ns:xmpp-tls", "http://jabber.org/protocol/compress"]
)
async def test_what_ends_here_has_no_answer_before_open(make_front: MakeFront, namespace: str) -> None:
    async with XmppServer(negotiates=False) as server:
        talk = Talk(await (await make_front(server)).websocket())
        name = "starttls" if namespace.endswith("tls") else "compress"
        await talk.says(OPEN, f"<{name} xmlns='{namespace}'/>")
        await talk.hears("<open ")
        await talk.hears_error("not-authorized")


async def test_too_much_too_early_is_a_policy_violation(make_front: MakeFront) -> None:
    async with XmppServer(negotiates=False) as server:
        front = await make_front(server, limits={"max_pending_bytes": 10_000, "max_stanza_bytes": 10_000})
        talk = Talk(await front.websocket())
        await talk.says(OPEN, *[message(n, "x" * 9_000) for n in range(3)])
        await talk.hears("<open ")
        await talk.hears_error("policy-violation")
        assert await talk.leaves() == 1000


# --- Restarts (section 3.7) -----------------------------------------------------------------------------


@pytest.mark.rule("WS17")
async def test_a_restart_after_success_is_on_the_same_connection(
    conversation: tuple[Talk, Peer], xmpp_server: XmppServer
) -> None:
    talk, peer = conversation
    await peer.says(SUCCESS)
    await talk.hears("<success ")
    await talk.says(OPEN)
    assert await peer.hears_header() == xmpp_server.headers[0]
    await peer.says(HEADER.replace("s1", "s2") + "<stream:features/>")
    assert " id='s2' " in await talk.hears("<open ")
    await talk.hears("<stream:features ")
    await talk.says(message(1))
    assert await peer.hears("</message>") == message(1)
    assert xmpp_server.connections == 1


@pytest.mark.rule("WS12", "WS17")
async def test_an_error_of_a_restart_comes_after_its_open(conversation: tuple[Talk, Peer]) -> None:
    talk, peer = conversation
    await peer.says(SUCCESS)
    await talk.hears("<success ")
    await talk.says(OPEN)
    await peer.hears_header()
    peer.resets()
    await talk.hears("<open ")
    await talk.hears_error("remote-connection-failed")
    assert await talk.leaves() == 1000


@pytest.mark.rule("WS18")
async def test_a_second_open_without_success_is_a_policy_violation(
    conversation: tuple[Talk, Peer],
) -> None:
    talk, peer = conversation
    await talk.says(OPEN)
    await talk.hears_error("policy-violation")
    assert await peer.hears_rest() == END


async def test_a_restart_is_allowed_once(conversation: tuple[Talk, Peer]) -> None:
    talk, peer = conversation
    await peer.says(SUCCESS)
    await talk.hears("<success ")
    await talk.says(OPEN, OPEN)
    await talk.hears("<open ")
    await talk.hears_error("policy-violation")


@pytest.mark.rule("WS19")
async def test_success_of_sasl2_needs_no_open(conversation: tuple[Talk, Peer]) -> None:
    talk, peer = conversation
    await peer.says("<success xmlns='urn:xmpp:sasl:2'/><stream:features/>")
    await talk.hears("<success ", "<stream:features ")
    await talk.says(OPEN)
    await talk.hears_error("policy-violation")


# --- Messages (section 3.3.3) ---------------------------------------------------------------------------


@pytest.mark.rule("WS23", "WS27", "SM2")
async def test_a_stanza_goes_as_it_is(conversation: tuple[Talk, Peer]) -> None:
    talk, peer = conversation
    stanzas = [
        message(1, "\U0001f600 &#10;&amp;"),
        "<message><body>no namespace</body></message>",
        "<x:y xmlns:x='urn:unknown' a=\"&gt;\"/>",  # WS27: the server's business
        "<r xmlns='urn:xmpp:sm:3'/>",
    ]
    await talk.says(*stanzas)
    assert await peer.hears("<r xmlns='urn:xmpp:sm:3'/>") == "".join(stanzas)


@pytest.mark.rule("WS6", "W12")
async def test_an_xml_declaration_is_not_forwarded(conversation: tuple[Talk, Peer]) -> None:
    talk, peer = conversation
    await talk.says("<?xml version='1.0'?>" + message(1))
    assert await peer.hears("</message>") == message(1)


@pytest.mark.rule("WS24")
async def test_a_message_in_fragments(front: Front, conversation: tuple[Talk, Peer]) -> None:
    talk, peer = conversation
    text = message(1, "\U0001f600")
    await talk.websocket.send([text[:5], text[5:60], text[60:]])
    assert await peer.hears("</message>") == text


@pytest.mark.rule("WS4", "WS5", "WS13", "WS27")
@pytest.mark.parametrize(
    ("bad", "condition"),
    [
        ("<message xmlns='jabber:client'>", "not-well-formed"),
        ("<message xmlns='jabber:client'/><message xmlns='jabber:client'/>", "not-well-formed"),
        ("<message xmlns='jabber:client'/>text", "not-well-formed"),
        (" ", "not-well-formed"),
        ("<a:message/>", "not-well-formed"),
        ("<message xmlns='jabber:client'>\x00</message>", "not-well-formed"),
        ("<message xmlns='jabber:client'><!-- --></message>", "restricted-xml"),
        ("<message xmlns='jabber:client'>&lol;</message>", "restricted-xml"),
        ("</stream:stream><stream:stream>", "not-well-formed"),
        ("<features xmlns='http://etherx.jabber.org/streams'/>", "unsupported-stanza-type"),
        (f"<x xmlns='{FRAMING}'/>", "unsupported-stanza-type"),
        ("<a xmlns='b'>" + "<a>" * 200 + "</a>" * 200 + "</a>", "policy-violation"),
    ],
)
async def test_a_bad_message_ends_the_stream(
    conversation: tuple[Talk, Peer], bad: str, condition: str
) -> None:
    talk, peer = conversation
    await talk.says(message(1), bad, message(2))
    await talk.hears_error(condition)
    await talk.says(CLOSE)
    assert await talk.hears_end() == 1000
    assert await peer.hears_rest() == message(1) + END
