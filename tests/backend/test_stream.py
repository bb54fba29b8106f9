"""A stream at work and at its end, over TCP, STARTTLS and direct TLS (RFC 6120 4.4, XEP-0198 5)."""

import asyncio
import gc
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from boshgate.backend.stream import BackendStream
from boshgate.errors import (
    AuthenticationTimeout,
    BackendError,
    BadStream,
    ConnectionLost,
    QueueFull,
)
from tests.backend.conftest import OpenStream, Ready
from tests.backend.scripted import (
    END,
    FEATURES,
    SASL,
    Call,
    Client,
    Closed,
    Opened,
    PauseSending,
    Peer,
    Received,
    ResumeSending,
    ScriptedServer,
    header,
)

SUCCESS = f"<success {SASL}/>"
SASL2_SUCCESS = "<success xmlns='urn:xmpp:sasl:2'>{}</success>"
ENABLED = "<enabled xmlns='urn:xmpp:sm:3' id='x' resume='true'/>"
STANZA = "<message xmlns='jabber:client'/>"
LITTLE = 10_000
"""The least that a limit can be."""


class Dialogue:
    """A client's side and a stream that is open: header and features have come."""

    def __init__(self, open_stream: OpenStream, scheme: str, server: ScriptedServer, **limits: Any) -> None:
        self.client = Client()
        self.stream: BackendStream = open_stream(self.client, f"{scheme}://127.0.0.1:{server.port}", **limits)

    async def opened(self) -> None:
        """Header and features have come."""
        await self.client.opened()
        assert "<mechanism>PLAIN</mechanism>" in await self.client.received()


# At work


@pytest.mark.rule("P16")
async def test_what_was_written_early_comes_first_and_in_order(
    open_stream: OpenStream, ready: Ready, scheme: str
) -> None:
    async def script(peer: Peer) -> None:
        assert await peer.hears_rest() == "<a/><b/><c/><d/>"

    client = Client()

    def answer(call: Call) -> None:
        if isinstance(call, Opened):
            stream.write(b"<c/>")

    client.on_call = answer
    async with ScriptedServer(ready(script)) as server:
        stream = open_stream(client, f"{scheme}://127.0.0.1:{server.port}")
        stream.write(b"<a/>")
        stream.write(b"<b/>")
        await client.opened()
        await client.received()
        stream.write(b"<d/>")
        stream.abort()
        assert await client.closed() is None
        stream.write(b"<e/>")  # lost: there is no stream any more


@pytest.mark.rule("HC17")
async def test_one_read_is_one_call(open_stream: OpenStream, ready: Ready, scheme: str) -> None:
    async def script(peer: Peer) -> None:
        await peer.says("<a/><b/> <c/>", " \n ", "<mess", "age>\U0001f600</message>", "<d/>" + END)
        await peer.hears_rest()

    async with ScriptedServer(ready(script)) as server:
        talk = Dialogue(open_stream, scheme, server)
        await talk.opened()
        burst = await talk.client.next()
        assert isinstance(burst, Received)
        assert [element.name for element in burst.elements] == [f"{{jabber:client}}{name}" for name in "abc"]
        assert await talk.client.received() == "<message xmlns='jabber:client'>\U0001f600</message>"
        assert await talk.client.received() == "<d xmlns='jabber:client'/>"
        assert await talk.client.closed() is None


async def test_the_language_of_the_header_is_put_on_stanzas_if_asked(
    open_stream: OpenStream,
) -> None:  # RFC 7395 3.3.3
    async def script(peer: Peer) -> None:
        await peer.hears_header()
        await peer.says(header(xml_lang="fr") + "<stream:features/><a/>")
        await peer.hears_rest()

    for inherit in (True, False):
        client = Client()
        async with ScriptedServer(script) as server:
            stream = open_stream(client, f"tcp://127.0.0.1:{server.port}", inherit_lang=inherit)
            assert (await client.opened()).lang == "fr"
            assert ("xml:lang='fr'" in await client.received()) is inherit
            stream.abort()
            await client.closed()


