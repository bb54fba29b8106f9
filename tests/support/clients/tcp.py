"""A plain TCP stream (RFC 6120), for a user beside the gateway and for comparison in the bench."""

import asyncio
import contextlib
from xml.etree.ElementTree import Element, XMLPullParser

from tests.support.clients.base import CLIENT, STREAMS, TIMEOUT, Connection, StreamEndedError


class TcpConnection(Connection):
    """A stream to *domain* at *host*:*port*, without TLS."""

    namespace = CLIENT
    """The content namespace (RFC 6120 section 4.8.2)."""

    def __init__(self, domain: str, port: int, host: str = "127.0.0.1") -> None:
        super().__init__(domain)
        self._host = host
        self._port = port
        self._writer: asyncio.StreamWriter | None = None
        self._reading: asyncio.Task[None] | None = None
        self._headers: asyncio.Queue[dict[str, str]] = asyncio.Queue()
        self._parser: XMLPullParser[Element] = XMLPullParser(("start", "end"))

    async def open(self) -> None:
        reader, self._writer = await asyncio.open_connection(self._host, self._port)
        self._reading = asyncio.create_task(self._read(reader))
        await self.restart()

    async def restart(self) -> None:
        self._parser = XMLPullParser(("start", "end"))
        await self.send(
            f"<?xml version='1.0'?><stream:stream xmlns='{self.namespace}' xmlns:stream='{STREAMS}' "
            f"to='{self.domain}' version='1.0'>"
        )

    async def wait_for_header(self) -> dict[str, str]:
        """Return the attributes of the server's next stream header (RFC 6120 section 4.7)."""
        return await asyncio.wait_for(self._headers.get(), TIMEOUT)

    async def send(self, xml: str) -> None:
        assert self._writer is not None, "open() comes first"
        self._writer.write(xml.encode())
        await self._writer.drain()

    async def close(self) -> None:
        if self._writer is not None and not self._writer.is_closing():
            with contextlib.suppress(ConnectionError):
                await self.send("</stream:stream>")
        await self.cut()

    async def cut(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._reading
        if self._writer is not None:
            self._writer.close()
            with contextlib.suppress(ConnectionError):
                await self._writer.wait_closed()

    async def _read(self, reader: asyncio.StreamReader) -> None:
        depth = 0
        root: Element | None = None
        parser = self._parser
        pending = b""
        while data := await reader.read(65536):
            if parser is not self._parser:  # a new stream began on the same connection
                parser, depth = self._parser, 0
            # Whole tags only: since the answer to CVE-2023-52425 expat does not look at half a tag again
            # before there is twice as much of it.
            pending += data
            end = pending.rfind(b">") + 1
            parser.feed(pending[:end])
            pending = pending[end:]
            for event in parser.read_events():
                kind, element = event[0], event[-1]
                assert isinstance(element, Element)
                depth += 1 if kind == "start" else -1
                if kind == "start" and depth == 1:
                    root = element
                    self._headers.put_nowait(dict(element.attrib))
                elif kind == "end" and depth == 1:
                    self._incoming.put_nowait(element)
                    assert root is not None, "an element has a parent"
                    root.clear()
                elif kind == "end" and depth == 0:
                    self._incoming.put_nowait(StreamEndedError(None, "</stream:stream>"))
        self._incoming.put_nowait(StreamEndedError(None, "end of the TCP connection"))
