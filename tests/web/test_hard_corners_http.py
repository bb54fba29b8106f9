"""Hard corners 24 and 25 over real HTTP: hostile requests, and the surface that HTTP clients see."""

import asyncio
import gzip
from collections.abc import Awaitable, Callable
from xml.etree import ElementTree

import httpx
import pytest

from boshgate.web.hostmeta import JRD_PATH, XRD_PATH
from tests.backend.scripted import FEATURES, HEADER
from tests.support.memory import flat
from tests.web.conftest import MakeFront
from tests.web.front import (
    BODY,
    CREATE,
    DOMAIN,
    ITEM_NOT_FOUND,
    SUCCESS,
    Chat,
    Front,
    XmppServer,
    meanwhile,
    message,
    post,
    terminal,
)

ENTITIES = "".join(
    f"<!ENTITY {name} '{f'&{before};' * 10}'>" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)
LAUGHS = f"<!DOCTYPE body [<!ENTITY a 'haha'>{ENTITIES}]>"


@pytest.mark.rule("HC24", "H16")
async def test_hc24a_content_cannot_split_the_response(front: Front, xmpp_server: XmppServer) -> None:
    answer = await front.post(CREATE.replace("hold=", "content='text/html&#13;&#10;X: y' hold="))
    assert answer.text == terminal("bad-request")
    assert "x" not in answer.headers
    assert answer.headers["content-type"] == "text/xml; charset=utf-8"
    assert xmpp_server.connections == 0


@pytest.mark.rule("HC24", "C8")
@pytest.mark.parametrize(
    "names",
    [
        "route='xmpp:127.0.0.1:{port}' to='example.org'",
        "route='xmpp:127.0.0.1:{port}' to='other.example'",
        "route='xmpp:127.0.0.1:{port}'",
        "hostname='127.0.0.1' port='{port}' host='127.0.0.1' to='example.org'",
        "to='127.0.0.1:{port}'",
        "to='127.0.0.1'",
        "to='example.org:{port}'",
    ],
)
async def test_hc24b_no_request_says_where_to_connect(front: Front, names: str) -> None:  # attack S14
    async with XmppServer(negotiates=False) as bait:
        port = bait.address.rpartition(":")[2]
        await front.post(f"{BODY} rid='1' {names.format(port=port)} wait='1' ver='1.11'/>")
        assert bait.connections == 0


@pytest.mark.rule("HC24", "W2")
@pytest.mark.parametrize(
    "body",
    [
        f"{LAUGHS}{BODY} rid='1' to='{DOMAIN}'>&i;</body>",
        f"{LAUGHS}{BODY} rid='1' to='&i;'/>",
        f"<!DOCTYPE body [<!ENTITY x SYSTEM 'file:///etc/passwd'>]>{BODY} rid='1' to='{DOMAIN}'>&x;</body>",
        f"<!DOCTYPE body SYSTEM 'http://127.0.0.1/x.dtd'>{BODY} rid='1' to='{DOMAIN}'/>",
        f"{BODY} rid='1' to='{DOMAIN}'><!-- --></body>",
        f"{BODY} rid='1' to='{DOMAIN}'><?a b?></body>",
    ],
    ids=["laughs", "laughs in an attribute", "external entity", "external DTD", "comment", "PI"],
)
async def test_hc24c_restricted_xml(front: Front, body: str) -> None:  # attack S4, attack S5, attack S13
    await front.post(CREATE)
    with flat(1_000_000):
        answer = await front.post(body)
    assert (answer.status_code, answer.text) == (200, terminal("bad-request"))


@pytest.mark.rule("HC24", "W2")
async def test_hc24c_restricted_xml_split_anywhere(front: Front) -> None:  # attack S5
    raw = await front.raw()
    await raw.send(post(CREATE))
    assert "sid=" in (await raw.answer()).body
    hostile = post(f"{LAUGHS}{BODY} rid='1' to='{DOMAIN}'>&i;</body>")
    for step in (1, 7, 500):
        whole = hostile.encode()
        for at in range(0, len(whole), step):
            raw.writer.write(whole[at : at + step])
            await raw.writer.drain()
        assert (await raw.answer()).body == terminal("bad-request")


@pytest.mark.rule("HC24", "H8")
async def test_hc24d_bomb_is_not_inflated(make_front: MakeFront) -> None:  # attack S8
    front = await make_front(limits={"max_body_bytes": 20_000, "max_stanza_bytes": 10_000})
    bomb = gzip.compress(b" " * 100_000_000)
    for data in (bomb[:19_000], gzip.compress(b" " * 10_000_000)):
        with flat(2_000_000):
            answer = await front.post(data, Content_Encoding="gzip")
        assert (answer.status_code, answer.text) == (413, terminal("policy-violation"))
    assert len(front.gateway.sessions) == 0


