"""The load clients that keep one connection per session: plain TCP (RFC 6120) and WebSocket (RFC 7395)."""

import asyncio
from contextlib import suppress

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from tests.bench.session import Account, Session

FRAMING_NS = "urn:ietf:params:xml:ns:xmpp-framing"


class TcpSession(Session, asyncio.Protocol):
    """Plain TCP to the server: what a message costs without a gateway."""

    def __init__(self, account: Account, port: int) -> None:
        super().__init__(account)
        self._port = port
        self._transport: asyncio.Transport | None = None

    async def connect(self) -> None:
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_connection(lambda: self, "127.0.0.1", self._port)
        self.restart()

    def send(self, stanza: bytes) -> None:
        assert self._transport is not None
        self._transport.write(stanza)

    def restart(self) -> None:
        self.send(
            f"<?xml version='1.0'?><stream:stream to='{self.account.domain}' version='1.0' "
            "xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>".encode()
        )

    def data_received(self, data: bytes) -> None:
        self.receive(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self.fail(f"TCP connection closed: {exc}")

    def established(self) -> None:
        """Nothing: an idle stream is silent."""

    async def close(self) -> None:
        self.send(b"</stream:stream>")
        await asyncio.sleep(0)
        if self._transport is not None:
            self._transport.close()


class WebSocketSession(Session):
    """XMPP over WebSocket, with the permessage-deflate offer that browsers make."""

    def __init__(self, account: Account, port: int) -> None:
        super().__init__(account)
        self._uri = f"ws://127.0.0.1:{port}/xmpp-websocket"
        self._connection: ClientConnection | None = None
        self._sending: asyncio.Queue[str] = asyncio.Queue()
        self._tasks: list[asyncio.Task[None]] = []

    async def connect(self) -> None:
        self._connection = await connect(
            self._uri, subprotocols=[Subprotocol("xmpp")], ping_interval=None, close_timeout=2, proxy=None
        )
        self._tasks = [asyncio.create_task(self._read()), asyncio.create_task(self._write())]
        self.restart()

    @property
    def extensions(self) -> str:
        """What the server accepted of the extensions that were offered."""
        assert self._connection is not None
        assert self._connection.response is not None
        return self._connection.response.headers.get("Sec-WebSocket-Extensions", "")

    def send(self, stanza: bytes) -> None:
        self._sending.put_nowait(stanza.decode())

    def restart(self) -> None:
        self.send(f"<open xmlns='{FRAMING_NS}' to='{self.account.domain}' version='1.0'/>".encode())

    async def _read(self) -> None:
        assert self._connection is not None
        with suppress(ConnectionClosed):
            async for frame in self._connection:
                self.receive(frame if isinstance(frame, bytes) else frame.encode())
        self.fail("WebSocket closed")

    async def _write(self) -> None:
        assert self._connection is not None
        with suppress(ConnectionClosed):
            while True:
                await self._connection.send(await self._sending.get())

    def established(self) -> None:
        """Nothing: an idle stream is silent."""

    async def close(self) -> None:
        assert self._connection is not None
        reader, writer = self._tasks
        writer.cancel()
        with suppress(ConnectionClosed):
            await self._connection.send(f"<close xmlns='{FRAMING_NS}'/>")
        await self._connection.close()
        await asyncio.gather(reader, writer, return_exceptions=True)
