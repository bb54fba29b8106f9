"""The cases of the benchmark and one measured run of each."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from tests.bench.bosh import BoshSession, Style
from tests.bench.measure import Clocks, rss_bytes
from tests.bench.servers import ACCOUNT
from tests.bench.session import LoadError, Session
from tests.bench.streams import TcpSession, WebSocketSession

LOGINS_AT_ONCE = 16
RUN_TIMEOUT = 120.0
"""Seconds after which a run is given up."""
SETTLE = 0.3
"""Seconds in which a server may finish what the previous run left behind."""
STANZA = (
    "<message xmlns='jabber:client' to='{to}' type='chat' id='de305d54-75b4-431b-adb2-eb6b9e546013'>"
    "<body>Wherefore art thou, Romeo? Deny thy father and refuse thy name.</body>"
    "<active xmlns='http://jabber.org/protocol/chatstates'/><request xmlns='urn:xmpp:receipts'/>"
    "<origin-id xmlns='urn:xmpp:sid:0' id='de305d54-75b4-431b-adb2-eb6b9e546013'/></message>"
)
"""A chat message as today's clients write it: with a chat state, a receipt request and an origin id."""


class Transport(Enum):
    """How the load client speaks."""

    TCP = "plain TCP"
    BOSH = "BOSH"
    BOSH_EAGER = "BOSH, eager"
    WEBSOCKET = "WebSocket"


@dataclass(frozen=True, slots=True)
class Case:
    """One server end point spoken to over one transport; `server` is "boshgate" or "prosody"."""

    server: str
    transport: Transport

    def __str__(self) -> str:
        return f"{self.server}, {self.transport.value}"


CASES = (
    Case("prosody", Transport.TCP),
    Case("prosody", Transport.BOSH),
    Case("boshgate", Transport.BOSH),
    Case("prosody", Transport.BOSH_EAGER),
    Case("boshgate", Transport.BOSH_EAGER),
    Case("prosody", Transport.WEBSOCKET),
    Case("boshgate", Transport.WEBSOCKET),
)


@dataclass(frozen=True, slots=True)
class Load:
    """How much load one run is."""

    messages: int
    """Round trips that are measured in one run, over all sessions."""
    warm_up: int
    """Round trips before the measured ones."""
    sessions: int
    """Sessions that send at the same time."""
    think: float
    """Seconds between a message that came back and the next one of the same session."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One run of one case."""

    cpu_us: Mapping[str, float]
    """CPU microseconds per round trip, by server."""
    http_requests: float
    """HTTP requests per round trip."""
    rate: float
    """Round trips per second of wall time."""
    others: float = 0.0
    """The part of the machine's CPU that neither the servers nor the load client used, 0 to 1.

    Others take the caches too, so that everything measured beside them is too dear."""


class Echo:
    """Sends messages to a session's own full JID, the next when the last came back."""

    def __init__(self, session: Session, count: int, think: float) -> None:
        self._session = session
        self._left = count
        self._think = think
        self._loop = asyncio.get_running_loop()
        self.done: asyncio.Future[None] = self._loop.create_future()
        self._stanza = STANZA.format(to=session.jid).encode()

    def start(self) -> None:
        self._session.on_message = self._received
        self._session.on_failure = self._failed
        self._session.send(self._stanza)

    def _received(self) -> None:
        self._left -= 1
        if not self._left:
            self._session.on_message = self._session.on_failure = None
            self.done.set_result(None)
        elif self._think:
            self._loop.call_later(self._think, self._session.send, self._stanza)
        else:
            self._session.send(self._stanza)

    def _failed(self, reason: str) -> None:
        if not self.done.done():
            self.done.set_exception(LoadError(reason))


def make_session(transport: Transport, port: int) -> Session:
    """Return a load client for *transport* to *port* on loopback."""
    match transport:
        case Transport.TCP:
            return TcpSession(ACCOUNT, port)
        case Transport.WEBSOCKET:
            return WebSocketSession(ACCOUNT, port)
        case Transport.BOSH:
            return BoshSession(ACCOUNT, port, Style.HELD)
        case Transport.BOSH_EAGER:
            return BoshSession(ACCOUNT, port, Style.EAGER)


async def open_sessions(transport: Transport, port: int, names: Sequence[str]) -> list[Session]:
    """Log in one session per resource in *names*, a few at a time."""
    at_once = asyncio.Semaphore(LOGINS_AT_ONCE)

    async def open_one(resource: str) -> Session:
        async with at_once:
            session = make_session(transport, port)
            await session.login(resource)
            return session

    return list(await asyncio.gather(*(open_one(name) for name in names)))


async def close_sessions(sessions: Sequence[Session]) -> None:
    await asyncio.gather(*(session.close() for session in sessions))


async def echo(sessions: Sequence[Session], total: int, think: float) -> None:
    """Send *total* messages around over all *sessions*; raises LoadError when they do not come back."""
    echoes = [Echo(session, total // len(sessions), think) for session in sessions]
    for one in echoes:
        one.start()
    try:
        await asyncio.wait_for(asyncio.gather(*(one.done for one in echoes)), RUN_TIMEOUT)
    except TimeoutError:
        missing = sum(not one.done.done() for one in echoes)
        raise LoadError(f"{missing} of {len(echoes)} sessions got no answer within {RUN_TIMEOUT} s") from None


async def run_case(case: Case, port: int, pids: Mapping[str, int], load: Load) -> Sample:
    """Run *case* once against *port* and return what the servers in *pids* used per round trip."""
    sessions = await open_sessions(case.transport, port, [f"bench{i}" for i in range(load.sessions)])
    try:
        await echo(sessions, load.warm_up, load.think)
        requests = sum(session.http_requests for session in sessions)
        clocks = Clocks(pids)
        await echo(sessions, load.messages, load.think)
        cpu, elapsed, others = clocks.read()
        requests = sum(session.http_requests for session in sessions) - requests
    finally:
        await close_sessions(sessions)
        await asyncio.sleep(SETTLE)
    count = load.messages // load.sessions * load.sessions
    used = {name: spent / count / 1000 for name, spent in cpu.items()}
    return Sample(cpu_us=used, http_requests=requests / count, rate=count / elapsed, others=others)


async def measure_idle(transport: Transport, port: int, pid: int, count: int) -> float:
    """Return the bytes of resident memory that *pid* grows by for each of *count* idle sessions.

    The first tenth is not counted: with it come the pages that a process takes once.
    """
    first = await open_sessions(transport, port, [f"first{i}" for i in range(max(20, count // 10))])
    await asyncio.sleep(SETTLE)
    before = rss_bytes(pid)
    sessions = await open_sessions(transport, port, [f"idle{i}" for i in range(count)])
    await asyncio.sleep(SETTLE)
    grown = rss_bytes(pid) - before
    await close_sessions(first + sessions)
    return grown / count
