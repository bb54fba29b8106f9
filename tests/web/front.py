"""A gateway in the test's own loop, under the real HTTP server, and what stands on both sides of it."""

import asyncio
import itertools
import socket
import struct
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Self

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from boshgate.config import BackendAddress, Config, Domain
from boshgate.server import GatewayServer, bind, uvicorn_config
from boshgate.web.app import Gateway
from tests.backend.scripted import FEATURES, PATIENCE, Peer, ScriptedServer

DOMAIN = "example.org"
DOWN = "down.example"
"""A domain that is served, and whose server does not listen."""

HB = "http://jabber.org/protocol/httpbind"
BODY = f"<body xmlns='{HB}'"
EMPTY = f"{BODY}/>"
FRAMING = "urn:ietf:params:xml:ns:xmpp-framing"
OPEN = f"<open xmlns='{FRAMING}' to='{DOMAIN}' version='1.0'/>"
CLOSE = f"<close xmlns='{FRAMING}'/>"
END = "</stream:stream>"
SUCCESS = "<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>"
ENABLED = "<enabled xmlns='urn:xmpp:sm:3' id='r1' resume='true'/>"


def terminal(condition: str) -> str:
    """The answer to a request that belongs to no session (XEP-0124 section 17.2)."""
    return f"{BODY} type='terminate' condition='{condition}'/>"


ITEM_NOT_FOUND = terminal("item-not-found")
CREATE = f"{BODY} rid='1' to='{DOMAIN}' wait='5' hold='1' ver='1.11'/>"


def post(body: str, *lines: str, version: str = "1.1") -> str:
    """A whole POST request as text."""
    head = [f"POST /http-bind HTTP/{version}", *lines, f"Content-Length: {len(body.encode())}"]
    return "\r\n".join(head) + "\r\n\r\n" + body


def message(number: int, text: str = "hello") -> str:
    """A stanza of the client."""
    return f"<message xmlns='jabber:client' id='m{number}'><body>{text}</body></message>"


async def eventually(holds: Callable[[], object]) -> None:
    """Let the loop turn until *holds*."""
    async with asyncio.timeout(PATIENCE):
        while not holds():
            await asyncio.sleep(0.001)


class XmppServer:
    """The XMPP server of DOMAIN: `accept` gives the server's end of the next stream, features sent."""

    def __init__(self, features: str = FEATURES, *, negotiates: bool = True) -> None:
        self._features = features
        self._negotiates = negotiates
        self._peers: asyncio.Queue[Peer] = asyncio.Queue()
        self._over = asyncio.Event()
        self._server = ScriptedServer(self._hand_over)
        self.headers: list[str] = []
        """The stream headers that were received first, one for each connection."""

    async def _hand_over(self, peer: Peer) -> None:
        if self._negotiates:
            with suppress(AssertionError):  # the client was gone before
                self.headers.append(await peer.negotiates(features=self._features))
        self._peers.put_nowait(peer)
        await self._over.wait()

    async def accept(self) -> Peer:
        """The next connection."""
        async with asyncio.timeout(PATIENCE):
            return await self._peers.get()

    @property
    def connections(self) -> int:
        """How many connections there have been."""
        return self._server.connections

    @property
    def address(self) -> str:
        """Its URI for the configuration."""
        return f"tcp://127.0.0.1:{self._server.port}"

    def leave(self) -> None:
        """Close every connection."""
        self._over.set()

    async def __aenter__(self) -> Self:
        await self._server.__aenter__()
        return self

    async def __aexit__(self, *exc: object) -> None:
        self.leave()
        await self._server.__aexit__(*exc)


async def hears_end(peer: Peer) -> str:
    """Everything up to the end tag of the client; like `Peer.hears`, for megabytes."""
    received = bytearray()
    peer._writer.transport.resume_reading()  # type: ignore[attr-defined]
    async with asyncio.timeout(PATIENCE):
        while not received.endswith(END.encode()):
            chunk = await peer._reader.read(1 << 18)
            assert chunk, "the end of the connection"
            received += chunk
    return received.decode()


@asynccontextmanager
async def meanwhile(saying: Coroutine[Any, Any, None]) -> AsyncIterator["asyncio.Task[None]"]:
    """Let *saying* go on; it may be stuck, or its connection gone, at the end."""
    task = asyncio.create_task(saying)
    try:
        yield task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError, OSError, RuntimeError):
            await task


