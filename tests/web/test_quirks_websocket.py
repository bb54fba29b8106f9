"""What WebSocket clients do that a gateway must bear with, with their own bytes (quirk 16)."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from boshgate.demo.server import DemoServer
from tests.backend.scripted import PATIENCE
from tests.web.front import (
    CLOSE,
    END,
    FRAMING,
    HANDSHAKE,
    OPEN,
    Front,
    RawConnection,
    XmppServer,
    eventually,
    frame,
)
from tests.web.wires import AUTH, BIND, GONE, playground

TEXT, CLOSE_FRAME = 1, 8
DEFLATE = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"


@dataclass(frozen=True)
class Manner:
    """How one client talks."""

    name: str
    open: str
    lines: tuple[str, ...] = ()
    """What its handshake has beside the usual."""
    code: int | None = 1000
    """What its Close frame says; None: no code."""
    last: str = ""
    """What it says before ``<close/>``."""


MANNERS = [
    Manner("strophe", f"<open to='localhost' version='1.0' xmlns='{FRAMING}'/>", (DEFLATE,), None, GONE),
    Manner(
        "@xmpp/client",
        f"<open version='1.0' xmlns='{FRAMING}' to='localhost' from='alice@localhost'/>",
        (DEFLATE,),
    ),
    Manner(
        "stanza", f'<open xmlns="{FRAMING}" version="1.0" to="localhost" xml:lang="en"/>', (DEFLATE,), None
    ),
    Manner("node-xmpp-client", f'<open xmlns="{FRAMING}" version="1.0" to="localhost"/>', (DEFLATE,)),
    Manner(
        "JSJaC",
        f'<open xmlns="{FRAMING}" to="localhost" version="1.0"/>',
        (DEFLATE, "Origin: https://chat.example"),
        1001,
    ),
    Manner("nbxmpp", f'<open xmlns="{FRAMING}" version="1.0" to="localhost" xml:lang="en" />'),
]


class Frames:
    """A WebSocket client that writes its frames itself."""

    def __init__(self, raw: RawConnection) -> None:
        self.raw = raw
        self.handshake = ""

    async def shake_hands(self, *lines: str) -> None:
        """Become a WebSocket, with further header *lines*."""
        head = HANDSHAKE.removesuffix("\r\n")
        await self.raw.send("".join([head, *(f"{line}\r\n" for line in lines), "\r\n"]))
        self.handshake = (await self.raw.reader.readuntil(b"\r\n\r\n")).decode().lower()
        assert " 101 " in self.handshake

    async def says(self, text: str) -> None:
        """Send *text* in one frame."""
        await self.raw.send(frame(TEXT, text.encode()))

    async def receive(self) -> tuple[int, bytes]:
        """The opcode and the payload of the next frame, which is whole."""
        async with asyncio.timeout(PATIENCE):
            first, length = await self.raw.reader.readexactly(2)
            if length == 126:
                (length,) = struct.unpack("!H", await self.raw.reader.readexactly(2))
            return first & 15, await self.raw.reader.readexactly(length)

    async def hears(self, start: str) -> str:
        """The next message, which begins with *start*."""
        opcode, payload = await self.receive()
        text = payload.decode()
        assert (opcode, text[: len(start)]) == (TEXT, start), text
        return text

    async def hears_until(self, words: str) -> str:
        """The next message that has *words* in it."""
        while words not in (text := await self.hears("<")):
            pass
        return text


@pytest.fixture
async def world() -> AsyncIterator[tuple[Front, DemoServer]]:
    async with playground() as made:
        yield made


@pytest.mark.rule("WS1", "WS11", "WS14", "WS17", "WS26")
@pytest.mark.parametrize("manner", MANNERS, ids=lambda manner: manner.name)
async def test_quirk_16_from_login_to_goodbye(world: tuple[Front, DemoServer], manner: Manner) -> None:
    front, server = world
    client = Frames(await front.raw())
    await client.shake_hands(*manner.lines)
    assert "sec-websocket-protocol: xmpp\r\n" in client.handshake
    assert "sec-websocket-extensions" not in client.handshake  # declined
    await client.says(manner.open)
    opened = await client.hears("<open ")
    assert (" to='alice@localhost'" in opened) == ("from=" in manner.open)
    await client.hears("<stream:features")
    await client.says(AUTH)
    await client.hears("<success")
    await client.says(manner.open)
    await client.hears("<open ")
    await client.hears("<stream:features")
    await client.says(f"<iq xmlns='jabber:client' type='set' id='b1'>{BIND}</iq>")
    await client.hears_until("<jid>alice@localhost/")
    await client.says("<presence xmlns='jabber:client'/>")
    await client.hears_until("<presence")
    if manner.last:
        await client.says(manner.last)
    await client.says(CLOSE)
    await client.hears_until("<close ")
    await client.raw.send(frame(CLOSE_FRAME, b"" if manner.code is None else struct.pack("!H", manner.code)))
    while (await client.receive())[0] != CLOSE_FRAME:
        pass
    assert await client.raw.rest() == b""
    await eventually(lambda: not server.streams and not front.gateway.websocket.connections)


async def open_stream(front: Front, xmpp_server: XmppServer) -> Frames:
    """A client with an open stream to a server that follows the test's script."""
    client = Frames(await front.raw())
    await client.shake_hands()
    await client.says(OPEN)
    await client.hears("<open ")
    await client.hears("<stream:features")
    return client


@pytest.mark.rule("WS14")
async def test_quirk_16_a_reset_after_close(front: Front, xmpp_server: XmppServer) -> None:
    client = await open_stream(front, xmpp_server)
    peer = await xmpp_server.accept()
    await client.says(CLOSE)
    assert await peer.hears(END) == END
    sock = client.raw.writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.raw.writer.transport.abort()
    await peer.says(END)
    await eventually(lambda: not front.gateway.websocket.connections and not front.gateway.backends.live)


@pytest.mark.rule("WS9", "WS10", "WS12")
async def test_quirk_16_the_framing_of_an_old_draft(front: Front, xmpp_server: XmppServer) -> None:
    client = Frames(await front.raw())
    await client.shake_hands("Origin: 127.0.0.1")
    await client.says(
        "<?xml version='1.0'?><stream:stream id='1' xmlns:stream='http://etherx.jabber.org/streams'"
        " xmlns='jabber:client' to='example.org' version='1.0'>"
    )
    await client.hears("<open ")
    assert "<invalid-namespace " in await client.hears("<stream:error ")
    await client.hears("<close ")
    await client.raw.send(frame(CLOSE_FRAME, struct.pack("!H", 1000) + b"close"))
    while (await client.receive())[0] != CLOSE_FRAME:
        pass
    assert xmpp_server.connections == 0
    assert await front.post("<")  # it is still there for others


@pytest.mark.rule("WS24")
async def test_quirk_16_a_frame_of_50_kb(front: Front, xmpp_server: XmppServer) -> None:
    client = await open_stream(front, xmpp_server)
    peer = await xmpp_server.accept()
    text = "&lt;" * 30_000
    await client.says(f"<message xmlns='jabber:client'><body>{text}</body></message>")
    assert text in await peer.hears("</message>")
