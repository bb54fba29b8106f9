"""A user of an XMPP server, whatever carries the stream: log in by SASL PLAIN, bind, send, wait."""

import asyncio
import base64
import contextlib
import itertools
from abc import ABC, abstractmethod
from collections.abc import Callable
from types import TracebackType
from typing import Self
from xml.etree.ElementTree import Element
from xml.sax.saxutils import escape, quoteattr

CLIENT = "jabber:client"
STREAMS = "http://etherx.jabber.org/streams"
STREAM_ERRORS = "urn:ietf:params:xml:ns:xmpp-streams"
SASL = "urn:ietf:params:xml:ns:xmpp-sasl"
BIND = "urn:ietf:params:xml:ns:xmpp-bind"
STANZA_ERRORS = "urn:ietf:params:xml:ns:xmpp-stanzas"
SM = "urn:xmpp:sm:3"
HTTPBIND = "http://jabber.org/protocol/httpbind"
XBOSH = "urn:xmpp:xbosh"
FRAMING = "urn:ietf:params:xml:ns:xmpp-framing"

TIMEOUT = 15.0
"""Seconds within which anything a test waits for must happen."""


class StreamEndedError(Exception):
    """The stream ended; *condition* is the binding or stream error condition, where one was given."""

    def __init__(self, condition: str | None, text: str = "") -> None:
        super().__init__(f"{condition}: {text}" if text else str(condition))
        self.condition = condition


def message(to: str, text: str, identifier: str = "m") -> str:
    """Return a chat message."""
    return (
        f"<message xmlns='{CLIENT}' to={quoteattr(to)} type='chat' id={quoteattr(identifier)}>"
        f"<body>{escape(text)}</body></message>"
    )


class Connection(ABC):
    """One XMPP stream; first-level elements go in as text and come out parsed, in order."""

    def __init__(self, domain: str) -> None:
        self.domain = domain
        self._incoming: asyncio.Queue[Element | StreamEndedError] = asyncio.Queue()

    @abstractmethod
    async def open(self) -> None:
        """Open the stream; the features come as the first element received."""

    @abstractmethod
    async def restart(self) -> None:
        """Open the stream anew after SASL; new features follow."""

    @abstractmethod
    async def send(self, xml: str) -> None:
        """Send one first-level element that declares its own namespaces."""

    @abstractmethod
    async def close(self) -> None:
        """End the stream as its transport wants it, and free everything."""

    @abstractmethod
    async def cut(self) -> None:
        """Lose the connection: no farewell of any kind."""

    async def receive(self, timeout: float = TIMEOUT) -> Element:
        """Return the next element; raise StreamEndedError at the end, TimeoutError after *timeout*."""
        item = await asyncio.wait_for(self._incoming.get(), timeout)
        if isinstance(item, StreamEndedError):
            self._incoming.put_nowait(item)  # the end stays the end
            raise item
        return item

    @property
    def waiting(self) -> int:
        """How many elements have arrived that nobody has taken."""
        return self._incoming.qsize()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


