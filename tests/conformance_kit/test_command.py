"""The command: arguments that make no sense, endpoints that are none, and what it prints and writes."""

import asyncio
import json
import os
import pty
import ssl
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from boshgate.cli import app
from boshgate.conformance import command, login
from boshgate.conformance.sasl import choose
from boshgate.conformance.target import Target
from tests.conformance_kit.front import examined
from tests.support.certificates import Authority
from tests.support.gateway import boshgate_environment

PASSWORD = "CONFORMANCE_PASSWORD"
HTML = b"<!DOCTYPE html><html><head><title>Welcome</title></head><body>It works</body></html>"


async def examine(*arguments: str, password: str = "") -> tuple[int, str, str]:
    """Run ``boshgate conformance`` beside this loop: its status, its output and its errors."""
    runner = CliRunner(env={PASSWORD: password, "COLUMNS": "200"})
    result = await asyncio.to_thread(runner.invoke, app, ["conformance", *arguments])
    return result.exit_code, result.stdout, result.stderr


@asynccontextmanager
async def answering(reply: bytes | None) -> AsyncIterator[str]:
    """A server that answers whatever comes with *reply*, or never: its address."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await reader.read(65536):
                if reply is not None:
                    writer.write(reply)
        except OSError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"


def http(status: str, content: bytes = b"", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(content)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + content


BAD = {
    "a web page": (
        http("200 OK", HTML, "Content-Type: text/html"),
        "not a BOSH endpoint: HTTP 200 and a web page",
        "not a WebSocket endpoint: HTTP 200 to the handshake",
    ),
    "nothing": (None, "no answer within 1 s", "no answer to the handshake within 1 s"),
    "a redirect": (
        http("301 Moved Permanently", b"", "Location: https://elsewhere.example/bosh"),
        "redirects (HTTP 301) to https://elsewhere.example/bosh: give that URL",
        "redirects (HTTP 301) to https://elsewhere.example/bosh: give that URL",
    ),
    "not found": (
        http("404 Not Found", b"no such page", "Content-Type: text/plain"),
        "not a BOSH endpoint: HTTP 404, text/plain, 'no such page' instead of a <body/>",
        "not a WebSocket endpoint: HTTP 404 to the handshake",
    ),
    "no HTTP": (b"SSH-2.0-server\r\n", "no answer", "no answer to the handshake: "),
    "another XML": (
        http("200 OK", b"<other/>", "Content-Type: text/xml"),
        "not a BOSH endpoint: HTTP 200, text/xml, '<other/>' instead of a <body/>",
        "not a WebSocket endpoint: HTTP 200 to the handshake",
    ),
}


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits longer than a second for what never comes."""
    monkeypatch.setattr(command, "Target", partial(Target, patience=1.0))


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("kind", BAD)
async def test_what_is_no_endpoint_gets_a_clear_line(kind: str, tmp_path: Path) -> None:
    reply, bosh_line, ws_line = BAD[kind]
    began = time.monotonic()
    async with answering(reply) as address:
        bosh, ws = f"http://{address}/http-bind", f"ws://{address}/xmpp-websocket"
        status, output, errors = await examine(
            "--bosh", bosh, "--ws", ws, "--domain", "localhost", "--json", str(tmp_path / "report.json")
        )
    assert status == 1
    assert "Traceback" not in output + errors
    first, second = [line for line in output.splitlines() if line.startswith("not examined ")]
    assert first.startswith(f"not examined {bosh}: {bosh_line}")
    assert second.startswith(f"not examined {ws}: {ws_line}")
    assert time.monotonic() - began < 10
    report = json.loads((tmp_path / "report.json").read_text())
    assert len(report["broken"]) == 2
    assert report["checks"] == []


async def test_an_endpoint_that_is_down_gets_a_clear_line(unused_tcp_port: int) -> None:
    address = f"127.0.0.1:{unused_tcp_port}"
    status, output, errors = await examine(
        "--bosh", f"http://{address}/", "--ws", f"ws://{address}/", "--domain", "localhost"
    )
    assert status == 1
    assert f"not examined http://{address}/: no answer: connection refused" in output
    assert f"not examined ws://{address}/: no connection: connection refused" in output
    assert "Traceback" not in output + errors


async def test_a_host_without_an_address_gets_a_clear_line() -> None:
    status, output, errors = await examine(
        "--bosh", "http://no-such-host.invalid/", "--ws", "ws://no-such-host.invalid/", "--domain", "x"
    )
    assert status == 1
    assert "not examined http://no-such-host.invalid/: no answer: the host's name is not known" in output
    assert "not examined ws://no-such-host.invalid/: no connection: the host's name is not known" in output
    assert "Traceback" not in output + errors


