"""A WebSocket client without manners: it sends what it is told and records what comes, up to the end."""

import asyncio
from dataclasses import dataclass, field
from xml.etree.ElementTree import Element, fromstring

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from tests.support.clients.base import FRAMING, STREAM_ERRORS, STREAMS, TIMEOUT


@dataclass(slots=True)
class Received:
    """All frames that came, parsed, and the close code."""

    frames: list[Element] = field(default_factory=list)
    code: int | None = None

    @property
    def names(self) -> list[str]:
        """Local names, in order."""
        return [frame.tag.rpartition("}")[2] for frame in self.frames]

    @property
    def condition(self) -> str | None:
        """The defined condition of the stream error (RFC 6120 section 4.9.2)."""
        for frame in self.frames:
            if frame.tag == f"{{{STREAMS}}}error":
                names = [child.tag.removeprefix(f"{{{STREAM_ERRORS}}}") for child in frame]
                return next(name for name in names if name != "text")
        return None


async def exchange(url: str, *frames: str | bytes, answer_close: bool = True) -> Received:
    """Send *frames*, and read until the other side has closed; <close/> is answered when it comes."""
    received = Received()
    async with connect(url, subprotocols=[Subprotocol("xmpp")], proxy=None, ping_interval=None) as socket:
        async with asyncio.timeout(TIMEOUT):
            try:
                for frame in frames:
                    await socket.send(frame)
                async for message in socket:
                    assert isinstance(message, str), "RFC 7395 section 3.2"
                    received.frames.append(fromstring(message))
                    if answer_close and received.frames[-1].tag == f"{{{FRAMING}}}close":
                        await socket.send(f"<close xmlns='{FRAMING}'/>")
            except ConnectionClosed:
                pass  # while we were sending; the code is what counts
        received.code = socket.close_code
    return received


def open_frame(domain: str) -> str:
    """Return the first frame of a client (RFC 7395 section 3.4)."""
    return f"<open xmlns='{FRAMING}' to='{domain}' version='1.0'/>"
