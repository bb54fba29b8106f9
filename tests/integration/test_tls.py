"""TLS to the XMPP server: STARTTLS (RFC 6120 section 5) or direct TLS (XEP-0368), or nothing at all."""

import base64
from collections.abc import Awaitable, Callable

import pytest

from tests.conftest import MakeGateway
from tests.support.clients import (
    SASL,
    BoshConnection,
    Client,
    Connection,
    StreamEndedError,
    WebSocketConnection,
)
from tests.support.clients.frames import exchange, open_frame
from tests.support.gateway import Gateway, ServedDomain
from tests.support.proxies import Recording, RecordingProxy
from tests.support.servers import (
    DIRECT_DOMAIN,
    DOMAIN,
    PASSWORD,
    TLS_DOMAIN,
    WRONG_DOMAIN,
    Ejabberd,
    Prosody,
    XmppServer,
)

pytestmark = pytest.mark.integration

STARTTLS_END = b"xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"
SECRET = base64.b64encode(f"\0alice\0{PASSWORD}".encode()).decode()


def connection(transport: str, gateway: Gateway, domain: str) -> Connection:
    if transport == "bosh":
        return BoshConnection(domain, gateway.bosh_url)
    return WebSocketConnection(domain, gateway.websocket_url)


def tls_record_types(data: bytes) -> list[int]:
    """Split *data* into TLS records and return their content types; anything else fails (RFC 8446 5.1)."""
    types = []
    while data:
        assert len(data) >= 5, f"no TLS record: {data!r}"
        kind, version, length = data[0], data[1], int.from_bytes(data[3:5], "big")
        assert kind in (20, 21, 22, 23), f"no TLS record: {data[:100]!r}"
        assert version == 3, f"no TLS record: {data[:100]!r}"
        assert len(data) >= 5 + length, "a TLS record that was cut off"
        types.append(kind)
        data = data[5 + length :]
    return types


def assert_only_tls(recording: Recording, *, starttls: bool) -> None:
    """Everything the gateway sent is TLS, but for the header and <starttls/> where that is the way in."""
    sent = bytes(recording.from_client)
    if starttls:
        clear, end, sent = sent.partition(STARTTLS_END)
        assert clear.startswith(b"<?xml version='1.0'?><stream:stream"), clear
        assert clear.count(b"<") == 3, f"more than declaration, header and starttls: {clear!r}"
        assert clear.endswith(b"<starttls "), clear
        assert end == STARTTLS_END
    types = tls_record_types(sent)
    assert types[0] == 22, "a handshake comes first"


@pytest.mark.parametrize("domain", [TLS_DOMAIN, DIRECT_DOMAIN])
@pytest.mark.parametrize("transport", ["bosh", "websocket"])
async def test_login_and_chat_over_tls(
    server: XmppServer, gateway: Gateway, domain: str, transport: str
) -> None:
    async with (
        Client(connection(transport, gateway, domain)) as one,
        Client(connection(transport, gateway, domain)) as other,
    ):
        await one.login(server.new_user(), PASSWORD)
        await other.login(server.new_user(), PASSWORD)
        text = "\U0001f510" * 5_000
        await one.send_message(other.jid, text)
        assert await other.wait_for_message() == text


@pytest.mark.parametrize(("domain", "scheme"), [(TLS_DOMAIN, "xmpp"), (DIRECT_DOMAIN, "xmpps")])
async def test_everything_after_starttls_is_encrypted(
    prosody: Prosody, make_gateway: MakeGateway, domain: str, scheme: str
) -> None:
    target = prosody.starttls_port if scheme == "xmpp" else prosody.direct_tls_port
    async with RecordingProxy(target) as proxy:
        backend = f"{scheme}://127.0.0.1:{proxy.port}"
        gateway = make_gateway([ServedDomain(domain, backend, prosody.authority.ca_file)])
        for transport in ("bosh", "websocket"):
            async with Client(connection(transport, gateway, domain)) as client:
                await client.login(prosody.new_user(), PASSWORD)
    assert len(proxy.recordings) == 2
    for recording in proxy.recordings:
        assert_only_tls(recording, starttls=scheme == "xmpp")


async def _create_bosh(gateway: Gateway, domain: str) -> str | None:
    """Open a session and try to log in; return the condition with which it ended."""
    async with BoshConnection(domain, gateway.bosh_url) as bosh:
        await bosh.open()
        with pytest.raises(StreamEndedError) as ended:
            await bosh.receive()
        return ended.value.condition


async def _open_websocket(gateway: Gateway, domain: str) -> str | None:
    """As `_create_bosh`, with a client that does not wait for the features and says its password at once."""
    auth = f"<auth xmlns='{SASL}' mechanism='PLAIN'>{SECRET}</auth>"
    received = await exchange(gateway.websocket_url, open_frame(domain), auth)
    assert received.names == ["open", "error", "close"]
    return received.condition


Attempt = Callable[[Gateway, str], Awaitable[str | None]]


@pytest.mark.parametrize("attempt", [_create_bosh, _open_websocket])
@pytest.mark.parametrize("scheme", ["xmpp", "xmpps"])
async def test_certificate_for_another_name_is_refused_and_nothing_was_sent_in_clear(
    prosody: Prosody, make_gateway: MakeGateway, scheme: str, attempt: Attempt
) -> None:
    target = prosody.starttls_port if scheme == "xmpp" else prosody.direct_tls_port
    async with RecordingProxy(target) as proxy:
        backend = f"{scheme}://127.0.0.1:{proxy.port}"
        gateway = make_gateway([ServedDomain(WRONG_DOMAIN, backend, prosody.authority.ca_file)])
        assert await attempt(gateway, WRONG_DOMAIN) == "remote-connection-failed"
    (recording,) = proxy.recordings
    assert_only_tls(recording, starttls=scheme == "xmpp")
    assert "certificate" in gateway.log()


@pytest.mark.parametrize("attempt", [_create_bosh, _open_websocket])
async def test_certificate_of_an_unknown_authority_is_refused(
    prosody: Prosody, make_gateway: MakeGateway, attempt: Attempt
) -> None:
    async with RecordingProxy(prosody.starttls_port) as proxy:
        gateway = make_gateway([ServedDomain(TLS_DOMAIN, f"xmpp://127.0.0.1:{proxy.port}")])  # no ca_file
        assert await attempt(gateway, TLS_DOMAIN) == "remote-connection-failed"
    (recording,) = proxy.recordings
    assert_only_tls(recording, starttls=True)


@pytest.mark.parametrize("attempt", [_create_bosh, _open_websocket])
async def test_server_without_starttls_gets_no_password(
    ejabberd: Ejabberd, make_gateway: MakeGateway, attempt: Attempt
) -> None:
    """RFC 7590 section 3.1: a missing feature may be the work of somebody in between."""
    async with RecordingProxy(ejabberd.plain_port) as proxy:
        backend = f"xmpp://127.0.0.1:{proxy.port}"
        gateway = make_gateway([ServedDomain(DOMAIN, backend, ejabberd.authority.ca_file)])
        assert await attempt(gateway, DOMAIN) == "remote-connection-failed"
    (recording,) = proxy.recordings
    assert b"<auth" not in recording.from_client
    assert SECRET.encode() not in recording.from_client
