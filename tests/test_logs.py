"""Log lines: one format, the session's name in front, and nothing secret at any level."""

import asyncio
import base64
import logging
import re
from collections.abc import Iterator

import pytest

from boshgate import logs
from boshgate.logs import LogLevel, SessionLogger
from tests.web.front import (
    BODY,
    CLOSE,
    DOMAIN,
    OPEN,
    SUCCESS,
    Chat,
    Front,
    XmppServer,
    configure,
    frame,
    message,
    open_websocket,
    running,
)

LINE = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (DEBUG|INFO|WARNING|ERROR) boshgate\.[a-z.]+: \S.*"
)
CHANGED = ("", "boshgate", "uvicorn", "uvicorn.error", "websockets")


@pytest.fixture
def stderr(capsys: pytest.CaptureFixture[str]) -> Iterator["Stderr"]:
    """What the process writes to standard error; the logging of the tests comes back afterwards."""
    loggers = [logging.getLogger(name) for name in CHANGED]
    state = [(logger.level, logger.handlers[:], logger.filters[:]) for logger in loggers]
    yield Stderr(capsys)
    for logger, (level, handlers, filters) in zip(loggers, state, strict=True):
        logger.setLevel(level)
        logger.handlers[:] = handlers
        logger.filters[:] = filters


class Stderr:
    """Standard error, from the beginning of the test."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys
        self._read = ""

    def getvalue(self) -> str:
        self._read += self._capsys.readouterr().err
        return self._read


def test_a_line_has_time_level_logger_and_session(stderr: Stderr) -> None:
    logs.configure(LogLevel.INFO)
    SessionLogger(logging.getLogger("boshgate.bosh"), "12345678").info("opened by %s", "192.0.2.1")
    line = stderr.getvalue()
    assert LINE.fullmatch(line.strip())
    assert line.endswith("Z INFO boshgate.bosh: [12345678] opened by 192.0.2.1\n")


@pytest.mark.parametrize("level", LogLevel)
def test_lines_below_the_level_are_not_shown(stderr: Stderr, level: LogLevel) -> None:
    logs.configure(level)
    for each in LogLevel:
        logging.getLogger("boshgate.test").log(logging.getLevelNamesMapping()[each.upper()], each)
    shown = [line.rpartition(" ")[2] for line in stderr.getvalue().splitlines()]
    assert shown == list(LogLevel)[list(LogLevel).index(level) :]


def test_configuring_twice_shows_a_line_once(stderr: Stderr) -> None:
    logs.configure(LogLevel.INFO)
    logs.configure(LogLevel.INFO)
    logging.getLogger("boshgate.test").info("once")
    assert stderr.getvalue().count("once") == 1


def test_libraries_show_warnings_only(stderr: Stderr) -> None:
    logs.configure(LogLevel.DEBUG)
    for name in ("uvicorn.error", "websockets.server", "httpx", "asyncio"):
        logging.getLogger(name).info("info of %s", name)
        logging.getLogger(name).warning("warning of %s", name)
    assert "info of" not in stderr.getvalue()
    assert stderr.getvalue().count("warning of") == 4


def test_only_the_beginning_of_a_sid_is_shown() -> None:
    assert logs.short("abcdefghijklmnopqrstuvwxyz") == "abcdefgh"


async def converse(front: Front, server: XmppServer, secret: str) -> list[str]:
    """Say *secret* wherever a client or a server can say something; returns the sids."""
    encoded = base64.b64encode(f"\0alice\0{secret}".encode()).decode()
    auth = f"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{encoded}</auth>"
    private = f"<message><body>{secret}</body></message>"
    error = f"<stream:error><undefined-condition xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>{private}"
    chats = [Chat(front), Chat(front)]
    for chat in chats:
        await chat.create()
        held = await chat.hold(auth)
        peer = await server.accept()
        await peer.hears("</auth>")
        await peer.says(SUCCESS)
        await held
    held = await chats[0].hold(message(1, secret))
    await peer.says(private, f"{error}</stream:error></stream:stream>")
    await chats[0].post(message(1, secret), rid="7000")
    await front.post(f"{BODY} sid='{chats[1].sid}' rid='1'>{secret}</body>")
    await front.post(f"{BODY} sid='{secret}' rid='1'/>")
    await chats[1].post(f"<a>{secret}", rid="1004")
    held.cancel()
    talk, peer = await open_websocket(front, server)
    await talk.says(auth, message(1, secret), "<a>" + secret)
    await talk.hears("<stream:error")
    talk, peer = await open_websocket(front, server)
    await peer.says(private, f"<message>{secret}<!-- {secret} --></message>")
    await talk.hears("<message", "<stream:error", CLOSE)
    talk, peer = await open_websocket(front, server)
    talk.websocket.transport.write(frame(1, secret.encode() + b"\xff"))
    await talk.hears_end()
    await (await front.websocket()).send(OPEN.replace(DOMAIN, f"{secret}.example"))
    await (await front.raw()).send(f"{secret}\r\n\r\n")
    await (await front.raw()).send(f"POST /http-bind HTTP/1.1\r\nContent-Length: {secret}\r\n\r\n")
    await asyncio.sleep(0.05)
    return [chat.sid for chat in chats]


@pytest.mark.rule("G9")
async def test_no_payload_no_credential_and_no_sid_is_shown(stderr: Stderr) -> None:  # attack S28
    logs.configure(LogLevel.DEBUG)
    secret = "correct-horse-battery"
    async with XmppServer() as server, running(configure(server.address, server.address)) as front:
        sids = await converse(front, server, secret)
        server.leave()
    shown = stderr.getvalue()
    encoded = base64.b64encode(f"\0alice\0{secret}".encode()).decode()
    for hidden in (
        secret,
        encoded,
        "undefined-condition xmlns",
        "<message",
        *sids,
        *[sid[9:] for sid in sids],
    ):
        assert hidden not in shown
    assert "Traceback" not in shown
    assert all(f"[{sid[:8]}] opened" in shown for sid in sids)
    for line in shown.splitlines():
        # The event loop of the tests is in debug mode, and tells of slow callbacks.
        assert LINE.fullmatch(line) or "Invalid HTTP request received." in line or " asyncio: " in line


async def test_a_refused_handshake_is_one_line(stderr: Stderr) -> None:
    logs.configure(LogLevel.INFO)
    async with XmppServer() as server, running(configure(server.address, server.address)) as front:
        raw = await front.raw()
        await raw.send(
            "GET /xmpp-websocket HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        )
        assert (await raw.rest()).startswith(b"HTTP/1.1 400 ")
    # The start tells that discovery is off.
    lines = [line for line in stderr.getvalue().splitlines() if " boshgate.hostmeta: " not in line]
    assert len(lines) == 1
    assert "refused a handshake from 127.0.0.1: HTTP 400" in lines[0]


async def test_a_message_that_is_not_utf_8_leaves_no_traceback(stderr: Stderr) -> None:
    logs.configure(LogLevel.INFO)
    async with XmppServer() as server, running(configure(server.address, server.address)) as front:
        talk, _ = await open_websocket(front, server)
        talk.websocket.transport.write(frame(1, b"\xff"))
        assert await talk.hears_end() == 1007
        server.leave()
    assert "Traceback" not in stderr.getvalue()
    assert "ERROR" not in stderr.getvalue()
    assert "WebSocket closed with 1007" in stderr.getvalue()