async def test_an_anonymous_login_is_one(tmp_path: Path) -> None:
    file = tmp_path / "report.json"
    async with examined() as found:
        status, output, errors = await examine(
            "--bosh", str(found.bosh_url), "--ws", str(found.ws_url), "--domain", found.domain,
            "--anonymous", "--only", "user_can_log_in", "--json", str(file),
        )  # fmt: skip
    assert status == 0, output + errors
    assert json.loads(file.read_text())["total"] == {"ok": 2, "fails": 0, "not offered": 0}


@pytest.mark.parametrize("on_a_terminal", [True, False])
async def test_a_bar_tells_on_a_terminal_how_far_it_is(on_a_terminal: bool) -> None:
    """And nowhere else: what is written to a file or read by a program has none."""
    here, there = pty.openpty() if on_a_terminal else os.pipe()
    try:
        async with examined() as found:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "boshgate", "conformance", "--bosh", str(found.bosh_url),
                "--domain", found.domain, "--only", "C1",
                env=boshgate_environment() | {"TERM": "xterm"},
                stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=there,
            )  # fmt: skip
            output, _ = await process.communicate()
        os.set_blocking(here, False)
        try:
            errors = os.read(here, 65536).decode()
        except BlockingIOError:
            errors = ""
    finally:
        os.close(here)
        os.close(there)
    assert process.returncode == 0
    assert "Creation" in output.decode()
    assert ("checks" in errors) is on_a_terminal
    assert on_a_terminal or errors == ""


async def test_a_certificate_that_nobody_trusts_gets_a_clear_line(authority: Authority) -> None:
    files = authority.issue("localhost")
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(files.chain, files.key)
    async with await asyncio.start_server(
        lambda _, writer: writer.close(), "127.0.0.1", 0, ssl=tls
    ) as server:
        address = f"localhost:{server.sockets[0].getsockname()[1]}"
        status, output, errors = await examine(
            "--bosh", f"https://{address}/", "--ws", f"wss://{address}/", "--domain", "localhost"
        )
    assert status == 1
    assert f"not examined https://{address}/: no answer: the certificate is not trusted: " in output
    assert f"not examined wss://{address}/: no connection: the certificate is not trusted: " in output
    assert "Traceback" not in output + errors


async def test_one_endpoint_that_is_none_does_not_keep_the_other_from_being_checked(
    unused_tcp_port: int, tmp_path: Path
) -> None:
    file = tmp_path / "report.json"
    async with examined() as found:
        status, output, _ = await examine(
            "--bosh", str(found.bosh_url), "--ws", f"ws://127.0.0.1:{unused_tcp_port}/",
            "--domain", found.domain, "--only", "C1", "--json", str(file),
        )  # fmt: skip
    report = json.loads(file.read_text())
    assert status == 1
    assert len(report["broken"]) == 1
    assert {check["transport"] for check in report["checks"]} == {"bosh"}
    assert {check["result"] for check in report["checks"]} == {"ok"}
    assert "Creation" in output


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ((), "nothing to examine: give --bosh, --ws or both"),
        (("--bosh", "ws://localhost/"), "--bosh: 'ws://localhost/' is no URL"),
        (("--ws", "localhost"), "--ws: 'localhost' is no URL"),
        (("--bosh", "http://localhost:99999/"), "--bosh: 'http://localhost:99999/' is no URL"),
        (("--bosh", "http://localhost:port/"), "--bosh: 'http://localhost:port/' is no URL"),
        (("--bosh", "http://[::1/"), "--bosh: 'http://[::1/' is no URL"),
        (("--bosh", "http://local host/"), "--bosh: 'http://local host/' is no URL"),
        (("--bosh", "http://localhost/", "--origin", "localhost"), "--origin: 'localhost' is no URL"),
        (("--bosh", "http://localhost/", "--domain", ""), "--domain is empty"),
        (("--bosh", "http://localhost/", "--only", "nonsense"), "--only: no check"),
        (("--bosh", "http://localhost/", "--jid", "alice"), "--jid: 'alice' is no address of localhost"),
        (("--bosh", "http://localhost/", "--jid", "a@other"), "--jid: 'a@other' is no address of localhost"),
        (("--bosh", "http://localhost/", "--jid", "a@localhost"), "--jid needs --password-env"),
        (("--bosh", "http://localhost/", "--password-env", "A"), "--password-env is for --jid"),
        (
            ("--bosh", "http://localhost/", "--jid", "a@localhost", "--password-env", "NOBODY_SET_THIS"),
            "--password-env: no variable 'NOBODY_SET_THIS' in the environment",
        ),
        (
            ("--bosh", "http://localhost/", "--anonymous", "--jid", "a@localhost"),
            "--anonymous and --jid exclude each other",
        ),
    ],
)
async def test_arguments_that_make_no_sense_are_a_usage_error(arguments: tuple[str, ...], line: str) -> None:
    status, output, errors = await examine("--domain", "localhost", *arguments)
    assert status == 2
    assert errors.startswith(f"boshgate: {line}")
    assert output == ""


