"""One stream from its header to the bound resource, and every way it can fail (RFC 6120 sections 4, 6, 7)."""

import asyncio
import base64
from xml.etree.ElementTree import Element

import pytest

from boshgate.demo.server import DemoServer
from boshgate.demo.stream import MAX_UNSENT_BYTES, ClientStream
from tests.demo.conftest import Connect, LogIn
from tests.demo.test_sasl import scram_proof
from tests.support.clients import (
    CLIENT,
    SASL,
    STREAM_ERRORS,
    STREAMS,
    Client,
    StreamEndedError,
    TcpConnection,
)

BIND = "urn:ietf:params:xml:ns:xmpp-bind"
SESSION = "urn:ietf:params:xml:ns:xmpp-session"


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


async def stream_error(connection: TcpConnection) -> str:
    """Return the condition of the stream error that comes next, and see the stream end."""
    while (element := await connection.receive()).tag != f"{{{STREAMS}}}error":
        pass
    with pytest.raises(StreamEndedError):
        await connection.receive()
    return element[0].tag.removeprefix(f"{{{STREAM_ERRORS}}}")


async def features(connection: TcpConnection) -> Element:
    element = await connection.receive()
    assert element.tag == f"{{{STREAMS}}}features"
    return element


async def test_mechanisms_are_offered_in_order(connect: Connect) -> None:
    offered = await features(await connect())
    assert [each.text for each in offered.iter(f"{{{SASL}}}mechanism")] == [
        "SCRAM-SHA-1",
        "PLAIN",
        "ANONYMOUS",
    ]


async def test_login_by_scram_sha_1(connect: Connect) -> None:
    connection = await connect()
    await features(connection)
    first = "n=alice,r=abc"
    await connection.send(f"<auth xmlns='{SASL}' mechanism='SCRAM-SHA-1'>{b64('n,,' + first)}</auth>")
    challenge = base64.b64decode((await connection.receive()).text or "").decode()
    final = f"c=biws,{challenge.split(',')[0]}"
    proof, signature = scram_proof("playground", first, challenge, final)
    await connection.send(f"<response xmlns='{SASL}'>{b64(f'{final},p={proof}')}</response>")
    success = await connection.receive()
    assert success.tag == f"{{{SASL}}}success"
    assert success.text == b64(f"v={signature}")
    await connection.restart()
    offered = await features(connection)
    assert [each.tag for each in offered] == [f"{{{BIND}}}bind", f"{{{SESSION}}}session"]


async def test_login_by_plain_without_an_initial_response(connect: Connect) -> None:
    connection = await connect()
    await features(connection)
    await connection.send(f"<auth xmlns='{SASL}' mechanism='PLAIN'/>")
    assert (await connection.receive()).tag == f"{{{SASL}}}challenge"  # 6.4.2
    await connection.send(
        f"<response xmlns='{SASL}'>{b64(chr(0) + 'bob' + chr(0) + 'playground')}</response>"
    )
    assert (await connection.receive()).tag == f"{{{SASL}}}success"


async def test_a_guest_has_an_empty_roster_and_may_write(connect: Connect, log_in: LogIn) -> None:
    alice = await log_in("alice")
    connection = await connect()
    await features(connection)
    await connection.send(f"<auth xmlns='{SASL}' mechanism='ANONYMOUS'>=</auth>")
    assert (await connection.receive()).tag == f"{{{SASL}}}success"
    await connection.restart()
    await features(connection)
    guest = Client(connection)
    bound = await guest.query("set", f"<bind xmlns='{BIND}'/>")
    jid = bound.findtext(f"{{{BIND}}}bind/{{{BIND}}}jid")
    roster = await guest.query("get", "<query xmlns='jabber:iq:roster'/>")
    assert len(roster[0]) == 0
    await guest.send_message("alice@localhost", "hello from a guest")
    message = await alice.wait_for(lambda element: element.tag == f"{{{CLIENT}}}message")
    assert message.get("from") == jid
    assert jid is not None
    assert jid.startswith("guest-")


async def test_after_a_failure_the_client_may_try_again(connect: Connect) -> None:
    connection = await connect()
    await features(connection)
    for auth, condition in (
        (
            f"<auth xmlns='{SASL}' mechanism='PLAIN'>{b64(chr(0) + 'bob' + chr(0) + 'x')}</auth>",
            "not-authorized",
        ),
        (f"<auth xmlns='{SASL}' mechanism='DIGEST-MD5'/>", "invalid-mechanism"),
        (f"<response xmlns='{SASL}'/>", "aborted"),
        (f"<abort xmlns='{SASL}'/>", "aborted"),
    ):
        await connection.send(auth)
        failure = await connection.receive()
        assert failure.tag == f"{{{SASL}}}failure"
        assert [each.tag for each in failure] == [f"{{{SASL}}}{condition}"]
    await connection.send(f"<auth xmlns='{SASL}' mechanism='ANONYMOUS'>=</auth>")
    assert (await connection.receive()).tag == f"{{{SASL}}}success"