class RawConnection:
    """A TCP connection to the gateway, for tests where the bytes matter."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, *segments: str | bytes) -> None:
        """Send each of *segments* by itself."""
        for segment in segments:
            self.writer.write(segment if isinstance(segment, bytes) else segment.encode())
            await self.writer.drain()
            await asyncio.sleep(0.002)

    async def answer(self) -> "RawAnswer":
        """Read one HTTP answer; asserts that it has a Content-Length (XEP-0124 section 5)."""
        async with asyncio.timeout(PATIENCE):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            status_line, *lines = head.removesuffix("\r\n\r\n").split("\r\n")
            headers = dict(line.split(": ", 1) for line in lines)
            assert "transfer-encoding" not in headers
            body = await self.reader.readexactly(int(headers["content-length"]))
        return RawAnswer(int(status_line.split(" ")[1]), headers, body.decode(), lines)

    async def rest(self) -> bytes:
        """Read until the gateway closes the connection."""
        async with asyncio.timeout(PATIENCE):
            return await self.reader.read()

    async def close(self) -> None:
        """Close it, if the other side has not."""
        self.writer.close()
        with suppress(OSError):
            await self.writer.wait_closed()


@dataclass(frozen=True)
class RawAnswer:
    """An HTTP answer as it came."""

    status: int
    headers: dict[str, str]
    body: str
    lines: list[str] = field(default_factory=list)


class Front:
    """A running *gateway* and its clients; everything that a test opens here is closed with it."""

    def __init__(self, gateway: Gateway, server: GatewayServer, port: int, http: httpx.AsyncClient) -> None:
        self.gateway = gateway
        self.server = server
        self.port = port
        self.http = http
        self._raw: list[RawConnection] = []
        self._websockets: list[ClientConnection] = []

    @property
    def bosh_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/http-bind"

    @property
    def websocket_url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/xmpp-websocket"

    def metric(self, name: str, **labels: str) -> float:
        """The value of a metric."""
        return self.gateway.metrics.registry.get_sample_value(f"boshgate_{name}", labels) or 0.0

    async def raw(self, *, receive_buffer: int | None = None) -> RawConnection:
        """Open a TCP connection; *receive_buffer* makes one that holds few bytes unread."""
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        if receive_buffer is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", self.port))
        # The stream's own limit is low, so that it stops reading when the test does.
        raw = RawConnection(*await asyncio.open_connection(sock=sock, limit=1 << 14))
        self._raw.append(raw)
        return raw

    async def post(self, body: str | bytes, **headers: str) -> httpx.Response:
        """POST *body* to the BOSH endpoint."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.http.post(self.bosh_url, content=body, headers=named)

    async def websocket(self, **options: Any) -> ClientConnection:
        """Shake hands for XMPP over WebSocket."""
        settings: dict[str, Any] = {
            "subprotocols": ["xmpp"],
            "ping_interval": None,
            "compression": None,
            "proxy": None,
            "max_size": None,
        }
        websocket = await connect(self.websocket_url, **(settings | options))
        self._websockets.append(websocket)
        return websocket

    async def close_clients(self) -> None:
        """Close what the test left open."""
        for websocket in self._websockets:
            websocket.transport.abort()
            await websocket.wait_closed()
        for raw in self._raw:
            await raw.close()
        await self.http.aclose()


def configure(address: str, down: str, **tables: dict[str, Any]) -> Config:
    """A configuration for DOMAIN at *address*; *tables* may have values out of range, for short tests."""
    config = Config(
        domains=(
            Domain.model_validate({"name": DOMAIN, "backends": [address]}),
            Domain.model_validate({"name": DOWN, "backends": [down]}),
        )
    )
    update = {name: getattr(config, name).model_copy(update=values) for name, values in tables.items()}
    return config.model_copy(update=update)


@asynccontextmanager
async def running(config: Config) -> AsyncIterator[Front]:
    """Serve *config* as `boshgate.server.serve` does, without further ticks, which would take their time."""
    with bind("server", "127.0.0.1", 0) as listener:
        gateway = Gateway(config)
        settings = uvicorn_config(gateway, config)
        settings.load()
        server = GatewayServer(settings, gateway)
        server.lifespan = settings.lifespan_class(settings)
        await server.startup([listener])
        await server.on_tick(0)  # the first one sets the headers of every answer
        http = httpx.AsyncClient(trust_env=False, verify=False, timeout=PATIENCE)
        front = Front(gateway, server, listener.getsockname()[1], http)
        try:
            yield front
        finally:
            await front.close_clients()
            await stop(front)


async def stop(front: Front) -> None:
    """Shut the gateway down, but wait for no client; see that nothing of it is left."""
    gateway, server = front.gateway, front.server
    for listener in server.servers:
        listener.close()
    await gateway.shut_down()
    for connection in list(server.server_state.connections):
        connection.transport.abort()
    await eventually(lambda: not server.server_state.connections and not server.server_state.tasks)
    assert not gateway.websocket.connections
    await eventually(lambda: gateway.backends.live == 0)


