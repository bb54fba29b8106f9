"""A WebSocket client that keeps what it receives as it came, for the rules of RFC 7395."""

import asyncio
import ssl
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Self

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidMessage, InvalidStatus, WebSocketException
from websockets.protocol import State
from websockets.typing import Subprotocol

from boshgate.conformance.check import Fails, Unanswered, expect
from boshgate.conformance.wire import describe
from boshgate.conformance.xml import Element, parse, quoteattr, stream_condition, tag, written
from boshgate.namespaces import FRAMING, STREAMS

OPEN = f"{{{FRAMING}}}open"
CLOSE = f"{{{FRAMING}}}close"
FEATURES = f"{{{STREAMS}}}features"
STREAM_ERROR = f"{{{STREAMS}}}error"


@dataclass(frozen=True, slots=True)
class Frame:
    """One message as it came, and what it says."""

    data: str | bytes
    root: Element | None = field(repr=False)

    @property
    def element(self) -> Element:
        """The one element that a message is (RFC 7395 section 3.3.3)."""
        if self.root is None:
            raise Fails(f"a message is not one XML document: {self.data[:80]!r}")
        return self.root

    @property
    def name(self) -> str:
        return tag(self.element)

    def __str__(self) -> str:
        """What was seen, for a reason."""
        return repr(self.data[:80]) if self.root is None else written(self.root)


class Ws:
    """One WebSocket; `frames` is everything that was received."""

    def __init__(self, socket: ClientConnection, domain: str, patience: float) -> None:
        self._patience = patience
        self.socket = socket
        self.domain = domain
        self.frames: list[Frame] = []
        self.jid = ""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        """Say goodbye where nobody has, so that the server does not keep the session."""
        try:
            async with asyncio.timeout(1.0):
                await self.socket.send(close())
                async for _message in self.socket:
                    if "<close" in str(_message):
                        break
                await self.socket.close()
        except (ConnectionClosed, TimeoutError, OSError):
            pass
        self.socket.transport.abort()

    async def send(self, text: str | bytes | Iterable[str]) -> None:
        """Send one message; an iterable is sent in fragments."""
        try:
            await self.socket.send(text)
        except ConnectionClosed as error:
            raise Fails(f"the WebSocket was closed: {closing_of(error)}") from None

    async def receive(self, within: float | None = None) -> Frame:
        """The next message; the check fails where none comes."""
        patience = within or self._patience
        frame = await self.poll(patience)
        if frame is None:
            failure = Unanswered if within is None else Fails
            raise failure(f"no message within {patience:.0f} s")
        return frame

    async def poll(self, within: float) -> Frame | None:
        """The next message, or None where none comes in that time."""
        try:
            async with asyncio.timeout(within):
                data = await self.socket.recv()
        except TimeoutError:
            return None
        except ConnectionClosed as error:
            raise Fails(f"the WebSocket was closed: {closing_of(error)}") from None
        frame = Frame(data, parse(data))
        self.frames.append(frame)
        return frame

    async def wait_for(self, wanted: Callable[[Element], bool], what: str) -> Element:
        """Read until the element that is *wanted* comes."""
        try:
            async with asyncio.timeout(self._patience):
                while True:
                    element = (await self.receive()).element
                    if wanted(element):
                        return element
                    if tag(element) in (CLOSE, STREAM_ERROR):
                        raise Fails(f"{written(element)} came instead of {what}")
        except TimeoutError:
            raise Unanswered(f"{what} did not come within {self._patience:.0f} s") from None

    async def exchange(self, text: str, wanted: Callable[[Element], bool], what: str) -> Element:
        """Send a message and read until the element that is *wanted* comes."""
        await self.send(text)
        return await self.wait_for(wanted, what)

    async def open(self, **attributes: str | None) -> tuple[Element, Element]:
        """Open a stream, or open it anew after SASL: the server's <open/> and its features."""
        await self.send(opening(self.domain, **attributes))
        opened = await self.wait_for(lambda element: tag(element) == OPEN, "<open/>")
        return opened, await self.wait_for(lambda element: tag(element) == FEATURES, "the features")

    async def closing(self, within: float | None = None) -> int:
        """Read until the WebSocket is closed, and say with which code (1006: without any)."""
        within = within or self._patience
        try:
            async with asyncio.timeout(within):
                while True:
                    data = await self.socket.recv()
                    self.frames.append(Frame(data, parse(data)))
        except ConnectionClosed as error:
            return error.rcvd.code if error.rcvd is not None else 1006
        except TimeoutError:
            raise Fails(f"the WebSocket was not closed within {within:.0f} s") from None

    @property
    def is_open(self) -> bool:
        """Whether messages can be sent."""
        return self.socket.state is State.OPEN

    async def wait_for_close(self, within: float | None = None) -> list[Frame]:
        """Read until <close/>: the messages before it."""
        before = []
        while (frame := await self.receive(within)).name != CLOSE:
            before.append(frame)
        return before

    def vanish(self) -> None:
        """Lose the TCP connection: no <close/>, no Close frame."""
        self.socket.transport.abort()


