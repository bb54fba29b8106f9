"""Hard corners 22 and 23 with a real gateway process in front of Prosody: unclean loss, and shutdown."""

import asyncio
import contextlib
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from xml.etree.ElementTree import Element

import httpx
import pytest
import pytest_asyncio

from tests.backend.scripted import END, FEATURES, HEADER, Peer, ScriptedServer
from tests.conftest import MakeGateway
from tests.support.clients import (
    SM,
    STREAMS,
    BoshConnection,
    Client,
    Connection,
    StreamEndedError,
    TcpConnection,
    WebSocketConnection,
    post_body,
)
from tests.support.gateway import Gateway, ServedDomain
from tests.support.proxies import Recording, RecordingProxy
from tests.support.servers import DOMAIN, PASSWORD, Prosody

pytestmark = pytest.mark.integration

END_TAG = END.encode()
WAIT = 55
"""Seconds: the longest ``wait`` of the gateway."""


class Recorded:
    """A gateway, and what it says to Prosody."""

    def __init__(self, gateway: Gateway, prosody: Prosody, proxy: RecordingProxy) -> None:
        self.gateway = gateway
        self.prosody = prosody
        self.proxy = proxy

    def client(self, transport: str) -> Client:
        connection: Connection
        if transport == "bosh":
            connection = BoshConnection(DOMAIN, self.gateway.bosh_url)
        else:
            connection = WebSocketConnection(DOMAIN, self.gateway.websocket_url)
        return Client(connection)

    async def ended(self, number: int) -> Recording:
        """The stream *number*, once the gateway has closed its connection."""
        async with asyncio.timeout(15):
            while not self.proxy.recordings[number].client_ended:
                await asyncio.sleep(0.02)
        return self.proxy.recordings[number]


@pytest_asyncio.fixture
async def recorded(prosody: Prosody, make_gateway: MakeGateway) -> AsyncIterator[Recorded]:
    async with RecordingProxy(prosody.plain_port) as proxy:
        gateway = make_gateway(
            [ServedDomain(DOMAIN, f"tcp://127.0.0.1:{proxy.port}")],
            bosh={"inactivity": 1},
            websocket={"ping_interval": 1, "ping_timeout": 1},
        )
        yield Recorded(gateway, prosody, proxy)


async def reset(client: Client) -> None:
    """The network is gone: no Close frame; or no request any more, until ``inactivity`` has passed."""
    await client.connection.cut()


async def go_away(client: Client) -> None:
    """The browser's tab is closed: a Close frame with 1001, and no <close/> before it."""
    assert isinstance(client.connection, WebSocketConnection)
    await client.connection.socket.close(1001)


async def freeze(client: Client) -> None:
    """The client sleeps: it answers no ping."""
    assert isinstance(client.connection, WebSocketConnection)
    client.connection.socket.transport.pause_reading()


async def say_goodbye(client: Client) -> None:
    """``type='terminate'`` or ``<close/>``."""
    await client.connection.close()


async def lose(recorded: Recorded, transport: str, how: Callable[[Client], Awaitable[None]]) -> Element:
    """Lose a client *how*, and return the server's answer to ``<resume/>``."""
    async with Client(TcpConnection(DOMAIN, recorded.prosody.plain_port)) as bob:
        await bob.login(recorded.prosody.new_user(), PASSWORD)
        name = recorded.prosody.new_user()
        lost = recorded.client(transport)
        jid = await lost.login(name, PASSWORD)
        await lost.enable_stream_management()
        for number in range(10):
            await lost.send_message(bob.jid, f"last words {number}")
        if transport == "websocket":
            await how(lost)  # what was sent is still on its way
        for number in range(10):
            assert await bob.wait_for_message() == f"last words {number}"
        if transport == "bosh":
            await how(lost)
        recording = await recorded.ended(0)
        assert b"<error" not in recording.from_client
        assert recording.from_client.endswith(END_TAG) is (how is say_goodbye)
        if how is not say_goodbye:
            await bob.send_message(jid, "meanwhile")
        async with recorded.client("websocket") as again:
            await again.authenticate(name, PASSWORD)
            answer = await again.resume(lost)
            if how is not say_goodbye:
                assert await again.wait_for_message() == "meanwhile"
        await lost.connection.cut()
        return answer


@pytest.mark.rule("HC22", "SM5", "SM11", "WS15", "WS21")
@pytest.mark.parametrize(
    ("transport", "how"),
    [("websocket", reset), ("websocket", go_away), ("websocket", freeze), ("bosh", reset)],
)
async def test_hc22_unclean_loss_keeps_the_stream_resumable(
    recorded: Recorded, transport: str, how: Callable[[Client], Awaitable[None]]
) -> None:
    assert (await lose(recorded, transport, how)).tag == f"{{{SM}}}resumed"


