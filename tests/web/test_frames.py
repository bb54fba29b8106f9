"""WebSocket frames that break RFC 6455 or the limits: raw bytes, because no client library sends them."""

import asyncio
import logging
import re
import zlib

import pytest

from tests.backend.scripted import PATIENCE, Peer
from tests.web.conftest import MakeFront
from tests.web.front import (
    END,
    HANDSHAKE,
    OPEN,
    Front,
    RawConnection,
    XmppServer,
    eventually,
    frame,
    meanwhile,
    message,
)

LIMIT = 10_000
TEXT, CONTINUATION, BINARY, CLOSE_FRAME, PING = 1, 0, 2, 8, 9
CLOSE_CODE = re.compile(rb"\x88[\x02-\x7d](..)[ -~]*$", re.DOTALL)


@pytest.fixture
async def small(make_front: MakeFront) -> Front:
    """A gateway with small stanzas."""
    return await make_front(limits={"max_stanza_bytes": LIMIT})


async def shake_hands(front: Front, **options: int) -> RawConnection:
    """A WebSocket whose frames the test writes itself."""
    raw = await front.raw(**options)
    await raw.send(HANDSHAKE)
    assert b" 101 " in await raw.reader.readuntil(b"\r\n\r\n")
    return raw


async def open_stream(front: Front, server: XmppServer, **options: int) -> tuple[RawConnection, Peer]:
    """The same with an open stream; the answers to ``<open/>`` have been read."""
    raw = await shake_hands(front, **options)
    await raw.send(frame(TEXT, OPEN.encode()))
    await raw.reader.readuntil(b"</stream:features>")
    return raw, await server.accept()


async def hears_close(raw: RawConnection) -> tuple[int, bytes]:
    """Read up to the Close frame, and answer it; returns its code, and what came before it."""
    received = b""
    async with asyncio.timeout(PATIENCE):
        while (found := CLOSE_CODE.search(received)) is None:
            chunk = await raw.reader.read(1 << 16)
            assert chunk, received
            received += chunk
    raw.writer.write(frame(CLOSE_FRAME, found[1]))
    return int.from_bytes(found[1], "big"), received


def stanza(size: int) -> bytes:
    """A stanza of exactly *size* bytes, not all of them ASCII."""
    wrapped = len(message(1, "\u00e9").encode())
    text = message(1, "\u00e9" + "x" * (size - wrapped)).encode()
    assert len(text) == size
    return text


