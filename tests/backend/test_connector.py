"""Connecting: the order of the addresses, the budget, and TLS by the backend's scheme (RFC 6120 3 and 5)."""

import asyncio
import socket
import ssl
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import trustme

from boshgate.backend import connector
from boshgate.backend.opening import Opening
from boshgate.backend.pool import Backends
from boshgate.config import Config, Domain
from boshgate.errors import ConfigError, ConnectFailed
from tests.backend.conftest import OpenStream, Pki, server_context
from tests.backend.scripted import (
    END,
    FEATURES,
    HEADER,
    PATIENCE,
    PROCEED,
    SASL,
    STARTTLS_FEATURES,
    TLS,
    Client,
    Peer,
    Script,
    ScriptedServer,
    header,
)

CLEAR_HEADER = (
    "<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'"
    " to='example.org' version='1.0' xml:lang='de'>"
)
HEADER_WITH_FROM = CLEAR_HEADER.replace(" version='1.0' xml", " from='alice@example.org' version='1.0' xml")


def in_one(text: str) -> list[str]:
    return [text]


def byte_by_byte(text: str) -> list[str]:
    return list(text)


async def failure(client: Client) -> str:
    error = await client.closed()
    assert isinstance(error, ConnectFailed), error
    return str(error)


async def good(peer: Peer) -> None:
    """A server without fault, by tcp://."""
    await peer.negotiates()
    await peer.hears_rest()


# tcp://


@pytest.mark.rule("T10", "T11", "T12", "T13", "T14", "T15", "B1", "T22")
async def test_tcp_is_plain(open_stream: OpenStream) -> None:  # contract of the scheme
    async def script(peer: Peer) -> None:
        assert await peer.hears_header() == HEADER_WITH_FROM
        await peer.says(HEADER + FEATURES)
        assert await peer.hears_rest() == ""

    client = Client()
    async with ScriptedServer(script) as server:
        stream = open_stream(
            client, f"tcp://127.0.0.1:{server.port}", from_="alice@example.org/web", lang="de"
        )
        assert (await client.opened()).id == "s1"
        assert "<mechanism>PLAIN</mechanism>" in await client.received()
        stream.abort()
        assert await client.closed() is None


@pytest.mark.rule("T17")
async def test_a_server_before_xmpp_1_has_no_features(open_stream: OpenStream) -> None:
    async def script(peer: Peer) -> None:
        await peer.hears_header()
        await peer.says(header(version=""))
        await peer.says("<message/>")
        await peer.hears_rest()

    client = Client()
    async with ScriptedServer(script) as server:
        stream = open_stream(client, f"tcp://127.0.0.1:{server.port}")
        assert (await client.opened()).version is None
        assert await client.received() == "<message xmlns='jabber:client'/>"
        stream.abort()
        await client.closed()


async def test_tcp_to_a_server_that_requires_tls_fails(open_stream: OpenStream) -> None:
    async def script(peer: Peer) -> None:
        await peer.hears_header()
        await peer.says(HEADER + STARTTLS_FEATURES)
        assert await peer.hears_rest() == ""

    client = Client()
    async with ScriptedServer(script) as server:
        stream = open_stream(client, f"tcp://127.0.0.1:{server.port}")
        stream.write(b"<auth/>")
        assert "requires STARTTLS" in await failure(client)


# xmpp://


@pytest.mark.rule("N10", "N11", "N12", "T14", "P16", "HC18", "X2", "N6", "T22")
@pytest.mark.parametrize("split", [in_one, byte_by_byte])
async def test_starttls_comes_before_anything_of_the_client(
    open_stream: OpenStream, pki: Pki, split: Callable[[str], list[str]]
) -> None:
    async def script(peer: Peer) -> None:
        assert await peer.hears_header() == CLEAR_HEADER
        await peer.says(*split(header(id="clear") + STARTTLS_FEATURES))
        assert await peer.hears("/>") == f"<starttls {TLS}/>"
        await peer.starts_tls(pki.good, *split(PROCEED))
        assert await peer.hears_header() == HEADER_WITH_FROM
        await peer.says(*split(HEADER + STARTTLS_FEATURES + "<a/>"))
        assert await peer.hears("</b>") == "<auth>secret</auth><b></b>"
        assert await peer.hears_rest() == ""

    client = Client()
    async with ScriptedServer(script) as server:
        stream = open_stream(client, f"xmpp://127.0.0.1:{server.port}", from_="alice@example.org", lang="de")
        stream.write(b"<auth>secret</auth>")
        stream.write(b"<b></b>")
        assert (await client.opened()).id == "s1"
        # F1: <starttls/> is not for the client to see.
        features = await client.received()
        assert "starttls" not in features
        if split is byte_by_byte:
            features += await client.received()
        assert features.endswith("<a xmlns='jabber:client'/>")
        stream.abort()
        assert await client.closed() is None


