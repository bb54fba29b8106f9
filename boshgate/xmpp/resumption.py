"""What the gateway sees of XEP-0198: whether a stream can be resumed, and where; all else is between the two.

It counts no stanza, and neither asks for nor gives an acknowledgement.
"""

import re
from typing import Final

from boshgate.namespaces import SASL2, SM2, SM3
from boshgate.xmpp.edits import Edit, edit, element_spans
from boshgate.xmpp.xml import TAG, Element, parse_document

_ENABLED: Final = frozenset({f"{{{SM3}}}enabled", f"{{{SM2}}}enabled"})
_RESUMED: Final = frozenset({f"{{{SM3}}}resumed", f"{{{SM2}}}resumed"})
MAY_GRANT: Final = _ENABLED | _RESUMED | {f"{{{SASL2}}}success"}
"""The elements that can have one of these in them."""
_ATTRIBUTE: Final = re.compile(rb"""\s++([^\s=]++)\s*+=\s*+(?:"[^"]*+"|'[^']*+')""")


def grants_resumption(element: Element) -> bool:
    """Whether the server lets the client resume this stream (XEP-0198 section 5), also in a SASL2 success.

    Such a stream must lose its connection without ``</stream:stream>``, or there is nothing left to resume.
    """
    if element.name not in MAY_GRANT:
        return False
    return any(
        # Both forms of an xs:boolean are true.
        found.tag in _RESUMED or (found.tag in _ENABLED and found.get("resume") in ("true", "1"))
        for found in parse_document(element.data, limits=None).iter()
    )


def enables_management(element: Element) -> bool:
    """Whether the server counts the stanzas of this stream from now on (XEP-0198 sections 3 to 5, 9).

    Whether it can be resumed or not: a stanza of ours would be taken for one of the client's.
    """
    if element.name not in MAY_GRANT:
        return False
    counting = _ENABLED | _RESUMED
    return any(found.tag in counting for found in parse_document(element.data, limits=None).iter())


def hide_location(element: Element) -> Element:
    """Take ``location`` off each ``<enabled/>`` (XEP-0198 section 3), also in a SASL2 success (section 9.1).

    It is where to come back to by TCP: of no use to a client of the gateway, and an address from behind it.
    """
    data = element.data
    if b"location" not in data or element.name not in MAY_GRANT:
        return element
    edits = []
    for name, _, begin, _ in element_spans(data):
        if name in _ENABLED:
            tag = TAG.match(data, begin)
            assert tag is not None, "the parser has read this start tag"
            edits += [
                Edit(attribute.start(), attribute.end(), b"")
                for attribute in _ATTRIBUTE.finditer(data, tag.start(2), tag.end(2))
                if attribute[1] == b"location"
            ]
    return edit(element, sorted(edits))