@pytest.mark.rule("B3", "HC19", "WS17")
async def test_a_restart_begins_a_new_stream_on_the_same_connection(
    open_stream: OpenStream, ready: Ready, scheme: str
) -> None:
    async def script(peer: Peer) -> None:
        await peer.hears("<auth/>")
        await peer.says(SUCCESS)
        heard = await peer.hears_header()
        assert heard.startswith("<?xml version='1.0'?><stream:stream ")
        assert heard.endswith(" to='example.org' from='alice@example.org' version='1.0' xml:lang='de'>")
        compression = "<compression xmlns='http://jabber.org/features/compress'/>"
        await peer.says(header(id="s2") + f"<stream:features>{compression}<x/></stream:features>")
        assert await peer.hears_rest() == "<iq/>"

    async with ScriptedServer(ready(script)) as server:
        talk = Dialogue(open_stream, scheme, server)
        await talk.opened()
        assert not talk.stream.restart_allowed
        talk.stream.write(b"<auth/>")
        assert await talk.client.received() == SUCCESS
        assert talk.stream.restart_allowed
        assert talk.stream.authenticated
        talk.stream.restart(from_="alice@example.org/web", lang="de")
        assert not talk.stream.restart_allowed
        assert (await talk.client.opened()).id == "s2"
        features = await talk.client.received()
        assert "compression" not in features
        assert "<x" in features
        talk.stream.write(b"<iq/>")
        talk.stream.abort()
        assert await talk.client.closed() is None
        talk.stream.restart(from_=None, lang=None)  # too late, and no harm


async def test_a_restart_without_success_is_refused(
    open_stream: OpenStream, ready: Ready, scheme: str
) -> None:
    async def script(peer: Peer) -> None:
        assert await peer.hears_rest() == ""

    async with ScriptedServer(ready(script)) as server:
        talk = Dialogue(open_stream, scheme, server)
        talk.stream.restart(from_=None, lang=None)  # not open yet: nothing happens
        await talk.opened()
        with pytest.raises(ValueError, match="without SASL success"):  # B5
            talk.stream.restart(from_=None, lang=None)
        talk.stream.abort()
        await talk.client.closed()


@pytest.mark.rule("B5", "SM5")
@pytest.mark.parametrize(
    ("said", "restart_allowed", "authenticated", "resumable"),
    [
        (SUCCESS, True, True, False),
        (SASL2_SUCCESS.format(""), False, True, False),  # B6
        (SASL2_SUCCESS.format(f"<bound xmlns='urn:xmpp:bind:0'>{ENABLED}</bound>"), False, True, True),
        (SASL2_SUCCESS.format("<resumed xmlns='urn:xmpp:sm:3' h='1' previd='x'/>"), False, True, True),
        (ENABLED, False, False, True),
        (ENABLED.replace("true", "1").replace(":3", ":2"), False, False, True),
        (ENABLED.replace("true", "false"), False, False, None),
        ("<resumed xmlns='urn:xmpp:sm:3' h='1' previd='x'/>", False, False, True),
        ("<success xmlns='urn:other'/>", False, False, False),
        ("<message><enabled xmlns='urn:xmpp:sm:3' resume='true'/></message>", False, False, False),
    ],
)
async def test_what_the_gateway_notices(
    open_stream: OpenStream,
    said: str,
    *,
    restart_allowed: bool,
    authenticated: bool,
    resumable: bool | None,
) -> None:
    async def script(peer: Peer) -> None:
        await peer.negotiates()
        await peer.says(said)
        await peer.hears_rest()

    async with ScriptedServer(script) as server:
        talk = Dialogue(open_stream, "tcp", server)
        await talk.opened()
        await talk.client.received()
        stream = talk.stream
        assert (stream.restart_allowed, stream.authenticated) == (restart_allowed, authenticated)
        assert stream.resumable is bool(resumable)
        assert stream.managed is (resumable is not False)  # SM4: counted even if it cannot be resumed
        stream.abort()
        await talk.client.closed()


async def test_an_idle_stream_has_neither_task_nor_timer(
    open_stream: OpenStream, ready: Ready, scheme: str
) -> None:
    async def script(peer: Peer) -> None:
        await peer.says(SUCCESS)
        await peer.hears_rest()

    async with ScriptedServer(ready(script)) as server:
        talk = Dialogue(open_stream, scheme, server)
        assert repr(talk.stream) == "<BackendStream example.org CONNECTING>"
        await talk.opened()
        await talk.client.received()
        assert repr(talk.stream) == "<BackendStream example.org OPEN>"
        assert (talk.stream._task, talk.stream._timer, talk.stream._queue) == (None, None, None)
        assert not hasattr(talk.stream, "__dict__")
        assert not any(
            type(held).__name__ in {"Opening", "Negotiation"} for held in gc.get_referrers(talk.stream)
        )
        talk.stream.abort()
        await talk.client.closed()


# Backpressure