@pytest.mark.rule("HC24", "C16")
async def test_hc24h_creations_from_one_address_are_capped(
    make_front: MakeFront, xmpp_server: XmppServer
) -> None:
    front = await make_front(limits={"max_sessions_per_address": 20})
    answers = [(await front.post(CREATE)).text for _ in range(200)]
    assert sum("sid=" in answer for answer in answers) == 20
    assert answers[20:] == [terminal("policy-violation")] * 180
    assert xmpp_server.connections == front.gateway.backends.live == 20
    assert "sid=" in (await front.post(CREATE, X_Forwarded_For="192.0.2.1")).text


@pytest.mark.rule("HC24", "P13")
async def test_hc24i_client_that_never_reads(make_front: MakeFront, xmpp_server: XmppServer) -> None:
    front = await make_front(limits={"max_pending_bytes": 100_000})
    deaf, other = Chat(front), Chat(front)
    await deaf.create()
    deafs = await xmpp_server.accept()
    await other.create()
    others = await xmpp_server.accept()
    raw = await front.raw(receive_buffer=1 << 16)
    stanzas = [f"<message><body>{'x' * 100_000}</body></message>" for _ in range(300)]
    async with meanwhile(deafs.says(*stanzas)) as saying:
        for number in range(40):
            await raw.send(post(deaf.body(message(number))))
            held = await other.hold(message(number))
            await others.hears(f"id='m{number}'", "</message>")
            await others.says("<message id='a1'/>")
            assert "id='a1'" in (await held).text
        assert not saying.done(), "the server is not read"
        waiting = sum(c.transport.get_write_buffer_size() for c in front.server.server_state.connections)
        assert waiting < 2_000_000
        assert front.gateway.metrics.bosh.to_clients < 200
        raw.writer.transport.abort()


# --- What HTTP clients see ------------------------------------------------------------------------------


@pytest.mark.rule("HC25", "H12")
async def test_hc25a_cors(make_front: MakeFront) -> None:
    front = await make_front(limits={"max_body_bytes": 10_000})
    origin = {"Origin": "https://chat.example"}
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}
    preflight = await front.http.options(front.bosh_url, headers=origin | asked)
    assert (preflight.status_code, preflight.content) == (200, b"")
    assert preflight.headers["access-control-allow-methods"] == "POST, OPTIONS"
    assert "content-type" in preflight.headers["access-control-allow-headers"].lower()
    assert int(preflight.headers["access-control-max-age"]) > 0
    legacy = Chat(front)
    legacy.sid = (await front.post(legacy.body(to=DOMAIN, wait="0"))).text.split("sid='")[1].split("'")[0]
    answers = {
        200: await front.post(CREATE, **origin),
        400: await front.post(legacy.body(pause="x"), **origin),
        404: await front.http.get(front.bosh_url, params={"x": ""}, headers=origin),
        405: await front.http.get(front.bosh_url, headers=origin),
        413: await front.post(" " * 10_001, **origin),
        415: await front.post(CREATE, Content_Encoding="br", **origin),
    }
    refused = [await front.post(body, **origin) for body in ("<", f"{BODY} rid='1' sid='x'/>")]
    assert [answer.status_code for answer in answers.values()] == list(answers)
    for answer in (preflight, *answers.values(), *refused):
        assert answer.headers.get_list("access-control-allow-origin") == ["*"]
        assert "access-control-allow-credentials" not in answer.headers


async def log_in(front: Front, xmpp_server: XmppServer, ask: Callable[[str], Awaitable[str]]) -> None:
    """From the creation of a session to a bound resource; *ask* sends a request and returns the answer."""
    chat = Chat(front)
    creation = await ask(chat.body(to=DOMAIN, wait="1", hold="0", ver="1.11"))
    chat.sid = creation.partition("sid='")[2].partition("'")[0]
    server = await xmpp_server.accept()
    await ask(chat.body("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>AGEAYg==</auth>"))
    await server.hears("</auth>")
    await server.says(SUCCESS)
    assert SUCCESS in await ask(chat.body("<a xmlns='urn:a'/>"))
    await server.hears("<a xmlns='urn:a'/>")
    await ask(chat.body(xmpp_restart="true", to=DOMAIN))
    await server.hears_header()
    await server.says(HEADER + FEATURES)
    assert "<stream:features" in await ask(chat.body("<a xmlns='urn:a'/>"))
    bind = (
        "<iq xmlns='jabber:client' type='set' id='b1'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>"
    )
    await ask(chat.body(bind))
    await server.hears("</iq>")
    await server.says("<iq type='result' id='b1'/>")
    assert "id='b1'" in await ask(chat.body(message(1)))
    await server.hears("</message>")
    assert await ask(chat.body(type="terminate")) == f"{BODY} type='terminate'/>"


