"""Hard corners 17, 20, 21, 22 and 24 over a real WebSocket: framing, opening, closing, hostile frames."""

import asyncio
from xml.etree import ElementTree

import pytest

from tests.backend.scripted import Peer
from tests.support.memory import flat
from tests.web.conftest import MakeFront
from tests.web.front import (
    CLOSE,
    DOMAIN,
    DOWN,
    ENABLED,
    END,
    FRAMING,
    OPEN,
    Chat,
    Front,
    Talk,
    XmppServer,
    eventually,
    message,
    open_websocket,
)

STREAM = "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'"
LIMIT = 10_000


@pytest.mark.rule("HC17", "WS4", "WS5", "WS20")
async def test_hc17_segmentation_of_the_servers_stream(conversation: tuple[Talk, Peer]) -> None:
    talk, peer = conversation
    await peer.says("<message id='a1'/><presence id='a2'/><iq id='a3'/>", " ")
    whole = "<message id='a4'><body>\U0001f600<![CDATA[<]]></body></message>".encode()
    await peer.says(*[whole[at : at + 1] for at in range(len(whole))], "\n  ", END)
    received = [await talk.hears("<") for _ in range(4)]
    await talk.hears(CLOSE)  # and nothing for white space
    assert [ElementTree.fromstring(text).get("id") for text in received] == ["a1", "a2", "a3", "a4"]
    assert ElementTree.fromstring(received[3])[0].text == "\U0001f600<"


@pytest.mark.rule("HC20", "WS9", "WS10", "WS12")
@pytest.mark.parametrize(
    ("first", "from_", "condition"),
    [
        (OPEN.replace(DOMAIN, "unknown.example"), "", "host-unknown"),
        (OPEN.replace(DOMAIN, DOWN), DOWN, "remote-connection-failed"),
        (f"{STREAM} to='{DOMAIN}' version='1.0'>", "", "invalid-namespace"),
        (f"<open xmlns='wrong' to='{DOMAIN}' version='1.0'/>", "", "invalid-namespace"),
        (f"<open xmlns='jabber:client' to='{DOMAIN}' version='1.0'/>", "", "invalid-namespace"),
    ],
)
@pytest.mark.parametrize("answers", [True, False])
async def test_hc20_error_while_opening(
    front: Front, xmpp_server: XmppServer, first: str, from_: str, condition: str, answers: bool
) -> None:
    talk = Talk(await front.websocket())
    await talk.says(first)
    opened = ElementTree.fromstring(await talk.hears(f"<open xmlns='{FRAMING}'"))
    # RFC 6120 4.9.1.3: where the domain is not known to be ours, "from" is empty.
    assert (opened.get("from"), opened.get("version")) == (from_, "1.0")
    assert opened.get("id")
    await talk.hears_error(condition)
    if answers:
        await talk.says(CLOSE)
    assert await talk.hears_end() == 1000
    assert xmpp_server.connections == 0


@pytest.mark.rule("HC21", "WS14")
async def test_hc21_client_closes(front: Front, conversation: tuple[Talk, Peer]) -> None:
    talk, peer = conversation
    await talk.says(message(1), CLOSE)
    assert await peer.hears(END) == message(1) + END
    await peer.says("<message id='a1'/><message id='a2'/>")
    await talk.hears("<message xmlns='jabber:client' id='a1'", "<message xmlns='jabber:client' id='a2'")
    await peer.says(END)
    await talk.hears(CLOSE)
    assert await talk.leaves() == 1000
    assert await peer.hears_rest() == ""
    await eventually(lambda: not front.gateway.websocket.connections)
    assert front.metric("sessions_closed_total", transport="websocket", reason="client closed") == 1


@pytest.mark.rule("HC21", "WS14", "WS25")
async def test_hc21_server_closes(front: Front, conversation: tuple[Talk, Peer]) -> None:
    talk, peer = conversation
    await peer.says("<message id='a1'/>" + END)
    await talk.hears("<message ", CLOSE)
    with pytest.raises(TimeoutError):  # the client's <close/> is awaited
        await asyncio.wait_for(asyncio.shield(talk.websocket.wait_closed()), 0.05)
    await talk.says(CLOSE)
    assert await talk.hears_end() == 1000
    assert await peer.hears_rest() == END
    await eventually(lambda: not front.gateway.websocket.connections)
    assert front.metric("sessions_closed_total", transport="websocket", reason="server closed") == 1


GRANTED = [
    ENABLED,
    f"<success xmlns='urn:xmpp:sasl:2'><bound xmlns='urn:xmpp:bind:0'>{ENABLED}</bound></success>",
    "<success xmlns='urn:xmpp:sasl:2'><resumed xmlns='urn:xmpp:sm:3' h='0' previd='r1'/></success>",
    "<resumed xmlns='urn:xmpp:sm:3' h='0' previd='r1'/>",
]


