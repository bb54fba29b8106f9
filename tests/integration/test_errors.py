"""What goes wrong gets its exact answer and its line in the log, and other sessions notice nothing."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest

from tests.conftest import DOWN_DOMAIN, MakeGateway
from tests.integration.conftest import Bystanders
from tests.support.clients import HTTPBIND, BoshConnection, StreamEndedError
from tests.support.clients.bosh import body
from tests.support.clients.frames import exchange, open_frame
from tests.support.gateway import Gateway, ServedDomain
from tests.support.servers import DOMAIN

pytestmark = pytest.mark.integration

ORIGIN = "https://chat.example.org"
MAX_BODY = 512 * 1024
MAX_STANZA = 256 * 1024

CREATION = {"rid": "1000", "to": DOMAIN, "wait": "60", "hold": "1", "ver": "1.11", "xmpp:version": "1.0"}


def lines_since(gateway: Gateway, mark: int, word: str) -> list[str]:
    """What the gateway logged with *word* in it since its log was *mark* characters long."""
    return [line for line in gateway.log()[mark:].splitlines() if word in line]


async def post(gateway: Gateway, content: bytes | AsyncIterator[bytes]) -> httpx.Response:
    async with httpx.AsyncClient(trust_env=False, timeout=20) as http:
        headers = {"Content-Type": "text/xml; charset=utf-8", "Origin": ORIGIN}
        return await http.post(gateway.bosh_url, content=content, headers=headers)


def terminal(condition: str) -> str:
    return f'<body xmlns="{HTTPBIND}" type="terminate" condition="{condition}"/>'


def assert_terminal(response: httpx.Response, condition: str, status: int = 200) -> None:
    """XEP-0124 section 17.2, and headers with which a browser lets a page of another origin see it."""
    assert response.status_code == status
    assert response.headers["Content-Type"] == "text/xml; charset=utf-8"
    assert response.headers["Access-Control-Allow-Origin"] in ("*", ORIGIN)
    assert response.text.replace("'", '"') == terminal(condition)


@pytest.mark.parametrize(
    ("attributes", "condition"),
    [
        ({"to": "unknown.example"}, "host-unknown"),
        ({"to": ""}, "improper-addressing"),
        ({"rid": "0"}, "bad-request"),
        ({"rid": "9007199254740992"}, "bad-request"),
        ({"sid": "no-such-session"}, "item-not-found"),
        ({"sid": ""}, "item-not-found"),
    ],
)
async def test_bosh_request_that_cannot_be_served(
    prosody_gateway: Gateway, bystanders: Bystanders, attributes: dict[str, str], condition: str
) -> None:
    mark = len(prosody_gateway.log())
    assert_terminal(await post(prosody_gateway, body(CREATION | attributes)), condition)
    (line,) = lines_since(prosody_gateway, mark, "refused")
    assert condition in line
    await bystanders.notice_nothing()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"rid=1",
        b"<body xmlns='http://jabber.org/protocol/httpbind' rid='1'",
        b"<body rid='1'/>",
        b"<!DOCTYPE body [<!ENTITY e '1'>]><body xmlns='http://jabber.org/protocol/httpbind' rid='&e;'/>",
        b"<body xmlns='http://jabber.org/protocol/httpbind' rid='1'><!-- comment --></body>",
        b"<body xmlns='http://jabber.org/protocol/httpbind' rid='1'><?target data?></body>",
        b"<body xmlns='http://jabber.org/protocol/httpbind' rid='1'>text</body>",
        b"<body xmlns='http://jabber.org/protocol/httpbind' rid='1'>\xff</body>",
    ],
    ids=["empty", "form", "half", "namespace", "dtd", "comment", "pi", "text", "latin1"],
)
async def test_bosh_request_that_is_no_xml_for_xmpp(
    prosody_gateway: Gateway, bystanders: Bystanders, content: bytes
) -> None:
    mark = len(prosody_gateway.log())
    assert_terminal(await post(prosody_gateway, content), "bad-request")
    (line,) = lines_since(prosody_gateway, mark, "refused")
    assert "bad-request" in line
    await bystanders.notice_nothing()


async def test_restricted_xml_within_a_session_ends_it_and_no_other(
    prosody_gateway: Gateway, bystanders: Bystanders
) -> None:
    async with BoshConnection(DOMAIN, prosody_gateway.bosh_url) as bosh:
        await bosh.open()
        await bosh.receive()  # the features
        async with httpx.AsyncClient(trust_env=False) as http:
            request = body({"rid": "1", "sid": bosh.sid}, "<!-- comment -->")
            response = await http.post(prosody_gateway.bosh_url, content=request)
        assert_terminal_text(response, "bad-request")
    await bystanders.notice_nothing()


def assert_terminal_text(response: httpx.Response, condition: str) -> None:
    assert response.status_code == 200
    assert response.text.replace("'", '"') == terminal(condition)


@pytest.mark.parametrize(
    ("frames", "condition", "code"),
    [
        ([open_frame("unknown.example")], "host-unknown", 1000),
        ([open_frame("")], "improper-addressing", 1000),
        (["<presence xmlns='jabber:client'/>"], "not-authorized", 1000),
        (["<open xmlns='jabber:client' to='localhost' version='1.0'/>"], "invalid-namespace", 1000),
        (
            ["<?xml version='1.0'?><stream:stream xmlns:stream='http://etherx.jabber.org/streams' to='x'>"],
            "invalid-namespace",
            1000,
        ),
        ([open_frame(DOMAIN), "<presence"], "not-well-formed", 1000),
        ([open_frame(DOMAIN), "<a xmlns='x'/><b xmlns='x'/>"], "not-well-formed", 1000),
        ([open_frame(DOMAIN), "<a xmlns='x'><!-- comment --></a>"], "restricted-xml", 1000),
        ([open_frame(DOMAIN), "<!DOCTYPE a><a xmlns='x'/>"], "restricted-xml", 1000),
        ([open_frame(DOMAIN), open_frame(DOMAIN)], "policy-violation", 1000),
        ([open_frame(DOMAIN), f"<a xmlns='x'>{'x' * MAX_STANZA}</a>"], "policy-violation", 1009),
    ],
    ids=[
        "unknown-domain",
        "no-domain",
        "no-open",
        "namespace",
        "old-framing",
        "half",
        "two",
        "comment",
        "dtd",
        "open-twice",
        "oversized",
    ],
)
async def test_websocket_stream_error(
    prosody_gateway: Gateway, bystanders: Bystanders, frames: list[str], condition: str, code: int
) -> None:
    mark = len(prosody_gateway.log())
    received = await exchange(prosody_gateway.websocket_url, *frames)
    without_features = [name for name in received.names if name != "features"]
    assert without_features == ["open", "error", "close"], "RFC 7395 section 3.5"
    assert received.condition == condition
    assert received.code == code
    (line,) = lines_since(prosody_gateway, mark, "stream error")
    assert f"stream error {condition}" in line
    await bystanders.notice_nothing()


async def test_binary_websocket_message_closes_with_1003(
    prosody_gateway: Gateway, bystanders: Bystanders
) -> None:
    """RFC 7395 section 3.2, RFC 6455 section 7.4.1."""
    received = await exchange(prosody_gateway.websocket_url, open_frame(DOMAIN).encode())
    assert received.code == 1003
    await bystanders.notice_nothing()


async def test_frame_far_beyond_the_limit_closes_with_1009(
    prosody_gateway: Gateway, bystanders: Bystanders
) -> None:
    """The library's limit, which is above ours, so that no frame is ever held whole in memory for nothing."""
    huge = f"<a xmlns='x'>{'x' * (3 * MAX_STANZA)}</a>"
    received = await exchange(prosody_gateway.websocket_url, open_frame(DOMAIN), huge)
    assert received.code == 1009
    await bystanders.notice_nothing()


