"""The WebSocket handshake (RFC 7395 section 3.1, RFC 6455 section 10.2): who may connect, who may not."""

import asyncio
import logging
from collections.abc import MutableMapping
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus

from boshgate.web.app import Gateway
from tests.web.conftest import MakeFront
from tests.web.front import HANDSHAKE, OPEN, Chat, Front, Talk, XmppServer, configure, frame


async def refused(front: Front, **options: object) -> tuple[int, str]:
    """Shake hands in vain; returns status and reason."""
    with pytest.raises(InvalidStatus) as caught:
        await front.websocket(**options)
    response = caught.value.response
    return response.status_code, (response.body or b"").decode().strip()


@pytest.mark.rule("WS1")
@pytest.mark.parametrize("offered", [["xmpp"], ["chat", "xmpp"], ["xmpp", "xmpp-framing"]])
async def test_the_answer_has_exactly_the_subprotocol_xmpp(front: Front, offered: list[str]) -> None:
    websocket = await front.websocket(subprotocols=offered)
    assert websocket.subprotocol == "xmpp"


@pytest.mark.rule("WS1")
@pytest.mark.parametrize("offered", [None, ["chat"], ["XMPP"]])
async def test_without_the_subprotocol_the_handshake_is_refused(
    front: Front, caplog: pytest.LogCaptureFixture, offered: list[str] | None
) -> None:
    caplog.set_level(logging.INFO, logger="boshgate")
    assert await refused(front, subprotocols=offered) == (400, "the subprotocol 'xmpp' was not offered")
    assert "refused a handshake from 127.0.0.1: HTTP 400" in caplog.text
    assert front.metric("refused_total", transport="websocket", condition="400") == 1


@pytest.mark.rule("WS2")
@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "null",
        "https://chat.example.evil.example",
        "http://chat.example",
        "https://chat.example:444",
    ],
)
async def test_a_foreign_origin_is_refused(make_front: MakeFront, origin: str) -> None:  # attack S12
    front = await make_front(server={"allowed_origins": ("https://chat.example",)})
    assert (await refused(front, origin=origin))[0] == 403
    assert front.metric("sessions_open", transport="websocket") == 0


@pytest.mark.rule("WS2")
@pytest.mark.parametrize("origin", ["https://chat.example", "HTTPS://Chat.example:443", None])
async def test_a_listed_origin_and_a_client_without_one_are_accepted(
    make_front: MakeFront, origin: str | None
) -> None:
    front = await make_front(server={"allowed_origins": ("https://chat.example",)})
    await front.websocket(origin=origin)


async def test_nobody_is_admitted_while_draining(front: Front) -> None:
    front.gateway.admission.draining = True
    assert await refused(front) == (503, "the gateway is shutting down")


@pytest.mark.rule("C16")
async def test_both_transports_share_one_limit(make_front: MakeFront) -> None:
    front = await make_front(limits={"max_sessions": 2})
    talk = Talk(await front.websocket())
    await Chat(front).create()
    assert (await refused(front))[0] == 503
    await talk.leaves()
    await front.websocket()


async def test_another_path_is_refused(front: Front) -> None:
    raw = await front.raw()
    await raw.send(HANDSHAKE.replace("/xmpp-websocket", "/http-bind"))
    assert (await raw.reader.readline()).startswith(b"HTTP/1.1 403 ")


@pytest.mark.rule("WS26")
async def test_compression_is_declined(front: Front) -> None:  # attack S8
    websocket = await front.websocket(compression="deflate")
    assert websocket.protocol.extensions == []


@pytest.mark.rule("WS29")
async def test_a_client_that_says_nothing_is_not_waited_for(make_front: MakeFront) -> None:
    front = await make_front(limits={"body_timeout": 0.1})
    talk = Talk(await front.websocket())
    await talk.hears("<open ")
    await talk.hears_error("connection-timeout")
    assert await talk.hears_end() == 1000


async def test_a_session_is_counted_to_its_end(front: Front, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="boshgate")
    talk = Talk(await front.websocket())
    assert front.metric("sessions_open", transport="websocket") == 1
    assert front.gateway.admission.open == 1
    await talk.leaves()
    while front.gateway.websocket.connections:
        await asyncio.sleep(0)
    assert front.metric("sessions_open", transport="websocket") == 0
    assert front.metric("sessions_opened_total", transport="websocket") == 1
    assert front.metric("session_seconds_count", transport="websocket") == 1
    assert front.gateway.admission.open == 0
    messages = [record.getMessage() for record in caplog.records]
    assert messages[0].endswith("opened by 127.0.0.1")
    assert "closed after" in messages[-1]


async def test_the_address_is_that_before_trusted_proxies(
    front: Front, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="boshgate")
    await front.websocket(additional_headers={"X-Forwarded-For": "192.0.2.7"})
    assert "opened by 192.0.2.7" in caplog.text


@pytest.mark.rule("WS30")
async def test_how_the_connection_became_a_websocket_is_the_web_servers_matter(
    xmpp_server: XmppServer, down: str
) -> None:
    """RFC 8441: over HTTP/2 there is neither an Upgrade nor a Connection header, nor a key."""
    gateway = Gateway(configure(xmpp_server.address, down, limits={"close_timeout": 0.3}))
    received: asyncio.Queue[MutableMapping[str, Any]] = asyncio.Queue()
    sent: asyncio.Queue[MutableMapping[str, Any]] = asyncio.Queue()
    scope = {
        "type": "websocket",
        "http_version": "2",
        "scheme": "wss",
        "path": "/xmpp-websocket",
        "client": ("192.0.2.1", 4711),
        "headers": [(b"host", b"chat.example"), (b"sec-websocket-protocol", b"xmpp")],
        "subprotocols": ["xmpp"],
        "extensions": {"websocket.http.response": {}},
    }
    serving = asyncio.create_task(gateway(scope, received.get, sent.put))
    received.put_nowait({"type": "websocket.connect"})
    assert await sent.get() == {"type": "websocket.accept", "subprotocol": "xmpp"}
    received.put_nowait({"type": "websocket.receive", "text": OPEN})
    assert (await sent.get())["text"].startswith("<open ")
    assert (await sent.get())["text"].startswith("<stream:features ")
    received.put_nowait({"type": "websocket.disconnect", "code": 1000})
    await serving
    xmpp_server.leave()
    await gateway.shut_down()


async def test_head_and_frames_in_single_bytes(front: Front, xmpp_server: XmppServer) -> None:
    raw = await front.raw()
    raw.writer.write(HANDSHAKE.encode())
    assert b" 101 " in await raw.reader.readuntil(b"\r\n\r\n")
    for byte in frame(1, OPEN.encode()):
        raw.writer.write(bytes([byte]))
        await asyncio.sleep(0)
    await xmpp_server.accept()
    assert b"<open " in await raw.reader.readuntil(b"/>")
