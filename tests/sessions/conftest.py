"""The world around a session, without sockets and without waiting: exchanges, streams and a clock."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from boshgate.backend.handler import StreamHandler
from boshgate.backend.pool import Backends
from boshgate.bosh.body import Body, parse_body
from boshgate.sessions.runner import Exchange
from boshgate.xmpp.framer import StreamHeader
from boshgate.xmpp.xml import Element

HB = "http://jabber.org/protocol/httpbind"
HEADER = StreamHeader(id="s1", from_="example.org", version="1.0")
FEATURES = Element("{http://etherx.jabber.org/streams}features", b"<stream:features/>")


def request(payload: str = "", **attributes: str) -> Body:
    """A request as it comes out of the parser."""
    creation = {"rid": "1", "to": "example.org", "wait": "10", "hold": "1", "ver": "1.11"}
    named = attributes if "sid" in attributes else creation | attributes
    written = "".join(f" {name.replace('_', ':')}='{value}'" for name, value in named.items())
    return parse_body(
        f"<body xmlns='{HB}' xmlns:xmpp='urn:xmpp:xbosh'{written}>{payload}</body>".encode(),
        max_payloads=100,
        max_stanza_bytes=10_000,
    )


class FakeExchange(Exchange):
    """Keeps its answer."""

    def __init__(self) -> None:
        self.answer: str | None = None
        self.content: str | None = None

    def respond(self, body: bytes, content: str, status: int = 200) -> None:
        assert self.answer is None, "a request is answered once"
        self.answer = body.decode()
        self.content = content


@dataclass
class FakeStream:
    """Keeps what it was asked to do."""

    handler: StreamHandler
    options: dict[str, Any]
    calls: list[Any] = field(default_factory=list)
    resumable: bool = False
    managed: bool = False

    def write(self, data: bytes) -> None:
        self.calls.append(data.decode())

    def restart(self, **options: str | None) -> None:
        self.calls.append(("restart", options))

    def close(self) -> None:
        self.calls.append("close")

    def abort(self) -> None:
        self.calls.append("abort")

    def pause_reading(self) -> None:
        self.calls.append("pause")

    def resume_reading(self) -> None:
        self.calls.append("resume")


class FakeBackends:
    """Serves example.org."""

    former_domains: frozenset[str] = frozenset()

    def __init__(self) -> None:
        self.streams: list[FakeStream] = []

    def serves(self, domain: str) -> bool:
        return domain == "example.org"

    def open_stream(self, *, handler: StreamHandler, **options: Any) -> FakeStream:
        self.streams.append(FakeStream(handler, options))
        return self.streams[-1]

    @property
    def real(self) -> Backends:
        return cast(Backends, self)


class Clock:
    """Stands for the event loop as far as a runner uses it: the time, and one timer."""

    def __init__(self) -> None:
        self.seconds = 1000.0
        self.timers: list[tuple[float, Callable[[], None], asyncio.TimerHandle]] = []

    def time(self) -> float:
        return self.seconds

    def call_at(self, when: float, callback: Callable[[], None]) -> asyncio.TimerHandle:
        handle = asyncio.TimerHandle(when, callback, (), cast(Any, self))
        self.timers.append((when, callback, handle))
        return handle

    def get_debug(self) -> bool:
        return False

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """`TimerHandle.cancel` tells its loop."""

    @property
    def due(self) -> list[float]:
        """When something is due, in seconds from the beginning."""
        return [when - 1000.0 for when, _, handle in self.timers if not handle.cancelled()]

    def advance(self, seconds: float) -> None:
        """Let time pass, and call what is due."""
        self.seconds += seconds
        for timer in list(self.timers):
            if timer[0] <= self.seconds and timer in self.timers:
                self.timers.remove(timer)
                if not timer[2].cancelled():
                    timer[1]()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock of every session made from now on."""
    made = Clock()
    monkeypatch.setattr(asyncio, "get_running_loop", lambda: made)
    return made


@pytest.fixture
def backends() -> FakeBackends:
    return FakeBackends()
