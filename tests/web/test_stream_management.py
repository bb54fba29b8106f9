"""XEP-0198 over both transports: the gateway counts nothing, adds nothing and loses nothing."""

import asyncio
import re

import pytest

from tests.backend.scripted import Peer
from tests.web.conftest import MakeFront
from tests.web.front import ENABLED, END, Chat, Front, XmppServer, eventually, message
from tests.web.lines import BoshLine, Line, SessionEndedError, WebSocketLine, open_line

SM = "xmlns='urn:xmpp:sm:3'"
ENABLE = f"<enable {SM} resume='true'/>"
COUNT = 60


@pytest.fixture(params=["websocket", "bosh"])
async def alice(request: pytest.FixtureRequest, front: Front, xmpp_server: XmppServer) -> tuple[Line, Peer]:
    """A client over each transport with stream management on, and her server."""
    line, peer = await open_line(request.param, front, xmpp_server)
    await line.says(ENABLE)
    assert await peer.hears("/>") == ENABLE
    await peer.says(ENABLED)
    assert await line.hears("<enabled ") == ENABLED
    return line, peer


@pytest.mark.rule("SM1", "SM10", "WS23", "WS4")
async def test_questions_and_answers_pass_and_none_is_ours(alice: tuple[Line, Peer]) -> None:
    line, peer = alice
    await peer.says(f"<r {SM}/><a {SM} h='0'/><message/><r {SM}/>")
    await line.hears(f"<r {SM}/>", f"<a {SM} h='0'/>", "<message ", f"<r {SM}/>")
    await line.says(f"<a {SM} h='1'/>", f"<r {SM}/>")
    assert await peer.hears("<r ", "/>") == f"<a {SM} h='1'/><r {SM}/>", "and nothing was answered before"
    await peer.says(f"<a {SM} h='0'/>")
    await line.hears(f"<a {SM} h='0'/>")


@pytest.mark.rule("SM2", "WS4", "WS32")
async def test_each_stanza_is_one_stanza_both_ways(alice: tuple[Line, Peer]) -> None:
    line, peer = alice
    down = [f"<message id='d{number}'><body>{'x' * number}</body></message>" for number in range(COUNT)]
    await peer.says("".join(down[:20]), *down[20:40], "".join(down[40:]))
    for number in range(COUNT):
        await line.hears(f"<message xmlns='jabber:client' id='d{number}'>")
    up = [message(number, "y" * number) for number in range(COUNT)]
    for at in range(0, COUNT, 5):
        await line.says(*up[at : at + 5])
    assert await peer.hears(f"id='m{COUNT - 1}'", "</message>") == "".join(up)


@pytest.mark.rule("SM4")
async def test_no_stanza_of_ours_when_a_client_is_lost_with_stanzas_on_their_way(
    alice: tuple[Line, Peer],
) -> None:
    line, peer = alice
    await line.hangs_up()
    before = line.front.gateway.metrics.bosh.to_clients
    await peer.says("<message from='bob@example.org/1' id='d1'><body>undelivered</body></message>")
    if isinstance(line, BoshLine):
        await eventually(lambda: line.front.gateway.metrics.bosh.to_clients > before)
    line.lets_time_pass()
    assert await peer.hears_rest() == ""


@pytest.mark.rule("SM4", "WS20")
async def test_nothing_of_ours_while_a_client_idles(make_front: MakeFront, xmpp_server: XmppServer) -> None:
    front = await make_front(websocket={"ping_interval": 0.02, "ping_timeout": 5})
    line, peer = await open_line("websocket", front, xmpp_server)
    (connection,) = (c for c in front.server.server_state.connections if hasattr(c, "last_ping_rtt"))
    for _ in range(3):
        connection.last_ping_rtt = 0.0
        await eventually(lambda: connection.last_ping_rtt > 0)
    await line.says(message(1))
    assert await peer.hears("</message>") == message(1)


@pytest.mark.rule("SM5", "SM11", "HC22")
async def test_what_a_client_had_sent_before_it_was_lost_comes_first(alice: tuple[Line, Peer]) -> None:
    line, peer = alice
    stanzas = [message(number, "x" * 5_000) for number in range(20)]
    await line.says(*stanzas)
    tally = line.front.gateway.metrics
    await eventually(lambda: (tally.websocket.from_clients or tally.bosh.from_clients) == 21)
    await line.vanishes()
    assert await peer.hears_rest() == "".join(stanzas), "then FIN, and no end tag"


@pytest.mark.rule("SM6", "HC22")
async def test_a_client_that_leaves_has_its_stream_closed(alice: tuple[Line, Peer]) -> None:
    line, peer = alice
    await line.says(message(1))
    await line.leaves()
    assert await peer.hears(END) == message(1) + END


@pytest.mark.rule("SM8")
async def test_a_resumption_is_a_new_stream_and_the_old_one_hears_of_its_end(
    alice: tuple[Line, Peer], xmpp_server: XmppServer
) -> None:
    line, peer = alice
    other = "bosh" if isinstance(line, WebSocketLine) else "websocket"
    again, new_peer = await open_line(other, line.front, xmpp_server)
    resume = f"<resume {SM} h='7' previd='r1'/>"
    await again.says(resume)
    assert await new_peer.hears("/>") == resume
    await new_peer.says(f"<resumed {SM} h='0' previd='r1'/><message id='d1'/>")
    await again.hears(f"<resumed {SM} h='0' previd='r1'/>", "<message ")
    await peer.says(
        "<stream:error><conflict xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>" + END
    )
    if isinstance(line, BoshLine):
        with pytest.raises(SessionEndedError, match=r"remote-stream-error.*<conflict "):
            await line.hears("<stream:error ")
    else:
        assert "<conflict " in await line.hears("<stream:error ")
    await again.says(message(1))
    assert await new_peer.hears("</message>") == message(1)


@pytest.mark.rule("SM3")
async def test_a_repeated_request_repeats_no_stanza(make_front: MakeFront, xmpp_server: XmppServer) -> None:
    chat = Chat(await make_front())
    await chat.create()
    peer = await xmpp_server.accept()
    held = await chat.hold(message(1))
    again = asyncio.create_task(chat.repeat())
    assert "type='error'" in (await held).text
    await peer.says("<message/>")
    assert "<message " in (await again).text
    assert "<message " in (await chat.repeat()).text, "the same answer"
    held = await chat.hold(message(2))
    heard = await peer.hears("id='m2'", "</message>")
    assert re.findall("id='(.*?)'", heard) == ["m1", "m2"]
    await peer.says("<message/>")
    await held
