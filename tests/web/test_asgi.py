"""The gateway as an ASGI application of another's server: mounted, cancelled, fed in pieces."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from tests.web.front import (
    CREATE,
    Chat,
    Front,
    XmppServer,
    eventually,
    message,
)


@pytest.mark.rule("G5", "P12")
async def test_a_cancelled_task_takes_neither_session_nor_stream_with_it(
    front: Front, chat: Chat, xmpp_server: XmppServer
) -> None:
    await chat.create()
    server = await xmpp_server.accept()
    body = chat.body(message(1)).encode()
    received = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Any:
        return received.pop() if received else await asyncio.get_running_loop().create_future()

    async def send(_: Any) -> None:
        raise AssertionError("nobody is there")

    scope: dict[str, Any] = {"type": "http", "http_version": "1.1", "method": "POST", "path": "/http-bind"}
    scope |= {"headers": [], "query_string": b""}
    task = asyncio.create_task(front.gateway(scope, receive, send))
    await server.hears("</message>")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await server.says("<message id='a1'/>")
    await eventually(lambda: front.gateway.metrics.bosh.to_clients == 2)
    assert "id='a1'" in (await chat.repeat()).text
    held = await chat.hold(message(2))
    assert await server.hears("</message>") == message(2)
    held.cancel()


@pytest.fixture
async def mounted(front: Front) -> AsyncIterator[httpx.AsyncClient]:
    """Clients of the gateway mounted at /x, or behind a proxy that cuts /x off."""
    transport = httpx.ASGITransport(front.gateway, root_path="/x")
    async with httpx.AsyncClient(transport=transport, base_url="https://chat.example/x") as http:
        yield http


@pytest.mark.rule("G7")
async def test_a_root_path_is_no_part_of_the_path(front: Front, mounted: httpx.AsyncClient) -> None:
    assert "sid=" in (await mounted.post("/http-bind", content=CREATE)).text
    assert "bosh" in (await mounted.get("/config.json")).json()
    assert (await mounted.get("/.well-known/host-meta")).status_code == 404
    assert (await mounted.post("/x/http-bind", content=CREATE)).status_code == 404
    handshake = {"type": "websocket", "path": "/x/xmpp-websocket", "root_path": "/x"}
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "websocket.connect" if not sent else "websocket.disconnect"}

    async def send(event: Any) -> None:
        sent.append(event)

    await front.gateway(handshake | {"headers": [], "subprotocols": ["xmpp"]}, receive, send)
    assert sent == [{"type": "websocket.accept", "subprotocol": "xmpp"}]


@pytest.mark.rule("G7", "H18")
@pytest.mark.parametrize("size", [1, 100, 5_000])
async def test_a_body_may_come_in_pieces(front: Front, mounted: httpx.AsyncClient, size: int) -> None:
    async def pieces(body: str) -> AsyncIterator[bytes]:
        for at in range(0, len(body), size):
            yield body[at : at + size].encode()

    assert "sid=" in (await mounted.post("/http-bind", content=pieces(CREATE))).text
    if size > 1:
        too_much = " " * (front.gateway.config.limits.max_body_bytes + 1)
        assert (await mounted.post("/http-bind", content=pieces(too_much))).status_code == 413