@pytest.mark.rule("HC25", "H2", "H3")
async def test_hc25b_http_1_0_through_a_whole_login(front: Front, xmpp_server: XmppServer) -> None:
    async def ask(body: str) -> str:
        raw = await front.raw()
        await raw.send(post(body, "Connection: close", version="1.0"))
        answer = await raw.answer()
        assert await raw.rest() == b""
        return answer.body

    await log_in(front, xmpp_server, ask)


@pytest.mark.rule("HC25", "H2", "H5")
async def test_hc25c_each_request_on_another_connection(front: Front, xmpp_server: XmppServer) -> None:
    async def ask(body: str) -> str:
        raw = await front.raw()
        await raw.send(post(body, "Host: chat.example", "Content-Type: text/plain"))
        return (await raw.answer()).body

    await log_in(front, xmpp_server, ask)


@pytest.mark.rule("HC25", "H4", "C11")
async def test_hc25e_the_chosen_content_type_is_on_every_response(
    chat: Chat, xmpp_server: XmppServer
) -> None:
    content = "text/html; charset=utf-8"
    answers = [await chat.create(content=content)]
    first, second = await chat.hold(), await chat.hold()
    answers += [await first, await chat.repeat(back=1)]  # the second time from the buffer
    newer = asyncio.create_task(chat.repeat())
    answers.append(await second)
    assert "type='error'" in answers[-1].text
    await (await xmpp_server.accept()).says("<message id='a1'/>")
    answers += [await newer, await chat.post(rid="5000")]
    assert answers[-1].text == ITEM_NOT_FOUND
    assert [answer.headers["content-type"] for answer in answers] == [content] * len(answers)


@pytest.mark.rule("HC25", "E13", "E14", "H10")
@pytest.mark.parametrize(
    ("attributes", "condition", "status"),
    [
        ({"rid": "5000"}, "item-not-found", 404),
        ({"pause": "x"}, "bad-request", 400),
        ({}, "policy-violation", 403),  # polled too often
    ],
)
async def test_hc25f_codes_are_for_sessions_without_ver(
    front: Front, attributes: dict[str, str], condition: str, status: int
) -> None:
    unknown = await front.post(f"{BODY} rid='1' sid='none'/>")
    assert (unknown.status_code, unknown.text) == (200, ITEM_NOT_FOUND)
    for version, expected in (({}, status), ({"ver": "1.6"}, 200)):
        chat = Chat(front)
        creation = await front.post(chat.body(to=DOMAIN, wait="0", **version))
        chat.sid = creation.text.partition("sid='")[2].partition("'")[0]
        while chat.sid and "features" not in creation.text:
            creation = await chat.post("<a xmlns='urn:a'/>")
        await chat.post()
        answer = await chat.post(**attributes)
        assert (answer.status_code, answer.text) == (expected, terminal(condition))


@pytest.mark.rule("HC25", "D1", "D2", "D3", "D4", "D5", "D7")
async def test_hc25g_host_meta(make_front: MakeFront) -> None:
    front = await make_front(server={"public_url": "https://chat.example"})
    expected = {
        ("urn:xmpp:alt-connections:xbosh", "https://chat.example/http-bind"),
        ("urn:xmpp:alt-connections:websocket", "wss://chat.example/xmpp-websocket"),
    }

    async def ask(path: str, host: str = DOMAIN, scheme: str = "https") -> httpx.Response:
        headers = {"Host": host, "X-Forwarded-Proto": scheme, "Origin": "https://other.example"}
        answer = await front.http.get(f"http://127.0.0.1:{front.port}{path}", headers=headers)
        assert answer.headers["access-control-allow-origin"] == "*"
        return answer

    xrd, jrd = await ask(XRD_PATH), await ask(JRD_PATH)
    assert xrd.headers["content-type"].startswith("application/xrd+xml")
    links = [link.attrib for link in ElementTree.fromstring(xrd.content)]
    assert {(link["rel"], link["href"]) for link in links} == expected
    assert jrd.headers["content-type"] == "application/json"
    assert {(link["rel"], link["href"]) for link in jrd.json()["links"]} == expected
    for path in (XRD_PATH, JRD_PATH):
        assert (await ask(path, host="unknown.example")).status_code == 404
        assert (await ask(path, scheme="http")).status_code == 403