@dataclass
class Chat:
    """A BOSH client: it counts its requests and nothing else."""

    front: Front
    sid: str = ""
    rids: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1001))
    sent: list[str] = field(default_factory=list)

    async def create(self, **attributes: str) -> httpx.Response:
        """Create a session (XEP-0124 section 7); the answer must be one with a sid."""
        asked = {"to": DOMAIN, "wait": "5", "hold": "1", "ver": "1.11"} | attributes
        answer = await self.front.post(self.body(**asked))
        self.sid = answer.text.partition("sid='")[2].partition("'")[0]
        assert self.sid, answer.text
        return answer

    def body(self, payload: str = "", **attributes: str) -> str:
        """The next request."""
        named = {"rid": str(next(self.rids))} | ({"sid": self.sid} if self.sid else {}) | attributes
        written = "".join(f" {name.replace('_', ':')}='{value}'" for name, value in named.items())
        declared = " xmlns:xmpp='urn:xmpp:xbosh'" if " xmpp:" in written else ""
        self.sent.append(f"{BODY}{declared}{written}>{payload}</body>")
        return self.sent[-1]

    async def post(self, payload: str = "", **attributes: str) -> httpx.Response:
        """Send the next request and wait for its answer."""
        return await self.front.post(self.body(payload, **attributes))

    async def repeat(self, back: int = 0) -> httpx.Response:
        """Send the last request again (XEP-0124 14.3), or the one that is *back* before it."""
        return await self.front.post(self.sent[-1 - back])

    async def hold(self, payload: str = "", **attributes: str) -> "asyncio.Task[httpx.Response]":
        """Send the next request, and return once the gateway has got it."""
        before = self.front.gateway.metrics.bosh.requests
        posting = asyncio.create_task(self.post(payload, **attributes))
        await eventually(lambda: self.front.gateway.metrics.bosh.requests > before)
        return posting


def refusing() -> tuple[socket.socket, BackendAddress]:
    """An address where connections are refused for as long as the socket is open."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    sock.bind(("127.0.0.1", 0))
    return sock, BackendAddress(scheme="tcp", host="127.0.0.1", port=sock.getsockname()[1])


def frame(opcode: int, data: bytes, *, fin: bool = True, length: int | None = None) -> bytes:
    """A client's WebSocket frame (RFC 6455 section 5.2); *length* is announced in place of the true one."""
    announced = len(data) if length is None else length
    head = bytes([opcode | (0x80 if fin else 0)])
    if announced < 126:
        head += bytes([0x80 | announced])
    elif announced < 1 << 16:
        head += struct.pack("!BH", 0x80 | 126, announced)
    else:
        head += struct.pack("!BQ", 0x80 | 127, announced)
    return head + b"\0\0\0\0" + data  # a mask of zeros changes nothing


HANDSHAKE = "\r\n".join(
    [
        "GET /xmpp-websocket HTTP/1.1",
        "Host: 127.0.0.1",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
        "Sec-WebSocket-Protocol: xmpp",
        "\r\n",
    ]
)


class Talk:
    """A WebSocket client in the middle of a conversation."""

    def __init__(self, websocket: ClientConnection) -> None:
        self.websocket = websocket

    async def says(self, *messages: str) -> None:
        """Send *messages*."""
        for text in messages:
            await self.websocket.send(text)

    async def hears(self, *starts: str) -> str:
        """Receive messages that begin with *starts*, and return the last."""
        text: str | bytes = ""
        async with asyncio.timeout(PATIENCE):
            for start in starts:
                text = await self.websocket.recv()
                assert isinstance(text, str)
                assert text.startswith(start), text
        assert isinstance(text, str)
        return text

    async def has_news(self) -> bool:
        """Whether something has come that was not heard yet; a ping and its pong show that it would have."""
        await (await self.websocket.ping())
        return bool(self.websocket.recv_messages.frames)

    async def hears_error(self, condition: str) -> None:
        """Receive a stream error and the ``<close/>`` after it."""
        error = await self.hears("<stream:error ")
        assert "xmlns:stream='http://etherx.jabber.org/streams'" in error
        assert f"<{condition} xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>" in error
        await self.hears(CLOSE)

    async def hears_end(self) -> int:
        """Wait for the end of the WebSocket; returns the code of the gateway's Close frame."""
        async with asyncio.timeout(PATIENCE):
            with suppress(ConnectionClosed):
                message = await self.websocket.recv()
                raise AssertionError(f"not the end: {message!r}")
            await self.websocket.wait_closed()
        received = self.websocket.protocol.close_rcvd
        return received.code if received is not None else 1006

    async def leaves(self) -> int:
        """Close the WebSocket; returns the code of the gateway's Close frame."""
        await self.websocket.close()
        return await self.hears_end()

    def vanishes(self) -> None:
        """Lose the connection."""
        self.websocket.transport.abort()


async def open_websocket(front: Front, server: XmppServer, **options: Any) -> tuple[Talk, Peer]:
    """Open a stream over WebSocket; the client has its features."""
    talk = Talk(await front.websocket(**options))
    await talk.says(OPEN)
    await talk.hears("<open ", "<stream:features ")
    return talk, await server.accept()
