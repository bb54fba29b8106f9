"""The two transports as one: a client that says elements and hears elements, whichever way they go."""

import asyncio
from abc import ABC, abstractmethod
from collections import deque
from contextlib import suppress

import httpx

from boshgate.xmpp.edits import element_spans
from tests.backend.scripted import PATIENCE, Peer
from tests.web.front import CLOSE, OPEN, Chat, Front, Talk, XmppServer, eventually


class SessionEndedError(Exception):
    """The answer to a BOSH request ended the session; the message is the ``<body/>``."""


class Line(ABC):
    """A client's stream; `features` are the last it was shown."""

    features: str

    def __init__(self, front: Front) -> None:
        self.front = front

    async def hears(self, *starts: str) -> str:
        """Receive elements that begin with *starts*, and return the last."""
        heard = ""
        for start in starts:
            heard = await self._next()
            assert heard.startswith(start), heard
        return heard

    @abstractmethod
    async def opens(self) -> None:
        """Open a stream, and receive its features."""

    @abstractmethod
    async def restarts(self) -> None:
        """Begin the stream anew, after SASL."""

    @abstractmethod
    async def says(self, *elements: str) -> None:
        """Send *elements*."""

    @abstractmethod
    async def leaves(self) -> None:
        """End the stream on purpose."""

    async def vanishes(self) -> None:
        """Never be heard of again."""
        await self.hangs_up()
        self.lets_time_pass()

    @abstractmethod
    async def hangs_up(self) -> None:
        """Lose every connection."""

    @abstractmethod
    def lets_time_pass(self) -> None:
        """Let the gateway find that the client has been gone for too long."""

    @abstractmethod
    async def _next(self) -> str: ...


class WebSocketLine(Line):
    """RFC 7395."""

    async def opens(self) -> None:
        self.talk = Talk(await self.front.websocket())
        await self.restarts()

    async def restarts(self) -> None:
        await self.talk.says(OPEN)
        self.features = await self.talk.hears("<open ", "<stream:features ")

    async def says(self, *elements: str) -> None:
        await self.talk.says(*elements)

    async def leaves(self) -> None:
        await self.talk.says(CLOSE)

    async def hangs_up(self) -> None:
        self.talk.vanishes()

    def lets_time_pass(self) -> None:
        pass  # the loss of the connection is all that there is

    async def _next(self) -> str:
        return await self.talk.hears("<")


class BoshLine(Line):
    """XEP-0206; a request is held whenever the client has nothing to say."""

    def __init__(self, front: Front) -> None:
        super().__init__(front)
        self.chat = Chat(front)
        self._open: deque[asyncio.Task[httpx.Response]] = deque()
        self._heard: deque[str] = deque()

    async def opens(self) -> None:
        self._receive((await self.chat.create()).text)
        await self._read_features()

    async def restarts(self) -> None:
        self._open.append(await self.chat.hold(xmpp_restart="true", to="example.org"))
        await self._read_features()

    async def says(self, *elements: str) -> None:
        self._open.append(await self.chat.hold("".join(elements)))

    async def leaves(self) -> None:
        self._open.append(await self.chat.hold(type="terminate"))

    async def hangs_up(self) -> None:
        for request in self._open:
            request.cancel()
            with suppress(asyncio.CancelledError):
                await request
        session = self.front.gateway.sessions.find(self.chat.sid).session
        await eventually(lambda: all(held.exchange is None for held in session._window.held))

    def lets_time_pass(self) -> None:
        self.front.gateway.sessions.find(self.chat.sid).expire()

    async def _read_features(self) -> None:
        self.features = await self.hears("<stream:features ")
        self._open.append(await self.chat.hold())

    async def _next(self) -> str:
        while not self._heard:
            if not self._open:
                self._open.append(await self.chat.hold())
            async with asyncio.timeout(PATIENCE):
                self._receive((await self._open.popleft()).text)
        return self._heard.popleft()

    def _receive(self, body: str) -> None:
        data = body.encode()
        if " type='terminate'" in body:
            raise SessionEndedError(body)
        for span in element_spans(data):
            if span.level == 1:
                self._heard.append(data[span.begin : span.end].decode())


LINES: dict[str, type[Line]] = {"websocket": WebSocketLine, "bosh": BoshLine}


async def open_line(transport: str, front: Front, server: XmppServer) -> tuple[Line, Peer]:
    """A client that has its features, and the server's end of its stream."""
    line = LINES[transport](front)
    await line.opens()
    return line, await server.accept()
