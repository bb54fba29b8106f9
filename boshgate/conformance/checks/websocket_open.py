"""Handshake and stream header: RFC 7395 sections 3.1 to 3.4, and restarts (3.7)."""

from websockets.exceptions import InvalidStatus

from boshgate.conformance.check import Fails, NotOffered, Section, Transport, expect, offered
from boshgate.conformance.kit import Kit
from boshgate.conformance.login import authenticate, bind
from boshgate.conformance.websocket import FEATURES, OPEN, STREAM_ERROR, Ws, close, opening
from boshgate.conformance.xml import LANG, written
from boshgate.namespaces import COMPRESS_FEATURE, FRAMING, TLS

section = Section("WebSocket opening", Transport.WEBSOCKET, prefix="websocket_open")


@section.must("WS1", "RFC 7395 3.1")
async def the_subprotocol_is_xmpp(kit: Kit) -> str:
    """A handshake that offers 'xmpp' is answered with exactly that subprotocol."""
    ws = await kit.websocket()
    expect(ws.socket.subprotocol == "xmpp", f"Sec-WebSocket-Protocol: {ws.socket.subprotocol}")
    return "xmpp"


@section.must("WS1", "RFC 7395 3.1, RFC 6455 4.2.2")
async def xmpp_is_chosen_from_a_list(kit: Kit) -> str:
    """Among several subprotocols 'xmpp' is chosen."""
    ws = await kit.websocket(subprotocols=("v1.example", "xmpp", "v2.example"))
    expect(ws.socket.subprotocol == "xmpp", f"Sec-WebSocket-Protocol: {ws.socket.subprotocol}")
    return "xmpp"


@section.practice("WS1", "RFC 7395 3.1")
async def without_the_subprotocol_there_is_no_stream(kit: Kit) -> str:
    """Where 'xmpp' was not offered the handshake is refused: the client would have to close at once."""
    for offer in ((), ("v1.example",)):
        try:
            ws = await kit.handshake(subprotocols=offer)
        except InvalidStatus as error:
            expect(error.response.status_code >= 400, f"HTTP {error.response.status_code}")
        else:
            raise Fails(f"accepted with Sec-WebSocket-Protocol: {ws.socket.subprotocol or 'absent'}")
    return "refused"


@section.must("WS10", "RFC 7395 3.4")
async def the_client_speaks_first(kit: Kit) -> str:
    """The server says nothing before the client's <open/>."""
    frame = await (await kit.websocket()).poll(1.0)
    expect(frame is None, f"it says {frame}")
    return "silent for 1 s"


@section.must("WS10 WS11", "RFC 7395 3.4")
async def open_is_answered_with_open(kit: Kit) -> str:
    """The first message of the server is <open/> in the namespace of framing."""
    ws = await kit.websocket()
    await ws.send(opening(kit.domain))
    frame = await ws.receive()
    expect(frame.name == OPEN, f"{frame}")
    return str(frame)


@section.must("WS11", "RFC 7395 3.4, RFC 6120 4.7")
async def open_has_from_id_and_version(kit: Kit) -> str:
    """The server's <open/> has its domain, a stream id of its own, and version 1.0."""
    ids = set()
    for _ in range(2):
        opened, _ = await (await kit.websocket()).open()
        expect(opened.get("from") == kit.domain, f"from={opened.get('from')!r}")
        expect(opened.get("version") == "1.0", f"version={opened.get('version')!r}")
        expect(opened.get("id"), "no id")
        ids.add(opened.get("id"))
    expect(len(ids) == 2, "two streams have one id")
    return f"from='{kit.domain}' version='1.0' and an id"


@section.should("WS11", "RFC 6120 4.7.4")
async def open_has_a_language(kit: Kit) -> str:
    """The server's <open/> has the xml:lang of its stream, where the server says one."""
    opened, _ = await (await kit.websocket()).open()
    found = opened.get(LANG)
    offered(found, "no xml:lang, and it is the server that gives it")
    return f"xml:lang='{found}'"


