"""Several streams in one BOSH session over real HTTP (XEP-0124 section 16), and the end of one of them."""

import pytest

from tests.web.front import DOMAIN, DOWN, END, Chat, Front, XmppServer, eventually, message


def stream_name(text: str) -> str:
    """The stream that a response names."""
    return text.partition(" stream='")[2].partition("'")[0]


@pytest.mark.rule("M3", "M4", "M7")
async def test_two_streams_share_a_session(chat: Chat, xmpp_server: XmppServer) -> None:
    first = stream_name((await chat.create()).text)
    one = await xmpp_server.accept()
    answer = await chat.post(to=DOMAIN)
    assert "<mechanisms " in answer.text
    second = stream_name(answer.text)
    assert second not in ("", first)
    two = await xmpp_server.accept()
    held = await chat.hold(message(1), stream=second)
    await two.hears(message(1))
    await one.says("<message id='a1'/>")
    assert stream_name((await held).text) == first
    held = await chat.hold(stream=second, type="terminate")
    await two.hears(END)
    await two.says(END)
    assert (await held).text.endswith(f" stream='{second}' type='terminate'/>")
    held = await chat.hold(message(2))
    await one.hears(message(2))
    await one.says("<message id='a2'/>")
    assert stream_name((await held).text) == first


@pytest.mark.rule("M8", "E8")
async def test_unreachable_server_ends_its_stream_only(chat: Chat, xmpp_server: XmppServer) -> None:
    await chat.create()
    server = await xmpp_server.accept()
    answer = await chat.post(to=DOWN)
    assert answer.text.endswith(" type='terminate' condition='remote-connection-failed'/>")
    assert stream_name(answer.text)
    held = await chat.hold(message(1))
    await server.hears(message(1))
    held.cancel()


@pytest.mark.rule("B11")
async def test_undelivered_stanzas_are_answered_before_the_end_of_the_stream(
    front: Front, chat: Chat, xmpp_server: XmppServer
) -> None:
    await chat.create()
    server = await xmpp_server.accept()
    held = await chat.hold()
    await server.says("<message id='a1'/>")
    await held  # nothing is held now
    before = front.gateway.metrics.bosh.to_clients
    await server.says("<presence/><iq type='get' from='bob@example.org/1' id='q1'/>")
    await eventually(lambda: front.gateway.metrics.bosh.to_clients == before + 2)
    front.gateway.sessions.find(chat.sid).expire()
    assert await server.hears(END) == (
        "<iq xmlns='jabber:client' to='bob@example.org/1' type='error' id='q1'><error type='cancel'>"
        f"<service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>{END}"
    )
