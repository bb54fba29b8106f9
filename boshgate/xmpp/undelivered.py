"""The errors that go back for stanzas that reached nobody (XEP-0206 section 7, RFC 6120 section 8.3).

The client was gone before anybody could tell the server, so that the connection manager answers in its place.
"""

from typing import Final, NamedTuple

from boshgate.namespaces import CLIENT, STANZA_ERRORS
from boshgate.xmpp.xml import ATTRIBUTE_NAME, TAG, Element, create_parser, escape_attribute, parse

MAX_COPIED: Final = 4096
"""Bytes of a message up to which its content goes back with the error, so that it can be stored after all."""


class _Answer(NamedTuple):
    """Which *types* of a stanza are answered (None: all but errors), and the error."""

    types: frozenset[str] | None
    error: str
    condition: str


_ANSWERS: Final = {
    # XEP-0206 section 7, point 1: presence is dropped without a word.
    # Point 2; RFC 6120 section 8.2.3: only a request has an answer. 8.3.3.19: the type of the error.
    f"{{{CLIENT}}}iq": _Answer(frozenset(("get", "set")), "cancel", "service-unavailable"),
    # Point 3; RFC 6120 section 8.3.3.13: the type of the error.
    f"{{{CLIENT}}}message": _Answer(None, "wait", "recipient-unavailable"),
}


def error_for(stanza: Element) -> bytes | None:
    """Return the error stanza that answers *stanza*, for the stream it came on; None: nothing answers it."""
    answer = _ANSWERS.get(stanza.name)
    if answer is None:
        return None
    tag = TAG.match(stanza.data)
    assert tag is not None, "the parser has read this start tag"
    attributes = _values(tag[0])
    kind = attributes.get("type")
    # RFC 6120 section 8.3.1, rule 8: an error is not answered by an error.
    if kind == "error" or (answer.types is not None and kind not in answer.types):
        return None
    # Rule 2: the addresses change places; what had none (it is from the server itself) goes back to none.
    # Rule 3: the id is the same; an <iq/> has one in any case.
    written = {"from": attributes.get("to"), "to": attributes.get("from"), "type": "error"}
    written["id"] = attributes.get("id", "" if stanza.name.endswith("}iq") else None)
    addressed = "".join(
        f" {name}='{escape_attribute(value)}'" for name, value in written.items() if value is not None
    )
    name = tag[1].decode()
    prefix = name.rpartition(":")[0]
    error = f"{prefix}:error" if prefix else "error"
    reason = f"<{error} type='{answer.error}'><{answer.condition} xmlns='{STANZA_ERRORS}'/></{error}>"
    head = f"<{name}".encode() + _declarations(tag[2]) + addressed.encode() + b">"
    content = _content(stanza, tag.end()) if answer.types is None and not tag[3] else b""
    return head + content + reason.encode() + f"</{name}>".encode()


def _values(tag: bytes) -> dict[str, str]:
    """The attributes of the start *tag*, as they are meant."""
    found: dict[str, str] = {}
    parser = create_parser()
    parser.StartElementHandler = lambda _, attributes: found.update(attributes)
    parse(parser, tag if tag.endswith(b"/>") else tag[:-1] + b"/>")
    return found


def _declarations(attributes: bytes) -> bytes:
    """The namespace declarations among *attributes*, as they were written: the content may need them."""
    found = [a[0] for a in ATTRIBUTE_NAME.finditer(attributes) if a[1].startswith(b"xmlns")]
    return b"".join(b" " + declaration for declaration in found)


def _content(stanza: Element, begin: int) -> bytes:
    """RFC 6120 section 8.3.1, rule 6: what the sender wrote, within reason."""
    content = stanza.data[begin : stanza.data.rindex(b"</")]
    return content if len(content) <= MAX_COPIED else b""
