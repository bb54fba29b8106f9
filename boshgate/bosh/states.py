"""Where a session is, and where its stream is: few states, the rest are named facts beside them."""

from enum import Enum
from typing import Final


class SessionState(Enum):
    """Where the session is."""

    CREATING = "creating"
    """7.2: the creation request is unanswered, nobody knows the sid."""
    OPEN = "open"
    """8: payloads go both ways."""
    CLOSING = "closing"
    """13: the client has terminated; the answer waits a moment for the server's last stanzas."""
    ENDING = "ending"
    """17.2: the session is over; the client's next response tells it."""
    TERMINATED = "terminated"
    """13, 17.2: the client was told; while the session lingers it may ask for that answer again (14.3)."""


OVER: Final = (SessionState.ENDING, SessionState.TERMINATED)
"""17.2: what the server still says has come too late."""


class StreamState(Enum):
    """Where the stream is (RFC 6120 section 4)."""

    OPENING = "opening"
    """The server's header is awaited."""
    OPEN = "open"
    """The server's header came."""
    RESTARTING = "restarting"
    """XEP-0206 section 5: a new header was sent over the same connection."""
    CLOSING = "closing"
    """XEP-0124 section 13: nothing is sent any more."""
    CLOSED = "closed"
    """The connection is gone."""
