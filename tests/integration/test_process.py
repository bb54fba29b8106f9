"""The process: what it says, what it never says, how it starts and how it ends."""

import asyncio
import base64
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from tests.conftest import MakeGateway
from tests.support.clients import (
    SASL,
    SM,
    STREAMS,
    BoshConnection,
    Client,
    Connection,
    StreamEndedError,
    WebSocketConnection,
    post_body,
)
from tests.support.clients.frames import exchange, open_frame
from tests.support.gateway import Gateway, ServedDomain, boshgate_environment, to_toml
from tests.support.servers import DOMAIN, PASSWORD, Prosody, XmppServer

pytestmark = pytest.mark.integration

WRONG_PASSWORD = "wrong-horse-8"


def connect(transport: str, gateway: Gateway) -> Connection:
    if transport == "bosh":
        return BoshConnection(DOMAIN, gateway.bosh_url)
    return WebSocketConnection(DOMAIN, gateway.websocket_url)


def plain(server: XmppServer) -> list[ServedDomain]:
    return [ServedDomain(DOMAIN, f"tcp://127.0.0.1:{server.plain_port}")]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run ``boshgate`` with *arguments* to its end."""
    return subprocess.run(
        [sys.executable, "-m", "boshgate", *arguments],
        env=boshgate_environment(),
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )


async def test_no_password_and_no_payload_in_the_log_at_debug(
    prosody: Prosody, make_gateway: MakeGateway
) -> None:
    gateway = make_gateway(plain(prosody), log_level="debug")
    name = prosody.new_user()
    secrets = [PASSWORD, WRONG_PASSWORD, "top secret text"]
    for password in (PASSWORD, WRONG_PASSWORD):
        encoded = base64.b64encode(f"\0{name}\0{password}".encode()).decode()
        secrets += [encoded, encoded[:24], encoded[-24:]]
    for transport in ("bosh", "websocket"):
        async with Client(connect(transport, gateway)) as client:
            jid = await client.login(name, PASSWORD)
            await client.send_message(jid, "top secret text")
            assert await client.wait_for_message() == "top secret text"
            if isinstance(client.connection, BoshConnection):
                secrets.append(client.connection.sid)
        refused = Client(connect(transport, gateway))
        with pytest.raises(AssertionError, match="failure"):
            await refused.authenticate(name, WRONG_PASSWORD)
        await refused.connection.close()
    restricted = f"<auth xmlns='{SASL}' mechanism='PLAIN'>{secrets[3]}<!-- --></auth>"
    received = await exchange(gateway.websocket_url, open_frame(DOMAIN), restricted)
    assert received.condition == "restricted-xml"
    async with BoshConnection(DOMAIN, gateway.bosh_url) as bosh, httpx.AsyncClient(trust_env=False) as http:
        await bosh.open()
        request = {"sid": bosh.sid, "rid": "1"}
        answer = await post_body(http, gateway.bosh_url, request, restricted)
        assert answer.get("condition") == "bad-request"
    log = gateway.log()
    assert "opened" in log
    for secret in secrets:
        assert secret not in log


async def test_sigterm_answers_held_requests_and_ends_with_status_0(
    prosody: Prosody, make_gateway: MakeGateway
) -> None:
    gateway = make_gateway(plain(prosody))
    bosh, websocket = (Client(connect(transport, gateway)) for transport in ("bosh", "websocket"))
    for client in (bosh, websocket):
        await client.login(prosody.new_user(), PASSWORD)

    begin = time.monotonic()
    status = await asyncio.to_thread(gateway.terminate)
    assert time.monotonic() - begin < 4
    assert status == 0

    with pytest.raises(StreamEndedError) as ended:
        await bosh.connection.receive()
    assert ended.value.condition == "system-shutdown"  # XEP-0124 section 17.2

    error = await websocket.connection.receive()
    assert error.tag == f"{{{STREAMS}}}error"  # RFC 6120 section 4.9.3.20
    with pytest.raises(StreamEndedError) as ended:
        await websocket.connection.receive()
    assert ended.value.condition == "system-shutdown"
    assert str(ended.value).endswith("<close/>")
    for client in (bosh, websocket):
        await client.connection.close()


async def test_stream_that_may_be_resumed_survives_the_end_of_the_gateway(
    server: XmppServer, gateway: Gateway, make_gateway: MakeGateway
) -> None:
    """Requirement SM7: no <close/> and no </stream:stream>, so that another gateway can take over."""
    ending = make_gateway(plain(server))
    name = server.new_user()
    async with Client(BoshConnection(DOMAIN, gateway.bosh_url)) as bob:
        await bob.login(server.new_user(), PASSWORD)
        lost = Client(WebSocketConnection(DOMAIN, ending.websocket_url))
        jid = await lost.login(name, PASSWORD)
        await lost.enable_stream_management()
        assert await asyncio.to_thread(ending.terminate) == 0
        with pytest.raises(StreamEndedError) as ended:
            await lost.connection.receive()
        assert "close/" not in str(ended.value)
        assert isinstance(lost.connection, WebSocketConnection)
        assert lost.connection.socket.close_code == 1001  # RFC 6455 section 7.4.1
        await lost.connection.close()
        await bob.send_message(jid, "meanwhile")

        async with Client(WebSocketConnection(DOMAIN, gateway.websocket_url)) as again:
            await again.authenticate(name, PASSWORD)
            assert (await again.resume(lost)).tag == f"{{{SM}}}resumed"
            assert await again.wait_for_message() == "meanwhile"


def test_port_in_use_is_one_line_and_status_1() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        backend = "--backend=localhost=tcp://127.0.0.1:5222"
        public = run("serve", "--port", str(port), "--admin-port", "0", backend)
        admin = run("serve", "--port", "0", "--admin-port", str(port), backend)
    for result, key in ((public, "server.port"), (admin, "admin.port")):
        assert result.returncode == 1
        assert result.stdout == ""
        assert result.stderr == (
            f"boshgate: {key}: cannot listen on 127.0.0.1 port {port}: Address already in use\n"
        )


CONFIGURATION_ERRORS = {
    "[server]\nprot = 5280\n": "server.prot: Extra inputs are not permitted (accepted: host, port, ",
    "[server]\nport = 65536\n": (
        "server.port: Input should be less than or equal to 65535 (accepted: at least 0, at most 65535)"
    ),
    "[bosh]\nmax_wait = -1\n": (
        "bosh.max_wait: Input should be greater than or equal to 0 (accepted: at least 0, at most 65535)"
    ),
    "[[domains]]\nname = 'x.example'\nbackends = ['http://x']\n": (
        "domains.0.backends.0: 'http://x' is not a backend address"
        " (accepted: tcp://HOST:PORT, xmpp://HOST[:PORT], xmpps://HOST[:PORT])"
    ),
    "[server\n": "not TOML: ",
    "": "domains: none is configured (accepted: a [[domains]] table, or --backend)",
}


@pytest.mark.parametrize(("text", "problem"), CONFIGURATION_ERRORS.items(), ids=range(6))
def test_wrong_configuration_is_one_line_for_each_key_and_status_1(
    tmp_path: Path, text: str, problem: str
) -> None:
    file = tmp_path / "boshgate.toml"
    file.write_text(text)
    commands: list[tuple[str, ...]] = [("serve", "--config", str(file))]
    if text:
        commands.append(("check-config", str(file)))
    for command in commands:
        result = run(*command)
        assert result.returncode == 1
        assert result.stdout == ""
        (line,) = result.stderr.splitlines()
        assert line.startswith("boshgate: ")
        assert problem in line


def test_check_config_prints_what_serve_would_use(tmp_path: Path) -> None:
    file = tmp_path / "boshgate.toml"
    file.write_text(to_toml([ServedDomain("x.example", "xmpp://127.0.0.1:5222")], {"bosh": {"max_wait": 30}}))
    first = run("check-config", str(file))
    assert first.returncode == 0, first.stderr
    again = tmp_path / "again.toml"
    again.write_text(first.stdout)
    assert run("check-config", str(again)).stdout == first.stdout
    assert "max_wait = 30" in first.stdout
    assert "xmpp" in first.stdout
