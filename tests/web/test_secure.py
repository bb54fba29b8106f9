"""Sessions over TLS stay there, addresses may change, who guesses learns nothing (XEP-0124 section 19)."""

import itertools
import re

import httpx
import pytest

from boshgate.config import Config
from tests.web.conftest import MakeFront
from tests.web.front import EMPTY, ITEM_NOT_FOUND, Chat, Front, XmppServer, message, post, terminal


@pytest.fixture
def secure(front: Front) -> Chat:
    """A client whose requests come over TLS, says the proxy."""
    front.http.headers["X-Forwarded-Proto"] = "https"
    return Chat(front)


@pytest.mark.rule("X1", "X4")
@pytest.mark.parametrize(
    "lines", [[], ["X-Forwarded-Proto: http"], ["Forwarded: proto=http"], ["X-Forwarded-Proto: https, http"]]
)
async def test_clear_text_has_its_connection_closed_and_its_session_goes_on(
    front: Front, secure: Chat, xmpp_server: XmppServer, log: pytest.LogCaptureFixture, lines: list[str]
) -> None:
    await secure.create()
    server = await xmpp_server.accept()
    held = await secure.hold()
    first = secure.sent[-1]
    for body in (secure.body(message(1)), secure.body(type="terminate"), secure.body(rid="9999"), first):
        raw = await front.raw()
        await raw.send(post(body, *lines))
        assert await raw.rest() == b""
    assert not held.done()
    secure.rids = itertools.count(1003)
    newer = await secure.hold(message(2))
    assert (await held).text == EMPTY
    assert "id='m1'" not in await server.hears("id='m2'")
    await server.says("<message id='a1'/>")
    assert "id='a1'" in (await newer).text
    assert "refused a request from 127.0.0.1: clear text, in a session that began over TLS" in log.text
    assert front.metric("refused_total", transport="bosh", condition="clear-text") == 4


@pytest.mark.rule("X1")
async def test_what_waits_on_that_connection_can_be_asked_for_again(
    front: Front, secure: Chat, xmpp_server: XmppServer
) -> None:
    await secure.create()
    other = Chat(front)
    await other.create()
    servers = [await xmpp_server.accept() for _ in range(2)]
    raw = await front.raw()
    await raw.send(post(other.body(), "X-Forwarded-Proto: https") + post(secure.body()))
    assert await raw.rest() == b""
    await servers[1].says("<message id='a1'/>")
    assert "id='a1'" in (await other.repeat()).text


@pytest.mark.rule("X1")
async def test_only_trusted_proxies_are_believed(make_front: MakeFront) -> None:
    chat = Chat(await make_front(server={"trusted_proxies": ()}))
    chat.front.http.headers["X-Forwarded-Proto"] = "https"
    await chat.create(wait="0")
    del chat.front.http.headers["X-Forwarded-Proto"]
    assert (await chat.post(message(1))).text.startswith("<body")  # it never was over TLS


@pytest.mark.rule("X1")
async def test_a_session_that_began_in_clear_text_may_go_on_over_tls(chat: Chat) -> None:
    await chat.create(wait="0")
    chat.front.http.headers["X-Forwarded-Proto"] = "https"
    assert (await chat.post(message(1))).status_code == 200
    del chat.front.http.headers["X-Forwarded-Proto"]
    assert (await chat.post(message(2))).status_code == 200


async def test_under_another_http_server_it_is_forbidden(secure: Chat) -> None:
    await secure.create()
    transport = httpx.ASGITransport(secure.front.gateway)
    async with httpx.AsyncClient(transport=transport) as http:
        answer = await http.post("http://boshgate/http-bind", content=secure.body(type="terminate"))
    assert (answer.status_code, answer.headers["connection"]) == (403, "close")
    assert answer.headers["access-control-allow-origin"] == "*"
    assert len(secure.front.gateway.sessions) == 1


@pytest.mark.rule("X5")
async def test_a_client_may_change_its_address(front: Front, chat: Chat, xmpp_server: XmppServer) -> None:
    front.http.headers["X-Forwarded-For"] = "192.0.2.1"
    await chat.create(wait="0")
    server = await xmpp_server.accept()
    for number in range(2, 4):
        front.http.headers["X-Forwarded-For"] = f"192.0.2.{number}"
        assert (await chat.post(message(number))).status_code == 200
        await server.hears(f"id='m{number}'")


@pytest.mark.rule("X6", "X4", "R2", "R7")
async def test_who_guesses_cannot_tell_a_wrong_sid_from_a_wrong_rid(front: Front, chat: Chat) -> None:
    await chat.create()
    wrong_rid = await chat.post(rid="5000")
    wrong_sid = await chat.post()
    assert wrong_rid.text == wrong_sid.text == ITEM_NOT_FOUND
    without = {"date"}
    assert [(name, value) for name, value in wrong_rid.headers.items() if name not in without] == [
        (name, value) for name, value in wrong_sid.headers.items() if name not in without
    ]
    assert len(front.gateway.sessions) == 0  # a wrong rid ends its session


@pytest.mark.rule("X3", "S1")
async def test_no_sid_comes_twice(front: Front) -> None:
    sids = set()
    for _ in range(20):
        chat = Chat(front)
        await chat.create(wait="0")
        sids.add(chat.sid)
    assert len(sids) == 20
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{32}", sid) for sid in sids)


@pytest.mark.rule("X7")
def test_the_registered_port_is_the_default() -> None:
    assert Config().server.port == 5280


@pytest.mark.rule("R9")
async def test_a_repeat_with_another_content_is_no_repeat(chat: Chat, xmpp_server: XmppServer) -> None:
    await chat.create(wait="0")
    server = await xmpp_server.accept()
    body = chat.body(message(1))
    await chat.front.post(body)
    assert (await chat.front.post(body)).status_code == 200
    assert (await chat.front.post(body.replace("hello", "evil"))).text == terminal("item-not-found")
    assert "evil" not in await server.hears_rest()
