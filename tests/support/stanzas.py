"""Stanzas on plain streams: what tests look for, what they answer, and what a stanza says."""

from collections.abc import Callable
from xml.etree.ElementTree import Element, canonicalize, tostring
from xml.sax.saxutils import quoteattr

from tests.support.clients import CLIENT

Test = Callable[[Element], bool]


def is_presence(kind: str | None, sender: str) -> Test:
    """Return what tells a presence of *kind* from *sender*, a bare or a full JID."""
    return lambda element: (
        element.tag == f"{{{CLIENT}}}presence"
        and element.get("type") == kind
        and sender in (element.get("from"), element.get("from", "").partition("/")[0])
    )


def is_message_from(sender: str) -> Test:
    """Return what tells a message from *sender*, a full JID."""
    return lambda element: element.tag == f"{{{CLIENT}}}message" and element.get("from") == sender


def reply(iq: Element, payload: str = "", *, sender: str = "", namespace: str = CLIENT) -> str:
    """Return the result that answers *iq*; a component has to say who is its *sender*."""
    to, identifier = quoteattr(iq.get("from", "")), quoteattr(iq.get("id", ""))
    by = f" from={quoteattr(sender)}" if sender else ""
    return f"<iq xmlns='{namespace}' type='result' to={to} id={identifier}{by}>{payload}</iq>"


def canonical(element: Element | str) -> str:
    """Return what *element* says, whatever its prefixes are."""
    text = element
    if isinstance(text, Element):
        text = tostring(text, encoding="unicode").replace("\r", "&#13;")  # ElementTree writes it bare in text
    return canonicalize(text, rewrite_prefixes=True)
