"""What XEP-0124 section 5 wants of HTTP, and what every answer has, whatever it says."""

import re
from xml.etree import ElementTree

import pytest

from boshgate.web import bosh
from tests.web.conftest import MakeFront
from tests.web.front import BODY, CREATE, DOMAIN, EMPTY, HB, Chat, Front, XmppServer, message, post, terminal

GZIP = {"Content_Encoding": "gzip"}


@pytest.mark.rule("H1", "H13")
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "PATCH", "TRACE", "PROPFIND", "CONNECT"])
async def test_a_body_that_is_not_posted_is_no_request(front: Front, method: str) -> None:
    raw = await front.raw()
    await raw.send(post(CREATE).replace("POST", method, 1))
    head = (await raw.reader.readuntil(b"\r\n\r\n")).decode()
    assert head.startswith("HTTP/1.1 405 ")
    assert "\r\nallow: POST, OPTIONS\r\n" in head
    assert len(front.gateway.sessions) == 0
    assert front.gateway.metrics.bosh.requests == 0


@pytest.mark.rule("H1")
async def test_one_document_in_each_request_and_in_each_response(
    front: Front, xmpp_server: XmppServer
) -> None:
    assert (await front.post(CREATE + CREATE)).text == terminal("bad-request")
    chat = Chat(front)
    answers = [await chat.create()]
    await (await xmpp_server.accept()).says("<message id='a1'/><message id='a2'/>")
    answers += [await chat.post(), await chat.post(rid="9999")]
    for answer in answers:
        assert ElementTree.fromstring(answer.content).tag == f"{{{HB}}}body"


@pytest.mark.rule("H13")
async def test_an_answer_to_head_has_no_body(front: Front) -> None:
    raw = await front.raw()
    await raw.send("HEAD /http-bind HTTP/1.1\r\n\r\n")
    assert (await raw.reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 405 ")
    await raw.send(post(CREATE))
    assert "sid=" in (await raw.answer()).body  # nothing stood between


@pytest.mark.rule("H2")
async def test_a_client_of_http_1_0_is_not_told_to_continue(front: Front) -> None:
    raw = await front.raw()
    head, body = post(CREATE, "Expect: 100-continue", version="1.0").split("\r\n\r\n")
    await raw.send(head + "\r\n\r\n")
    await raw.send(body)
    assert (await raw.answer()).status == 200


@pytest.mark.rule("H18")
async def test_who_asks_whether_to_send_too_much_is_told_at_once(make_front: MakeFront) -> None:
    front = await make_front(limits={"max_body_bytes": 10_000})
    raw = await front.raw()
    await raw.send("POST /http-bind HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 10001\r\n\r\n")
    answer = await raw.answer()
    assert (answer.status, answer.body) == (413, terminal("policy-violation"))


@pytest.mark.rule("H4", "C11", "H17")
async def test_the_chosen_content_type_is_on_every_response(chat: Chat, xmpp_server: XmppServer) -> None:
    chosen = "text/html; charset=utf-8"
    answers = [await chat.create(content=chosen)]
    server = await xmpp_server.accept()
    first = await chat.hold()
    taken_over = chat.sent[-1]
    again = await chat.front.raw()
    await again.send(post(taken_over))
    answers.append(await first)  # type='error'
    await server.says("<message id='a1'/>")
    raw_answer = await again.answer()
    assert raw_answer.headers["content-type"] == chosen
    answers.append(await chat.repeat())
    held = await chat.hold()
    answers.append(await chat.post(rid="9999"))
    answers.append(await held)
    assert [answer.headers["content-type"] for answer in answers] == [chosen] * 5
    for answer in answers:
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["content-security-policy"] == "default-src 'none'; sandbox"
    gone = await chat.post()
    assert gone.headers["content-type"] == "text/xml; charset=utf-8"  # there is no session any more


EVERYWHERE = {
    "cache-control": "no-store",
    "x-accel-buffering": "no",
    "x-content-type-options": "nosniff",
    "content-security-policy": "default-src 'none'; sandbox",
    "access-control-allow-origin": "https://chat.example",
}


@pytest.mark.rule("H3", "H12", "H15", "H17", "HC25", "HC25a")
@pytest.mark.parametrize("version", ["1.0", "1.1"])
@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (post(CREATE), 200),
        (post("<"), 200),
        (post(f"{BODY} rid='1' sid='none'/>"), 200),
        (post(CREATE.replace(" ver='1.11'", "").replace("wait='5'", "wait='x'")), 400),
        (post(" " * 10_001), 413),
        (post(CREATE)[:-1], 408),
        (post(CREATE, "Content-Encoding: br"), 415),
        ("OPTIONS /http-bind HTTP/1.1\r\n\r\n", 200),
        ("PUT /http-bind HTTP/1.1\r\n\r\n", 405),
        ("GET /http-bind?%3Cbody HTTP/1.1\r\n\r\n", 404),
    ],
    ids=lambda value: str(value)[:5].strip(),
)
async def test_hc25_what_every_answer_has(
    make_front: MakeFront, version: str, request_: str, status: int
) -> None:
    front = await make_front(
        server={"allowed_origins": ("https://chat.example",)},
        limits={"max_body_bytes": 10_000, "body_timeout": 0.1},
    )
    raw = await front.raw()
    head, _, body = request_.replace("HTTP/1.1", f"HTTP/{version}").partition("\r\n")
    await raw.send(f"{head}\r\nOrigin: https://chat.example\r\n{body}")
    answer = await raw.answer()  # which has a length
    assert answer.status == status
    assert {name: answer.headers[name] for name in EVERYWHERE} == EVERYWHERE
    assert answer.headers["content-length"] == str(len(answer.body.encode()))
    assert answer.headers.get("pragma") == ("no-cache" if version == "1.0" else None)
    assert "Origin" in [line.removeprefix("vary: ") for line in answer.lines]


