"""BOSH over real HTTP (XEP-0124): held requests, lost connections, slow readers, ends of sessions, bugs."""

import asyncio
import re

import httpx
import pytest

from boshgate.bosh.session import Session
from boshgate.listener import HttpProtocol
from tests.backend.scripted import FEATURES, Peer
from tests.web.conftest import MakeFront
from tests.web.front import (
    BODY,
    CREATE,
    DOMAIN,
    DOWN,
    EMPTY,
    END,
    ITEM_NOT_FOUND,
    Chat,
    Front,
    RawConnection,
    XmppServer,
    eventually,
    message,
    post,
    terminal,
)

# --- Held requests --------------------------------------------------------------------------------------


@pytest.mark.rule("S10")
async def test_a_creation_is_answered_with_the_features(chat: Chat) -> None:
    answer = await chat.create()
    assert FEATURES.partition(">")[2].removesuffix("</stream:features>") in answer.text
    assert "authid='s1'" in answer.text
    assert "from='example.org'" in answer.text


@pytest.mark.rule("P1", "P5", "P11")
async def test_a_held_request_is_answered_by_a_stanza(chat: Chat, xmpp_server: XmppServer) -> None:
    await chat.create()
    held = await chat.hold(message(1))
    server = await xmpp_server.accept()
    await server.hears("<message xmlns='jabber:client' id='m1'><body>hello</body></message>")
    await server.says("<message id='a1'/>", "<message id='a2'/>")
    assert (await held).text == f"{BODY}><message xmlns='jabber:client' id='a1'/></body>"
    assert (await chat.post()).text == f"{BODY}><message xmlns='jabber:client' id='a2'/></body>"  # P11


@pytest.mark.rule("P6")
async def test_a_request_is_held_for_wait(chat: Chat) -> None:
    await chat.create(wait="1")
    loop = asyncio.get_running_loop()
    started = loop.time()
    assert (await chat.post()).text == EMPTY
    assert 0.99 < loop.time() - started < 1.5


@pytest.mark.rule("P7")
async def test_a_new_request_frees_the_held_one(chat: Chat) -> None:
    await chat.create()
    first = await chat.hold()
    second = await chat.hold()
    assert (await first).text == EMPTY
    assert not second.done()
    second.cancel()


@pytest.mark.rule("I1", "C15")
async def test_a_session_that_nobody_asks_for_ends(
    make_front: MakeFront, xmpp_server: XmppServer, log: pytest.LogCaptureFixture
) -> None:
    chat = Chat(await make_front(bosh={"inactivity": 0.2}))
    await chat.create()
    server = await xmpp_server.accept()
    assert await server.hears_rest() == "</stream:stream>"  # no resumption: nothing to keep
    assert (await chat.post()).text == ITEM_NOT_FOUND
    assert re.search(r"\[.{8}\] closed after 0\.\d s: inactivity \(undelivered 0, discarded 0\)", log.text)


@pytest.mark.rule("T5", "T1", "T2")
async def test_a_terminated_session_is_remembered_for_a_while(chat: Chat, xmpp_server: XmppServer) -> None:
    await chat.create()
    server = await xmpp_server.accept()
    request = chat.body("<presence xmlns='jabber:client' type='unavailable'/>", type="terminate")
    ending = asyncio.create_task(chat.front.post(request))
    heard = await server.hears("</stream:stream>")
    assert heard == "<presence xmlns='jabber:client' type='unavailable'/></stream:stream>"  # T1
    await server.says("</stream:stream>")
    assert (await ending).text == f"{BODY} type='terminate'/>"  # T2
    assert (await chat.front.post(request)).text == f"{BODY} type='terminate'/>"
    assert (await chat.post()).text == ITEM_NOT_FOUND


@pytest.mark.rule("T7")
async def test_the_server_closes_its_stream(chat: Chat, xmpp_server: XmppServer) -> None:
    await chat.create()
    held = await chat.hold()
    await (await xmpp_server.accept()).says("</stream:stream>")
    assert (await held).text == f"{BODY} type='terminate'/>"


@pytest.mark.rule("T7", "E8")
async def test_the_server_is_lost(chat: Chat, xmpp_server: XmppServer) -> None:
    await chat.create()
    held = await chat.hold()
    (await xmpp_server.accept()).ends()
    assert (await held).text == terminal("remote-connection-failed")