@pytest.mark.rule("WS24")
@pytest.mark.parametrize("fragments", [1, 3])
async def test_a_stanza_of_the_limit_passes(
    small: Front, xmpp_server: XmppServer, fragments: int
) -> None:  # attack S6, attack S7, attack S18
    raw, peer = await open_stream(small, xmpp_server)
    whole = stanza(LIMIT)
    step = -(-len(whole) // fragments)
    for at in range(0, len(whole), step):
        opcode = CONTINUATION if at else TEXT
        await raw.send(frame(opcode, whole[at : at + step], fin=at + step >= len(whole)))
    assert await peer.hears("</message>") == whole.decode()


@pytest.mark.rule("HC24", "WS24", "WS25")
@pytest.mark.parametrize("fragments", [1, 3])
@pytest.mark.parametrize("size", [LIMIT + 1, 2 * LIMIT])
async def test_a_larger_one_ends_the_session(
    small: Front, xmpp_server: XmppServer, size: int, fragments: int
) -> None:  # attack S6, attack S7
    raw, peer = await open_stream(small, xmpp_server)
    whole = stanza(size)
    step = -(-len(whole) // fragments)
    for at in range(0, len(whole), step):
        opcode = CONTINUATION if at else TEXT
        await raw.send(frame(opcode, whole[at : at + step], fin=at + step >= len(whole)))
    assert await peer.hears_rest() == END  # and so is not resumed, to be sent again for ever
    code, received = await hears_close(raw)
    assert b"<policy-violation " in received
    assert b"<close " in received
    assert code == 1009


@pytest.mark.rule("WS24", "WS25")
@pytest.mark.parametrize("fragments", [1, 5])
@pytest.mark.parametrize("size", [2 * LIMIT + 1, 4 * LIMIT])
async def test_one_that_is_larger_still_is_not_even_read(
    small: Front, xmpp_server: XmppServer, size: int, fragments: int
) -> None:  # attack S18
    raw, peer = await open_stream(small, xmpp_server)
    whole = stanza(size)
    step = -(-len(whole) // fragments)
    for at in range(0, len(whole), step):
        opcode = CONTINUATION if at else TEXT
        raw.writer.write(frame(opcode, whole[at : at + step], fin=at + step >= len(whole)))
    assert await peer.hears_rest() == END
    assert (await hears_close(raw))[0] == 1009


@pytest.mark.rule("WS24")
async def test_a_length_is_not_trusted(small: Front, xmpp_server: XmppServer) -> None:  # attack S17
    raw, peer = await open_stream(small, xmpp_server)
    await raw.send(frame(TEXT, b"<", length=2**63 - 1))
    assert (await hears_close(raw))[0] == 1009
    assert await peer.hears_rest() == END


async def test_a_length_is_not_trusted_before_open(small: Front, xmpp_server: XmppServer) -> None:
    raw = await shake_hands(small)
    await raw.send(frame(TEXT, b"<", length=2**62))
    assert (await hears_close(raw))[0] == 1009
    assert xmpp_server.connections == 0


@pytest.mark.rule("WS3", "WS25", "HC24f")
@pytest.mark.parametrize(
    ("bad", "code"),
    [
        (frame(BINARY, message(1).encode()), 1003),  # WS3
        (frame(TEXT, b"<a>\xff</a>"), 1007),
        (frame(TEXT, b"<a>\xc0\xaf</a>"), 1007),  # overlong
        (frame(TEXT, b"<a>\xed\xa0\x80</a>"), 1007),  # half a surrogate pair
        (frame(TEXT, b"<a>\xe2\x82", fin=False) + frame(CONTINUATION, b"</a>"), 1007),
        (b"\x81\x05<a/> ", 1002),  # no mask
        (frame(3, b""), 1002),  # no such opcode
        (frame(CONTINUATION, b"<a/>"), 1002),  # of nothing
        (frame(TEXT, b"<", fin=False) + frame(TEXT, b"a/>"), 1002),
        (frame(PING, b"x" * 126), 1002),
        (frame(TEXT | 0x40, zlib.compress(b"x" * 100_000)), 1002),  # RSV1: attack S8
    ],
    ids=[
        "binary",
        "no UTF-8",
        "overlong",
        "surrogate",
        "cut",
        "no mask",
        "opcode",
        "of nothing",
        "within",
        "ping",
        "compressed",
    ],
)
async def test_what_is_no_text_frame_ends_the_session(
    small: Front, xmpp_server: XmppServer, caplog: pytest.LogCaptureFixture, bad: bytes, code: int
) -> None:
    raw, peer = await open_stream(small, xmpp_server)
    caplog.set_level(logging.INFO, logger="boshgate")
    await raw.send(frame(TEXT, message(1).encode()), bad + frame(TEXT, message(2).encode()))
    assert await peer.hears_rest() == message(1) + END
    assert (await hears_close(raw))[0] == code
    assert "Traceback" not in "".join(record.getMessage() for record in caplog.records)


@pytest.mark.rule("WS24")
async def test_a_character_may_be_split_between_fragments(small: Front, xmpp_server: XmppServer) -> None:
    raw, peer = await open_stream(small, xmpp_server)
    whole = message(1, "\U0001f600").encode()
    at = whole.index(b"\xf0") + 2
    await raw.send(frame(TEXT, whole[:at], fin=False), frame(CONTINUATION, whole[at:]))
    assert await peer.hears("</message>") == whole.decode()


@pytest.mark.rule("WS21", "WS24")
async def test_a_control_frame_between_fragments(small: Front, xmpp_server: XmppServer) -> None:
    raw, peer = await open_stream(small, xmpp_server)
    whole = message(1).encode()
    await raw.send(frame(TEXT, whole[:9], fin=False) + frame(PING, b"p") + frame(CONTINUATION, whole[9:]))
    assert await raw.reader.readexactly(3) == b"\x8a\x01p"
    assert await peer.hears("</message>") == whole.decode()


@pytest.mark.rule("WS15", "WS25")
async def test_a_close_frame_without_a_code(small: Front, xmpp_server: XmppServer) -> None:
    raw, peer = await open_stream(small, xmpp_server)
    await raw.send(frame(TEXT, message(1).encode()) + frame(CLOSE_FRAME, b""))
    assert await peer.hears_rest() == message(1)
    assert await raw.rest() == b"\x88\x00"


@pytest.mark.rule("HC24")
async def test_pings_of_a_client_that_does_not_read_are_not_kept(
    small: Front, xmpp_server: XmppServer
) -> None:
    raw, peer = await open_stream(small, xmpp_server, receive_buffer=1 << 16)
    (connection,) = (c for c in small.server.server_state.connections if hasattr(c, "writable"))
    async with meanwhile(peer.says(*["<message><body>" + "x" * 100_000 + "</body></message>"] * 100)):
        await eventually(lambda: not connection.writable.is_set())
        waiting = connection.transport.get_write_buffer_size()
        for number in range(200):
            await raw.send(frame(PING, b"%08d" % number * 15))
        assert connection.transport.get_write_buffer_size() <= waiting
    pongs: list[bytes] = []
    received = b""
    while b"00000199" not in pongs:
        chunk = await raw.reader.read(1 << 16)
        assert chunk, received
        received = received[-200:] + chunk
        pongs = re.findall(rb"\x8a\x78(.{8})", received)
    assert b"00000100" not in pongs
