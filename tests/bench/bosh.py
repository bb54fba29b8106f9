"""The load client for BOSH: two kept-alive connections and the rid and hold behaviour of Strophe.js.

One request is held by the server; a stanza goes out on the other connection, and whatever is answered, the
client sees to it that a request is outstanding again (XEP-0124 sections 8 and 14).
"""

import asyncio
import random
import re
from collections import deque
from collections.abc import Callable
from enum import Enum

from tests.bench.session import Account, Session

BOSH_NS = "http://jabber.org/protocol/httpbind"
CONTENT_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
SID = re.compile(rb"""\bsid=['"]([^'"]+)""")
TERMINATE = re.compile(rb"""^<body[^>]*\btype=['"]terminate""")


class Style(Enum):
    """What the client does first when a message was the answer to its last outstanding request."""

    HELD = "held"
    """An empty request, so that one is held when the next stanza is sent: people type more slowly than
    Strophe.js polls (100 ms)."""
    EAGER = "eager"
    """The next stanza, on the request that became free: a program that answers at once."""


class HttpConnection(asyncio.Protocol):
    """One kept-alive HTTP/1.1 connection with at most one request under way."""

    def __init__(
        self, port: int, on_response: Callable[[bytes], None], on_error: Callable[[str], None]
    ) -> None:
        self._head = (
            f"POST /http-bind HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAccept: */*\r\n"
            "Content-Type: text/xml; charset=UTF-8\r\nUser-Agent: boshgate-bench\r\nContent-Length: "
        ).encode()
        self._on_response = on_response
        self._on_error = on_error
        self._buffer = bytearray()
        self.transport: asyncio.Transport | None = None
        self.busy = True

    def post(self, body: bytes) -> None:
        assert self.transport is not None
        self.busy = True
        self.transport.write(b"%b%d\r\n\r\n%b" % (self._head, len(body), body))

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer
        buffer += data
        head = buffer.find(b"\r\n\r\n")
        if head < 0:
            return
        length = CONTENT_LENGTH.search(buffer, 0, head)
        if not buffer.startswith(b"HTTP/1.1 200 ") or length is None:
            self._on_error(f"not a BOSH response: {bytes(buffer[:200])!r}")
            return
        end = head + 4 + int(length[1])
        if len(buffer) >= end:
            body = bytes(buffer[head + 4 : end])
            del buffer[:end]
            self.busy = False
            self._on_response(body)

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None
        if self.busy:
            self._on_error(f"the server closed a connection with a request on it: {exc}")


class BoshSession(Session):
    """XMPP over BOSH (XEP-0206)."""

    def __init__(self, account: Account, port: int, style: Style = Style.HELD, wait: int = 60) -> None:
        super().__init__(account)
        self._port = port
        self._style = style
        self._wait = wait
        self._sid = ""
        self._rid = random.randrange(1 << 20, 1 << 31)
        self._connections: list[HttpConnection] = []
        self._outstanding = 0
        self._queue: deque[bytes] = deque()
        self._ended = False
        self._tasks: set[asyncio.Task[None]] = set()

    async def connect(self) -> None:
        self._post(
            f"xmlns:xmpp='urn:xmpp:xbosh' to='{self.account.domain}' wait='{self._wait}' hold='1' "
            "content='text/xml; charset=utf-8' ver='1.6' xmpp:version='1.0' xml:lang='en'".encode()
        )

    def send(self, stanza: bytes) -> None:
        if self._outstanding < 2:
            self._request(stanza)
        else:
            self._queue.append(stanza)

    def established(self) -> None:
        if not self._outstanding:
            self._request(b"")

    def restart(self) -> None:
        self._post(
            f"xmlns:xmpp='urn:xmpp:xbosh' sid='{self._sid}' to='{self.account.domain}' "
            "xmpp:restart='true' xml:lang='en'".encode()
        )

    async def close(self) -> None:
        self._ended = True
        self._post(
            b"sid='%b' type='terminate'" % self._sid.encode(),
            b"<presence xmlns='jabber:client' type='unavailable'/>",
        )
        for _ in range(200):
            if not self._outstanding:
                break
            await asyncio.sleep(0.01)
        for connection in self._connections:
            if connection.transport is not None:
                connection.busy = False
                connection.transport.close()

    def _request(self, payload: bytes) -> None:
        self._post(b"sid='%b'" % self._sid.encode(), payload)

    def _post(self, attributes: bytes, payload: bytes = b"") -> None:
        self._rid += 1
        self._outstanding += 1
        self.http_requests += 1
        body = b"<body rid='%d' xmlns='%b' %b>%b</body>" % (self._rid, BOSH_NS.encode(), attributes, payload)
        for connection in self._connections:
            if not connection.busy and connection.transport is not None:
                connection.post(body)
                return
        task = asyncio.get_running_loop().create_task(self._connect_and_post(body))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _connect_and_post(self, body: bytes) -> None:
        connection = HttpConnection(self._port, self._response, self.fail)
        self._connections = [other for other in self._connections if other.transport is not None]
        self._connections.append(connection)
        loop = asyncio.get_running_loop()
        connection.transport, _ = await loop.create_connection(lambda: connection, "127.0.0.1", self._port)
        connection.post(body)

    def _response(self, body: bytes) -> None:
        self._outstanding -= 1
        if self._ended:
            return
        if TERMINATE.match(body):
            self.fail(f"BOSH session terminated: {body[:300]!r}")
            return
        if not self._sid and (sid := SID.search(body)):
            self._sid = sid[1].decode()
        if self._queue:
            self._request(self._queue.popleft())
        established = bool(self.jid)
        if established and self._style is Style.HELD and not self._outstanding:
            self._request(b"")
        self.receive(body)
        if not self._outstanding and (established or self.expecting):
            self._request(b"")
