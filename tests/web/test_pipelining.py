"""Several requests on one connection, as gloox sends them: served at once, answered in order (XEP-0124)."""

import asyncio

import pytest

from boshgate.listener import MAX_AHEAD, HttpProtocol
from tests.web.conftest import MakeFront
from tests.web.front import (
    CREATE,
    EMPTY,
    Chat,
    Front,
    RawConnection,
    XmppServer,
    eventually,
    message,
    post,
    terminal,
)

OPTIONS = "OPTIONS /http-bind HTTP/1.1\r\n\r\n"


def protocol(front: Front, raw: RawConnection) -> HttpProtocol:
    """The gateway's end of *raw*."""
    address = raw.writer.get_extra_info("sockname")
    connections = [c for c in front.server.server_state.connections if isinstance(c, HttpProtocol)]
    (found,) = (connection for connection in connections if connection.client == address)
    return found


async def hold(front: Front, chat: Chat, raw: RawConnection, payload: str = "") -> None:
    """Send the next request of *chat* on *raw*; the gateway has got it."""
    before = front.gateway.metrics.bosh.requests
    await raw.send(post(chat.body(payload)))
    await eventually(lambda: front.gateway.metrics.bosh.requests > before)


@pytest.mark.rule("H11")
async def test_a_request_behind_a_held_one_frees_it(
    front: Front, chat: Chat, xmpp_server: XmppServer
) -> None:
    raw = await front.raw()
    await raw.send(post(chat.body(to="example.org", wait="60", hold="1", ver="1.11")))
    chat.sid = (await raw.answer()).body.partition("sid='")[2].partition("'")[0]
    server = await xmpp_server.accept()
    await hold(front, chat, raw)
    for number in range(3):
        await hold(front, chat, raw, message(number))
        await server.hears(f"id='m{number}'")
        assert (await raw.answer()).body == EMPTY
    await server.says("<message id='a1'/>")
    assert "id='a1'" in (await raw.answer()).body
    await hold(front, chat, raw)
    await server.says("<message id='a2'/>")
    assert "id='a2'" in (await raw.answer()).body


@pytest.mark.rule("H11")
async def test_two_requests_in_one_segment(front: Front, chat: Chat, xmpp_server: XmppServer) -> None:
    await chat.create()
    server = await xmpp_server.accept()
    raw = await front.raw()
    await raw.send(post(chat.body(message(1))) + post(chat.body(message(2))))
    await server.hears("id='m1'", "id='m2'")
    assert (await raw.answer()).body == EMPTY
    await server.says("<message id='a1'/>")
    assert "id='a1'" in (await raw.answer()).body


@pytest.mark.rule("H11")
async def test_answers_come_in_the_order_of_the_requests(
    front: Front, chat: Chat, xmpp_server: XmppServer
) -> None:
    await chat.create()
    raw = await front.raw()
    await hold(front, chat, raw)
    large = post("<" + " " * 100_000)
    await raw.send(OPTIONS, post(CREATE), large, "GET /config.json HTTP/1.1\r\n\r\n")
    await eventually(lambda: front.gateway.metrics.bosh.requests == 4)
    await asyncio.sleep(0.05)
    assert raw.reader._buffer == b""  # type: ignore[attr-defined]
    await (await xmpp_server.accept()).says("<message id='a1'/>")
    assert "id='a1'" in (await raw.answer()).body
    assert (await raw.answer()).headers["access-control-max-age"]
    assert "sid=" in (await raw.answer()).body
    assert (await raw.answer()).body == terminal("bad-request")
    assert '"bosh":' in (await raw.answer()).body
    await raw.send(post("<"))
    assert (await raw.answer()).body == terminal("bad-request")
    assert protocol(front, raw)._turns is None


async def test_a_websocket_behind_a_held_request_is_refused(
    front: Front, chat: Chat, xmpp_server: XmppServer
) -> None:
    await chat.create()
    raw = await front.raw()
    await hold(front, chat, raw)
    await raw.send(
        "GET /xmpp-websocket HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        "Sec-WebSocket-Protocol: xmpp\r\n\r\n"
    )
    await (await xmpp_server.accept()).says("<message id='a1'/>")
    assert "id='a1'" in (await raw.answer()).body
    assert (await raw.answer()).status == 400
    assert await raw.rest() == b""