@pytest.mark.rule("HC22", "SM5", "WS15")
@pytest.mark.parametrize("granted", GRANTED, ids=["enabled", "bind2", "sasl2 resumed", "resumed"])
async def test_hc22_lost_websocket_leaves_the_stream_resumable(
    conversation: tuple[Talk, Peer], granted: str
) -> None:
    talk, peer = conversation
    await peer.says(granted)
    await talk.hears("<")
    await talk.says(*[message(number) for number in range(20)])
    assert (await peer.hears("id='m10'")).endswith("id='m10'")
    talk.vanishes()
    rest = await peer.hears_rest()
    assert rest.endswith(message(19)), "everything, and no end tag"


@pytest.mark.rule("HC22", "SM5", "SM6")
@pytest.mark.parametrize("granted", GRANTED, ids=["enabled", "bind2", "sasl2 resumed", "resumed"])
@pytest.mark.parametrize("leaves", [True, False])
async def test_hc22_lost_bosh_session_leaves_the_stream_resumable(
    make_front: MakeFront, xmpp_server: XmppServer, granted: str, leaves: bool
) -> None:
    chat = Chat(await make_front(bosh={"inactivity": 0.2}))
    await chat.create()
    peer = await xmpp_server.accept()
    await peer.says(granted)
    await chat.post()
    held = await chat.hold(message(1))
    if leaves:
        await chat.hold(type="terminate")
    else:
        held.cancel()
    assert await peer.hears_rest() == message(1) + (END if leaves else "")


HOSTILE = [
    (
        "<!DOCTYPE a [<!ENTITY b '" + "c" * 1000 + "'>]><a xmlns='b'>" + "&b;" * 1000 + "</a>",
        "restricted-xml",
    ),
    ("<!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/passwd'>]><a xmlns='b'>&b;</a>", "restricted-xml"),
    ("<a xmlns='b'><!-- --></a>", "restricted-xml"),
    ("<a xmlns='b'><?c d?></a>", "restricted-xml"),
    (message(1) + message(2), "not-well-formed"),  # f
    (message(1, "x" * LIMIT), "policy-violation"),
    ("<a xmlns='b'>" + "<c/>" * 2_450 + "</a>", None),
    ("<a xmlns='b'" + "".join(f" c{n}=''" for n in range(1_200)) + "/>", "policy-violation"),  # attack S1
    ("<a xmlns='b'" + "".join(f" xmlns:c{n}='d'" for n in range(600)) + "/>", "policy-violation"),
    ("<a xmlns='b'>" + "<c>" * 1_200 + "</c>" * 1_200 + "</a>", "policy-violation"),
]


@pytest.mark.rule("HC24", "WS24", "WS27")
@pytest.mark.parametrize("opened", [True, False])
@pytest.mark.parametrize(("frame", "condition"), HOSTILE, ids=range(len(HOSTILE)))
async def test_hc24_hostile_frames(
    make_front: MakeFront, xmpp_server: XmppServer, frame: str, condition: str | None, opened: bool
) -> None:  # attack S1, attack S4, attack S20
    front = await make_front(limits={"max_stanza_bytes": LIMIT})
    if opened:
        talk, peer = await open_websocket(front, xmpp_server)
    else:
        talk = Talk(await front.websocket())
        condition = condition or "not-authorized"
    with flat(500_000 + 8 * len(frame)):
        await talk.says(frame)
        if condition is None:
            assert await peer.hears("</a>") == frame
            return
        if not opened:
            await talk.hears("<open ")
        await talk.hears_error(condition)
    await talk.says(CLOSE)
    assert await talk.hears_end() == (1009 if len(frame) > LIMIT else 1000)
    if opened:
        assert await peer.hears_rest() == END, "nothing of it is forwarded, and nothing can be resumed"


@pytest.mark.rule("HC24", "WS3", "WS25")
async def test_hc24f_binary_frame(conversation: tuple[Talk, Peer]) -> None:
    talk, peer = conversation
    await talk.websocket.send(message(1).encode())
    assert await talk.hears_end() == 1003
    assert await peer.hears_rest() == END


@pytest.mark.rule("HC24", "WS22", "B7", "B8")
async def test_hc24g_what_no_server_may_get(conversation: tuple[Talk, Peer]) -> None:
    talk, peer = conversation
    await talk.says("<compress xmlns='http://jabber.org/protocol/compress'><method>zlib</method></compress>")
    failure = await talk.hears("<failure xmlns='http://jabber.org/protocol/compress'>")
    assert "<unsupported-method/>" in failure
    await talk.says(message(1), "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
    await talk.hears("<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>", CLOSE)
    assert await peer.hears_rest() == message(1) + END


@pytest.mark.rule("HC24")
async def test_hc24g_stream_error_of_the_client_ends_its_stream(conversation: tuple[Talk, Peer]) -> None:
    talk, peer = conversation
    await talk.says("<error xmlns='http://etherx.jabber.org/streams'/>")
    await talk.hears(CLOSE)
    assert await peer.hears_rest() == END
