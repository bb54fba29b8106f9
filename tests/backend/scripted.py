"""An XMPP server that follows a script, segment by segment, and a client's side that keeps a record."""

import asyncio
import re
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Self, cast

from boshgate.errors import BackendError
from boshgate.xmpp.framer import StreamHeader
from boshgate.xmpp.xml import Element

PATIENCE = 10
"""Seconds after which a test gives up waiting for what should come at once."""

END = "</stream:stream>"
TLS = "xmlns='urn:ietf:params:xml:ns:xmpp-tls'"
SASL = "xmlns='urn:ietf:params:xml:ns:xmpp-sasl'"
STARTTLS_FEATURES = f"<stream:features><starttls {TLS}><required/></starttls></stream:features>"
FEATURES = f"<stream:features><mechanisms {SASL}><mechanism>PLAIN</mechanism></mechanisms></stream:features>"
PROCEED = f"<proceed {TLS}/>"


def header(**attributes: str) -> str:
    """The server's stream header with more, or other, *attributes*."""
    attributes = {"id": "s1", "from": "example.org", "version": "1.0"} | attributes
    text = "".join(f" {name.replace('_', ':')}='{value}'" for name, value in attributes.items() if value)
    return (
        "<?xml version='1.0'?><stream:stream xmlns='jabber:client'"
        f" xmlns:stream='http://etherx.jabber.org/streams'{text}>"
    )


HEADER = header()
_STREAM_TAG = re.compile(rb"<stream:stream[^>]*>")


class Peer:
    """The server's end of one connection; it reads only when the script asks it to."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._unread = b""
        self._failed = False
        # Nothing may be read before the script knows whether it is for TLS.
        self._transport.pause_reading()

    @property
    def _transport(self) -> asyncio.Transport:
        return cast(asyncio.Transport, self._writer.transport)

    async def hears(self, *words: str) -> str:
        """Read until *words* have come, in this order; returns everything up to the last of them."""
        position = 0
        for word in words:
            while (found := self._unread.find(word.encode(), position)) < 0:
                await self._read_more(f"waiting for {word!r}")
            position = found + len(word.encode())
        return self._take(position)

    async def hears_header(self) -> str:
        """Read a stream header and what came before it."""
        while (found := _STREAM_TAG.search(self._unread)) is None:
            await self._read_more("waiting for a stream header")
        return self._take(found.end())

    async def hears_rest(self) -> str:
        """Read to the end of the connection; raises ConnectionResetError if that is an RST."""
        return (await self.hears_rest_in_bytes()).decode()

    async def hears_rest_in_bytes(self) -> bytes:
        """Like `hears_rest`, for what may be no text."""
        self._transport.resume_reading()
        async with asyncio.timeout(PATIENCE):
            while chunk := await self._reader.read(65536):
                self._unread += chunk
        rest, self._unread = self._unread, b""
        return rest

    async def _read_more(self, why: str) -> None:
        self._transport.resume_reading()
        async with asyncio.timeout(PATIENCE):
            chunk = await self._reader.read(65536)
        assert chunk, f"end of the connection while {why}; unread: {self._unread!r}"
        self._unread += chunk

    def _take(self, length: int) -> str:
        taken, self._unread = self._unread[:length], self._unread[length:]
        return taken.decode()

    async def says(self, *segments: str | bytes) -> None:
        """Send each of *segments* by itself, and let the other side read it before the next."""
        for segment in segments:
            self._writer.write(segment.encode() if isinstance(segment, str) else segment)
            await self._writer.drain()
            for _ in range(4):  # one turn of the loop flushes, one reads; TLS takes two more
                await asyncio.sleep(0)

    async def starts_tls(self, context: ssl.SSLContext, *said: str) -> None:
        """Send the segments *said*, and do the server's part of the TLS handshake."""
        await self.says(*said[:-1])
        self._transport.pause_reading()
        if said:
            self._writer.write(said[-1].encode())
        try:
            await self._writer.start_tls(context)
        except OSError:
            self._failed = True
            raise
        except AttributeError as exc:
            # Python 3.11.2: where the client has gone, there is no transport, and no error that says so.
            if self._writer.transport is not None:
                raise
            self._failed = True
            raise ConnectionResetError("the client has gone") from exc

    async def negotiates(self, context: ssl.SSLContext | None = None, features: str = FEATURES) -> str:
        """Bring a stream up to its features, by STARTTLS if there is a *context*; returns the last header."""
        header = await self.hears_header()
        if context is not None:
            await self.says(HEADER + STARTTLS_FEATURES)
            await self.hears(f"<starttls {TLS}/>")
            await self.starts_tls(context, PROCEED)
            header = await self.hears_header()
        await self.says(HEADER + features)
        return header

    def ends(self) -> None:
        """Close: FIN, after close_notify if there is TLS."""
        self._writer.close()

    def resets(self) -> None:
        """End the connection by RST."""
        sock = self._writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.abort()

    async def ends_anyhow(self) -> None:
        """Say no more, and wait for the end of the connection, however it comes."""
        with suppress(OSError):
            await self.hears_rest_in_bytes()

    async def fails_tls(self, context: ssl.SSLContext) -> None:
        """Begin TLS with a client that does not like it."""
        with suppress(OSError):
            await self.starts_tls(context)
            await self.hears_rest_in_bytes()

    @property
    def tls(self) -> ssl.SSLObject:
        """What the TLS handshake gave."""
        found = self._writer.get_extra_info("ssl_object")
        assert isinstance(found, ssl.SSLObject)
        return found

    async def leaves(self) -> None:
        """Close what the script left open."""
        if self._writer.transport is not None:
            self._writer.close()
        if self._failed:
            return  # after a failed handshake the stream never hears that it is closed
        with suppress(OSError):  # the script has seen to what matters
            await self._writer.wait_closed()