@pytest.mark.rule("H10", "E13", "E14")
@pytest.mark.parametrize("ver", ["1.6", "1.11"])
async def test_errors_are_ok_for_who_sends_ver(front: Front, ver: str) -> None:
    for broken in (
        CREATE.replace("wait='5'", "wait='x'"),
        CREATE.replace(DOMAIN, "unknown.example"),
        f"{BODY} rid='1' sid='none'/>",
    ):
        assert (await front.post(broken.replace("1.11", ver))).status_code == 200
    for culprit in ({"rid": "9999"}, {"rid": "1002", "pause": "x"}):
        chat = Chat(front)
        await chat.create(ver=ver)
        answer = await chat.post(**culprit)
        assert answer.status_code == 200
        assert "type='terminate'" in answer.text


@pytest.mark.rule("E4", "H12")
async def test_a_bug_before_the_session_is_told_as_a_condition_too(
    front: Front, monkeypatch: pytest.MonkeyPatch, log: pytest.LogCaptureFixture
) -> None:
    def fail(*_args: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(bosh, "decompress", fail)
    answer = await front.post(CREATE, **GZIP)
    assert (answer.status_code, answer.text) == (200, terminal("internal-server-error"))
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "bug: a request ended in an exception" in log.text


# --- The creation request, as the server sees it ------------------------------------------------------------


@pytest.mark.rule("B1", "C3", "C9", "C13")
@pytest.mark.parametrize(
    ("attributes", "written"),
    [
        ({}, ""),
        ({"xml:lang": "de-CH"}, " xml:lang='de-CH'"),
        ({"xml:lang": "e n"}, ""),
        ({"from": "alice@example.org/web"}, " from='alice@example.org'"),
        ({"from": "alice@"}, ""),
        ({"from": "a&apos;b@example.org"}, ""),
        ({"xmpp:version": "1.0"}, ""),
        ({"xmpp:version": "9.9"}, ""),
        ({"xmpp:version": "0.9"}, ""),
    ],
)
async def test_the_header_of_the_stream_has_what_the_creation_says(
    chat: Chat, xmpp_server: XmppServer, attributes: dict[str, str], written: str
) -> None:
    await chat.create(**attributes)
    await xmpp_server.accept()
    (header,) = xmpp_server.headers
    start = (
        "<?xml version='1.0'?><stream:stream xmlns='jabber:client'"
        f" xmlns:stream='http://etherx.jabber.org/streams' to='{DOMAIN}'"
    )
    assert header.startswith(start)
    rest = header.removeprefix(start)
    assert " version='1.0'" in rest
    assert rest.replace(" version='1.0'", "") == f"{written}>"


@pytest.mark.rule("C15")
async def test_a_creation_that_is_sent_again_makes_another_session(
    make_front: MakeFront, xmpp_server: XmppServer
) -> None:
    front = await make_front(bosh={"inactivity": 0.2})
    answers = [(await front.post(CREATE)).text for _ in range(2)]
    sids = [re.findall("sid='([^']+)'", answer)[0] for answer in answers]
    assert sids[0] != sids[1]
    for _ in range(2):  # nobody asks for them: they end, and so do their streams
        assert await (await xmpp_server.accept()).hears_rest() == "</stream:stream>"


@pytest.mark.rule("P15", "E16")
async def test_errors_of_the_server_come_as_they_are(chat: Chat, xmpp_server: XmppServer) -> None:
    await chat.create()
    server = await xmpp_server.accept()
    first = await chat.hold(message(1))
    second = await chat.hold()
    assert (await first).text == EMPTY
    error = "<error type='cancel'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>"
    await server.says(f"<message type='error' id='m1'>{error}</message>")
    stanza = f"<message xmlns='jabber:client' type='error' id='m1'>{error}</message>"
    assert (await second).text == f"{BODY}>{stanza}</body>"
    again = await chat.hold(message(2))
    await server.hears("id='m2'")
    again.cancel()