async def test_a_client_that_hangs_up_loses_all_its_requests(
    front: Front, chat: Chat, xmpp_server: XmppServer
) -> None:
    other = Chat(front)
    await chat.create()
    await other.create()
    servers = [await xmpp_server.accept() for _ in range(2)]
    raw = await front.raw()
    await hold(front, chat, raw)
    await hold(front, other, raw)
    await raw.close()
    await eventually(lambda: not front.server.server_state.tasks)
    for server in servers:
        await server.says("<message id='a1'/>")
    for each in (chat, other):
        assert "id='a1'" in (await each.post(rid="1002")).text  # XEP-0124 14.3: not lost


async def test_not_more_than_so_many_are_served_at_once(
    front: Front, chat: Chat, xmpp_server: XmppServer
) -> None:
    await chat.create()
    raw = await front.raw()
    await hold(front, chat, raw)
    count = 3 * MAX_AHEAD
    await raw.send(post("<") * count)
    await eventually(lambda: front.gateway.metrics.bosh.requests == 1 + MAX_AHEAD)
    await asyncio.sleep(0.02)
    connection = protocol(front, raw)
    assert len(connection._turns or ()) == MAX_AHEAD
    assert len(connection.pipeline) == count - MAX_AHEAD + 1
    assert connection.flow.read_paused
    await (await xmpp_server.accept()).says("<message id='a1'/>")
    assert "id='a1'" in (await raw.answer()).body
    for _ in range(count):
        assert (await raw.answer()).body == terminal("bad-request")
    await raw.send(post(CREATE))
    assert "sid=" in (await raw.answer()).body


async def test_a_response_may_be_the_last(front: Front, chat: Chat, xmpp_server: XmppServer) -> None:
    await chat.create()
    raw = await front.raw()
    await hold(front, chat, raw)
    await raw.send(post("<", "Connection: close"))
    await (await xmpp_server.accept()).says("<message id='a1'/>")
    assert "id='a1'" in (await raw.answer()).body
    assert (await raw.answer()).headers["connection"] == "close"
    assert await raw.rest() == b""


async def test_a_body_that_is_too_large_behind_a_held_request(
    make_front: MakeFront, xmpp_server: XmppServer
) -> None:
    front = await make_front(limits={"max_body_bytes": 10_000})
    chat = Chat(front)
    await chat.create()
    raw = await front.raw()
    await hold(front, chat, raw)
    await raw.send(post(" " * 10_001))
    await asyncio.sleep(0.02)
    await (await xmpp_server.accept()).says("<message id='a1'/>")
    assert "id='a1'" in (await raw.answer()).body
    assert (await raw.answer()).status == 413
    assert await raw.rest() == b""


async def test_half_a_request_behind_a_held_one_is_not_late(
    front: Front, chat: Chat, xmpp_server: XmppServer
) -> None:
    await chat.create()
    raw = await front.raw()
    await hold(front, chat, raw)
    second = post(chat.body())
    await raw.send(second[:10])
    connection = protocol(front, raw)
    assert not connection.is_late(connection.loop.time(), 0)
    await raw.send(second[10:])
    assert (await raw.answer()).body == EMPTY
    assert not connection.is_late(connection.loop.time(), 0)


@pytest.mark.parametrize("complete", [False, True])
async def test_shutdown_answers_all_and_closes(front: Front, chat: Chat, complete: bool) -> None:
    await chat.create()
    raw = await front.raw()
    await hold(front, chat, raw)
    if complete:
        await raw.send(post("<"))
        await eventually(lambda: front.gateway.metrics.bosh.requests == 3)
    else:
        other = Chat(front)
        await other.create()
        await hold(front, other, raw)
    await asyncio.sleep(0.02)
    protocol(front, raw).shutdown()
    front.gateway.sessions.terminate_all("system-shutdown")
    assert (await raw.answer()).body == terminal("system-shutdown")
    assert (await raw.answer()).body == terminal("bad-request" if complete else "system-shutdown")
    assert await raw.rest() == b""
