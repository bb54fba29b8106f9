"""XEP-0198 resumption through the gateway: it works after a loss, and it does not after a farewell."""

from collections.abc import Awaitable, Callable

import pytest

from tests.support.clients import SM, BoshConnection, Client, WebSocketConnection
from tests.support.gateway import Gateway
from tests.support.servers import DIRECT_DOMAIN, DOMAIN, PASSWORD, TLS_DOMAIN, XmppServer

pytestmark = pytest.mark.integration

Lose = Callable[[WebSocketConnection], Awaitable[None]]


async def reset(connection: WebSocketConnection) -> None:
    """The network is gone: no Close frame, nothing."""
    await connection.cut()


async def go_away(connection: WebSocketConnection) -> None:
    """The browser's tab is closed: a Close frame with 1001, and no <close/> before it."""
    await connection.socket.close(1001)


@pytest.mark.parametrize("domain", [DOMAIN, TLS_DOMAIN, DIRECT_DOMAIN])
@pytest.mark.parametrize("lose", [reset, go_away])
async def test_lost_websocket_is_resumed_and_gets_what_came_meanwhile(
    server: XmppServer, gateway: Gateway, domain: str, lose: Lose
) -> None:
    alice_name, bob_name = server.new_user(), server.new_user()
    async with Client(BoshConnection(domain, gateway.bosh_url)) as bob:
        await bob.login(bob_name, PASSWORD)
        lost = Client(WebSocketConnection(domain, gateway.websocket_url))
        jid = await lost.login(alice_name, PASSWORD)
        await lost.enable_stream_management()
        await bob.send_message(jid, "before")
        assert await lost.wait_for_message() == "before"

        assert isinstance(lost.connection, WebSocketConnection)
        await lose(lost.connection)
        await bob.send_message(jid, "meanwhile")

        async with Client(WebSocketConnection(domain, gateway.websocket_url)) as again:
            await again.authenticate(alice_name, PASSWORD)
            assert (await again.resume(lost)).tag == f"{{{SM}}}resumed"
            assert await again.wait_for_message() == "meanwhile"
            await again.send_message(bob.jid, "back")
            assert await bob.wait_for_message() == "back"


async def test_what_was_sent_just_before_the_loss_arrives(server: XmppServer, gateway: Gateway) -> None:
    async with Client(BoshConnection(DOMAIN, gateway.bosh_url)) as bob:
        await bob.login(server.new_user(), PASSWORD)
        alice = Client(WebSocketConnection(DOMAIN, gateway.websocket_url))
        await alice.login(server.new_user(), PASSWORD)
        await alice.enable_stream_management()
        for number in range(20):
            await alice.send_message(bob.jid, f"last words {number}")
        assert isinstance(alice.connection, WebSocketConnection)
        await go_away(alice.connection)
        for number in range(20):
            assert await bob.wait_for_message() == f"last words {number}"


async def test_closed_stream_cannot_be_resumed(server: XmppServer, gateway: Gateway) -> None:
    """RFC 7395 section 3.6: <close/> ends the XMPP session, so the server must see </stream:stream>."""
    name = server.new_user()
    ended = Client(WebSocketConnection(DOMAIN, gateway.websocket_url))
    await ended.login(name, PASSWORD)
    await ended.enable_stream_management()
    await ended.connection.close()

    async with Client(WebSocketConnection(DOMAIN, gateway.websocket_url)) as again:
        await again.authenticate(name, PASSWORD)
        assert (await again.resume(ended)).tag == f"{{{SM}}}failed"


async def test_terminated_bosh_session_cannot_be_resumed(server: XmppServer, gateway: Gateway) -> None:
    """XEP-0124 section 13: a terminate is an orderly end."""
    name = server.new_user()
    ended = Client(BoshConnection(DOMAIN, gateway.bosh_url))
    await ended.login(name, PASSWORD)
    await ended.enable_stream_management()
    await ended.connection.close()

    async with Client(WebSocketConnection(DOMAIN, gateway.websocket_url)) as again:
        await again.authenticate(name, PASSWORD)
        assert (await again.resume(ended)).tag == f"{{{SM}}}failed"
