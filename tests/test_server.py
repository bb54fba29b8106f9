"""Both listeners, and the orderly end: who is told what when the process must go (XEP-0198 section 5)."""

import asyncio
import os
import signal
import socket
import time
from collections.abc import AsyncIterator

import httpx
import pytest
from websockets.exceptions import InvalidStatus

from boshgate.config import Config
from boshgate.errors import ConfigError
from boshgate.server import bind, serve
from tests.web.front import (
    CLOSE,
    CREATE,
    DOWN,
    ENABLED,
    END,
    OPEN,
    Chat,
    Front,
    Talk,
    XmppServer,
    configure,
    eventually,
    hears_end,
    meanwhile,
    open_websocket,
    post,
    running,
    terminal,
)

SHUTDOWN = terminal("system-shutdown")
CLOSE_TIMEOUT, SOON = 4, 3
"""Seconds: how long the gateway waits for somebody who does not answer, and when all is over if all do."""


@pytest.fixture
async def xmpp_server() -> AsyncIterator[XmppServer]:
    async with XmppServer() as server:
        yield server


@pytest.fixture
async def silent_server() -> AsyncIterator[XmppServer]:
    """One that accepts connections and says nothing; it is DOWN's."""
    async with XmppServer(negotiates=False) as server:
        yield server


@pytest.fixture
async def front(
    request: pytest.FixtureRequest, xmpp_server: XmppServer, silent_server: XmppServer
) -> AsyncIterator[Front]:
    limits = {"close_timeout": getattr(request, "param", CLOSE_TIMEOUT)}
    config = configure(xmpp_server.address, silent_server.address, limits=limits)
    async with running(config) as made:
        yield made
        xmpp_server.leave()
        silent_server.leave()


def on_system_ports(config: Config) -> Config:
    """Let the system pick both ports."""
    server = config.server.model_copy(update={"port": 0})
    admin = config.admin.model_copy(update={"port": 0})
    return config.model_copy(update={"server": server, "admin": admin})


# --- Listening --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_both_listeners_serve_until_a_signal(xmpp_server: XmppServer, number: signal.Signals) -> None:
    urls: asyncio.Queue[tuple[str, str]] = asyncio.Queue()
    config = on_system_ports(configure(xmpp_server.address, xmpp_server.address))
    serving = asyncio.create_task(serve(config, on_ready=lambda *both: urls.put_nowait(both)))
    public, admin = await asyncio.wait_for(urls.get(), 10)
    assert public != admin
    async with httpx.AsyncClient(trust_env=False, verify=False) as http:
        held = asyncio.create_task(http.post(f"{public}/http-bind", content=CREATE))
        assert (await http.get(f"{admin}/healthz")).text == "ok\n"
        assert (await http.get(f"{admin}/readyz")).text == "ready\n"
        assert (await http.get(f"{public}/config.json")).status_code == 200
        assert "sid=" in (await held).text
    started = time.monotonic()
    os.kill(os.getpid(), number)
    xmpp_server.leave()
    await asyncio.wait_for(serving, 10)
    assert time.monotonic() - started < 3
    for url in (public, admin):
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))


@pytest.mark.parametrize("table", ["server", "admin"])
async def test_a_port_in_use_is_a_configuration_error(xmpp_server: XmppServer, table: str) -> None:
    config = on_system_ports(configure(xmpp_server.address, xmpp_server.address))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        changed = getattr(config, table).model_copy(update={"port": port})
        with pytest.raises(ConfigError) as caught:
            await serve(config.model_copy(update={table: changed}), on_ready=lambda *_: None)
    assert caught.value.problems == [
        f"{table}.port: cannot listen on 127.0.0.1 port {port}: Address already in use"
    ]


def test_a_port_that_is_bound_but_not_yet_listened_on_is_in_use() -> None:
    with bind("server", "127.0.0.1", 0) as first:
        port = first.getsockname()[1]
        with pytest.raises(ConfigError):
            bind("server", "127.0.0.1", port)