@pytest.mark.rule("N7")
async def test_starttls_names_the_domain_and_no_alpn(open_stream: OpenStream, pki: Pki) -> None:
    names: list[str | None] = []
    alpn: list[str | None] = []

    def note(tls: ssl.SSLObject, name: str | None, context: ssl.SSLContext) -> None:
        names.append(name)

    pki.good.sni_callback = note
    pki.good.set_alpn_protocols(["xmpp-client"])

    async def script(peer: Peer) -> None:
        await peer.negotiates(pki.good)
        alpn.append(peer.tls.selected_alpn_protocol())
        await peer.hears_rest()

    client = Client()
    async with ScriptedServer(script) as server:
        stream = open_stream(client, f"xmpp://127.0.0.1:{server.port}")
        await client.opened()
        await client.received()
        stream.abort()
        await client.closed()
    assert (names, alpn) == (["example.org"], [None])


@pytest.mark.rule("N9")
async def test_starttls_is_tried_even_if_it_is_not_offered(open_stream: OpenStream, pki: Pki) -> None:
    async def script(peer: Peer) -> None:
        await peer.hears_header()
        await peer.says(HEADER + FEATURES)
        assert await peer.hears("/>") == f"<starttls {TLS}/>"
        await peer.starts_tls(pki.good, PROCEED)
        await peer.hears_header()
        await peer.says(HEADER + FEATURES)
        await peer.hears_rest()

    client = Client()
    async with ScriptedServer(script) as server:
        stream = open_stream(client, f"xmpp://127.0.0.1:{server.port}")
        await client.opened()
        stream.abort()
        await client.closed()


@pytest.mark.rule("N9", "N10", "X2")
async def test_nothing_goes_out_in_clear_if_starttls_is_refused(open_stream: OpenStream) -> None:
    async def script(peer: Peer) -> None:
        await peer.hears_header()
        await peer.says(HEADER + FEATURES)
        await peer.hears(f"<starttls {TLS}/>")
        await peer.says(f"<failure {TLS}/></stream:stream>")
        assert await peer.hears_rest() == ""

    client = Client()
    async with ScriptedServer(script) as server:
        stream = open_stream(client, f"xmpp://127.0.0.1:{server.port}")
        stream.write(b"<auth>secret</auth>")
        assert "refused STARTTLS" in await failure(client)


@pytest.mark.rule("N11")
@pytest.mark.parametrize("injected", ["<stream:features/>", "<stream:feat", HEADER, END, "\x16\x03\x03"])
async def test_data_injected_after_proceed_ends_it(open_stream: OpenStream, injected: str) -> None:
    async def script(peer: Peer) -> None:
        await peer.hears_header()
        await peer.says(HEADER + STARTTLS_FEATURES)
        await peer.hears(f"<starttls {TLS}/>")
        await peer.says(PROCEED + injected)
        try:
            rest = await peer.hears_rest()
        except ConnectionResetError:
            rest = ""
        assert rest == "", "not even the TLS handshake may begin"

    client = Client()
    async with ScriptedServer(script) as server:
        stream = open_stream(client, f"xmpp://127.0.0.1:{server.port}")
        stream.write(b"<auth>secret</auth>")
        await failure(client)
    assert [type(call).__name__ for call in client.calls] == ["Closed"]


@pytest.mark.rule("N11")
async def test_data_injected_behind_proceed_is_read_by_tls(open_stream: OpenStream) -> None:
    async def script(peer: Peer) -> None:
        await peer.hears_header()
        await peer.says(HEADER + STARTTLS_FEATURES)
        await peer.hears(f"<starttls {TLS}/>")
        await peer.says(PROCEED, HEADER + "<stream:features/>")
        await peer.ends_anyhow()

    client = Client()
    async with ScriptedServer(script) as server:
        open_stream(client, f"xmpp://127.0.0.1:{server.port}")
        assert "TLS failed" in await failure(client)
    assert len(client.calls) == 1