async def test_server_that_is_down_over_bosh(prosody_gateway: Gateway, bystanders: Bystanders) -> None:
    async with BoshConnection(DOWN_DOMAIN, prosody_gateway.bosh_url) as bosh:
        await bosh.open()
        with pytest.raises(StreamEndedError) as ended:
            await bosh.receive()
    assert ended.value.condition == "remote-connection-failed"
    assert await post_again(prosody_gateway, bosh) == "item-not-found"
    await bystanders.notice_nothing()


async def post_again(gateway: Gateway, bosh: BoshConnection) -> str:
    """Send another request of a session that is over; return the condition."""
    response = await post(gateway, body({"rid": "4000000000", "sid": bosh.sid}))
    return response.text.partition("condition=")[2].strip("\"'/>")


async def test_server_that_is_down_over_websocket(prosody_gateway: Gateway, bystanders: Bystanders) -> None:
    received = await exchange(prosody_gateway.websocket_url, open_frame(DOWN_DOMAIN))
    assert received.names == ["open", "error", "close"]
    assert received.frames[0].get("from") == DOWN_DOMAIN
    assert received.frames[0].get("id")
    assert received.condition == "remote-connection-failed"
    assert received.code == 1000
    await bystanders.notice_nothing()


@pytest.mark.parametrize("transport", ["bosh", "websocket"])
async def test_server_that_hangs_up_during_login(make_gateway: MakeGateway, transport: str) -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"version='1.0'")
        writer.write(
            b"<?xml version='1.0'?><stream:stream xmlns='jabber:client' version='1.0' id='i' from='localhost'"
            b" xmlns:stream='http://etherx.jabber.org/streams'><stream:feat"
        )
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        gateway = make_gateway([ServedDomain(DOMAIN, f"tcp://127.0.0.1:{port}")])
        if transport == "bosh":
            async with BoshConnection(DOMAIN, gateway.bosh_url) as bosh:
                await bosh.open()
                with pytest.raises(StreamEndedError) as ended:
                    await bosh.receive()
            assert ended.value.condition == "remote-connection-failed"
        else:
            received = await exchange(gateway.websocket_url, open_frame(DOMAIN))
            assert received.names == ["open", "error", "close"]
            assert received.condition == "remote-connection-failed"


async def test_body_larger_than_the_limit_with_content_length(
    prosody_gateway: Gateway, bystanders: Bystanders
) -> None:
    mark = len(prosody_gateway.log())
    response = await post(prosody_gateway, b" " * (MAX_BODY + 1))
    assert_terminal(response, "policy-violation", 413)
    (line,) = lines_since(prosody_gateway, mark, "refused")
    assert "413" in line
    await bystanders.notice_nothing()


async def test_body_larger_than_the_limit_in_chunks(prosody_gateway: Gateway, bystanders: Bystanders) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(MAX_BODY // 8192 + 1):
            yield b" " * 8192

    mark = len(prosody_gateway.log())
    response = await post(prosody_gateway, chunks())
    assert_terminal(response, "policy-violation", 413)
    (line,) = lines_since(prosody_gateway, mark, "refused")
    assert "413" in line
    await bystanders.notice_nothing()


async def test_body_of_the_largest_size_is_served(prosody_gateway: Gateway) -> None:
    document = body(CREATION | {"to": "unknown.example"})
    response = await post(prosody_gateway, document + b" " * (MAX_BODY - len(document)))
    assert_terminal(response, "host-unknown")