def test_a_port_can_be_bound_again_at_once() -> None:
    with bind("server", "127.0.0.1", 0) as first:
        port = first.getsockname()[1]
        client = socket.create_connection(("127.0.0.1", port))
        accepted, _ = first.accept()
        accepted.close()  # this side closes first: TIME_WAIT is here
        client.close()
    bind("server", "127.0.0.1", port).close()


def test_an_address_may_be_ipv6() -> None:
    try:
        listener = bind("server", "::1", 0)
    except ConfigError as error:
        pytest.skip(str(error))
    with listener:
        assert listener.family == socket.AF_INET6


def test_a_host_that_is_not_ours_is_a_configuration_error() -> None:
    with pytest.raises(ConfigError) as caught:
        bind("admin", "192.0.2.1", 1)
    assert caught.value.problems[0].startswith("admin.port: cannot listen on 192.0.2.1 port 1: ")


# --- The end (HC23) ---------------------------------------------------------------------------------------


async def shut_down(front: Front) -> "asyncio.Task[None]":
    """Begin to shut *front* down, as SIGTERM does."""
    stopping = asyncio.create_task(front.server.shutdown())
    await eventually(lambda: front.gateway.admission.draining)
    return stopping


@pytest.mark.rule("G3")
async def test_held_requests_are_answered(front: Front, xmpp_server: XmppServer) -> None:
    chats = [Chat(front) for _ in range(3)]
    held = []
    for chat in chats:
        await chat.create()
        held.append(await chat.hold())
    peers = [await xmpp_server.accept() for _ in chats]
    stopping = await shut_down(front)
    for answer in held:
        assert (await answer).text == SHUTDOWN
    for peer in peers:
        assert await peer.hears(END) == END  # nothing that could be resumed
        await peer.says(END)
        peer.ends()
    await asyncio.wait_for(stopping, SOON)


@pytest.mark.rule("SM5", "SM7")
async def test_a_bosh_stream_that_can_be_resumed_is_not_closed(front: Front, xmpp_server: XmppServer) -> None:
    chat = Chat(front)
    await chat.create()
    held = await chat.hold()
    peer = await xmpp_server.accept()
    await peer.says(ENABLED)
    await held
    held = await chat.hold()
    stopping = await shut_down(front)
    assert (await held).text == SHUTDOWN
    assert await peer.hears_rest() == ""
    peer.ends()
    await stopping


async def test_a_creation_is_answered(front: Front, silent_server: XmppServer) -> None:
    creating = asyncio.create_task(front.post(CREATE.replace("example.org", DOWN)))
    await silent_server.accept()
    stopping = await shut_down(front)
    assert (await creating).text == SHUTDOWN
    await asyncio.wait_for(stopping, SOON)


async def test_nobody_is_admitted_any_more(front: Front) -> None:
    kept = await front.raw()
    await kept.send(post(CREATE))
    await kept.answer()
    front.gateway.admission.draining = True  # before its connections are closed
    await kept.send(post(CREATE))
    assert (await kept.answer()).body == SHUTDOWN
    with pytest.raises(InvalidStatus) as caught:
        await front.websocket()
    assert caught.value.response.status_code == 503


@pytest.mark.rule("T6")
async def test_who_asks_between_gets_to_know(front: Front, xmpp_server: XmppServer) -> None:
    chat = Chat(front)
    await chat.create()
    peer = await xmpp_server.accept()
    kept = await front.raw()
    await kept.send(post("<"))
    await kept.answer()
    stopping = await shut_down(front)
    await peer.hears(END)  # the server has not answered it yet
    await kept.send(post(chat.body()))
    assert (await kept.answer()).body == SHUTDOWN
    await peer.says(END)
    peer.ends()
    await stopping


@pytest.mark.rule("SM5", "SM7", "HC23", "WS25")
async def test_a_websocket_that_can_be_resumed_is_closed_bare(front: Front, xmpp_server: XmppServer) -> None:
    talk, peer = await open_websocket(front, xmpp_server)
    await peer.says(ENABLED)
    await talk.hears("<enabled ")
    stopping = await shut_down(front)
    assert await talk.hears_end() == 1001  # no <close/> before it
    assert await peer.hears_rest() == ""  # and no </stream:stream>
    peer.ends()
    await stopping


