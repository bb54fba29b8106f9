"""Stream features through the gateway, over both transports: what is changed about them, and enforced."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from boshgate.config import Domain
from tests.backend.scripted import HEADER
from tests.web.conftest import MakeFront
from tests.web.front import (
    DOMAIN,
    ENABLED,
    END,
    SUCCESS,
    Chat,
    Front,
    XmppServer,
    configure,
    message,
    open_websocket,
    running,
)
from tests.web.lines import SessionEndedError, open_line

LIMITS = "xmlns='urn:xmpp:stream-limits:0'"
MECHANISMS = (
    "<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>SCRAM-SHA-1-PLUS</mechanism>"
    "<mechanism>EXTERNAL</mechanism></mechanisms>"
    "<sasl-channel-binding xmlns='urn:xmpp:sasl-cb:0'><channel-binding type='tls-exporter'/>"
    "</sasl-channel-binding>"
)
UNKNOWN = "<x:unknown xmlns:x='urn:unknown' a=\"'\">\n<starttls/></x:unknown>"
HIDDEN = (
    "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"
    "<compression xmlns='http://jabber.org/features/compress'><method>zlib</method></compression>"
)
SERVERS_LIMITS = f"<limits {LIMITS}><max-bytes>%s</max-bytes><idle-seconds>1800</idle-seconds></limits>"

pytestmark = pytest.mark.parametrize("transport", ["websocket", "bosh"])


@pytest.fixture
async def make_server() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as stack:
        yield stack


async def serving(stack: AsyncExitStack, *children: str) -> XmppServer:
    """A server with these features."""
    features = f"<stream:features>{''.join(children)}</stream:features>"
    return await stack.enter_async_context(XmppServer(features))


@pytest.mark.rule("F1", "F2", "F4", "F5", "F6", "F11", "WS22")
async def test_only_starttls_and_compression_are_left_out(
    make_front: MakeFront, make_server: AsyncExitStack, transport: str
) -> None:
    server = await serving(make_server, UNKNOWN, HIDDEN, MECHANISMS)
    line, _ = await open_line(transport, await make_front(server), server)
    assert f">{UNKNOWN}{MECHANISMS}<limits " in line.features
    assert "starttls xmlns=" not in line.features
    assert "compress" not in line.features


@pytest.mark.rule("F11")
async def test_empty_features_come_too(
    make_front: MakeFront, make_server: AsyncExitStack, transport: str
) -> None:
    server = await serving(make_server)
    line, _ = await open_line(transport, await make_front(server), server)
    assert line.features.endswith("</max-bytes></limits></stream:features>")


@pytest.mark.rule("F9")
@pytest.mark.parametrize(("servers", "told"), [("20000", "20000"), ("30000", "30000"), ("30001", "30000")])
async def test_the_lower_limit_is_told(
    make_front: MakeFront, make_server: AsyncExitStack, transport: str, servers: str, told: str
) -> None:
    server = await serving(make_server, SERVERS_LIMITS % servers, MECHANISMS)
    front = await make_front(server, limits={"max_stanza_bytes": 30_000})
    line, _ = await open_line(transport, front, server)
    assert f">{told}</max-bytes>" in line.features
    assert line.features.count("max-bytes>") == 2
    assert "<idle-seconds>1800</idle-seconds>" in line.features, "pings and polls are no XMPP traffic"


@pytest.mark.rule("F9")
async def test_limits_are_told_anew_with_each_features(
    make_front: MakeFront, make_server: AsyncExitStack, transport: str
) -> None:
    server = await serving(make_server, SERVERS_LIMITS % "10000", MECHANISMS)
    front = await make_front(server, limits={"max_stanza_bytes": 30_000})
    line, peer = await open_line(transport, front, server)
    assert ">10000</max-bytes>" in line.features
    await peer.says(SUCCESS)
    await line.hears("<success ")

    async def restarted() -> None:
        await peer.hears_header()
        await peer.says(f"{HEADER}<stream:features>{SERVERS_LIMITS % '262144'}</stream:features>")

    answering = asyncio.create_task(restarted())
    await line.restarts()
    await answering
    assert ">30000</max-bytes>" in line.features


@pytest.mark.rule("F9", "WS24")
async def test_what_is_told_is_what_is_taken(
    make_front: MakeFront, make_server: AsyncExitStack, transport: str
) -> None:
    server = await serving(make_server, MECHANISMS)
    front = await make_front(server, limits={"max_stanza_bytes": 10_000, "max_body_bytes": 11_024})
    line, peer = await open_line(transport, front, server)
    assert f"<limits {LIMITS}><max-bytes>10000</max-bytes></limits>" in line.features
    largest = message(1, "x" * (10_000 - len(message(1, ""))))
    await line.says(largest)
    assert await peer.hears("</message>") == largest
    await peer.says("<enabled xmlns='urn:xmpp:sm:3' id='1' resume='true'/>")
    await line.hears("<enabled ")
    await line.says(largest.replace("xx", "xxx", 1))
    if transport == "websocket":
        await line.hears("<stream:error ")
    else:
        for condition in ("other-request", "policy-violation"):
            with pytest.raises(SessionEndedError, match=condition):
                await line.hears("<")
    assert await peer.hears_rest() == END, "or it would be resumed to send the same again"


@pytest.mark.rule("F10")
async def test_where_to_resume_is_hidden(front: Front, xmpp_server: XmppServer, transport: str) -> None:
    line, peer = await open_line(transport, front, xmpp_server)
    await peer.says(ENABLED.replace(" id=", " location='10.0.0.7:5222' id="))
    assert await line.hears("<enabled ") == ENABLED


@pytest.mark.rule("F10")
async def test_where_to_resume_can_be_kept(xmpp_server: XmppServer, down: str, transport: str) -> None:
    config = configure(xmpp_server.address, down, limits={"close_timeout": 0.3})
    domain = Domain.model_validate({"name": DOMAIN, "backends": [xmpp_server.address], "keep_location": True})
    async with running(config.model_copy(update={"domains": (domain,)})) as front:
        line, peer = await open_line(transport, front, xmpp_server)
        located = ENABLED.replace(" id=", " location='10.0.0.7:5222' id=")
        await peer.says(located)
        assert await line.hears("<enabled ") == located
        xmpp_server.leave()


@pytest.mark.rule("N12", "WS22", "HC18")
async def test_a_server_that_wants_tls_on_a_clear_connection_is_not_used(
    make_front: MakeFront, make_server: AsyncExitStack, transport: str
) -> None:
    server = await serving(make_server, HIDDEN.replace("xmpp-tls'/>", "xmpp-tls'><required/></starttls>"))
    front = await make_front(server)
    if transport == "websocket":
        with pytest.raises(AssertionError, match="remote-connection-failed"):
            await open_websocket(front, server)
    else:
        assert "condition='remote-connection-failed'" in (await front.post(Chat(front).body(to=DOMAIN))).text