@pytest.mark.rule("T6")
async def test_nobody_asked_when_the_server_was_lost(chat: Chat, xmpp_server: XmppServer) -> None:
    await chat.create()
    (await xmpp_server.accept()).ends()
    await eventually(lambda: chat.front.gateway.backends.live == 0)
    assert (await chat.post()).text == terminal("remote-connection-failed")


@pytest.mark.rule("HC13")
async def test_a_stream_error_goes_to_the_client_whole(chat: Chat, xmpp_server: XmppServer) -> None:
    await chat.create()
    held = await chat.hold()
    error = "<conflict xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>"
    server = await xmpp_server.accept()
    await server.says(f"<message id='a1'/><stream:error>{error}</stream:error></stream:stream>")
    answer = (await held).text
    assert answer.startswith(f"{BODY} type='terminate' condition='remote-stream-error' xmlns:stream=")
    assert "id='a1'" in answer
    assert error in answer
    assert await server.hears_rest() == "</stream:stream>"


@pytest.mark.rule("S14", "E8")
async def test_a_server_that_is_down_ends_the_creation(front: Front) -> None:
    answer = await front.post(CREATE.replace(DOMAIN, DOWN))
    assert answer.text == terminal("remote-connection-failed")
    assert len(front.gateway.sessions) == 0


@pytest.mark.rule("S14")
async def test_a_server_that_says_nothing_ends_the_creation_in_time(make_front: MakeFront) -> None:
    async with XmppServer(negotiates=False) as silent:
        front = await make_front(silent, limits={"connect_timeout": 0.2})
        answer = await front.post(CREATE)
        assert answer.text == terminal("remote-connection-failed")
        silent.leave()


@pytest.mark.rule("P16")
async def test_a_client_that_sends_too_much_too_early_is_ended(
    make_front: MakeFront,
) -> None:
    async with XmppServer(negotiates=False) as silent:
        front = await make_front(silent, limits={"max_pending_bytes": 10_000, "max_stanza_bytes": 10_000})
        chat = Chat(front)
        answers = [await chat.create(wait="0")]
        while "terminate" not in answers[-1].text:
            answers.append(await chat.post(message(1, "x" * 9_000)))
        assert answers[-1].text == terminal("policy-violation")
        assert 2 < len(answers) < 6
        silent.leave()


async def test_a_client_that_does_not_authenticate_in_time_is_ended(
    make_front: MakeFront, xmpp_server: XmppServer
) -> None:  # attack S3
    chat = Chat(await make_front(limits={"auth_timeout": 0.2}))
    await chat.create()
    held = await chat.hold("<a xmlns='b'/>")
    assert (await held).text == terminal("policy-violation")
    assert (await (await xmpp_server.accept()).hears(END)) == "<a xmlns='b'/>" + END


# --- Slow readers ---------------------------------------------------------------------------------------


async def answer_a_slow_reader(chat: Chat, server: Peer) -> RawConnection:
    """Two answers on one connection that is not read: the second cannot even begin."""
    raw = await chat.front.raw(receive_buffer=1 << 16)
    for number in range(2):
        requests = chat.front.gateway.metrics.bosh.requests
        await raw.send(post(chat.body()))
        await eventually(lambda: chat.front.gateway.metrics.bosh.requests > requests)  # noqa: B023
        await server.says(f"<message id='a{number}'><body>{'x' * 6_000_000}</body></message>")
    await eventually(lambda: chat.front.gateway.metrics.bosh.to_clients == 3)
    connections = [c for c in chat.front.server.server_state.connections if isinstance(c, HttpProtocol)]
    (connection,) = (connection for connection in connections if connection.flow.write_paused)
    assert not connection.cycle.response_started
    return raw


@pytest.fixture
async def chatty(make_front: MakeFront, xmpp_server: XmppServer) -> Chat:
    """A session whose server may send megabytes ahead."""
    chat = Chat(await make_front(limits={"max_pending_bytes": 32 << 20}))
    await chat.create()
    return chat


async def test_a_slow_reader_gets_everything(chatty: Chat, xmpp_server: XmppServer) -> None:
    raw = await answer_a_slow_reader(chatty, await xmpp_server.accept())
    for number in range(2):
        answer = await raw.answer()
        assert f"id='a{number}'" in answer.body
        assert len(answer.body) > 6_000_000