# xmpps://


@pytest.mark.rule("B9")
async def test_the_gateway_has_no_certificate_of_its_own_to_log_in_with(
    open_stream: OpenStream, pki: Pki
) -> None:
    presented: list[object] = []

    async def script(peer: Peer) -> None:
        await peer.starts_tls(pki.asking)
        presented.append(peer.tls.getpeercert(binary_form=True))
        await good(peer)

    client = Client()
    async with ScriptedServer(script) as server:
        stream = open_stream(client, f"xmpps://127.0.0.1:{server.port}")
        await client.opened()
        stream.abort()
        await client.closed()
    assert presented == [None]


@pytest.mark.rule("N6", "N7", "X2")
async def test_direct_tls_from_the_first_byte(open_stream: OpenStream, pki: Pki) -> None:
    names: list[str | None] = []
    alpn: list[str | None] = []

    def note(tls: ssl.SSLObject, name: str | None, context: ssl.SSLContext) -> None:
        names.append(name)

    pki.good.sni_callback = note
    pki.good.set_alpn_protocols(["xmpp-client"])

    async def script(peer: Peer) -> None:
        await peer.starts_tls(pki.good)
        alpn.append(peer.tls.selected_alpn_protocol())
        assert await peer.hears_header() == HEADER_WITH_FROM
        await peer.says(HEADER + FEATURES)
        await peer.hears_rest()

    client = Client()
    async with ScriptedServer(script) as server:
        stream = open_stream(client, f"xmpps://127.0.0.1:{server.port}", from_="alice@example.org", lang="de")
        await client.opened()
        stream.abort()
        await client.closed()
    assert (names, alpn) == (["example.org"], ["xmpp-client"])


@pytest.mark.rule("N6")
async def test_direct_tls_is_not_followed_by_starttls(open_stream: OpenStream, pki: Pki) -> None:
    async def script(peer: Peer) -> None:
        await peer.starts_tls(pki.good)
        await peer.hears_header()
        await peer.says(HEADER + STARTTLS_FEATURES)
        assert await peer.hears_rest() == ""

    client = Client()
    async with ScriptedServer(script) as server:
        stream = open_stream(client, f"xmpps://127.0.0.1:{server.port}")
        await client.opened()
        assert "starttls" not in await client.received()
        stream.abort()
        await client.closed()


@pytest.mark.rule("N7", "N8", "T10")
@pytest.mark.parametrize("scheme", ["xmpp", "xmpps"])
async def test_a_domain_is_written_with_u_labels_and_secured_with_a_labels(
    tmp_path: Path, scheme: str
) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    certificate = server_context(authority.issue_cert("xn--bcher-kva.example"))
    names: list[str | None] = []
    certificate.sni_callback = lambda _tls, name, _context: names.append(name)

    async def script(peer: Peer) -> None:
        if scheme == "xmpps":
            await peer.starts_tls(certificate)
        heard = await peer.negotiates(certificate if scheme == "xmpp" else None)
        assert " to='b\u00fccher.example' " in heard
        await peer.hears("<auth/>")
        await peer.says(f"<success {SASL}/>")
        assert await peer.hears_header() == heard
        await peer.hears_rest()

    client = Client()
    async with ScriptedServer(script) as server:
        backend = f"{scheme}://127.0.0.1:{server.port}"
        domain = {"name": "B\u00fccher.example", "backends": [backend], "ca_file": tmp_path / "ca.pem"}
        backends = Backends(Config(domains=(Domain.model_validate(domain),)))
        stream = backends.open_stream(
            to="xn--bcher-kva.example",
            from_=None,
            lang=None,
            handler=client,
            inherit_lang=False,
            client_address=None,
        )
        stream.write(b"<auth/>")
        await client.opened()
        assert "PLAIN" in await client.received()
        assert "<success" in await client.received()
        stream.restart(from_=None, lang=None)
        stream.abort()
        await client.closed()
    assert names == ["xn--bcher-kva.example"]


