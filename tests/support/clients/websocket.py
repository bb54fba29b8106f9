"""XMPP over WebSocket (RFC 7395) with the websockets library."""

import asyncio
import contextlib
from xml.etree.ElementTree import Element, fromstring

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from tests.support.clients.base import FRAMING, STREAM_ERRORS, STREAMS, TIMEOUT, Connection, StreamEndedError


class WebSocketConnection(Connection):
    """A stream to *domain* through the WebSocket endpoint *url*."""

    def __init__(self, domain: str, url: str) -> None:
        super().__init__(domain)
        self._url = url
        self._socket: ClientConnection | None = None
        self._reading: asyncio.Task[None] | None = None
        self._open_frames: asyncio.Queue[Element] = asyncio.Queue()
        self._closed = asyncio.Event()

    @property
    def socket(self) -> ClientConnection:
        assert self._socket is not None, "open() comes first"
        return self._socket

    async def open(self) -> None:
        self._socket = await connect(
            self._url,
            subprotocols=[Subprotocol("xmpp")],
            proxy=None,
            max_size=4 * 1024 * 1024,
            ping_interval=None,
        )
        assert self._socket.subprotocol == "xmpp", "RFC 7395 section 3.1"
        self._reading = asyncio.create_task(self._read())
        await self.restart()

    async def restart(self) -> None:
        await self.send(f"<open xmlns='{FRAMING}' to='{self.domain}' version='1.0'/>")
        await self.wait_for_open()

    async def wait_for_open(self) -> Element:
        """Return the server's next <open/> (RFC 7395 section 3.4)."""
        return await asyncio.wait_for(self._open_frames.get(), TIMEOUT)

    async def send(self, xml: str) -> None:
        await self.socket.send(xml)

    async def close(self) -> None:
        """Say <close/>, wait for the other's, and for the WebSocket to be closed (RFC 7395 section 3.6)."""
        if self._socket is None:
            return
        if not self._closed.is_set():
            with contextlib.suppress(ConnectionClosed, TimeoutError):
                await self.send(f"<close xmlns='{FRAMING}'/>")
                await asyncio.wait_for(self._closed.wait(), TIMEOUT)
        await self._socket.close()
        await self._end_reading()

    async def cut(self) -> None:
        self.socket.transport.abort()
        await self._end_reading()

    async def _end_reading(self) -> None:
        if self._reading is not None:
            await self._reading

    async def _read(self) -> None:
        condition: str | None = None
        try:
            async for frame in self.socket:
                assert isinstance(frame, str), "RFC 7395 section 3.2: text only"
                assert frame.startswith("<"), "RFC 7395 section 3.3.3"
                element = fromstring(frame)
                if element.tag == f"{{{FRAMING}}}open":
                    self._open_frames.put_nowait(element)
                elif element.tag == f"{{{FRAMING}}}close":
                    self._closed.set()
                    self._incoming.put_nowait(StreamEndedError(condition, "<close/>"))
                else:
                    if element.tag == f"{{{STREAMS}}}error":
                        condition = _condition(element)
                    self._incoming.put_nowait(element)
        except ConnectionClosed as error:
            self._incoming.put_nowait(StreamEndedError(condition, str(error)))
        else:
            self._incoming.put_nowait(StreamEndedError(condition, "WebSocket closed"))
        self._closed.set()


def _condition(error: Element) -> str | None:
    """Return the defined condition of a <stream:error/> (RFC 6120 section 4.9.2)."""
    namespace = f"{{{STREAM_ERRORS}}}"
    names = [child.tag.removeprefix(namespace) for child in error if child.tag.startswith(namespace)]
    return next((name for name in names if name != "text"), None)
