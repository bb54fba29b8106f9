"""The admin listener: alive, ready, and the metrics; nothing of it where browsers are."""

import httpx
import pytest

from tests.web.conftest import MakeFront
from tests.web.front import Chat, Front, XmppServer, configure, eventually, open_websocket, running


async def admin(front: Front, path: str, method: str = "GET") -> httpx.Response:
    """Ask the admin application, which has no listener here."""
    transport = httpx.ASGITransport(front.gateway.admin)
    async with httpx.AsyncClient(transport=transport, base_url="http://admin", trust_env=False) as client:
        return await client.request(method, path)


async def test_a_process_that_answers_is_alive(front: Front) -> None:
    answer = await admin(front, "/healthz")
    assert (answer.status_code, answer.text) == (200, "ok\n")


async def test_ready_when_a_server_is_reachable(front: Front) -> None:
    answer = await admin(front, "/readyz")
    assert (answer.status_code, answer.text) == (200, "ready\n")


async def test_not_ready_while_draining(front: Front) -> None:
    front.gateway.admission.draining = True
    answer = await admin(front, "/readyz")
    assert (answer.status_code, answer.text) == (503, "draining\n")
    assert (await admin(front, "/healthz")).status_code == 200


async def test_not_ready_while_no_server_is_reachable(down: str) -> None:
    async with running(configure(down, down)) as front:
        answer = await admin(front, "/readyz")
        assert (answer.status_code, answer.text) == (503, "no XMPP server is reachable\n")
        assert (await admin(front, "/healthz")).status_code == 200


async def test_a_probe_leaves_no_stream(front: Front, xmpp_server: XmppServer) -> None:
    await admin(front, "/readyz")
    await eventually(lambda: xmpp_server.connections == 1)
    assert xmpp_server.headers == []
    assert front.gateway.backends.live == 0


async def test_metrics(front: Front, xmpp_server: XmppServer) -> None:
    await Chat(front).create()
    await open_websocket(front, xmpp_server)
    await front.post("<")
    answer = await admin(front, "/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    lines = answer.text.splitlines()
    for line in (
        'boshgate_sessions_opened_total{transport="bosh"} 1.0',
        'boshgate_sessions_open{transport="bosh"} 1.0',
        'boshgate_sessions_open{transport="websocket"} 1.0',
        'boshgate_requests_total{transport="bosh"} 2.0',
        'boshgate_requests_total{transport="websocket"} 1.0',
        'boshgate_elements_total{direction="to_client",transport="bosh"} 1.0',
        'boshgate_elements_total{direction="to_client",transport="websocket"} 1.0',
        'boshgate_elements_total{direction="to_server",transport="bosh"} 0.0',
        'boshgate_refused_total{condition="bad-request",transport="bosh"} 1.0',
    ):
        assert line in lines
    assert any(line.startswith("process_resident_memory_bytes ") for line in lines)


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/", 404), ("POST", "/metrics", 405)])
async def test_nothing_else(front: Front, method: str, path: str, status: int) -> None:
    assert (await admin(front, path, method)).status_code == status


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
async def test_browsers_do_not_reach_it(make_front: MakeFront, path: str) -> None:
    front = await make_front()
    assert (await front.http.get(f"http://127.0.0.1:{front.port}{path}")).status_code == 404