@pytest.mark.rule("F7", "N13")
@pytest.mark.parametrize("scheme", ["xmpp", "xmpps"])
async def test_a_server_that_asks_for_a_certificate_gets_none(
    open_stream: OpenStream, pki: Pki, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    """With one, every client could authenticate as the gateway, by SASL EXTERNAL."""
    monkeypatch.setattr(pki.good, "verify_mode", ssl.CERT_OPTIONAL)
    shown: list[bytes | None] = []

    async def script(peer: Peer) -> None:
        if scheme == "xmpps":
            await peer.starts_tls(pki.good)
        await peer.negotiates(None if scheme == "xmpps" else pki.good)
        shown.append(peer.tls.getpeercert(binary_form=True))
        await peer.hears_rest()

    client = Client()
    async with ScriptedServer(script) as server:
        stream = open_stream(client, f"{scheme}://127.0.0.1:{server.port}")
        await client.opened()
        stream.abort()
        await client.closed()
    assert shown == [None]


async def test_direct_tls_to_a_server_that_speaks_xmpp_first(open_stream: OpenStream) -> None:
    async def script(peer: Peer) -> None:
        await peer.says(HEADER)
        await peer.ends_anyhow()

    client = Client()
    async with ScriptedServer(script) as server:
        open_stream(client, f"xmpps://127.0.0.1:{server.port}")
        await failure(client)


# Certificates


@pytest.mark.rule("N8")
@pytest.mark.parametrize("scheme", ["xmpp", "xmpps"])
@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("wrong_name", "not valid for 'example.org'"),
        ("expired", "expired"),
        ("unknown", "unable to get local issuer"),
    ],
)
async def test_a_certificate_that_does_not_fit_ends_it(
    open_stream: OpenStream, pki: Pki, scheme: str, kind: str, reason: str
) -> None:  # attack S15
    heard: list[str] = []

    async def script(peer: Peer) -> None:
        if scheme == "xmpp":
            await peer.hears_header()
            await peer.says(HEADER + STARTTLS_FEATURES)
            await peer.hears(f"<starttls {TLS}/>")
        try:
            await peer.starts_tls(getattr(pki, kind), *([PROCEED] if scheme == "xmpp" else []))
            heard.append(await peer.hears_rest())
        except OSError:
            heard.append("")

    client = Client()
    async with ScriptedServer(script) as server:
        stream = open_stream(client, f"{scheme}://127.0.0.1:{server.port}")
        stream.write(b"<auth>secret</auth>")
        text = await failure(client)
    assert "certificate refused" in text
    assert reason in text
    assert heard == [""], "nothing may be said inside such a TLS connection"


async def test_a_ca_file_without_certificates_is_a_configuration_error(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("no certificate")
    domain = {"name": "example.org", "backends": ["xmpp://127.0.0.1"], "ca_file": tmp_path / "ca.pem"}
    with pytest.raises(ConfigError, match=r"domains\.example\.org\.ca_file: '.*' holds no PEM certificates"):
        Backends(Config(domains=(Domain.model_validate(domain),)))


# Failures, and the next address


async def test_a_refused_connection(open_stream: OpenStream) -> None:
    async with ScriptedServer(good) as server:
        port = server.port
    client = Client()
    open_stream(client, f"tcp://127.0.0.1:{port}")
    assert "refused" in (await failure(client)).lower()


@pytest.mark.rule("N5")
async def test_all_addresses_of_a_host_are_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    async def getaddrinfo(host: str, port: int, **_: object) -> list[tuple[object, ...]]:
        addresses = ["2001:db8::1", "192.0.2.1", "2001:db8::1"]
        return [(0, 0, 0, "", (address, port)) for address in addresses]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)
    assert await connector.resolve("xmpp.example", 5222) == ["2001:db8::1", "192.0.2.1"]
    assert await connector.resolve("192.0.2.9", 5222) == ["192.0.2.9"]


@pytest.mark.rule("N5")
async def test_a_black_hole_costs_the_budget_and_no_more(open_stream: OpenStream) -> None:
    async def script(peer: Peer) -> None:
        await peer.ends_anyhow()

    for scheme in ("tcp", "xmpp", "xmpps"):
        client = Client()
        async with ScriptedServer(script) as server:
            started = time.monotonic()
            open_stream(client, f"{scheme}://127.0.0.1:{server.port}", connect_timeout=0.2)
            text = await failure(client)
            assert text == f"{scheme}://127.0.0.1:{server.port}: no answer in time"
            assert 0.15 < time.monotonic() - started < 0.2 + PATIENCE / 2