@pytest.mark.rule("HC22", "SM6")
@pytest.mark.parametrize("transport", ["bosh", "websocket"])
async def test_hc22_goodbye_does_not(recorded: Recorded, transport: str) -> None:
    assert (await lose(recorded, transport, say_goodbye)).tag == f"{{{SM}}}failed"


# --- Shutdown -------------------------------------------------------------------------------------------


class Deaf:
    """An XMPP server that never answers the end of a stream, or not even its beginning."""

    def __init__(self, *, negotiates: bool) -> None:
        self._negotiates = negotiates
        self.accepted = asyncio.Event()
        self.heard_end = asyncio.Event()
        self.server = ScriptedServer(self._script)

    async def _script(self, peer: Peer) -> None:
        await peer.hears_header()
        if self._negotiates:
            await peer.says(HEADER + FEATURES)
        self.accepted.set()
        if self._negotiates:
            await peer.hears(END)
            self.heard_end.set()
        await peer.ends_anyhow()

    def domain(self, name: str) -> ServedDomain:
        return ServedDomain(name, f"tcp://127.0.0.1:{self.server.port}")


async def end_of(client: Client) -> tuple[str | None, str, str]:
    """How the stream of *client* ended: the condition, the words for it, the last element before it."""
    last = ""
    while True:
        try:
            last = (await client.connection.receive()).tag
        except StreamEndedError as ended:
            return ended.condition, str(ended), last


@pytest.mark.rule("HC23", "SM7", "E11", "T6", "G3")
async def test_hc23_shutdown(prosody: Prosody, make_gateway: MakeGateway) -> None:
    deaf, silent = Deaf(negotiates=True), Deaf(negotiates=False)
    async with contextlib.AsyncExitStack() as stack:
        proxy = await stack.enter_async_context(RecordingProxy(prosody.plain_port))
        await stack.enter_async_context(deaf.server)
        await stack.enter_async_context(silent.server)
        http = await stack.enter_async_context(httpx.AsyncClient(trust_env=False, timeout=WAIT))
        gateway = make_gateway(
            [
                ServedDomain(DOMAIN, f"tcp://127.0.0.1:{proxy.port}"),
                deaf.domain("deaf.example"),
                silent.domain("silent.example"),
            ],
            limits={"connect_timeout": 30, "close_timeout": 2},
        )
        recorded = Recorded(gateway, prosody, proxy)
        held, plain, resumable = (recorded.client(name) for name in ("bosh", "websocket", "websocket"))
        for client in (held, plain, resumable):
            await client.login(prosody.new_user(), PASSWORD)
        await resumable.enable_stream_management()
        create = {"wait": str(WAIT), "hold": "1", "ver": "1.11", "rid": "1"}
        between = await post_body(http, gateway.bosh_url, create | {"to": "deaf.example"})
        other = await stack.enter_async_context(httpx.AsyncClient(trust_env=False, timeout=WAIT))
        creating = asyncio.create_task(post_body(other, gateway.bosh_url, create | {"to": "silent.example"}))
        await silent.accepted.wait()

        began = time.monotonic()
        gateway.child.send_signal(signal.SIGTERM)
        assert (await end_of(held))[0] == "system-shutdown"
        assert (await creating).get("condition") == "system-shutdown"
        await deaf.heard_end.wait()
        asking = {"sid": between.get("sid", ""), "rid": "2"}
        assert (await post_body(http, gateway.bosh_url, asking)).get("condition") == "system-shutdown"
        assert time.monotonic() - began < 2, "all are told at once"

        said = "system-shutdown", "system-shutdown: <close/>", f"{{{STREAMS}}}error"
        assert await end_of(plain) == said
        condition, words, last = await end_of(resumable)
        assert (condition, "close/" in words, last == f"{{{STREAMS}}}error") == (None, False, False)
        for client in (plain, resumable):
            assert isinstance(client.connection, WebSocketConnection)
            await client.connection.socket.wait_closed()
            assert client.connection.socket.close_code == 1001

        assert await asyncio.to_thread(gateway.child.wait) == 0
        assert time.monotonic() - began < WAIT / 5
        ends = [(await recorded.ended(number)).from_client.endswith(END_TAG) for number in range(3)]
        assert ends == [True, True, False]
        for client in (held, plain, resumable):
            await client.connection.close()
