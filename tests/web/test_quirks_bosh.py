"""What BOSH clients do that a gateway must bear with, a test for each quirk, with their own bytes."""

import asyncio
import re
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha1

import pytest

from tests.web.conftest import MakeFront
from tests.web.front import BODY, CREATE, DOMAIN, EMPTY, END, Front, XmppServer, eventually, post, terminal
from tests.web.wires import GONE, NAMED, Script

MakeScript = Callable[[str], Script]


@pytest.fixture
def client(front: Front) -> MakeScript:
    """A client by its name, whose server follows the test's script."""
    return lambda name: Script(front, NAMED[name], DOMAIN)


def names(text: str) -> dict[str, str]:
    """The attributes of a response."""
    return dict(re.findall(r" ([\w:]+)='([^']*)'", text.partition(">")[0]))


@pytest.mark.rule("H5", "H9")
@pytest.mark.parametrize(
    "lines",
    [
        ["Host: 127.0.0.1", "Content-Encoding: text/xml; charset=utf-8"],  # libpurple
        ["Host: 127.0.0.1:5222", "Content-Type: text/xml; charset=utf-8"],  # gloox
        ["Host:127.0.0.1", "Content-Type:text/xml; charset=utf-8", "keep-alive:true"],  # tsung
        ["Content-Type: text/plain;charset=UTF-8"],
        ["Host: other.example:1", "Content-Type: application/octet-stream", "Content-Encoding: utf-8"],
    ],
)
async def test_quirk_01_no_header_of_the_request_is_judged(front: Front, lines: list[str]) -> None:
    raw = await front.raw()
    await raw.send(post(CREATE, *lines))
    answer = await raw.answer()
    assert (answer.status, answer.headers["content-type"]) == (200, "text/xml; charset=utf-8")
    assert "sid" in names(answer.body)


@pytest.mark.rule("H2")
@pytest.mark.parametrize("version", ["1.0", "1.1"])
async def test_quirk_02_heads_are_written_in_many_ways(front: Front, version: str) -> None:
    raw = await front.raw()
    lines = [f"POST /http-bind HTTP/{version}", "Host:x", "Connection:close", f"Content-Length:{len(CREATE)}"]
    head = "\r\n".join(lines) + "\r\n\r\n"
    await raw.send(head[:13], head[13:40], head[40:-1], head[-1], CREATE[:1], CREATE[1:])
    answer = await raw.answer()
    assert "sid" in names(answer.body)
    assert all(re.fullmatch(r"[a-z-]+: \S.*", line) for line in answer.lines)
    assert await raw.rest() == b""


@pytest.mark.rule("C13", "S10")
@pytest.mark.parametrize("name", ["xmpp4r", "Swiften", "strophe-5"])
async def test_quirk_03_no_version_or_one_of_another_namespace(
    client: MakeScript, xmpp_server: XmppServer, name: str
) -> None:
    script = client(name)
    text = await script.create()
    assert "<mechanism>PLAIN</mechanism>" in text
    assert names(text)["xmpp:version"] == "1.0"
    await xmpp_server.accept()
    assert xmpp_server.headers[0].count(" version='1.0'") == 2  # in the XML declaration too


@pytest.mark.rule("C8")
async def test_quirk_04_a_route_is_never_followed(client: MakeScript, xmpp_server: XmppServer) -> None:
    async with XmppServer() as trap:
        script = client("gloox")
        address = trap.address.removeprefix("tcp://")
        creation = script.wire.creation.replace("localhost:5222", address)
        assert address in creation
        text = await script.ask(more=creation)
        assert "<mechanism>PLAIN</mechanism>" in text
        assert (trap.connections, xmpp_server.connections) == (0, 1)


@pytest.mark.rule("C10")
async def test_quirk_05_an_ack_of_zero_is_no_wish_for_acks(
    client: MakeScript, xmpp_server: XmppServer
) -> None:
    script = client("gloox")
    assert "ack" not in names(await script.create())
    held = await script.hold()
    newer = await script.hold()
    assert (await held.answer()).body == EMPTY
    await (await xmpp_server.accept()).says("<message id='a1'/>")
    assert "ack" not in names((await newer.answer()).body)


@pytest.mark.rule("A1", "A2", "A3", "A6", "C10")
async def test_quirk_05_an_ack_of_one_is(client: MakeScript, xmpp_server: XmppServer) -> None:
    script = client("jbosh")
    first = script.wire.rid
    assert names(await script.create())["ack"] == str(first)
    held = await script.hold()
    newer = await script.hold()
    assert names((await held.answer()).body) == {
        "xmlns": "http://jabber.org/protocol/httpbind",
        "ack": str(first + 2),
    }
    await (await xmpp_server.accept()).says("<message id='a1'/>")
    assert "ack" not in names((await newer.answer()).body)


@pytest.mark.rule("C14")
@pytest.mark.parametrize("name", ["libpurple", "xmpp4r"])
async def test_quirk_06_secure_on_plain_http_refuses_nobody(
    client: MakeScript, xmpp_server: XmppServer, name: str
) -> None:
    script = client(name)
    server = await script.create_before(xmpp_server)
    await server.says("<message id='a1'/>")
    assert "id='a1'" in await script.ask()