@pytest.mark.rule("SM7", "HC23", "WS25")
async def test_other_websockets_are_told(front: Front, xmpp_server: XmppServer) -> None:
    talk, peer = await open_websocket(front, xmpp_server)
    stopping = await shut_down(front)
    await talk.hears_error("system-shutdown")
    assert await talk.hears_end() == 1001
    assert await peer.hears(END) == END
    await peer.says(END)
    peer.ends()
    await asyncio.wait_for(stopping, SOON)
    reason = {"transport": "websocket", "reason": "system-shutdown"}
    assert front.metric("sessions_closed_total", **reason) == 1


async def test_a_websocket_without_a_stream_is_told(front: Front) -> None:
    talk = Talk(await front.websocket())
    stopping = await shut_down(front)
    await talk.hears("<open ")
    await talk.hears_error("system-shutdown")
    assert await talk.hears_end() == 1001
    await asyncio.wait_for(stopping, SOON)


async def test_a_websocket_that_is_connecting_is_told(front: Front, silent_server: XmppServer) -> None:
    talk = Talk(await front.websocket())
    await talk.says(OPEN.replace("example.org", DOWN))
    await silent_server.accept()
    stopping = await shut_down(front)
    await talk.hears("<open ")
    await talk.hears_error("system-shutdown")
    assert await talk.hears_end() == 1001
    await asyncio.wait_for(stopping, SOON)


async def test_a_client_that_is_closing_is_let_go(front: Front, xmpp_server: XmppServer) -> None:
    talk, peer = await open_websocket(front, xmpp_server)
    await talk.says(CLOSE)
    await peer.hears(END)
    stopping = await shut_down(front)
    await talk.hears(CLOSE)
    assert await talk.hears_end() == 1001
    await peer.says(END)
    peer.ends()
    await asyncio.wait_for(stopping, SOON)


async def test_a_client_that_was_told_to_close_is_not_waited_for(
    front: Front, xmpp_server: XmppServer
) -> None:
    talk, peer = await open_websocket(front, xmpp_server)
    await peer.says(END)
    await talk.hears(CLOSE)
    peer.ends()
    stopping = await shut_down(front)
    assert await talk.hears_end() == 1001
    await asyncio.wait_for(stopping, SOON)


@pytest.mark.parametrize("front", [0.5], indirect=True)
async def test_a_server_that_does_not_answer_is_waited_for_only_so_long(
    front: Front, xmpp_server: XmppServer
) -> None:
    chat = Chat(front)
    await chat.create()
    await xmpp_server.accept()
    started = time.monotonic()
    await front.server.shutdown()
    assert time.monotonic() - started < 3


@pytest.mark.parametrize("front", [0.5], indirect=True)
async def test_a_client_that_does_not_read_is_waited_for_only_so_long(
    front: Front, xmpp_server: XmppServer, caplog: pytest.LogCaptureFixture
) -> None:
    talk, peer = await open_websocket(front, xmpp_server)
    talk.websocket.transport.pause_reading()
    async with meanwhile(peer.says(*["<message>" + "x" * 100_000 + "</message>"] * 200)):
        connection = next(iter(front.gateway.websocket.connections))
        await eventually(lambda: connection._writer.stalled)
        started = time.monotonic()
        await front.server.shutdown()
        assert time.monotonic() - started < 3
    talk.vanishes()


@pytest.mark.rule("SM7")
async def test_what_a_client_had_sent_before_reaches_the_server(
    front: Front, xmpp_server: XmppServer
) -> None:
    talk, peer = await open_websocket(front, xmpp_server)
    stanzas = ["<message xmlns='jabber:client'>" + "x" * 100_000 + "</message>"] * 30
    await talk.says(*stanzas)
    await eventually(lambda: front.gateway.metrics.websocket.requests == 31)
    stopping = await shut_down(front)
    assert await hears_end(peer) == "".join(stanzas) + END
    await peer.says(END)
    peer.ends()
    await stopping
