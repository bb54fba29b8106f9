"""The load client's view of a session: bytes of stanzas in, bytes of stanzas out, whatever carries them.

It costs as little as it can, because it shares the machine with the servers it loads: nothing is parsed, an
answer is recognised by its end tag. The one-time login is a dialogue of `send` and `expect` and is the same
for every transport.
"""

import asyncio
import base64
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

BIND_NS = "urn:ietf:params:xml:ns:xmpp-bind"
SASL_NS = "urn:ietf:params:xml:ns:xmpp-sasl"
MESSAGE_END = b"</message>"
LOGIN_TIMEOUT = 20.0
"""Seconds that any one step of the login may take."""


class LoadError(Exception):
    """The server did something that makes the figures worthless."""


@dataclass(frozen=True, slots=True)
class Account:
    """A user of the server that is measured."""

    domain: str
    user: str
    password: str


class Session(ABC):
    """One XMPP session over some transport."""

    def __init__(self, account: Account) -> None:
        self.account = account
        self.jid = ""
        self.http_requests = 0
        self.on_message: Callable[[], None] | None = None
        self.on_failure: Callable[[str], None] | None = None
        self._inbox = bytearray()
        self._expected: tuple[bytes, ...] = ()
        self._waiter: asyncio.Future[None] | None = None

    @abstractmethod
    def send(self, stanza: bytes) -> None:
        """Send one stanza (with its namespace declared) to the server."""

    @abstractmethod
    async def connect(self) -> None:
        """Connect and begin the stream."""

    @abstractmethod
    def restart(self) -> None:
        """Begin a new stream after SASL (RFC 6120 section 6.4.6)."""

    @abstractmethod
    async def close(self) -> None:
        """End the session as a polite client does."""

    async def login(self, resource: str) -> None:
        """Connect, authenticate with SASL PLAIN and bind *resource*; raises LoadError, TimeoutError."""
        account = self.account
        credentials = base64.b64encode(f"\0{account.user}\0{account.password}".encode()).decode()
        await self.connect()
        await self.expect(b"</stream:features>")
        self.send(f"<auth xmlns='{SASL_NS}' mechanism='PLAIN'>{credentials}</auth>".encode())
        await self.expect(b"<success")
        self.restart()
        await self.expect(b"</stream:features>")
        self.send(
            f"<iq xmlns='jabber:client' type='set' id='bind'><bind xmlns='{BIND_NS}'>"
            f"<resource>{resource}</resource></bind></iq>".encode()
        )
        await self.expect(b"<jid>", b"</iq>")
        self.jid = f"{account.user}@{account.domain}/{resource}"
        self.established()

    @abstractmethod
    def established(self) -> None:
        """The login is complete: do what this transport does while idle."""

    async def expect(self, *tokens: bytes) -> None:
        """Wait until all *tokens* were received, then forget what was received."""
        self._expected = tokens
        if not self._satisfied():
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await asyncio.wait_for(self._waiter, LOGIN_TIMEOUT)
            finally:
                self._waiter = None
        self._expected = ()
        self._inbox.clear()

    @property
    def expecting(self) -> bool:
        """Something that `expect` waits for is still to come."""
        return bool(self._expected) and not self._satisfied()

    def receive(self, data: bytes) -> None:
        """Take what came from the server; called by the transport."""
        inbox = self._inbox
        inbox += data
        if self.on_message is not None:
            # One message is under way at a time, so that one end tag is one round trip.
            if MESSAGE_END in inbox:
                inbox.clear()
                self.on_message()
        elif self._waiter is not None and not self._waiter.done() and self._satisfied():
            self._waiter.set_result(None)

    def fail(self, reason: str) -> None:
        """The transport broke: whoever waits for the server learns it."""
        if self.on_failure is not None:
            self.on_failure(reason)
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(LoadError(reason))

    def _satisfied(self) -> bool:
        return all(token in self._inbox for token in self._expected)