async def test_a_wrong_password_is_a_usage_error() -> None:
    async with examined() as found:
        status, _, errors = await examine(
            "--ws", str(found.ws_url), "--domain", found.domain,
            "--jid", f"alice@{found.domain}", "--password-env", PASSWORD, password="wrong",
        )  # fmt: skip
    assert status == 2
    assert "boshgate: the login does not work: the server refuses the login" in errors
    assert "not-authorized" in errors


async def test_a_login_that_the_server_does_not_offer_is_a_usage_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with examined() as found:
        monkeypatch.setattr(login, "choose", lambda _, *account: choose(["PLAIN"], *account))
        status, output, errors = await examine(
            "--bosh", str(found.bosh_url), "--domain", found.domain, "--anonymous"
        )
    assert status == 2
    line = "no mechanism to log in with among PLAIN: needs ANONYMOUS"
    assert errors == f"boshgate: the login does not work: {line}\n"
    assert output == ""


@pytest.mark.parametrize(
    ("domain", "condition"),
    [("nowhere.example", "host-unknown"), ("down.example", "remote-connection-failed")],
)
async def test_no_endpoint_is_blamed_for_a_domain_without_a_server(domain: str, condition: str) -> None:
    async with examined() as found:
        status, output, _ = await examine(
            "--bosh", str(found.bosh_url), "--ws", str(found.ws_url), "--domain", domain
        )
    assert status == 1
    for url in (found.bosh_url, found.ws_url):
        assert f"not examined {url}: no stream to {domain}: {condition} (is --domain right" in output
    assert " fails " not in output


async def test_a_report_that_cannot_be_written_is_a_usage_error(tmp_path: Path) -> None:
    async with examined() as found:
        status, _, errors = await examine(
            "--bosh", str(found.bosh_url), "--domain", found.domain, "--only", "C1", "--json", str(tmp_path)
        )
    assert status == 2
    assert errors.startswith("boshgate: --json: ")


async def test_without_an_account_checks_that_need_one_are_not_tried(tmp_path: Path) -> None:
    file = tmp_path / "report.json"
    async with examined() as found:
        status, output, _ = await examine(
            "--bosh",
            str(found.bosh_url),
            "--domain",
            found.domain,
            "--only",
            "repeats.",
            "--json",
            str(file),
            "-v",
        )
    report = json.loads(file.read_text())
    assert status == 0
    tried = [check for check in report["checks"] if check["result"] != "not offered"]
    assert 0 < len(tried) < len(report["checks"])
    assert "needs a login, and no account is given" in output


async def test_the_report_says_what_was_seen(tmp_path: Path) -> None:
    file = tmp_path / "report.json"
    async with examined() as found:
        assert found.account is not None
        status, output, _ = await examine(
            "--bosh", str(found.bosh_url), "--ws", str(found.ws_url), "--domain", found.domain,
            "--jid", f"alice@{found.domain}", "--password-env", PASSWORD, "--only", "user_can_log_in",
            "--json", str(file), "--verbose", password=found.account.password,
        )  # fmt: skip
    report: dict[str, Any] = json.loads(file.read_text())
    assert status == 0
    assert report["total"] == {"ok": 2, "fails": 0, "not offered": 0}
    assert report["domain"] == found.domain
    assert report["kit"].startswith("boshgate ")
    assert [check["section"] for check in report["checks"]] == ["XEP-0206", "WebSocket opening"]
    for check in report["checks"]:
        assert check["requirements"]
        assert check["source"]
        assert check["rule"].endswith(".")
        assert check["reason"].startswith(f"as alice@{found.domain}/")
        assert check["name"] in output
    assert "2 checks in" in output
