"""One stream to a server, as its session has it: where it is, and what it has for the client."""

from collections.abc import Sequence

from boshgate.bosh.body import Body
from boshgate.bosh.events import (
    CloseStream,
    Event,
    OpenStream,
    RestartStream,
    ReturnPayloads,
    SendPayloads,
    Throttle,
)
from boshgate.bosh.outbox import SASL_SUCCESS, STREAM_ERROR, Outbox
from boshgate.bosh.screening import LOCAL, Screened, screen
from boshgate.bosh.states import StreamState
from boshgate.namespaces import XBOSH
from boshgate.xmpp.header import bare_jid, language
from boshgate.xmpp.xml import Element

Address = tuple[str, str | None, str | None]
"""The wire's ``to``, ``from`` and ``xml:lang`` (7.1)."""


class Stream:
    """A stream by *name* (the wire's ``stream``); what it wants done goes to the *events* of its session.

    *outbox*: what there is for the client; a stream with something in it stands in *waiting*. *announce*: the
    attributes that its next response brings beside that. *end*: those of its last response, once it is over
    for the client too (16.6). *restart_allowed*: SASL has succeeded since its last header. *throttled*: the
    server is not read.
    """

    __slots__ = (
        "_address", "_events", "_waiting", "announce", "end", "name", "outbox", "restart_allowed", "state",
        "throttled",
    )  # fmt: skip

    def __init__(
        self, name: str, address: Address, outbox: Outbox, waiting: list["Stream"], events: list[Event]
    ) -> None:
        self.name = name
        self._address = address
        self._events = events
        self._waiting = waiting
        self.outbox = outbox
        self.announce: dict[str, str] | None = None
        self.end: dict[str, str] | None = None
        self.state = StreamState.OPENING
        self.restart_allowed = False
        self.throttled = False

    @property
    def is_over(self) -> bool:
        """Whether nothing can be sent on it any more."""
        return self.state in (StreamState.CLOSING, StreamState.CLOSED)

    def open(self) -> None:
        """Have it opened (7.1, 16.3)."""
        self._events.append(OpenStream(self.name, *self._address))

    def opened(self, authid: str | None, from_: str | None, version: str | None) -> None:
        """The server's header came: the client is told of it (7.2, XEP-0206 section 4)."""
        found = {"authid": authid}
        if self.state is not StreamState.RESTARTING:
            found |= {"from": from_, f"{{{XBOSH}}}version": version}  # a restart tells nothing new of these
        self.state = StreamState.OPEN
        told = {name: value for name, value in found.items() if value is not None}
        self.announce = {**(self.announce or {}), **told} or None

    def restart(self, body: Body) -> None:
        """XEP-0206 section 5: a new stream over the same connection; ``from`` and ``xml:lang`` may be new."""
        self.restart_allowed = False
        self.state = StreamState.RESTARTING
        _, from_, lang = self._address
        from_, lang = bare_jid(body.from_) or from_, language(body.lang) or lang
        self._events.append(RestartStream(self.name, from_, lang))

    def forward(self, payloads: tuple[Element, ...]) -> Screened | None:
        """Send *payloads* (8); return what became of them if there are some that no server may get.

        Raises BindingError bad-request for what no client may send.
        """
        screened = None
        for payload in payloads:
            if payload.name in LOCAL:
                screened = screen(payloads)
                payloads = screened.forwarded
                break
        if payloads:
            self._events.append(SendPayloads(self.name, payloads))
        return screened

    def receive(self, payloads: Sequence[Element]) -> int:
        """Keep *payloads* of the server for the client, up to a stream error; return how many are kept."""
        count = 0
        for payload in payloads:
            name = payload.name
            if name == STREAM_ERROR:
                break
            self.outbox.append(payload)
            count += 1
            if name == SASL_SUCCESS:
                self.restart_allowed = True  # XEP-0206 section 5; not SASL2 (XEP-0388 2.6.1)
        if count and self not in self._waiting:
            self._waiting.append(self)
        return count

    def receive_error(self, error: Element) -> None:
        """XEP-0206 section 6: the client gets a copy of the stream error, after the stanzas before it."""
        self.outbox.append(error)
        self.wait()

    def wait(self) -> None:
        """There is something for the client: it takes its turn (16.4)."""
        if self not in self._waiting:
            self._waiting.append(self)

    def throttle(self, *, on: bool) -> None:
        """Stop reading from the server, or go on."""
        if self.throttled != on and not self.is_over:
            self.throttled = on
            self._events.append(Throttle(self.name, on))

    def close(self, *, clean: bool) -> None:
        """End it; what the server still sends is read (RFC 6120 section 4.4)."""
        self.throttle(on=False)
        if not self.is_over:
            self.state = StreamState.CLOSING
            self._events.append(CloseStream(self.name, clean))

    def drop(self, *, clean: bool) -> None:
        """The client is gone: give back what waits for it (XEP-0206 section 7), then end it."""
        if self.outbox.portions and not self.is_over:
            waiting = tuple(payload for portion in self.outbox.portions for payload in portion)
            self._events.append(ReturnPayloads(self.name, waiting))
        self.close(clean=clean)

    def __repr__(self) -> str:
        return f"<Stream {self.name} {self.state.value}{' throttled' if self.throttled else ''}>"
