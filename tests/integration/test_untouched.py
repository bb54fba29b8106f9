"""What a user writes arrives as it would have without the gateway, however odd it is written."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Self
from xml.etree.ElementTree import Element, fromstring

import pytest

from tests.conftest import MakeGateway
from tests.support.clients import (
    CLIENT,
    STREAMS,
    BoshConnection,
    Client,
    Connection,
    TcpConnection,
    WebSocketConnection,
)
from tests.support.gateway import Gateway, ServedDomain
from tests.support.servers import DOMAIN, PASSWORD, XmppServer
from tests.support.stanzas import canonical

pytestmark = pytest.mark.integration

HEADER = (
    f"<stream:stream xmlns='{CLIENT}' xmlns:stream='{STREAMS}' xmlns:y='urn:y' id='i' from='{DOMAIN}'"
    " xml:lang='fr' version='1.0'>"
)
GREETING = "<message><body>hi</body><y:e/></message>"
END = "</stream:stream>"

LARGE = "a&amp;é\U0001f600\U0001f9d1&#x200D;\U0001f680" * 3_000
"""More than 50 kB of UTF-8."""

ODD = {
    "namespaces": (
        "<body>b</body><x:outer xmlns:x='urn:x' xmlns='urn:other' xmlns:unused='urn:unused'>"
        "<inner><x:inner xmlns:x='urn:y'><x:inner/></x:inner><x:inner/></inner></x:outer>"
        "<message xmlns='urn:not-a-message'><body xmlns='http://jabber.org/protocol/httpbind'/></message>"
    ),
    "prefixes": "<o:body xmlns:p='urn:p'><p:e o:a='1' p:a='2' a='3'/></o:body><body>b</body>",
    "attributes": "<e xmlns='urn:e' tab='&#9;' line='a&#10;' return='&#13;' quote='&quot;&apos;&lt;&amp;>'/>",
    "CDATA": "<body><![CDATA[<n> &amp; ]]]]><![CDATA[> \U0001f600]]></body><e xmlns='urn:e'><![CDATA[]]></e>",
    "entities": "<body>&lt;&amp;&gt;&quot;&apos; &#x1F600;&#128512; &#13;&#10; ]]&gt; &#xA0;&#x2028;</body>",
    "languages": "<body xml:lang='de'>Hoi</body><body xml:lang='en-GB'>hi</body><body xml:lang=''>?</body>",
    "space": "<body xml:space='preserve'> \t\n  two lines \n </body>\n  <e  xmlns = 'urn:e'  ></e  >\t",
    "names": "<ελ:ημ-1._ xmlns:ελ='urn:ελ' ελ:α='ω'/><_ xmlns='urn:_'/><body>b</body>",
    "size": f"<body>{LARGE}</body>",
}


def odd_message(to: str, content: str) -> str:
    """Return a message, everything of which is declared within it."""
    return (
        f'<message xmlns:o="urn:o" xmlns="{CLIENT}"\n  type = "chat" to="{to}" id="&lt;odd&gt;&#9;1"'
        f' xml:lang="de-CH" o:mark="&#x2603;" >{content}</message >'
    )


def what_arrived(message: Element) -> str:
    """What *message* says, but for the addresses, which the server writes."""
    message.attrib.pop("from", None)
    message.attrib.pop("to", None)
    return canonical(message)


@dataclass(frozen=True, slots=True)
class Mirror:
    """A server that offers nothing, says GREETING, and sends back whatever it is sent, byte for byte."""

    port: int
    received: bytearray

    @classmethod
    @asynccontextmanager
    async def running(cls) -> AsyncIterator[Self]:
        received = bytearray()

        async def reflect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"<stream:stream")
            await reader.readuntil(b">")
            writer.write(f"{HEADER}<stream:features/>{GREETING}".encode())
            while data := await reader.read(65536):
                received.extend(data)
                writer.write(data)  # </stream:stream> too
                await writer.drain()
            writer.close()

        async with await asyncio.start_server(reflect, "127.0.0.1", 0) as server:
            yield cls(server.sockets[0].getsockname()[1], received)

    def read(self) -> list[str]:
        """What the stanzas say that it received."""
        end = b"" if self.received.endswith(END.encode()) else END.encode()
        return [canonical(stanza) for stanza in fromstring(HEADER.encode() + self.received + end)]


def connect(transport: str, gateway: Gateway) -> Connection:
    if transport == "bosh":
        return BoshConnection(DOMAIN, gateway.bosh_url)
    return WebSocketConnection(DOMAIN, gateway.websocket_url)


@pytest.mark.parametrize("transport", ["bosh", "websocket"])
@pytest.mark.rule("W11", "HC16")
async def test_odd_messages_pass_untouched_both_ways(make_gateway: MakeGateway, transport: str) -> None:
    messages = [odd_message("mirror@localhost", content) for content in ODD.values()]
    assert len(LARGE.encode()) > 50_000
    async with Mirror.running() as mirror:
        gateway = make_gateway([ServedDomain(DOMAIN, f"tcp://127.0.0.1:{mirror.port}")])
        async with connect(transport, gateway) as alice:
            await alice.open()
            for _ in ("features", GREETING):
                await alice.receive()
            for message in messages:
                await alice.send(message)
                assert canonical(await alice.receive()) == canonical(message)
        assert mirror.read() == [canonical(message) for message in messages]


@pytest.mark.rule("W8", "W9", "W10", "WS7", "HC16")
async def test_hc16_namespaces_both_ways(make_gateway: MakeGateway) -> None:
    """What a message takes from the element around it goes with it to the other side."""
    async with Mirror.running() as mirror:
        gateway = make_gateway([ServedDomain(DOMAIN, f"tcp://127.0.0.1:{mirror.port}")])
        greeting = f"<message xmlns='{CLIENT}' xmlns:y='urn:y'{{lang}}><body>hi</body><y:e/></message>"
        async with WebSocketConnection(DOMAIN, gateway.websocket_url) as websocket:
            await websocket.open()
            await websocket.receive()
            assert canonical(await websocket.receive()) == canonical(greeting.format(lang=" xml:lang='fr'"))
        async with BoshConnection(DOMAIN, gateway.bosh_url) as bosh:
            await bosh.open()
            await bosh.receive()
            assert canonical(await bosh.receive()) == canonical(greeting.format(lang=""))
            mirror.received.clear()
            content = "<body>hi</body><x:e a='1&#10;2'/>"
            await bosh.send(f"<message to='a@b'>{content}</message>", **{"xmlns:x": "urn:x"})
            said = canonical(f"<message xmlns='{CLIENT}' xmlns:x='urn:x' to='a@b'>{content}</message>")
            assert canonical(await bosh.receive()) == said
            assert mirror.read() == [said]


@pytest.mark.parametrize("transport", ["bosh", "websocket"])
async def test_odd_messages_arrive_as_without_the_gateway(
    server: XmppServer, gateway: Gateway, transport: str
) -> None:
    """Real servers lose some of the oddities, but no more of them with the gateway than without."""
    async with (
        Client(connect(transport, gateway)) as alice,
        Client(TcpConnection(DOMAIN, server.plain_port)) as bob,
        Client(TcpConnection(DOMAIN, server.plain_port)) as carol,
    ):
        for user in (alice, bob, carol):
            await user.login(server.new_user(), PASSWORD)
        for name, content in ODD.items():
            if (server.name, name) == ("ejabberd", "prefixes"):
                continue  # ejabberd 23.01 forgets the declaration, so its streams are no XML any more
            await carol.connection.send(odd_message(bob.jid, content))
            straight = what_arrived(await bob.expect(f"{{{CLIENT}}}message"))
            await alice.connection.send(odd_message(bob.jid, content))
            assert what_arrived(await bob.expect(f"{{{CLIENT}}}message")) == straight, f"{name}, up"
            await bob.connection.send(odd_message(alice.jid, content))
            assert what_arrived(await alice.expect(f"{{{CLIENT}}}message")) == straight, f"{name}, down"
