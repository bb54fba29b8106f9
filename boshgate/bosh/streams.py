"""A stream to the server as the session sees it (XEP-0124 section 16 will have several)."""

from enum import Enum
from typing import Final

from boshgate.namespaces import COMPRESS, FRAMING, HTTPBIND, STREAMS, TLS
from boshgate.xmpp.xml import Element


class StreamState(Enum):
    """Where the stream is (RFC 6120 section 4)."""

    OPENING = "opening"
    """The server's header is awaited."""
    OPEN = "open"
    """The server's header came."""
    RESTARTING = "restarting"
    """XEP-0206 section 5: a new header was sent over the same connection."""
    CLOSING = "closing"
    """13: ``</stream:stream>`` was sent, or the connection dropped; nothing is sent any more."""
    CLOSED = "closed"
    """The connection is gone."""


class Stream:
    """*name* is the wire's ``stream``; *restart_allowed*: SASL succeeded on it (XEP-0206 section 5)."""

    __slots__ = ("name", "restart_allowed", "state", "throttled")

    def __init__(self, name: str) -> None:
        self.name = name
        self.state = StreamState.OPENING
        self.restart_allowed = False
        self.throttled = False

    @property
    def is_over(self) -> bool:
        """Nothing may be sent on it any more."""
        return self.state in (StreamState.CLOSING, StreamState.CLOSED)

    def __repr__(self) -> str:
        return f"<Stream {self.name} {self.state.value}>"


class Local(Enum):
    """What the connection manager does with a first-level element of the client that no server may get."""

    REFUSE = "refuse"
    """Only servers send it, or it belongs to another binding: bad-request (XEP-0124 section 17.2)."""
    TERMINATE = "terminate"
    """RFC 6120 section 4.9.1.1: the client's own ``<stream:error/>`` ends its stream."""
    STARTTLS = "starttls"
    """XEP-0206 section 2: TLS is for the HTTP connection (RFC 6120 section 5.4.2.2: failure, and the end)."""
    COMPRESS = "compress"
    """XEP-0206 section 4: so is compression (XEP-0138 section 3.1: failure)."""


LOCAL: Final = {
    f"{{{STREAMS}}}error": Local.TERMINATE,
    f"{{{STREAMS}}}features": Local.REFUSE,
    f"{{{STREAMS}}}stream": Local.REFUSE,
    f"{{{FRAMING}}}open": Local.REFUSE,
    f"{{{FRAMING}}}close": Local.REFUSE,
    f"{{{HTTPBIND}}}body": Local.REFUSE,
    f"{{{TLS}}}starttls": Local.STARTTLS,
    f"{{{COMPRESS}}}compress": Local.COMPRESS,
}
"""By expanded name; everything else is the server's business."""

STARTTLS_FAILURE: Final = Element(f"{{{TLS}}}failure", f"<failure xmlns='{TLS}'/>".encode())
COMPRESS_FAILURE: Final = Element(
    f"{{{COMPRESS}}}failure", f"<failure xmlns='{COMPRESS}'><unsupported-method/></failure>".encode()
)
