"""The stream to the server as a session has it, and what of a client may not get there.

XEP-0124 section 16 will give a session several of these; until then it has one.
"""

from enum import Enum
from typing import Final, NamedTuple

from boshgate.bosh.body import Body
from boshgate.bosh.conditions import Condition
from boshgate.bosh.creation import Grant
from boshgate.bosh.events import CloseStream, Event, OpenStream, RestartStream, SendPayloads, Throttle
from boshgate.bosh.states import StreamState
from boshgate.errors import BindingError
from boshgate.namespaces import COMPRESS, FRAMING, STREAMS, TLS, XBOSH
from boshgate.xmpp.xml import Element


class Stream:
    """A stream by *name* (the wire's ``stream``); what it wants done goes to the *events* of its session.

    *restart_allowed*: SASL has succeeded since its last header. *throttled*: the server is not read.
    """

    __slots__ = ("_events", "name", "restart_allowed", "state", "throttled")

    def __init__(self, name: str, grant: Grant, events: list[Event]) -> None:
        self._events = events
        self.name = name
        self.state = StreamState.OPENING
        self.restart_allowed = False
        self.throttled = False
        events.append(OpenStream(name, grant.to, grant.from_, grant.lang))

    @property
    def is_over(self) -> bool:
        """Whether nothing can be sent on it any more."""
        return self.state in (StreamState.CLOSING, StreamState.CLOSED)

    def opened(self, authid: str | None, from_: str | None, version: str | None) -> dict[str, str]:
        """The server's header came: return what the client is told of it (7.2, XEP-0206 section 4)."""
        found = {"authid": authid}
        if self.state is not StreamState.RESTARTING:
            found |= {"from": from_, f"{{{XBOSH}}}version": version}  # a restart tells nothing new of these
        self.state = StreamState.OPEN
        return {name: value for name, value in found.items() if value is not None}

    def restart(self, body: Body, grant: Grant) -> None:
        """XEP-0206 section 5: a new stream over the same connection; ``to`` and ``xml:lang`` may be new.

        Raises BindingError bad-request before SASL success: RFC 6120 knows no second header then (6.4.6).
        """
        if not self.restart_allowed:
            raise BindingError(Condition.BAD_REQUEST, "restart, but SASL has not succeeded")
        self.restart_allowed = False
        self.state = StreamState.RESTARTING
        to, from_, lang = body.to or grant.to, body.from_ or grant.from_, body.lang or grant.lang
        self._events.append(RestartStream(self.name, to, from_, lang))

    def forward(self, payloads: tuple[Element, ...]) -> "Screened | None":
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

    def __repr__(self) -> str:
        return f"<Stream {self.name} {self.state.value}{' throttled' if self.throttled else ''}>"


class Local(Enum):
    """What is done with a first-level element of the client that no server may get."""

    REFUSE = "refuse"
    """Only servers send it, or it belongs to another binding: bad-request (XEP-0124 section 17.2)."""
    TERMINATE = "terminate"
    """RFC 6120 section 4.9.1.1: the client's own ``<stream:error/>`` ends its stream."""
    STARTTLS = "starttls"
    """XEP-0206 section 2: TLS is for the HTTP connection (RFC 6120 section 5.4.2.2: failure, and the end)."""
    COMPRESS = "compress"
    """XEP-0206 section 4: so is compression (XEP-0138 section 3: failure)."""


LOCAL: Final = {
    f"{{{STREAMS}}}error": Local.TERMINATE,
    f"{{{STREAMS}}}features": Local.REFUSE,
    f"{{{STREAMS}}}stream": Local.REFUSE,
    f"{{{FRAMING}}}open": Local.REFUSE,
    f"{{{FRAMING}}}close": Local.REFUSE,
    f"{{{TLS}}}starttls": Local.STARTTLS,
    f"{{{COMPRESS}}}compress": Local.COMPRESS,
}
"""By expanded name; everything else is the server's business."""

STARTTLS_FAILURE: Final = Element(f"{{{TLS}}}failure", f"<failure xmlns='{TLS}'/>".encode())
COMPRESS_FAILURE: Final = Element(
    f"{{{COMPRESS}}}failure", f"<failure xmlns='{COMPRESS}'><unsupported-method/></failure>".encode()
)


class Screened(NamedTuple):
    """What becomes of payloads: *forwarded*, *answers* to the client, what *ends* the stream, *discarded*."""

    forwarded: tuple[Element, ...]
    answers: list[Element]
    ends: Local | None
    discarded: int


def screen(payloads: tuple[Element, ...]) -> Screened:
    """Sort out what no server may get; raises BindingError bad-request for what no client may send."""
    actions = [LOCAL.get(payload.name) for payload in payloads]
    if Local.REFUSE in actions:
        raise BindingError(Condition.BAD_REQUEST, "an element that no client may send")
    forwarded: list[Element] = []
    answers: list[Element] = []
    for count, (payload, action) in enumerate(zip(payloads, actions, strict=True), start=1):
        if action is None:
            forwarded.append(payload)
        elif action is Local.COMPRESS:
            answers.append(COMPRESS_FAILURE)
        else:
            if action is Local.STARTTLS:
                answers.append(STARTTLS_FAILURE)
            return Screened(tuple(forwarded), answers, action, len(payloads) - count)
    return Screened(tuple(forwarded), answers, None, 0)