@pytest.mark.parametrize(
    ("sent", "condition"),
    [
        ("<message xmlns='jabber:client'/>", "not-authorized"),
        ("<!-- comment -->", "restricted-xml"),
        ("<a><b></a>", "not-well-formed"),
        ("<a>&eacute;</a>", "restricted-xml"),
    ],
)
async def test_stream_errors_before_login(connect: Connect, sent: str, condition: str) -> None:
    connection = await connect()
    await connection.send(sent)
    assert await stream_error(connection) == condition


async def test_an_unknown_domain_is_refused(connect: Connect) -> None:
    assert await stream_error(await connect("elsewhere.example")) == "host-unknown"


async def test_a_stream_without_a_version_is_refused(demo: DemoServer) -> None:
    async with HeaderlessConnection("localhost", demo.port) as connection:
        await connection.open()
        await connection.send(f"<stream:stream xmlns='{CLIENT}' xmlns:stream='{STREAMS}' to='localhost'>")
        assert await stream_error(connection) == "unsupported-version"


async def test_what_is_no_stream_is_refused(demo: DemoServer) -> None:
    async with HeaderlessConnection("localhost", demo.port) as connection:
        await connection.open()
        await connection.send("GET / HTTP/1.1\r\n\r\n")
        assert await stream_error(connection) == "not-well-formed"


class HeaderlessConnection(TcpConnection):
    """Sends no header by itself."""

    async def restart(self) -> None:
        """Leave it to the test."""


@pytest.mark.parametrize(
    ("sent", "condition"),
    [
        ("<message xmlns='jabber:client' from='bob@localhost'/>", "invalid-from"),
        ("<thing xmlns='jabber:client'/>", "unsupported-stanza-type"),
    ],
)
async def test_stream_errors_after_login(log_in: LogIn, sent: str, condition: str) -> None:
    alice = await log_in("alice")
    assert isinstance(alice.connection, TcpConnection)
    await alice.connection.send(sent)
    assert await stream_error(alice.connection) == condition


async def test_nothing_but_binding_before_binding(connect: Connect) -> None:
    connection = await connect()
    await connection.send(f"<auth xmlns='{SASL}' mechanism='ANONYMOUS'>=</auth>")
    await features(connection)
    assert (await connection.receive()).tag == f"{{{SASL}}}success"
    await connection.restart()
    await connection.send(f"<presence xmlns='{CLIENT}'/>")
    assert await stream_error(connection) == "not-authorized"  # 7.1


async def test_the_client_may_choose_its_resource(log_in: LogIn) -> None:
    assert (await log_in("alice", "phone")).jid == "alice@localhost/phone"
    chosen_by_the_server = (await log_in("alice")).jid
    assert len(chosen_by_the_server) > len("alice@localhost/")


async def test_whitespace_keeps_the_connection_alive(log_in: LogIn) -> None:
    alice = await log_in("alice")
    await alice.connection.send("  \n ")
    assert (await alice.query("get", "<ping xmlns='urn:xmpp:ping'/>")).get("type") == "result"


async def test_the_end_of_the_stream_is_answered(connect: Connect) -> None:
    connection = await connect()
    await features(connection)
    await connection.send("</stream:stream>")
    with pytest.raises(StreamEndedError, match=r"</stream:stream>"):
        await connection.receive()


async def test_a_client_that_does_not_read_is_cut_off(demo: DemoServer) -> None:
    transport = UnreadTransport()
    stream = ClientStream(demo)
    stream.connection_made(transport)
    stream.send("x" * MAX_UNSENT_BYTES)
    assert not transport.is_closing()
    stream.send("x")
    assert transport.is_closing()
    stream.connection_lost(None)


class UnreadTransport(asyncio.Transport):
    """Everything written stays in the buffer."""

    def __init__(self) -> None:
        super().__init__()
        self._size = 0
        self._closing = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self._size += len(data)

    def get_write_buffer_size(self) -> int:
        return self._size

    def is_closing(self) -> bool:
        return self._closing

    def abort(self) -> None:
        self._closing = True