@section.must("WS11", "RFC 6120 4.7.2")
async def open_has_to_where_the_client_had_from(kit: Kit) -> str:
    """'to' is the client's 'from' (its bare JID) where it gave one, and is absent where not."""
    opened, _ = await (await kit.websocket()).open()
    expect(opened.get("to") is None, f"to={opened.get('to')!r} although the client gave no 'from'")
    user = kit.target.account.user if kit.target.account else None
    if user is None:
        raise NotOffered("needs an account, for a 'from' that is true")
    jid = f"{user}@{kit.domain}"
    opened, _ = await (await kit.websocket()).open(**{"from": jid})
    expect(opened.get("to") in (jid, None), f"to={opened.get('to')!r} instead of {jid}")
    offered(opened.get("to"), "no 'to' in answer to 'from'")
    return f"to='{jid}'"


@section.must("WS8 F11", "RFC 7395 3.3.3")
async def features_follow_in_a_message_of_their_own(kit: Kit) -> str:
    """The second message is the features, parsable by themselves."""
    ws = await kit.websocket()
    await ws.send(opening(kit.domain))
    await ws.receive()
    frame = await ws.receive()
    expect(frame.name == FEATURES, f"{frame}")
    return "the second message"


@section.practice("WS8", "clients: strophe.js")
async def features_are_prefixed(kit: Kit) -> str:
    """The features are written <stream:features>: old clients look for that very tag."""
    _, features = await (await kit.websocket()).open()
    expect(features.prefix == "stream", f"the prefix is {features.prefix!r}")
    return "<stream:features>"


@section.must("WS22 F1", "RFC 7395 3.9")
async def tls_is_not_offered(kit: Kit) -> str:
    """The features have no <starttls/>: TLS is the WebSocket's."""
    _, features = await (await kit.websocket()).open()
    expect(features.find(f"{{{TLS}}}starttls") is None, f"{written(features)}")
    return "no <starttls/>"


@section.practice("F2", "XEP-0138 1")
async def stream_compression_is_not_offered(kit: Kit) -> str:
    """The features have no stream compression: messages of a WebSocket cannot be a compressed stream."""
    _, features = await (await kit.websocket()).open()
    expect(features.find(f"{{{COMPRESS_FEATURE}}}compression") is None, f"{written(features)}")
    return "no <compression/>"


@section.must("WS17 B10", "RFC 7395 3.7", login=True)
async def a_user_can_log_in(kit: Kit) -> str:
    """SASL, a new <open/> on the same WebSocket, and resource binding work."""
    return f"as {(await kit.ws_login()).jid}"


@section.must("WS17", "RFC 7395 3.7", login=True)
async def a_restart_is_a_new_stream(kit: Kit) -> str:
    """After the login the second <open/> is answered with another id, and other features."""
    ws = await kit.websocket()
    first, before = await ws.open()
    await authenticate(ws.exchange, before, kit.account)
    second, after = await ws.open()
    expect(second.get("id") and second.get("id") != first.get("id"), "the id is the one of the first stream")
    expect(written(before, 9999) != written(after, 9999), "the features are the same as before")
    await bind(ws.exchange, after)
    return "another id, other features"


@section.practice("WS6", "RFC 7395 3.3.3")
async def an_xml_declaration_is_tolerated(kit: Kit) -> str:
    """A client's message may begin with <?xml version='1.0'?>: it is not recommended, not forbidden."""
    ws = await kit.websocket()
    await ws.send("<?xml version='1.0' encoding='UTF-8'?>" + opening(kit.domain))
    frame = await ws.receive()
    expect(frame.name == OPEN, f"{frame}")
    return "answered with <open/>"


@section.practice("WS11 WS9", "clients: @xmpp/client, tsung")
async def what_clients_add_is_tolerated(kit: Kit) -> str:
    """Unknown attributes, a prefix for the namespace, and an Origin without a scheme refuse nobody."""
    ws: Ws = await kit.websocket(origin="127.0.0.1")
    await ws.send(f"<f:open xmlns:f='{FRAMING}' to='{kit.domain}' version='1.0' q='1'/>")
    frame = await ws.receive()
    expect(frame.name == OPEN, f"{frame}")
    return "answered with <open/>"


@section.practice("WS28", "RFC 7395 3.6")
async def close_before_open_is_answered(kit: Kit) -> str:
    """<close/> before any <open/>, or right after it, is answered with <close/>."""
    for first in ((), (opening(kit.domain),)):
        ws = await kit.websocket()
        for text in (*first, close()):
            await ws.send(text)
        names = {frame.name for frame in await ws.wait_for_close()}
        allowed = {OPEN, FEATURES} if first else {OPEN, STREAM_ERROR}
        expect(names <= allowed, f"{' '.join(names)} came before <close/>")
    return "answered with <close/>"
