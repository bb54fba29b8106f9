"""Hard corners 2 to 19 over real HTTP: several connections, broken ones, the server's stream, and TLS."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from xml.etree import ElementTree

import pytest
import trustme

from boshgate.config import Config, Domain
from tests.backend.conftest import server_context
from tests.backend.scripted import (
    FEATURES,
    HEADER,
    PROCEED,
    STARTTLS_FEATURES,
    TLS,
    Peer,
    ScriptedServer,
    header,
)
from tests.web.conftest import MakeFront
from tests.web.front import (
    BODY,
    CREATE,
    DOMAIN,
    EMPTY,
    END,
    HB,
    ITEM_NOT_FOUND,
    OPEN,
    SUCCESS,
    Chat,
    Front,
    Talk,
    XmppServer,
    eventually,
    message,
    post,
    running,
    terminal,
)

STREAMS = "http://etherx.jabber.org/streams"
GONE = "<presence xmlns='jabber:client' type='unavailable'/>"
FAILED = terminal("remote-connection-failed")


@pytest.mark.rule("HC2", "G1")
async def test_hc2_resend_of_a_held_request_on_another_connection(
    front: Front, chat: Chat, xmpp_server: XmppServer
) -> None:
    await chat.create()
    server = await xmpp_server.accept()
    request = post(chat.body(message(1)))
    older, newer = await front.raw(), await front.raw()
    await older.send(request)
    await server.hears("</message>")
    await newer.send(request)
    answer = await older.answer()
    assert (answer.status, answer.body) == (200, f"{BODY} type='error'/>")
    await server.says("<message id='a1'/>")
    assert "id='a1'" in (await newer.answer()).body
    held = await chat.hold(message(2))
    assert await server.hears("</message>") == message(2)
    await server.says("<message id='a2'/>")
    assert (await held).text == f"{BODY}><message xmlns='jabber:client' id='a2'/></body>"


@pytest.mark.rule("HC7", "G6")
async def test_hc7_data_races_the_timer(front: Front, xmpp_server: XmppServer) -> None:
    async def race(chat: Chat, server: Peer, delay: float) -> None:
        held = await chat.hold()
        await asyncio.sleep(delay)
        await server.says("<message id='a1'/>")
        answers = [(await held).text, (await chat.post()).text]
        assert sorted("id='a1'" in answer for answer in answers) == [False, True], answers

    chats = [Chat(front) for _ in range(30)]
    servers = []
    for chat in chats:
        await chat.create(wait="1")
        servers.append(await xmpp_server.accept())
    delays = [0.97 + number / 500 for number in range(len(chats))]
    await asyncio.gather(*map(race, chats, servers, delays))


@pytest.mark.rule("HC8", "G1", "G2")
async def test_hc8_broken_held_connection(front: Front, chat: Chat, xmpp_server: XmppServer) -> None:
    await chat.create()
    server = await xmpp_server.accept()
    request = post(chat.body(message(1)))
    raw = await front.raw()
    await raw.send(request)
    await server.hears("</message>")
    raw.writer.transport.abort()
    await eventually(lambda: not front.server.server_state.tasks)
    await server.says("<message id='a1'/>")
    for _ in range(2):  # the second time from the buffer
        again = await front.raw()
        await again.send(request)
        assert (await again.answer()).body == f"{BODY}><message xmlns='jabber:client' id='a1'/></body>"
    held = await chat.hold(message(2))
    assert await server.hears("</message>") == message(2)
    assert not held.done()
    held.cancel()


@pytest.mark.rule("HC8", "G1")
async def test_hc8_broken_held_connection_and_nothing_more(
    make_front: MakeFront, xmpp_server: XmppServer
) -> None:
    chat = Chat(await make_front(bosh={"inactivity": 0.3}))
    await chat.create()
    server = await xmpp_server.accept()
    held = await chat.hold()
    loop = asyncio.get_running_loop()
    await asyncio.sleep(0.2)
    began = loop.time()
    held.cancel()
    assert await server.hears_rest() == END
    assert 0.29 < loop.time() - began < 2
    assert (await chat.post()).text == ITEM_NOT_FOUND


@pytest.mark.rule("HC12", "T1", "T2")
async def test_hc12_terminate_with_a_held_request_and_a_last_stanza(
    chat: Chat, xmpp_server: XmppServer
) -> None:
    await chat.create()
    server = await xmpp_server.accept()
    held = await chat.hold()
    terminate = await chat.hold(GONE, type="terminate")
    assert await server.hears(END) == GONE + END
    await server.says("<message id='a1'/>", END)
    assert (await held).text == f"{BODY} type='terminate'><message xmlns='jabber:client' id='a1'/></body>"
    assert (await terminate).text == EMPTY
    assert await server.hears_rest() == ""
    assert (await chat.repeat()).text == EMPTY


@pytest.mark.rule("HC12", "T24")
async def test_hc12_server_whose_end_tag_never_comes(chat: Chat, xmpp_server: XmppServer) -> None:
    await chat.create()
    server = await xmpp_server.accept()
    terminate = await chat.hold(GONE, type="terminate")
    assert await server.hears_rest() == GONE + END, "after close_timeout there is the end of TCP"
    assert (await terminate).text == f"{BODY} type='terminate'/>"


@pytest.mark.rule("HC13", "T23")
async def test_hc13_stream_error_with_nobody_listening(chat: Chat, xmpp_server: XmppServer) -> None:
    await chat.create()
    server = await xmpp_server.accept()
    inside = "".join(
        f"<{name} xmlns='urn:ietf:params:xml:ns:xmpp-streams'>{text}</{name}>"
        for name, text in (("conflict", ""), ("text", "Replaced"))
    )
    await server.says(f"<message id='last'/><stream:error>{inside}</stream:error>{END}")
    assert await server.hears_rest() == END
    server.ends()
    answer = (await chat.post(message(1))).text
    attributes = f"type='terminate' condition='remote-stream-error' xmlns:stream='{STREAMS}'"
    assert answer.startswith(f"{BODY} {attributes}><message xmlns='jabber:client' id='last'/><stream:error")
    assert answer.endswith(f">{inside}</stream:error></body>")
    assert (await chat.post()).text == ITEM_NOT_FOUND


def names(stanza: str) -> list[str]:
    """The names in *stanza*, as a server or client reads it that knows no other declarations than ours."""
    stream = f"<stream:stream xmlns='jabber:client' xmlns:stream='{STREAMS}'>{stanza}</stream:stream>"
    return [element.tag for element in ElementTree.fromstring(stream)[0].iter()]


@pytest.mark.rule("HC16", "W9", "W10")
async def test_hc16_namespaces_from_client_to_server(chat: Chat, xmpp_server: XmppServer) -> None:
    await chat.create(wait="0")
    server = await xmpp_server.accept()
    stanza = "<message to='a@b'><body>hi</body><x:e a='1&#10;2'/></message>"
    await chat.front.post(f"<body xmlns='{HB}' xmlns:x='urn:x' rid='1002' sid='{chat.sid}'>{stanza}</body>")
    heard = await server.hears("</message>")
    assert names(heard) == ["{jabber:client}message", "{jabber:client}body", "{urn:x}e"]
    assert ElementTree.fromstring(heard)[1].get("a") == "1\n2"


@pytest.mark.rule("HC16", "W8", "WS7")
@pytest.mark.parametrize("transport", ["bosh", "websocket"])
async def test_hc16_namespaces_from_server_to_client(make_front: MakeFront, transport: str) -> None:
    async with XmppServer(negotiates=False) as server:
        front = await make_front(server)
        chat, talk = Chat(front), Talk(await front.websocket())
        opening = asyncio.create_task(chat.create() if transport == "bosh" else talk.says(OPEN))
        peer = await server.accept()
        await peer.hears_header()
        await peer.says(HEADER.replace(" id=", " xmlns:y='urn:y' xml:lang='fr' id=") + FEATURES)
        await opening
        await peer.says("<message><body>hi</body><y:e/></message>")
        if transport == "bosh":
            received = (await chat.post()).text.partition(">")[2].removesuffix("</body>")
        else:
            received = await talk.hears("<open", "<stream:features", "<message")
            assert " xml:lang='fr'" in received
        assert ElementTree.fromstring(received).tag == "{jabber:client}message"
        assert names(received) == ["{jabber:client}message", "{jabber:client}body", "{urn:y}e"]


# --- STARTTLS -------------------------------------------------------------------------------------------


class Guarded:
    """A gateway whose policy for DOMAIN is STARTTLS, in front of a server that follows a script."""

    def __init__(self, directory: Path) -> None:
        authority = trustme.CA()
        self._ca_file = directory / "ca.pem"
        authority.cert_pem.write_to_path(self._ca_file)
        self.good = server_context(authority.issue_cert(DOMAIN))
        self.wrong = server_context(authority.issue_cert("target.example", "127.0.0.1"))

    @asynccontextmanager
    async def serving(self, script: Callable[[Peer], Awaitable[None]]) -> AsyncIterator[Front]:
        async with ScriptedServer(script) as server:
            domain = {
                "name": DOMAIN,
                "backends": [f"xmpp://127.0.0.1:{server.port}"],
                "ca_file": self._ca_file,
            }
            async with running(Config(domains=(Domain.model_validate(domain),))) as front:
                yield front


@pytest.fixture
def guarded(tmp_path: Path) -> Guarded:
    return Guarded(tmp_path)


def refuses(context: ssl.SSLContext, first: str, answer: str) -> Callable[[Peer], Awaitable[None]]:
    """A server that says *first*, then *answer* to ``<starttls/>``; nothing may be said to it but that."""

    async def script(peer: Peer) -> None:
        await peer.hears_header()
        await peer.says(first)
        assert await peer.hears("/>") == f"<starttls {TLS}/>"
        rest = b""
        with suppress(OSError):
            if answer == PROCEED:
                await peer.starts_tls(context, PROCEED)
            else:
                await peer.says(answer)
            rest = await peer.hears_rest_in_bytes()
        assert rest == b""

    return script


@pytest.mark.rule("HC18", "N12", "N11")
async def test_hc18_starttls_is_hidden(guarded: Guarded) -> None:
    async def script(peer: Peer) -> None:
        await peer.hears_header()
        await peer.says(header(id="clear", **{"from": "clear.example"}) + STARTTLS_FEATURES)
        await peer.hears(f"<starttls {TLS}/>")
        await peer.starts_tls(guarded.good, PROCEED)
        await peer.hears_header()
        # Offered again, which is not for the client to see.
        await peer.says(HEADER + FEATURES.replace("es><m", f"es><starttls {TLS}/><m"))
        await peer.hears_rest()

    async with guarded.serving(script) as front:
        creation = await Chat(front).create()
        assert "authid='s1'" in creation.text
        assert f"from='{DOMAIN}'" in creation.text
        assert "<mechanism>PLAIN</mechanism>" in creation.text
        assert "starttls" not in creation.text
        front.gateway.backends.abort_all()


@pytest.mark.rule("HC18", "N8", "N9", "N11")
@pytest.mark.parametrize(
    ("first", "answer"),
    [
        (HEADER + STARTTLS_FEATURES, f"{PROCEED}<stream:features><evil xmlns='urn:evil'/></stream:features>"),
        (HEADER + FEATURES, f"<failure {TLS}/>{END}"),
        (HEADER + STARTTLS_FEATURES, PROCEED),
    ],
    ids=["injection", "not offered", "certificate of the target"],
)
async def test_hc18_without_starttls_there_is_no_session(
    guarded: Guarded, first: str, answer: str
) -> None:  # attack S15
    async with guarded.serving(refuses(guarded.wrong, first, answer)) as front:
        assert (await front.post(CREATE)).text == FAILED


# --- Restarts -------------------------------------------------------------------------------------------


@pytest.mark.rule("HC19", "B2", "B3")
async def test_hc19_sasl1_restarts_on_the_same_connection(chat: Chat, xmpp_server: XmppServer) -> None:
    await chat.create()
    server = await xmpp_server.accept()
    held = await chat.hold("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>")
    await server.hears("xmpp-sasl'/>")
    await server.says(SUCCESS)
    assert (await held).text == f"{BODY}>{SUCCESS}</body>"
    restart = f"sid='{chat.sid}' rid='1003' xmlns:q='urn:xmpp:xbosh' q:restart='1'"
    restarting = asyncio.create_task(chat.front.post(f"{BODY} {restart}/>"))
    assert (await server.hears_header()).startswith("<?xml version='1.0'?><stream:stream ")
    await server.says(header(id="s2") + "<stream:features><x xmlns='urn:x'/></stream:features>")
    answer = (await restarting).text
    assert "<stream:features" in answer
    assert "<x xmlns='urn:x'/>" in answer
    assert xmpp_server.connections == 1


@pytest.mark.rule("HC19", "B6")
async def test_hc19_sasl2_does_not(chat: Chat, xmpp_server: XmppServer) -> None:
    await chat.create()
    server = await xmpp_server.accept()
    held = await chat.hold("<authenticate xmlns='urn:xmpp:sasl:2'/>")
    await server.hears("sasl:2'/>")
    await server.says(
        "<success xmlns='urn:xmpp:sasl:2'/><stream:features><x xmlns='urn:x'/></stream:features>"
    )
    received = (await held).text
    if "features" not in received:
        received += (await chat.post()).text
    assert received.index("<success ") < received.index("<x xmlns='urn:x'/>")
    held = await chat.hold(message(1))
    assert await server.hears("</message>") == message(1), "no header before it"
    held.cancel()


@pytest.mark.rule("HC19", "B5")
async def test_hc19_restart_without_success(chat: Chat, xmpp_server: XmppServer) -> None:
    await chat.create()
    server = await xmpp_server.accept()
    assert (await chat.post(xmpp_restart="true")).text == terminal("bad-request")
    assert await server.hears_rest() == END