async def test_a_slow_server_pauses_the_client(open_stream: OpenStream, ready: Ready, scheme: str) -> None:
    count = 40
    data = b"<m>" + b"x" * 250_000 + b"</m>"
    caught_up = asyncio.Event()

    async def script(peer: Peer) -> None:
        await paused.wait()
        for _ in range(count):
            await peer.hears("</m>")
        await caught_up.wait()

    paused = asyncio.Event()
    async with ScriptedServer(ready(script)) as server:
        talk = Dialogue(open_stream, scheme, server, max_pending_bytes=100_000_000)
        await talk.opened()
        for _ in range(count):
            talk.stream.write(data)
        assert await talk.client.next() == PauseSending()
        paused.set()
        assert await talk.client.next() == ResumeSending()
        caught_up.set()
        talk.stream.abort()
        assert await talk.client.closed() is None


async def test_what_a_server_does_not_take_is_bounded(
    open_stream: OpenStream, ready: Ready, scheme: str
) -> None:
    ended = asyncio.Event()

    async def script(peer: Peer) -> None:
        await ended.wait()
        peer.resets()

    async with ScriptedServer(ready(script)) as server:
        talk = Dialogue(open_stream, scheme, server, close_timeout=0.1)
        await talk.opened()
        for _ in range(100):
            talk.stream.write(b"<m>" + b"x" * 250_000 + b"</m>")
        assert not any(isinstance(call, Closed) for call in talk.client.calls), "not inside our own call"
        assert isinstance(await talk.client.closed(), QueueFull)
        # The flush cannot end: the connection is given up after close_timeout.
        while repr(talk.stream) != "<BackendStream example.org CLOSED>":
            await asyncio.sleep(0.01)
        ended.set()


@pytest.mark.rule("P16")
async def test_what_waits_for_the_stream_is_bounded(open_stream: OpenStream) -> None:
    async def script(peer: Peer) -> None:
        await peer.hears_header()
        assert await peer.hears_rest() == ""

    client = Client()
    async with ScriptedServer(script) as server:
        stream = open_stream(
            client, f"tcp://127.0.0.1:{server.port}", max_pending_bytes=LITTLE, max_stanza_bytes=LITTLE
        )
        stream.write(b"x" * LITTLE)
        stream.write(b"x" * LITTLE)
        stream.write(b"x")
        assert client.calls == []
        stream.write(b"x")
        assert isinstance(await client.closed(), QueueFull)


@pytest.mark.parametrize("when", ["before", "after"])
async def test_reading_pauses(open_stream: OpenStream, ready: Ready, scheme: str, when: str) -> None:
    more = asyncio.Event()

    async def script(peer: Peer) -> None:
        await more.wait()
        for _ in range(20):
            await peer.says("<m/>")
        await peer.says(END)
        await peer.hears_rest()

    async with ScriptedServer(ready(script)) as server:
        talk = Dialogue(open_stream, scheme, server)
        if when == "before":
            talk.stream.pause_reading()
        await talk.opened()
        talk.stream.pause_reading()
        more.set()
        for _ in range(200):
            await asyncio.sleep(0)
        assert len(talk.client.calls) == 2
        talk.stream.resume_reading()
        assert await talk.client.closed() is None
        received = [call.text for call in talk.client.calls if isinstance(call, Received)]
        assert "".join(received[1:]) == "<m xmlns='jabber:client'/>" * 20
        talk.stream.pause_reading()
        talk.stream.resume_reading()


async def test_a_pause_that_is_over_before_the_stream_is_ready_has_no_effect(open_stream: OpenStream) -> None:
    async def script(peer: Peer) -> None:
        await peer.negotiates()
        await peer.says("<m/>")
        await peer.hears_rest()

    async with ScriptedServer(script) as server:
        talk = Dialogue(open_stream, "tcp", server)
        talk.stream.pause_reading()
        talk.stream.resume_reading()
        await talk.opened()
        assert await talk.client.received() == "<m xmlns='jabber:client'/>"
        talk.stream.abort()
        await talk.client.closed()


# The end


@pytest.mark.rule("T24", "HC21")
async def test_the_client_closes(open_stream: OpenStream, ready: Ready, scheme: str) -> None:
    async def script(peer: Peer) -> None:
        assert await peer.hears(END) == "<presence type='unavailable'/>" + END
        await peer.says("<a/>", "<b/>")
        await peer.says(END)
        assert await peer.hears_rest() == ""

    async with ScriptedServer(ready(script)) as server:
        talk = Dialogue(open_stream, scheme, server)
        await talk.opened()
        talk.stream.write(b"<presence type='unavailable'/>")
        talk.stream.close()
        talk.stream.write(b"<late/>")
        talk.stream.close()
        assert await talk.client.received() == "<a xmlns='jabber:client'/>"
        assert await talk.client.received() == "<b xmlns='jabber:client'/>"
        assert await talk.client.next() == Closed(None)


