"""Stream features as a client of the gateway gets to see them (RFC 6120 section 4.3.2).

What the gateway would have to take part in is left out, and what it limits itself is told. All the rest
passes byte by byte and in order: a server with SSDP (XEP-0474) has hashed its lists of mechanisms and of
channel-binding types, and its client would take any change for an attack.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Final, Literal

from boshgate.namespaces import COMPRESS_FEATURE, STREAM_LIMITS, TLS
from boshgate.xmpp.edits import Edit, Span, edit, element_spans
from boshgate.xmpp.xml import TAG, Element, parse_document

_HIDDEN: Final = frozenset({f"{{{TLS}}}starttls", f"{{{COMPRESS_FEATURE}}}compression"})
_LIMITS: Final = f"{{{STREAM_LIMITS}}}limits"
_MAX_BYTES: Final = f"{{{STREAM_LIMITS}}}max-bytes"
_UNSIGNED: Final = re.compile(r"\s*\+?([0-9]{1,20})\s*")
"""An xs:unsignedInt (XEP-0478 section 12), however large."""


def show_features(features: Element, max_bytes: int) -> Element:
    """Return what a client sees of the server's *features*; *max_bytes*: the largest element it may send.

    STARTTLS ends at the gateway (RFC 7395 section 3.9, XEP-0206 section 4), and compression (XEP-0138) would
    take the stream out of its hands.
    """
    spans = element_spans(features.data)
    edits = [Edit(begin, end, b"") for name, level, begin, end in spans if level == 1 and name in _HIDDEN]
    edits += _limit(features.data, spans, max_bytes)
    return edit(features, sorted(edits))


def _limit(data: bytes, spans: Sequence[Span], max_bytes: int) -> Iterator[Edit]:
    """Tell the lower of the server's limit for an element and the gateway's own (XEP-0478 section 3.1).

    ``<idle-seconds/>`` stays the server's: the gateway ends no stream for want of XMPP traffic. Its pings on
    a WebSocket are answered below XMPP, and BOSH tells its own ``inactivity`` (XEP-0124 section 7.2).
    """
    advertised = [span for span in spans if span.level == 1 and span.name == _LIMITS]
    if not advertised:
        # It is the gateway that enforces its limit, whether the server has one or not.
        limits = f"<limits xmlns='{STREAM_LIMITS}'><max-bytes>{max_bytes}</max-bytes></limits>"
        yield _put(data, spans[-1], limits, "last")
        return
    elements = parse_document(data, limits=None).findall(_LIMITS)
    for limits_span, element in zip(advertised, elements, strict=True):
        theirs = _UNSIGNED.fullmatch(element.findtext(_MAX_BYTES, ""))
        if theirs is not None and int(theirs[1]) <= max_bytes:
            continue
        inside = [
            span for span in spans if span.level == 2 and limits_span.begin < span.begin < limits_span.end
        ]
        own = [span for span in inside if span.name == _MAX_BYTES]
        if own:
            yield _put(data, own[0], str(max_bytes), "all")
        else:
            ours = f"<max-bytes xmlns='{STREAM_LIMITS}'>{max_bytes}</max-bytes>"
            yield _put(data, limits_span, ours, "first")  # section 12: a sequence


def _put(data: bytes, span: Span, content: str, where: Literal["first", "last", "all"]) -> Edit:
    """The edit that makes *content* the first, the last or all that is in the element at *span*."""
    tag = TAG.match(data, span.begin)
    assert tag is not None, "the parser has read this start tag"
    if tag[3]:
        return Edit(tag.start(3), tag.end(), b">" + content.encode() + b"</" + tag[1] + b">")
    begin, end = tag.end(), data.rindex(b"</", 0, span.end)
    return Edit(end if where == "last" else begin, begin if where == "first" else end, content.encode())