Script = Callable[[Peer], Awaitable[None]]


class ScriptedServer:
    """Follows one of *scripts* on each connection, the last one on all further ones.

    Leaving its context waits for the scripts to come to their end, and raises what they raised.
    """

    def __init__(self, *scripts: Script) -> None:
        self._scripts = scripts
        self._tasks: list[asyncio.Task[None]] = []
        self._server: asyncio.Server

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        try:
            async with asyncio.timeout(PATIENCE):
                await asyncio.gather(*self._tasks)
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await self._server.wait_closed()

    @property
    def port(self) -> int:
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    @property
    def connections(self) -> int:
        """How many connections were accepted."""
        return len(self._tasks)

    def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        script = self._scripts[min(len(self._tasks), len(self._scripts) - 1)]
        self._tasks.append(asyncio.create_task(self._follow(script, Peer(reader, writer))))

    @staticmethod
    async def _follow(script: Script, peer: Peer) -> None:
        try:
            await script(peer)
        finally:
            await peer.leaves()


@dataclass(frozen=True)
class Opened:
    """`StreamHandler.stream_opened` was called."""

    header: StreamHeader


@dataclass(frozen=True)
class Received:
    """`StreamHandler.stream_received` was called."""

    elements: list[Element]

    @property
    def text(self) -> str:
        return "".join(element.data.decode() for element in self.elements)


@dataclass(frozen=True)
class Closed:
    """`StreamHandler.stream_closed` was called."""

    error: BackendError | None


@dataclass(frozen=True)
class PauseSending:
    """`StreamHandler.pause_sending` was called."""


@dataclass(frozen=True)
class ResumeSending:
    """`StreamHandler.resume_sending` was called."""


Call = Opened | Received | Closed | PauseSending | ResumeSending


@dataclass
class Client:
    """The client's side of a stream: *calls* in the order they came."""

    calls: list[Call] = field(default_factory=list)
    on_call: Callable[[Call], None] = field(default=lambda _: None)
    """What else to do about a call, from inside it."""
    _read: int = 0
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    def stream_opened(self, header: StreamHeader) -> None:
        self._call(Opened(header))

    def stream_received(self, elements: list[Element]) -> None:
        self._call(Received(elements))

    def stream_closed(self, error: BackendError | None) -> None:
        self._call(Closed(error))

    def pause_sending(self) -> None:
        self._call(PauseSending())

    def resume_sending(self) -> None:
        self._call(ResumeSending())

    def _call(self, call: Call) -> None:
        assert not any(isinstance(earlier, Closed) for earlier in self.calls), f"{call} after stream_closed"
        self.calls.append(call)
        self._news.set()
        self.on_call(call)

    async def next(self) -> Call:
        """The next call, once it has come."""
        async with asyncio.timeout(PATIENCE):
            while self._read == len(self.calls):
                self._news.clear()
                await self._news.wait()
        self._read += 1
        return self.calls[self._read - 1]

    async def opened(self) -> StreamHeader:
        call = await self.next()
        assert isinstance(call, Opened), call
        return call.header

    async def received(self) -> str:
        call = await self.next()
        assert isinstance(call, Received), call
        return call.text

    async def closed(self) -> BackendError | None:
        """The end; whatever else came before it is skipped."""
        while not isinstance(call := await self.next(), Closed):
            pass
        return call.error