@pytest.mark.rule("C5", "C6", "S2", "S3", "S7")
async def test_quirk_07_wait_and_hold_are_lowered_and_that_is_said(client: MakeScript) -> None:
    granted = names(await client("JSJaC").create())
    assert (granted["wait"], granted["hold"], granted["requests"]) == ("55", "1", "2")
    granted = names(await client("stanza-12").create())
    assert (granted["wait"], granted["hold"], granted["requests"]) == ("30", "1", "2")


@pytest.mark.rule("P2", "P4", "R5")
@pytest.mark.parametrize("name", ["jbosh", "Swiften"])
async def test_quirk_08_large_rids_out_of_order_and_again(
    client: MakeScript, xmpp_server: XmppServer, name: str
) -> None:
    script = client(name)
    server = await script.create_before(xmpp_server)
    first = script.body("<message xmlns='jabber:client' id='m1'/>")
    second = script.body("<message xmlns='jabber:client' id='m2'/>")
    later = await script.front.raw()
    await later.send(post(second))
    earlier = await script.front.raw()
    await earlier.send(post(first))
    await server.hears("id='m1'", "id='m2'")
    answer = await earlier.answer()
    await server.says("<message id='a1'/>")
    stored = (await later.answer()).body
    assert "id='a1'" in stored
    for body, expected in ((first, answer.body), (second, stored)):
        again = await script.front.raw()
        await again.send(post(body))
        assert (await again.answer()).body == expected
    assert "id='m" not in server._unread.decode()


@pytest.mark.rule("K1", "K2", "K3", "C12")
@pytest.mark.parametrize("name", ["JSJaC", "tclxmpp"])
@pytest.mark.parametrize("right", [True, False])
async def test_quirk_09_keys_are_checked_and_renewed(
    client: MakeScript, xmpp_server: XmppServer, name: str, right: bool
) -> None:
    script = client(name)
    server = await script.create_before(xmpp_server)
    renewed = 0
    for number in range(2 * script.wire.keys - 3):
        body = script.body(f"<message xmlns='jabber:client' id='m{number}'/>")
        renewed += "newkey=" in body
        raw = await script.send(body)
        await server.hears(f"id='m{number}'/>")
        await server.says("<message id='a'/>")
        assert "id='a'" in (await raw.answer()).body
    last = script.body(GONE, "type='terminate'")
    assert "newkey=" in last  # the key that ends a sequence goes with the request that ends the session
    assert renewed == 1
    if not right:
        last = re.sub(" key='[0-9a-f]+'", f" key='{sha1(b'x').hexdigest()}'", last)
    raw = await script.send(last)
    if right:
        assert "unavailable" in await server.hears(END)
        await server.says(END)
        assert (await raw.answer()).body == f"{BODY} type='terminate'/>"
    else:
        assert (await raw.answer()).body == terminal("item-not-found")
        assert await server.hears_rest() == END


@pytest.mark.rule("T1", "T2")
@pytest.mark.parametrize("name", ["strophe-5", "libpurple", "JSJaC", "stanza-12", "gloox"])
async def test_quirk_10_terminate_comes_after_its_payload(
    client: MakeScript, xmpp_server: XmppServer, name: str
) -> None:
    script = client(name)
    server = await script.create_before(xmpp_server)
    held = await script.hold()
    last = await script.send(script.body(script.wire.last, f"type='{script.wire.farewell}'"))
    assert await server.hears(END) == script.wire.last + END
    await server.says(END)
    # XEP-0124 section 13: the oldest request is told, the others are empty.
    assert (await held.answer()).body == f"{BODY} type='terminate'/>"
    assert (await last.answer()).body == EMPTY


@pytest.mark.rule("T1")
async def test_quirk_10_who_does_not_wait_for_the_answer(front: Front, xmpp_server: XmppServer) -> None:
    script = Script(front, NAMED["gloox"], DOMAIN)
    server = await script.create_before(xmpp_server)
    held = await script.hold()
    last = await script.send(script.body(more="type='terminal'"))
    for raw in (held, last):
        raw.writer.transport.abort()
    assert await server.hears(END) == END
    await server.says(END)
    await eventually(lambda: front.gateway.backends.live == 0)


@pytest.mark.rule("H11")
async def test_quirk_11_a_held_request_is_no_plug(front: Front, xmpp_server: XmppServer) -> None:
    script = Script(front, replace(NAMED["gloox"], connections=1), DOMAIN)  # more in test_pipelining.py
    server = await script.create_before(xmpp_server)
    raw = await script.hold()
    for number in range(3):
        await script.hold(f"<message id='m{number}' xmlns='jabber:client'/>")
        await server.hears(f"id='m{number}'")
        assert (await raw.answer()).body == EMPTY