class Client:
    """A user on a *connection*; ``jid`` is the full JID after ``login``."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.jid = ""
        self.handled = 0
        """Stanzas received since ``enable_stream_management`` (XEP-0198 section 4)."""
        self.resumption_id = ""
        self._ids = itertools.count(1)

    @property
    def bare_jid(self) -> str:
        return self.jid.partition("/")[0]

    async def authenticate(self, user: str, password: str) -> None:
        """Open the stream, log in by SASL PLAIN, and restart; the features after it have been received."""
        await self.connection.open()
        await self.expect(f"{{{STREAMS}}}features")
        initial = base64.b64encode(f"\0{user}\0{password}".encode()).decode()
        await self.connection.send(f"<auth xmlns='{SASL}' mechanism='PLAIN'>{initial}</auth>")
        answer = await self.connection.receive()
        if answer.tag != f"{{{SASL}}}success":
            raise AssertionError(f"no success but {answer.tag} {[child.tag for child in answer]}")
        await self.connection.restart()
        await self.expect(f"{{{STREAMS}}}features")

    async def login(self, user: str, password: str, *, resource: str = "", presence: bool = True) -> str:
        """Authenticate, bind, send presence unless told not to; return the full JID."""
        await self.authenticate(user, password)
        wanted = f"<resource>{resource}</resource>" if resource else ""
        result = await self.query("set", f"<bind xmlns='{BIND}'>{wanted}</bind>")
        jid = result.findtext(f"{{{BIND}}}bind/{{{BIND}}}jid")
        assert jid, "the server bound no resource"
        self.jid = jid
        if presence:
            await self.connection.send(f"<presence xmlns='{CLIENT}'/>")
            await self.expect(f"{{{CLIENT}}}presence")  # our own, so the server has taken it
        return jid

    async def query(self, kind: str, payload: str, *, to: str = "") -> Element:
        """Send an <iq/> and return its answer; raise AssertionError when that is an error."""
        answer = await self.ask(kind, payload, to=to)
        assert answer.get("type") == "result", f"{payload} was answered by an error"
        return answer

    async def ask(self, kind: str, payload: str, *, to: str = "") -> Element:
        """Send an <iq/> and return its answer, whatever that is."""
        identifier = f"q{next(self._ids)}"
        address = f" to='{to}'" if to else ""
        await self.connection.send(
            f"<iq xmlns='{CLIENT}' type='{kind}' id='{identifier}'{address}>{payload}</iq>"
        )
        return await self.wait_for(lambda element: element.get("id") == identifier)

    async def wait_until_offline(self, full_jid: str) -> None:
        """Return when the server knows of no client at *full_jid*, not even of one that may resume.

        The server of a user without any client refuses messages (no offline storage is configured).
        """
        async with asyncio.timeout(TIMEOUT):
            while True:
                identifier = f"offline{next(self._ids)}"
                await self.send_message(full_jid, "anybody there?", identifier)
                with contextlib.suppress(TimeoutError):
                    error = await self.wait_for(lambda element: element.get("id") == identifier, 0.3)  # noqa: B023
                    assert error.find(f"{{{CLIENT}}}error/{{{STANZA_ERRORS}}}service-unavailable") is not None
                    return

    async def send_message(self, to: str, text: str, identifier: str = "m") -> None:
        await self.connection.send(message(to, text, identifier))

    async def wait_for_message(self, timeout: float = TIMEOUT) -> str:
        """Return the text of the next message that has one."""
        found = await self.wait_for(
            lambda element: element.findtext(f"{{{CLIENT}}}body") is not None, timeout
        )
        return found.findtext(f"{{{CLIENT}}}body") or ""

    async def expect(self, tag: str) -> Element:
        return await self.wait_for(lambda element: element.tag == tag)

    async def wait_for(self, wanted: Callable[[Element], bool], timeout: float = TIMEOUT) -> Element:
        """Return the next element that is *wanted*; others are dropped, but counted when they are stanzas."""
        async with asyncio.timeout(timeout):
            while True:
                element = await self.connection.receive(timeout)
                if element.tag in (f"{{{CLIENT}}}message", f"{{{CLIENT}}}presence", f"{{{CLIENT}}}iq"):
                    self.handled += 1
                if wanted(element):
                    return element

    async def enable_stream_management(self) -> None:
        """Ask for XEP-0198 with resumption (section 3); raise AssertionError when it is not granted."""
        await self.connection.send(f"<enable xmlns='{SM}' resume='true'/>")
        enabled = await self.expect(f"{{{SM}}}enabled")
        assert enabled.get("resume") in ("true", "1"), "the server grants no resumption"
        self.resumption_id = enabled.get("id", "")
        self.handled = 0

    async def resume(self, previous: "Client") -> Element:
        """Ask for the stream of *previous* to go on here (section 5); return <resumed/> or <failed/>."""
        await self.connection.send(
            f"<resume xmlns='{SM}' previd={quoteattr(previous.resumption_id)} h='{previous.handled}'/>"
        )
        answers = (f"{{{SM}}}resumed", f"{{{SM}}}failed")
        return await self.wait_for(lambda element: element.tag in answers)

    async def logout(self) -> None:
        await self.connection.send(f"<presence xmlns='{CLIENT}' type='unavailable'/>")
        await self.connection.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.connection.close()