@pytest.mark.rule("N5")
async def test_a_black_hole_leaves_time_for_the_next_backend(open_stream: OpenStream) -> None:
    async def hole(peer: Peer) -> None:
        await peer.ends_anyhow()

    client = Client()
    async with ScriptedServer(hole) as first, ScriptedServer(good) as second:
        uris = [f"tcp://127.0.0.1:{server.port}" for server in (first, second)]
        stream = open_stream(client, *uris, connect_timeout=0.5)
        await client.opened()
        assert (first.connections, second.connections) == (1, 1)
        stream.abort()
        await client.closed()


async def test_a_budget_that_ends_as_the_stream_gets_ready_does_no_harm(
    open_stream: OpenStream, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = Opening.step

    async def late(opening: Opening) -> None:
        await step(opening)
        raise TimeoutError

    monkeypatch.setattr(Opening, "step", late)
    client = Client()
    async with ScriptedServer(good) as server:
        stream = open_stream(client, f"tcp://127.0.0.1:{server.port}")
        await client.opened()
        assert server.connections == 1
        stream.abort()
        assert await client.closed() is None


STEPS = ["accepted", "header heard", "header said", "features said", "proceed said", "tls", "tls header said"]


def stops_at(step: str, pki: Pki, how: str) -> Script:
    """A server that ends the connection once it has come to *step* of a STARTTLS negotiation."""

    def end(peer: Peer) -> None:
        if how == "RST":
            peer.resets()
        else:
            peer.ends()

    async def script(peer: Peer) -> None:
        if step != "accepted":
            await peer.hears_header()
        if STEPS.index(step) > 1:
            await peer.says(HEADER)
        if STEPS.index(step) > 2:
            await peer.says(STARTTLS_FEATURES)
            await peer.hears(f"<starttls {TLS}/>")
        if step == "proceed said":
            await peer.says(PROCEED)
        if STEPS.index(step) > 4:
            await peer.starts_tls(pki.good, PROCEED)
            await peer.hears_header()
        if STEPS.index(step) > 5:
            await peer.says(HEADER)
        end(peer)

    return script


@pytest.mark.parametrize("how", ["FIN", "RST"])
@pytest.mark.parametrize("step", STEPS)
async def test_a_server_that_breaks_off_ends_this_stream_only(
    open_stream: OpenStream, pki: Pki, step: str, how: str
) -> None:  # attack S25
    client = Client()
    async with ScriptedServer(stops_at(step, pki, how)) as server:
        stream = open_stream(client, f"xmpp://127.0.0.1:{server.port}")
        stream.write(b"<auth>secret</auth>")
        assert f"xmpp://127.0.0.1:{server.port}: " in await failure(client)
    assert len(client.calls) == 1


@pytest.mark.parametrize("step", STEPS)
async def test_the_next_backend_is_tried(open_stream: OpenStream, pki: Pki, step: str) -> None:
    client = Client()
    async with ScriptedServer(stops_at(step, pki, "RST")) as first, ScriptedServer(good) as second:
        stream = open_stream(client, f"xmpp://127.0.0.1:{first.port}", f"tcp://127.0.0.1:{second.port}")
        await client.opened()
        stream.abort()
        await client.closed()


async def test_a_wrong_certificate_on_one_backend_tries_the_next(open_stream: OpenStream, pki: Pki) -> None:
    async def wrong(peer: Peer) -> None:
        await peer.fails_tls(pki.wrong_name)

    async def right(peer: Peer) -> None:
        await peer.starts_tls(pki.good)
        await good(peer)

    client = Client()
    async with ScriptedServer(wrong) as first, ScriptedServer(right) as second:
        stream = open_stream(client, *(f"xmpps://127.0.0.1:{server.port}" for server in (first, second)))
        await client.opened()
        stream.abort()
        await client.closed()


async def test_the_final_failure_names_every_backend(open_stream: OpenStream, pki: Pki) -> None:
    async def wrong(peer: Peer) -> None:
        await peer.fails_tls(pki.expired)

    async with ScriptedServer(good) as server:
        closed = server.port
    client = Client()
    async with ScriptedServer(wrong) as server:
        open_stream(client, f"xmpps://127.0.0.1:{server.port}", f"tcp://127.0.0.1:{closed}")
        assert await failure(client) == (
            f"xmpps://127.0.0.1:{server.port}: certificate refused: certificate has expired; "
            f"tcp://127.0.0.1:{closed}: Connection refused"
        )


@pytest.mark.rule("N1", "N5")
async def test_all_addresses_of_the_configured_name_are_tried(
    open_stream: OpenStream, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def resolve(host: str, port: int) -> list[str]:
        assert host == "xmpp.example.org", "not what DNS says of example.org"
        return ["127.0.0.2", "127.0.0.1"]  # nobody listens on the first

    monkeypatch.setattr(connector, "resolve", resolve)
    client = Client()
    async with ScriptedServer(good) as server:
        stream = open_stream(client, f"tcp://xmpp.example.org:{server.port}")
        await client.opened()
        stream.abort()
        await client.closed()


async def test_a_name_that_does_not_exist(open_stream: OpenStream, monkeypatch: pytest.MonkeyPatch) -> None:
    async def resolve(host: str, port: int) -> list[str]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(connector, "resolve", resolve)
    client = Client()
    open_stream(client, "tcp://nowhere.example.org")
    assert await failure(client) == "tcp://nowhere.example.org:5222: Name or service not known"


async def test_names_resolve_to_each_address_once() -> None:
    assert "127.0.0.1" in (found := await connector.resolve("localhost", 5222))
    assert len(found) == len(set(found))
    assert await connector.resolve("::1", 5222) == ["::1"]


@pytest.mark.rule("T18", "T19", "T20")
@pytest.mark.parametrize(
    ("said", "condition"),
    [
        (HEADER + "<!-- hello -->", "restricted-xml"),
        (HEADER + "<stream:features></oops>", "not-well-formed"),
        (HEADER.replace("http://etherx.jabber.org/streams", "urn:wrong"), "invalid-namespace"),
    ],
)
async def test_a_server_that_sends_no_stream_is_told(
    open_stream: OpenStream, said: str, condition: str
) -> None:
    async def script(peer: Peer) -> None:
        await peer.hears_header()
        await peer.says(said)
        heard = await peer.hears_rest()
        assert heard.startswith(f"<stream:error><{condition}")
        assert heard.endswith("</stream:error></stream:stream>")

    client = Client()
    async with ScriptedServer(script) as server:
        open_stream(client, f"tcp://127.0.0.1:{server.port}")
        assert condition in await failure(client)


@pytest.mark.rule("T25")
async def test_see_other_host_is_not_followed(open_stream: OpenStream) -> None:  # attack S14
    async def script(peer: Peer) -> None:
        await peer.hears_header()
        error = "<see-other-host xmlns='urn:ietf:params:xml:ns:xmpp-streams'>127.0.0.1:22</see-other-host>"
        await peer.says(f"{HEADER}<stream:error>{error}</stream:error></stream:stream>")
        await peer.ends_anyhow()

    client = Client()
    async with ScriptedServer(script) as server:
        open_stream(client, f"tcp://127.0.0.1:{server.port}")
        assert "see-other-host" in await failure(client)
        assert server.connections == 1


@pytest.mark.rule("T28")
async def test_the_socket_is_quick_and_notices_a_dead_server(open_stream: OpenStream) -> None:
    client = Client()
    async with ScriptedServer(good) as server:
        stream = open_stream(client, f"tcp://127.0.0.1:{server.port}")
        await client.opened()
        transport = stream._transport
        assert transport is not None
        sock = transport.get_extra_info("socket")
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 60
        stream.abort()
        await client.closed()


async def test_a_bug_while_connecting_ends_the_stream(
    open_stream: OpenStream, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def resolve(host: str, port: int) -> list[str]:
        raise ZeroDivisionError

    monkeypatch.setattr(connector, "resolve", resolve)
    client = Client()
    open_stream(client, "tcp://127.0.0.1")
    assert await failure(client) == "internal error"
    assert "ZeroDivisionError" in caplog.text


async def test_a_connecting_stream_whose_task_is_cancelled_ends(open_stream: OpenStream) -> None:
    async def script(peer: Peer) -> None:
        await peer.ends_anyhow()

    client = Client()
    async with ScriptedServer(script) as server:
        stream = open_stream(client, f"tcp://127.0.0.1:{server.port}")
        await asyncio.sleep(0)
        assert stream._task is not None
        stream._task.cancel()
        assert await failure(client) == "the gateway stops"
