"""What a session wants done: the core decides, the shell does (each event names the section behind it)."""

from collections.abc import Hashable
from dataclasses import dataclass

from boshgate.xmpp.xml import Element

Exchange = Hashable
"""One HTTP request/response pair, a token made by the shell.

Two exchanges may carry the same rid at once (XEP-0124 section 14.3), so nothing is keyed by rid alone.
"""


@dataclass(frozen=True, slots=True)
class Respond:
    """Answer *exchange* with the complete ``<body/>`` document *body*; each exchange gets one (section 8).

    *status* is that of HTTP, which only old clients get another one of than 200 (17.1).
    """

    exchange: Exchange
    body: bytes
    status: int = 200


@dataclass(frozen=True, slots=True)
class OpenStream:
    """Open a stream to the domain *to*: the first one of the session (7.1, XEP-0206 section 3), or another.

    Whether *to* is a domain that is served was decided before there was a session; it is still to be decided
    for another stream (16.3), and a refusal is told by closing it with a condition.
    """

    stream: str
    to: str
    from_: str | None
    lang: str | None


@dataclass(frozen=True, slots=True)
class RestartStream:
    """Send a new stream header over the same connection, no ``</stream:stream>`` (XEP-0206 section 5).

    It is for the domain that the stream was opened for: the connection was made, and trusted, for that one.
    """

    stream: str
    from_: str | None
    lang: str | None


@dataclass(frozen=True, slots=True)
class SendPayloads:
    """Forward *payloads* to the server in this order, as soon as the stream is ready (section 8)."""

    stream: str
    payloads: tuple[Element, ...]


@dataclass(frozen=True, slots=True)
class ReturnPayloads:
    """*payloads* came on this stream, which is about to be closed, and nobody is there to take them any more.

    Answer those that ask for it with errors (XEP-0206 section 7), unless XEP-0198 is on. What is in responses
    is not among them, not even in those that the client may have missed: a client mostly goes after it got
    the last one, and the section speaks of stanzas that come for a client that is gone, not of those sent
    to it. Their fate is that of what is written to any connection that breaks (XEP-0124 section 14.3 keeps
    them for the client alone).
    """

    stream: str
    payloads: tuple[Element, ...]


@dataclass(frozen=True, slots=True)
class CloseStream:
    """End the stream; what was sent before goes out first.

    *clean*: the client or the server ended it: send ``</stream:stream>`` and wait for the peer's (13,
    RFC 6120 section 4.4). Not clean: the client was lost, or is being dropped: a stream that XEP-0198 can
    resume must lose its TCP connection without ``</stream:stream>`` (XEP-0198 section 5).
    """

    stream: str
    clean: bool


@dataclass(frozen=True, slots=True)
class Throttle:
    """Stop (*on*) or go on reading from the server: too much waits for the client."""

    stream: str
    on: bool


@dataclass(frozen=True, slots=True)
class SessionTerminated:
    """The last event: the sid is to be forgotten, ``item-not-found`` from now on (section 10).

    *condition* is what the client was, or would have been, told (17.2; None: nothing went wrong);
    *reason* is one line for the log. What was lost, in payloads: *undelivered* came from the server and was
    in no response; *discarded* came from the client and was not forwarded.
    """

    condition: str | None
    reason: str
    undelivered: int
    discarded: int


Event = (
    Respond
    | OpenStream
    | RestartStream
    | SendPayloads
    | ReturnPayloads
    | CloseStream
    | Throttle
    | SessionTerminated
)