@pytest.mark.rule("H12", "HC25")
@pytest.mark.parametrize("allowed", ["*", "https://chat.example"])
async def test_quirk_12_browsers_ask_before_and_may_read_errors(make_front: MakeFront, allowed: str) -> None:
    front = await make_front(server={"allowed_origins": (allowed,)})
    raw = await front.raw()
    preflight = [
        "OPTIONS /http-bind HTTP/1.1",
        "Host: 127.0.0.1",
        "Origin: https://chat.example",
        "Access-Control-Request-Method: POST",
        "Access-Control-Request-Headers: content-type",
    ]
    await raw.send("\r\n".join(preflight) + "\r\n\r\n")
    answer = await raw.answer()
    assert answer.status == 200
    assert answer.headers["access-control-allow-origin"] == allowed
    assert "POST" in answer.headers["access-control-allow-methods"]
    assert "content-type" in answer.headers["access-control-allow-headers"].lower()
    for body in (CREATE, "<", f"{BODY} rid='1' sid='none'/>", CREATE.replace(DOMAIN, "x.example")):
        await raw.send(post(body, "Origin: https://chat.example"))
        assert (await raw.answer()).headers["access-control-allow-origin"] == allowed


@pytest.mark.rule("W1", "W8", "W9", "W11")
@pytest.mark.parametrize("quote", ["'", '"'])
async def test_quirk_13_xml_is_written_in_many_ways(
    client: MakeScript, xmpp_server: XmppServer, quote: str
) -> None:
    script = client("tsung")
    server = await script.create_before(xmpp_server)
    body = script.body("<message id='m1'><body>&#x1F600; &lt;&amp;&#39;</body></message >")
    await script.send(body.replace("<body ", "<body \r\n\t").replace("'>", "' \t>").replace("'", quote))
    heard = await server.hears("</message >")
    assert "&#x1F600; &lt;&amp;&#39;" in heard
    assert "httpbind" not in heard  # in the stream it is of the stream's namespace
    body = script.body().replace(" />", "\t\r\n/>").replace("'", quote)
    raw = await script.send(body)
    await server.says("<message id='a1'/>")
    assert "<message xmlns='jabber:client' id='a1'/>" in (await raw.answer()).body


@pytest.mark.rule("W1", "E1")
@pytest.mark.parametrize("text", ["]]>", "&nbsp;", "&#0;", "&", "<a></b>", "\x01"])
async def test_quirk_13_what_is_not_well_formed_is_a_bad_request(
    client: MakeScript, xmpp_server: XmppServer, text: str
) -> None:
    script = client("tsung")
    server = await script.create_before(xmpp_server)
    raw = await script.send(script.body(f"<message><body>{text}</body></message>"))
    assert (await raw.answer()).body == terminal("bad-request")
    assert "<message" not in server._unread.decode()


@pytest.mark.rule("H18")
async def test_quirk_14_long_bodies_both_ways(client: MakeScript, xmpp_server: XmppServer) -> None:
    script = client("strophe-1.2.16")
    server = await script.create_before(xmpp_server)
    text = "&lt;&gt;&amp;" * 9_400  # 122 kB
    assert len(text) > 120_000
    raw = await script.send(
        script.body(f"<message xmlns='jabber:client' id='m1'><body>{text}</body></message>")
    )
    assert text in await server.hears("</message>")
    await server.says(f"<message id='a1'><body>{text}</body></message>")
    raw_head = await raw.reader.readuntil(b"\r\n\r\n")
    length = int(re.search(rb"content-length: (\d+)", raw_head)[1])  # type: ignore[index]
    answer = await raw.reader.readexactly(length)
    assert b"content-encoding" not in raw_head
    assert text in answer.decode()


@pytest.mark.rule("S10")
async def test_quirk_15_the_first_answer_has_the_features_although_they_are_late(
    make_front: MakeFront,
) -> None:
    async with XmppServer(negotiates=False) as slow:
        script = Script(await make_front(slow), NAMED["xmpp4r"], DOMAIN)
        raw = await script.send(script.body(more=script.wire.creation))
        server = await slow.accept()
        await server.hears_header()
        await server.says("<?xml version='1.0'?><stream:stream xmlns='jabber:client' id='s1' version='1.0'")
        await server.says(" xmlns:stream='http://etherx.jabber.org/streams' from='example.org'>")
        await asyncio.sleep(0.05)
        assert raw.reader._buffer == b""  # type: ignore[attr-defined]
        await server.says(
            "<stream:features><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></stream:features>"
        )
        assert "<bind xmlns=" in (await raw.answer()).body
        slow.leave()


@pytest.mark.rule("I1", "C15")
@pytest.mark.parametrize("name", ["gloox", "strophe-5"])
async def test_quirk_17_who_leaves_without_a_word_is_ended(
    make_front: MakeFront, xmpp_server: XmppServer, name: str
) -> None:
    front = await make_front(bosh={"inactivity": 0.2})
    script = Script(front, NAMED[name], DOMAIN)
    server = await script.create_before(xmpp_server)
    raw = await script.hold()
    raw.writer.transport.abort()
    assert await server.hears_rest() == END
    await eventually(lambda: len(front.gateway.sessions) == 0)