@pytest.mark.rule("HC21", "T7")
async def test_the_server_closes(open_stream: OpenStream, ready: Ready, scheme: str) -> None:
    async def script(peer: Peer) -> None:
        await peer.says("<a/>" + END)
        assert await peer.hears_rest() == END

    async with ScriptedServer(ready(script)) as server:
        talk = Dialogue(open_stream, scheme, server)
        await talk.opened()
        assert await talk.client.received() == "<a xmlns='jabber:client'/>"
        assert await talk.client.next() == Closed(None)


@pytest.mark.rule("T24")
async def test_a_server_that_does_not_answer_our_end_tag(
    open_stream: OpenStream, ready: Ready, scheme: str
) -> None:
    async def script(peer: Peer) -> None:
        assert await peer.hears_rest() == END

    async with ScriptedServer(ready(script)) as server:
        talk = Dialogue(open_stream, scheme, server, close_timeout=0.1)
        await talk.opened()
        talk.stream.close()
        assert await talk.client.next() == Closed(None)


@pytest.mark.rule("T24")
async def test_a_success_after_our_end_tag_is_no_reason_to_wait(open_stream: OpenStream) -> None:
    async def script(peer: Peer) -> None:
        await peer.negotiates()
        await peer.hears(END)
        await peer.says(SUCCESS)
        assert await peer.hears_rest() == ""

    async with ScriptedServer(script) as server:
        talk = Dialogue(open_stream, "tcp", server, close_timeout=0.1)
        await talk.opened()
        talk.stream.close()
        assert await talk.client.received() == SUCCESS
        assert await talk.client.next() == Closed(None)


@pytest.mark.rule("SM11")
async def test_nothing_is_delivered_once_the_client_has_aborted(open_stream: OpenStream) -> None:
    async def script(peer: Peer) -> None:
        await peer.negotiates()
        await peer.says("<a/>" + END)
        assert await peer.hears_rest() == ""

    async with ScriptedServer(script) as server:
        talk = Dialogue(open_stream, "tcp", server)
        await talk.opened()
        talk.client.on_call = lambda call: talk.stream.abort()
        assert await talk.client.received() == "<a xmlns='jabber:client'/>"
        assert await talk.client.next() == Closed(None)


@pytest.mark.parametrize("how", [Peer.ends, Peer.resets])
async def test_a_server_that_answers_our_end_tag_by_closing_the_connection(
    open_stream: OpenStream, ready: Ready, scheme: str, how: Callable[[Peer], None]
) -> None:
    async def script(peer: Peer) -> None:
        await peer.hears(END)
        how(peer)

    async with ScriptedServer(ready(script)) as server:
        talk = Dialogue(open_stream, scheme, server)
        await talk.opened()
        talk.stream.close()
        assert await talk.client.next() == Closed(None)


@pytest.mark.rule("T7")
@pytest.mark.parametrize("how", [Peer.ends, Peer.resets])
async def test_a_connection_lost_without_an_end_tag(
    open_stream: OpenStream, ready: Ready, scheme: str, how: Callable[[Peer], None]
) -> None:  # attack S25
    async def script(peer: Peer) -> None:
        how(peer)

    async with ScriptedServer(ready(script)) as server:
        talk = Dialogue(open_stream, scheme, server)
        assert isinstance(await talk.client.closed(), BackendError)
        talk.stream.write(b"<late/>")
        talk.stream.close()
        talk.stream.abort()
        talk.stream.pause_reading()
        talk.stream.resume_reading()


@pytest.mark.rule("T7", "N14")
@pytest.mark.parametrize("how", [Peer.ends, Peer.resets])
async def test_an_open_stream_that_is_lost_is_not_opened_again(
    open_stream: OpenStream, ready: Ready, scheme: str, how: Callable[[Peer], None]
) -> None:
    async def script(peer: Peer) -> None:
        await peer.hears("<bye/>")
        how(peer)

    async with ScriptedServer(ready(script)) as server:
        talk = Dialogue(open_stream, scheme, server)
        await talk.opened()
        talk.stream.write(b"<bye/>")
        assert isinstance(await talk.client.closed(), ConnectionLost)
        assert talk.stream._task is None
        assert server.connections == 1
    assert len(talk.client.calls) == 3


