"""What of a client may not get to the server, and what is done about it instead (XEP-0206 sections 2, 4)."""

from enum import Enum
from typing import Final, NamedTuple

from boshgate.bosh.conditions import Condition
from boshgate.errors import BindingError
from boshgate.namespaces import COMPRESS, FRAMING, STREAMS, TLS
from boshgate.xmpp.xml import Element


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