class _Connect(connect):
    """Follows no redirect: it is the endpoint that was named that is examined."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


async def shake_hands(
    url: str,
    domain: str,
    tls: ssl.SSLContext,
    patience: float,
    *,
    subprotocols: Iterable[str] = ("xmpp",),
    **options: Any,
) -> Ws:
    """Open a WebSocket; raises InvalidStatus where the endpoint refuses, Fails where it is none."""
    settings: dict[str, Any] = {
        "subprotocols": [Subprotocol(name) for name in subprotocols] or None,
        "ssl": tls if url.startswith("wss:") else None,
        "compression": None,
        "proxy": None,
        "ping_interval": None,
        "max_size": 8 << 20,
        "open_timeout": patience,
        "close_timeout": 2.0,
        "user_agent_header": "boshgate-conformance",
    }
    try:
        return Ws(await _Connect(url, **(settings | options)), domain, patience)
    except InvalidStatus:
        raise
    except TimeoutError:
        raise Fails(f"no answer to the handshake within {patience:.0f} s") from None
    except InvalidMessage as error:
        raise Fails(f"no answer to the handshake: {describe(error)}") from None
    except WebSocketException as error:
        raise Fails(f"no WebSocket handshake: {error}") from None
    except (OSError, EOFError) as error:
        raise Fails(f"no connection: {describe(error)}") from None


def opening(domain: str, **attributes: str | None) -> str:
    """An <open/>; *attributes* replace the usual, None leaves one out."""
    given = {"to": domain, "version": "1.0", "xml:lang": "en"} | attributes
    text = "".join(f" {name}={quoteattr(value)}" for name, value in given.items() if value is not None)
    return f"<open xmlns='{FRAMING}'{text}/>"


def close() -> str:
    """A <close/>."""
    return f"<close xmlns='{FRAMING}'/>"


def closing_of(error: ConnectionClosed) -> str:
    """How it was closed, for a reason."""
    return (
        f"code {error.rcvd.code} {error.rcvd.reason}".strip() if error.rcvd is not None else "no Close frame"
    )


async def expect_stream_error(ws: Ws, *conditions: str, what: str) -> None:
    """A stream error with one of *conditions* comes, then <close/> (sections 3.5, 3.6)."""
    seen = []
    while True:
        frame = await ws.receive()
        if frame.name == STREAM_ERROR:
            break
        seen.append(str(frame))
        expect(frame.name != CLOSE, f"{what}: <close/> without a stream error")
        expect(len(seen) < 5, f"{what}: no stream error but {seen[-1]}")
    condition = stream_condition(frame.element)
    wanted = " or ".join(conditions)
    expect(condition in conditions, f"{what}: {condition} instead of {wanted}")
    after = await ws.receive()
    expect(after.name == CLOSE, f"{what}: {after} after the stream error instead of <close/>")