async def test_a_slow_reader_that_hangs_up_gets_it_on_another_connection(
    chatty: Chat, xmpp_server: XmppServer
) -> None:
    raw = await answer_a_slow_reader(chatty, await xmpp_server.accept())
    raw.writer.transport.abort()
    await eventually(lambda: not chatty.front.server.server_state.tasks)
    for number in range(2):
        assert f"id='a{number}'" in (await chatty.repeat(back=1 - number)).text


@pytest.mark.rule("P13", "HC24i")
async def test_a_server_is_not_read_while_its_client_is_away(
    make_front: MakeFront, xmpp_server: XmppServer
) -> None:
    chat = Chat(await make_front(limits={"max_pending_bytes": 10_000}))
    await chat.create()
    server = await xmpp_server.accept()
    stanzas = [f"<message id='a{n}'><body>{'x' * 100_000}</body></message>" for n in range(100)]
    saying = asyncio.create_task(server.says(*stanzas))
    await asyncio.sleep(0.1)
    assert not saying.done()
    assert len((await chat.post()).text) > 100_000
    received = 1
    while received < len(stanzas):
        received += (await chat.post()).text.count("<message ")
    await saying


# --- Bugs -----------------------------------------------------------------------------------------------


@pytest.mark.rule("E4")
async def test_a_bug_in_the_core_ends_one_session_and_no_other(
    front: Front,
    xmpp_server: XmppServer,
    monkeypatch: pytest.MonkeyPatch,
    log: pytest.LogCaptureFixture,
) -> None:
    victim, other = Chat(front), Chat(front)
    await victim.create()
    await other.create()
    servers = [await xmpp_server.accept(), await xmpp_server.accept()]
    receive = Session.receive_request

    def fail(session: Session, exchange: object, body: object, now: int) -> None:
        if session.sid == victim.sid:
            raise RuntimeError("a bug")
        receive(session, exchange, body, now)  # type: ignore[arg-type]

    held = await victim.hold()
    monkeypatch.setattr(Session, "receive_request", fail)
    answer = await victim.post()
    assert answer.status_code == 200
    assert answer.text == terminal("internal-server-error")
    assert answer.headers["access-control-allow-origin"] == "*"
    assert (await held).text == terminal("internal-server-error")
    assert (await victim.post()).text == ITEM_NOT_FOUND
    assert log.text.count("Traceback") == 1
    await other.hold(message(1))
    await servers[1].hears("id='m1'")
    assert await servers[0].hears_rest() == "</stream:stream>"
    assert front.metric("sessions_closed_total", transport="bosh", reason="internal-server-error") == 1


@pytest.mark.rule("E4")
async def test_a_bug_in_the_parser_is_no_bad_request(
    front: Front, monkeypatch: pytest.MonkeyPatch, log: pytest.LogCaptureFixture
) -> None:  # attack S26
    def fail(*_args: object, **_named: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr("boshgate.web.bosh.parse_body", fail)
    assert (await front.post(CREATE)).text == terminal("internal-server-error")
    assert "bug: a request ended in an exception" in log.text


@pytest.mark.parametrize("step", ["receive_payloads", "stream_opened", "handle_timer", "exchange_lost"])
async def test_a_bug_elsewhere_ends_the_session_too(
    make_front: MakeFront, xmpp_server: XmppServer, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    chat = Chat(await make_front())

    def fail(*_args: object, **_named: object) -> None:
        raise RuntimeError("a bug")

    async def provoke() -> httpx.Response | None:
        if step == "stream_opened":
            return await chat.front.post(CREATE)
        await chat.create(wait="1")
        held = await chat.hold()
        if step == "receive_payloads":
            await (await xmpp_server.accept()).says("<message/>")
        if step == "exchange_lost":
            held.cancel()
            return None
        return await held

    if step == "stream_opened":
        monkeypatch.setattr(Session, step, fail)
    else:
        create = chat.create

        async def create_then_break(**attributes: str) -> httpx.Response:
            answer = await create(**attributes)
            monkeypatch.setattr(Session, step, fail)
            return answer

        monkeypatch.setattr(chat, "create", create_then_break)
    answer = await provoke()
    if answer is not None:
        assert answer.text == terminal("internal-server-error")
    await eventually(lambda: len(chat.front.gateway.sessions) == 0)