@pytest.mark.rule("SM5", "SM11", "WS15", "HC22")
async def test_abort_keeps_the_stream_resumable(open_stream: OpenStream, ready: Ready, scheme: str) -> None:
    data = b"<m>" + b"x" * 1_000_000 + b"</m>"
    aborted = asyncio.Event()

    async def script(peer: Peer) -> None:
        await aborted.wait()
        heard = await peer.hears_rest()  # raises if it ends with an RST
        assert heard == data.decode() * 5, "everything, and no end tag"

    async with ScriptedServer(ready(script)) as server:
        talk = Dialogue(open_stream, scheme, server, max_pending_bytes=100_000_000)
        await talk.opened()
        for _ in range(5):
            talk.stream.write(data)
        talk.stream.abort()
        talk.stream.abort()
        talk.stream.close()
        talk.stream.write(b"<late/>")
        aborted.set()
        assert await talk.client.closed() is None


@pytest.mark.rule("SM11")
async def test_abort_is_no_reset_though_the_server_is_still_sending(
    open_stream: OpenStream, ready: Ready, scheme: str
) -> None:
    aborted = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.hears("<go/>")
        await peer.says(*["<m/>"] * 50)
        aborted.set()
        heard = await peer.hears_rest()
        assert heard == "<last/>"
        await peer.says("<m/>")

    async with ScriptedServer(ready(script)) as server:
        talk = Dialogue(open_stream, scheme, server)
        await talk.opened()
        talk.stream.pause_reading()
        talk.stream.write(b"<go/>")
        await aborted.wait()
        talk.stream.write(b"<last/>")
        talk.stream.abort()
        assert await talk.client.next() == Closed(None), "what was not read before the end is lost"


async def test_abort_while_closing(open_stream: OpenStream, ready: Ready, scheme: str) -> None:
    async def script(peer: Peer) -> None:
        assert await peer.hears_rest() == END

    async with ScriptedServer(ready(script)) as server:
        talk = Dialogue(open_stream, scheme, server)
        await talk.opened()
        talk.stream.close()
        talk.stream.abort()
        assert await talk.client.next() == Closed(None)


@pytest.mark.parametrize("end", [BackendStream.close, BackendStream.abort])
@pytest.mark.parametrize("turns", [0, 1, 3, 10, 30])
async def test_ending_a_stream_that_still_connects(
    open_stream: OpenStream, ready: Ready, scheme: str, end: Callable[[BackendStream], None], turns: int
) -> None:
    async def script(peer: Peer) -> None:
        await peer.ends_anyhow()

    async def whole(peer: Peer) -> None:
        with suppress(AssertionError, OSError):  # whenever the client ends, it ends well
            await ready(script)(peer)

    async with ScriptedServer(whole) as server:
        talk = Dialogue(open_stream, scheme, server, close_timeout=0.1)
        talk.stream.write(b"<auth>secret</auth>")
        for _ in range(turns):
            await asyncio.sleep(0)
        end(talk.stream)
        assert await talk.client.closed() is None


@pytest.mark.rule("T19", "T20", "T27")
@pytest.mark.parametrize(
    ("said", "condition"),
    [
        ("<a/><!-- no -->", "restricted-xml"),
        ("<a/><?no pi?>", "restricted-xml"),
        ("<a/></b>", "not-well-formed"),
        ("<a/>text", ""),
        ("<a/><b>" + "x" * LITTLE + "</b>", "policy-violation"),
    ],
)
async def test_bad_xml_from_the_server_is_answered(
    open_stream: OpenStream, ready: Ready, scheme: str, said: str, condition: str
) -> None:
    async def script(peer: Peer) -> None:
        await peer.says(said)
        heard = await peer.hears_rest()
        assert heard.startswith(f"<stream:error><{condition}")
        assert heard.endswith("</stream:error>" + END)

    async with ScriptedServer(ready(script)) as server:
        talk = Dialogue(open_stream, scheme, server, max_backend_stanza_bytes=LITTLE)
        await talk.opened()
        assert await talk.client.received() == "<a xmlns='jabber:client'/>"
        error = (await talk.client.next()).error  # type: ignore[union-attr]
        assert isinstance(error, BadStream)
        assert error.condition.startswith(condition)


