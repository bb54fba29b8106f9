"""The terminal binding conditions, so that each name on the wire stands once beside its source."""

from enum import StrEnum
from typing import Final


class Condition(StrEnum):
    """The value of ``condition`` on a ``<body type='terminate'/>`` (XEP-0124 section 17.2)."""

    BAD_REQUEST = "bad-request"
    """17.2: the format of a header or of the binding element is not acceptable."""
    HOST_GONE = "host-gone"
    """17.2: the domain in ``to`` or ``route`` is no longer served."""
    HOST_UNKNOWN = "host-unknown"
    """17.2: the domain in ``to`` or ``route`` is unknown."""
    IMPROPER_ADDRESSING = "improper-addressing"
    """17.2: the creation request lacks ``to`` (7.1), or its value is empty."""
    INTERNAL_SERVER_ERROR = "internal-server-error"
    """17.2: a fault of the connection manager."""
    ITEM_NOT_FOUND = "item-not-found"
    """17.2: bad sid, stream or key; rid outside the window (14.2); response not in the buffer (14.3)."""
    OTHER_REQUEST = "other-request"
    """17.2: another request that was processed at the same time ended the session."""
    POLICY_VIOLATION = "policy-violation"
    """17.2: the client broke the session rules (11, 12, 14.3)."""
    REMOTE_CONNECTION_FAILED = "remote-connection-failed"
    """17.2: no connection, or no secure one, to the server; or it was lost."""
    REMOTE_STREAM_ERROR = "remote-stream-error"
    """17.2, XEP-0206 section 6: the body ends with a copy of the server's ``<stream:error/>``."""
    SEE_OTHER_URI = "see-other-uri"
    """17.2: the child element ``<uri/>`` says where to POST instead."""
    SYSTEM_SHUTDOWN = "system-shutdown"
    """17.2: the connection manager is being shut down."""
    UNDEFINED_CONDITION = "undefined-condition"
    """17.2: none of the above; the body says more."""


_LEGACY: Final[dict[str, int]] = {
    Condition.BAD_REQUEST: 400,
    Condition.POLICY_VIOLATION: 403,
    Condition.ITEM_NOT_FOUND: 404,
}


def legacy_status(condition: str) -> int:
    """Return the HTTP status that goes with *condition* to a client that created its session without ``ver``.

    17.1: only these three had one; to any other client none but 200 is sent.
    """
    return _LEGACY.get(condition, 200)