@pytest.mark.rule("T24")
async def test_bad_xml_after_our_end_tag_is_not_answered(open_stream: OpenStream) -> None:
    async def script(peer: Peer) -> None:
        await peer.negotiates()
        await peer.hears(END)
        await peer.says("<!-- no -->")
        assert await peer.hears_rest() == ""

    async with ScriptedServer(script) as server:
        talk = Dialogue(open_stream, "tcp", server)
        await talk.opened()
        talk.stream.close()
        assert isinstance(await talk.client.closed(), BadStream)


@pytest.mark.rule("T23", "T26", "HC13")
@pytest.mark.parametrize("condition", ["conflict", "reset"])
@pytest.mark.parametrize("end", [END, "", "<b/>"])
async def test_a_stream_error_is_delivered_then_the_stream_is_closed(
    open_stream: OpenStream, ready: Ready, scheme: str, end: str, condition: str
) -> None:
    error = f"<stream:error><{condition} xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>"

    async def script(peer: Peer) -> None:
        await peer.says("<a/>" + error + end)
        assert await peer.hears(END) == END
        if end != END:
            await peer.says(END if end else "<b/>" + END)
        assert await peer.hears_rest() == ""

    async with ScriptedServer(ready(script)) as server:
        talk = Dialogue(open_stream, scheme, server)
        await talk.opened()
        received = await talk.client.received()
        assert received.startswith("<a xmlns='jabber:client'/><stream:error ")
        assert f"<{condition} " in received
        if end != END:
            assert await talk.client.received() == "<b xmlns='jabber:client'/>"
        assert await talk.client.next() == Closed(None)


async def test_a_client_that_does_not_authenticate_is_ended(
    open_stream: OpenStream, ready: Ready, scheme: str
) -> None:  # attack S3
    async def script(peer: Peer) -> None:
        await peer.says(f"<failure {SASL}/>")
        assert await peer.hears_rest() == END

    async with ScriptedServer(ready(script)) as server:
        talk = Dialogue(open_stream, scheme, server, auth_timeout=0.1)
        await talk.opened()
        assert isinstance(await talk.client.closed(), AuthenticationTimeout)


async def test_before_xmpp_1_there_is_no_authentication_to_wait_for(open_stream: OpenStream) -> None:
    async def script(peer: Peer) -> None:
        await peer.hears_header()
        await peer.says(header(version=""))
        await peer.hears_rest()

    client = Client()
    async with ScriptedServer(script) as server:
        stream = open_stream(client, f"tcp://127.0.0.1:{server.port}")
        await client.opened()
        assert stream._timer is None
        stream.abort()
        await client.closed()


# Handlers that fail


@pytest.mark.parametrize("kind", [Opened, Received, Closed, PauseSending, ResumeSending])
async def test_a_handler_that_raises_costs_its_own_stream(
    open_stream: OpenStream, kind: type[Call], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR, "boshgate")

    def fail(call: Call) -> None:
        if isinstance(call, kind):
            raise ZeroDivisionError

    go = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.negotiates()
        await go.wait()
        await peer.ends_anyhow()

    async with ScriptedServer(script) as server:
        talk = Dialogue(open_stream, "tcp", server, max_pending_bytes=100_000_000)
        talk.client.on_call = fail
        await talk.client.opened()
        if kind is not Opened:
            await talk.client.received()
        for _ in range(5):
            talk.stream.write(b"<m>" + b"x" * 2_000_000 + b"</m>")
        go.set()
        if kind is Closed:
            talk.stream.abort()
        error = await talk.client.closed()
        assert error is None if kind is Closed else str(error) == "internal error"
        assert "ZeroDivisionError" in caplog.text


@pytest.mark.rule("G9")
async def test_no_payload_is_logged(
    open_stream: OpenStream, ready: Ready, scheme: str, caplog: pytest.LogCaptureFixture
) -> None:  # attack S28
    caplog.set_level(logging.DEBUG)

    async def script(peer: Peer) -> None:
        await peer.hears("</auth>")
        await peer.says(f"<challenge {SASL}>c2VjcmV0</challenge>", "<!-- -->")
        await peer.hears_rest()

    async with ScriptedServer(ready(script)) as server:
        talk = Dialogue(open_stream, scheme, server)
        talk.stream.write(f"<auth {SASL}>AGFsaWNlAHNlY3JldA==</auth>".encode())
        await talk.client.closed()
    assert "c2VjcmV0" not in caplog.text
    assert "AGFsaWNl" not in caplog.text
    assert FEATURES not in caplog.text
